// ai.onnx.ml DictVectorizer: the values of a map at the keys of a vocabulary, as a row; 0 where a
// key is absent. The walk looks them up (plan/walk_sequence.cc).
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"int64_vocabulary", AttributeKind::kInts},
                                          {"string_vocabulary", AttributeKind::kStrings}};

Result<void> infer(InferContext& c) {
  if (c.type(0).kind != Type::Kind::kMap && c.dtype(0) != DType::kUndefined) {
    return c.error(cat("its input is ", c.type(0), ", expected a map"));
  }
  int64_t count = 0;
  if (const std::vector<int64_t>* numbers = c.node().ints("int64_vocabulary")) {
    count = std::ssize(*numbers);
  } else if (const AttributeValue* value = c.node().attribute("string_vocabulary")) {
    const auto* strings = std::get_if<std::vector<std::string>>(value);
    if (strings != nullptr) count = std::ssize(*strings);
  } else {
    return c.error("has no vocabulary");
  }
  c.set(0, c.dtype(0), Shape{1, count});
  return {};
}

}  // namespace

extern const OpDef op_dict_vectorizer;
const OpDef op_dict_vectorizer = {
    .name = "DictVectorizer",
    .domain = "ai.onnx.ml",
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = infer,
};

}  // namespace quern
