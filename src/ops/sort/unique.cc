// Unique: the different elements (or slices along `axis`), sorted or in the order of their first
// occurrence; where each occurs first, which one each is, and how often it occurs.
#include "ops/common/compact.h"
#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"sorted", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  const Shape* shape = c.shape(0);
  const bool flat = c.node().attribute("axis") == nullptr;
  std::optional<Dim> all;  // elements or slices
  std::optional<Shape> values;
  size_t axis = 0;
  if (flat && shape != nullptr) all = element_count(*shape);
  if (!flat && shape != nullptr) {
    QUERN_ASSIGN(axis, c.axis(c.node().int_or("axis", 0), shape->size()));
    all = (*shape)[axis];
  }
  const Dim found = c.fresh_dim(0, axis, 0, all ? std::max<int64_t>(all->upper(), 0) : INT32_MAX);
  if (flat) values = Shape{found};
  if (!flat && shape != nullptr) {
    values = *shape;
    (*values)[axis] = found;
  }
  c.set(0, c.dtype(0), std::move(values));
  c.set(1, DType::kI64, Shape{found});
  c.set(2, DType::kI64, Shape{all ? *all : c.fresh_dim(2, 0)});
  c.set(3, DType::kI64, Shape{found});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  const auto add = [&](const char* op, std::vector<Value*> inputs,
                       Expansion::Attributes attributes = {}) {
    return e.add_in("", kCompactVersion, op, std::move(inputs), attributes);
  };
  Value* x = node.input(0);
  Value* values = x;  // to gather from, along `axis`
  int64_t axis = 0;
  Value* rows = nullptr;
  if (node.attribute("axis") == nullptr) {
    values = add("Reshape", {x, e.ints({-1})});
    rows = add("Unsqueeze", {values, e.ints({1})});
  } else {
    if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
    QUERN_ASSIGN(const size_t front,
                 resolve_axis(node, node.int_or("axis", 0), x->type.shape->size()));
    axis = static_cast<int64_t>(front);
    std::vector<int64_t> perm = {axis};
    for (int64_t a = 0; a < std::ssize(*x->type.shape); ++a) {
      if (a != axis) perm.push_back(a);
    }
    Value* turned = axis == 0 ? x : add("Transpose", {x}, {{"perm", perm}});
    // Reshape can't find the number of columns where there are no rows.
    Value* others = add("Shape", {turned}, {{"start", int64_t{1}}});
    Value* width = add("ReduceProd", {others, e.ints({0})}, {{"keepdims", int64_t{1}}});
    Value* dims = add("Concat", {add("Shape", {x}, {{"start", axis}, {"end", axis + 1}}), width},
                      {{"axis", int64_t{0}}});
    rows = add("Reshape", {turned, dims}, {{"allowzero", int64_t{1}}});
  }
  Node* unique = graph.add_node("UniqueRows", {rows}, 4, &node, "quern", 1);
  unique->attributes["sorted"] = node.int_or("sorted", 1);
  Value* count = unique->outputs[3];
  const auto wide = [&](Value* v) {
    return add("Cast", {v}, {{"to", static_cast<int64_t>(DType::kI64)}});
  };
  Value* first = add_first(graph, node, unique->outputs[0], count);
  if (e.wants(0)) e.replace(0, add("Gather", {values, first}, {{"axis", axis}}));
  if (e.wants(1)) e.replace(1, wide(first));
  if (e.wants(2)) e.replace(2, wide(unique->outputs[2]));
  if (e.wants(3)) e.replace(3, wide(add_first(graph, node, unique->outputs[1], count)));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_unique;
const OpDef op_unique = {
    .name = "Unique",
    .since = 11,
    .max_outputs = 4,
    .types = kScalarTypes | type_bit(DType::kString),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
