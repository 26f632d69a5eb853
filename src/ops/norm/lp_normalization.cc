// LpNormalization: elements over the 1- or 2-norm along an axis; 0 where that is 0.
#include <algorithm>

#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"p", AttributeKind::kInt},
};
/// The first operator set with Where, which the expansion needs.
constexpr int kWhereSince = 9;

Result<void> infer(InferContext& ctx) {
  if (ctx.shape(0) != nullptr) {
    QUERN_TRY(ctx.axis(ctx.node().int_or("axis", -1), ctx.shape(0)->size()));
  }
  const int64_t p = ctx.node().int_or("p", 2);
  if (p != 1 && p != 2) return ctx.error(cat("p is ", p, " where 1 or 2 is expected"));
  ctx.set(0, ctx.type(0));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, std::max(node.version, kWhereSince));
  Value* x = node.input(0);
  const int64_t axis = node.int_or("axis", -1);
  const bool one = node.int_or("p", 2) == 1;
  const char* op = one ? "ReduceL1" : "ReduceL2";
  Value* norm =
      node.version < 18
          ? e.add(op, {x}, {{"axes", std::vector<int64_t>{axis}}, {"keepdims", int64_t{1}}})
          : e.add(op, {x, e.ints({axis})}, {{"keepdims", int64_t{1}}});
  // All elements of a row with norm 0 are 0, and stay so over any other number.
  Value* is_zero = e.add("Equal", {norm, e.number(x->type.dtype, 0)});
  norm = e.add("Where", {is_zero, e.number(x->type.dtype, 1), norm});
  e.replace(0, e.add("Div", {x, norm}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_lp_normalization;
const OpDef op_lp_normalization = {
    .name = "LpNormalization",
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
