// TfIdfVectorizer: how often each n-gram of a pool occurs in each row, with up to `max_skip_count`
// elements left out between neighbours. Elements become numbers of the pool's distinct elements
// (quern.SortedLookup, or LabelEncoder for strings), n-grams the numbers of their outputs
// (quern.NgramLookup), and those are counted by ScatterElements.
#include <algorithm>
#include <map>

#include "ops/common/expansion.h"
#include "ops/common/ngrams.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"max_gram_length", AttributeKind::kInt, true},
    {"max_skip_count", AttributeKind::kInt, true},
    {"min_gram_length", AttributeKind::kInt, true},
    {"mode", AttributeKind::kString, true},
    {"ngram_counts", AttributeKind::kInts, true},
    {"ngram_indexes", AttributeKind::kInts, true},
    {"pool_int64s", AttributeKind::kInts},
    {"pool_strings", AttributeKind::kStrings},
    {"weights", AttributeKind::kFloats},
};

constexpr int kVersion = 18;  // of the nodes made here

Result<void> infer(InferContext& c) {
  QUERN_ASSIGN(const NgramPool pool, ngram_pool(c.node()));
  c.set(0, DType::kF32, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  if (shape->empty() || shape->size() > 2) {
    return c.error(cat("its input is ", *shape, ", expected [C] or [N, C]"));
  }
  Shape result = *shape;
  result.back() = pool.outputs;
  c.set(0, DType::kF32, std::move(result));
  return {};
}

Value* floats(Graph& graph, const std::vector<float>& values) {
  return graph.add_constant("", make_constant(HostTensor::of_floats({std::ssize(values)}, values)));
}

/// Elements as their numbers among the pool's distinct ones, i32; others get the number after.
Value* element_numbers(Graph& graph, Expansion& e, Value* x, const NgramPool& pool) {
  if (!pool.strings.empty()) {
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < pool.strings.size(); ++i) numbers.push_back(static_cast<int64_t>(i));
    Value* number = e.add_in("ai.onnx.ml", 2, "LabelEncoder", {x},
                             {{"keys_strings", pool.strings},
                              {"values_int64s", numbers},
                              {"default_int64", std::ssize(pool.strings)}});
    return e.add_in("", kVersion, "Cast", {number}, {{"to", static_cast<int64_t>(DType::kI32)}});
  }
  Value* keys = graph.add_constant(
      "",
      make_constant(HostTensor::of_ints(x->type.dtype, {std::ssize(pool.numbers)}, pool.numbers)));
  return e.add_in("quern", 1, "SortedLookup", {x, keys}, {{"nan_index", std::ssize(pool.numbers)}});
}

Result<bool> expand(Graph& graph, Node& node) {
  Value* x = node.inputs[0];
  const bool is_text = x->type.dtype == DType::kString;
  QUERN_ASSIGN(const NgramPool pool, ngram_pool(node));
  if (x->type.dtype == DType::kUndefined || !x->type.shape) return false;
  if (is_text ? pool.strings.empty() : pool.numbers.empty()) {
    return invalid_model(cat(node.describe(), ": its pool is not of ", name_of(x->type.dtype)));
  }
  Expansion e(graph, node);
  const bool is_row = x->type.shape->size() == 1;
  Value* elements = element_numbers(graph, e, x, pool);
  if (is_row) elements = e.add_in("", kVersion, "Unsqueeze", {elements, e.ints({0})});
  const auto list = [&](const std::vector<int64_t>& values) {
    return graph.add_constant(
        "", make_constant(HostTensor::of_ints(DType::kI32, {std::ssize(values)}, values)));
  };
  // [N, all starts of all lengths and skips] -> numbers of outputs; none: the one after the last.
  Value* found = e.add_in("quern", 1, "NgramLookup",
                          {elements, list(pool.edge_states), list(pool.edge_elements),
                           list(pool.edge_targets), list(pool.state_outputs)},
                          {{"min_length", pool.min_length},
                           {"max_length", pool.max_length},
                           {"max_skip", pool.max_skip},
                           {"outputs", pool.outputs}});
  Value* rows =
      e.add_in("", kVersion, "Shape", {elements}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  Value* dims =
      e.add_in("", kVersion, "Concat", {rows, e.ints({pool.outputs + 1})}, {{"axis", int64_t{0}}});
  Value* zeros = e.add_in("", kVersion, "Expand", {floats(graph, {0}), dims});
  Value* ones = e.add_in("", kVersion, "Expand",
                         {floats(graph, {1}), e.add_in("", kVersion, "Shape", {found})});
  Value* counts = e.add_in("", kVersion, "ScatterElements", {zeros, found, ones},
                           {{"axis", int64_t{1}}, {"reduction", std::string("add")}});
  Value* result =
      e.add_in("", kVersion, "Slice", {counts, e.ints({0}), e.ints({pool.outputs}), e.ints({1})});
  const std::string_view mode = node.string_or("mode", "TF");
  if (mode != "TF") {
    Value* weights = floats(graph, pool.weights);
    if (mode == "IDF") {
      // Whether there are any counts.
      result = e.add_in("", kVersion, "Min", {result, floats(graph, {1})});
    }
    result = e.add_in("", kVersion, "Mul", {result, weights});
  }
  if (is_row) result = e.add_in("", kVersion, "Squeeze", {result, e.ints({0})});
  e.replace(0, result);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_tf_idf_vectorizer;
const OpDef op_tf_idf_vectorizer = {
    .name = "TfIdfVectorizer",
    .since = 9,
    .types = types_of(DType::kI32, DType::kI64, DType::kString),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
