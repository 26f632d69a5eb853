#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

/// Known by name alone, for errors: strings, hash tables, training, and what has no kernel.
constexpr Operator kOthers[] = {
    {10, "HASHTABLE_LOOKUP", "", nullptr},
    {15, "LSH_PROJECTION", "", nullptr},
    {29, "CONCAT_EMBEDDINGS", "", nullptr},
    {30, "SKIP_GRAM", "", nullptr},
    {33, "EMBEDDING_LOOKUP_SPARSE", "", nullptr},
    {51, "DELEGATE", "", nullptr},
    {136, "HASHTABLE", "", nullptr},
    {137, "HASHTABLE_FIND", "", nullptr},
    {138, "HASHTABLE_IMPORT", "", nullptr},
    {139, "HASHTABLE_SIZE", "", nullptr},
    {149, "MULTINOMIAL", "", nullptr},
};

}  // namespace

std::vector<std::span<const Operator>> all_operators() {
  return {elementwise_operators(), conv_operators(),   matrix_operators(),    shape_operators(),
          index_operators(),       reduce_operators(), recurrent_operators(), signal_operators(),
          control_operators(),     custom_operators()};
}

const Operator* find_operator(const OperatorCode& code) {
  for (const auto& group : all_operators()) {
    for (const Operator& op : group) {
      if (op.code == code.builtin && (op.code != kCustom || op.name == code.custom)) return &op;
    }
  }
  return nullptr;
}

std::string name_of(const OperatorCode& code) {
  if (code.builtin == kCustom) return cat("custom operator '", code.custom, "'");
  if (const Operator* op = find_operator(code)) return std::string(op->name);
  for (const Operator& op : kOthers) {
    if (op.code == code.builtin) return std::string(op.name);
  }
  return cat("builtin operator ", code.builtin);
}

}  // namespace quern::tflite
