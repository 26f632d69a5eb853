// NonZero: the indices of the elements that are not 0, and of strings that are not empty, i64
// [rank, count], in row-major order.
#include "ops/common/compact.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, DType::kI64, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  c.set(0, DType::kI64,
        Shape{static_cast<int64_t>(shape->size()),
              c.fresh_dim(0, 1, 0, std::max<int64_t>(element_count(*shape).upper(), 0))});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* x = node.input(0);
  if (x->type.dtype == DType::kString) {
    HostTensor empty;
    empty.dtype = DType::kString;
    empty.strings.resize(1);
    Value* none = graph.add_constant("", make_constant(std::move(empty)));
    x = e.add_in("", kCompactVersion, "Not", {e.add_in("", kCompactVersion, "Equal", {x, none})});
    x->type = Type::tensor(DType::kBool, node.inputs[0]->type.shape);
  }
  Value* places = add_nonzero_places(graph, node, x);
  Value* shape = e.add_in("", kCompactVersion, "Shape", {x});
  e.replace(0, e.add_in("quern", 1, "Unravel", {places, shape}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_non_zero;
const OpDef op_non_zero = {
    .name = "NonZero",
    .since = 9,
    .types = kScalarTypes | type_bit(DType::kString),
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
