// NonMaxSuppression: for each batch and class the boxes of highest score that overlap no better one
// by more than a threshold.
#include "ops/common/compact.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"center_point_box", AttributeKind::kInt}};
enum Input : size_t { kBoxes, kScores, kLimit, kIou, kThreshold };

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(kBoxes, 3));
  QUERN_TRY(c.expect_rank(kScores, 3));
  c.set(0, DType::kI64, Shape{c.fresh_dim(0, 0), 3});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  const auto number = [&](Value* v, Value* otherwise) {
    return v == nullptr ? otherwise : e.add_in("", kCompactVersion, "Reshape", {v, e.ints({1})});
  };
  Value* limit = number(node.input(kLimit), e.ints({0}));
  Value* iou = node.input(kIou);
  if (iou == nullptr) iou = e.number(DType::kF32, 0);
  std::vector<Value*> inputs = {node.input(kBoxes), node.input(kScores), limit, iou};
  if (Value* threshold = node.input(kThreshold)) inputs.push_back(threshold);
  Node* select = graph.add_node("SelectBoxes", std::move(inputs), 2, &node, "quern", 1);
  select->attributes["center_point_box"] = node.int_or("center_point_box", 0);
  e.replace(0, add_first(graph, node, select->outputs[0], select->outputs[1]));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_non_max_suppression;
const OpDef op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
