#include "ops/common/microsoft.h"

namespace quern {
namespace {

/// 1 / sqrt(mean of squares + epsilon) over the axes from `axis` on.
Value* inverse_root_mean_square(Expansion& e, Value* x, int64_t axis, float epsilon) {
  std::vector<int64_t> axes;
  const auto rank = static_cast<int64_t>(x->type.shape->size());
  for (int64_t i = axis < 0 ? axis + rank : axis; i < rank; ++i) axes.push_back(i);
  x = e.add("Cast", {x}, {{"to", int64_t{1}}});
  Value* mean = e.add("ReduceMean", {e.add("Mul", {x, x}), e.ints(axes)});
  return e.add("Reciprocal",
               {e.add("Sqrt", {e.add("Add", {mean, e.number(DType::kF32, epsilon)})})});
}

/// Axes from `axis` on as extent 1.
std::optional<Shape> statistics_shape(const Shape* x, size_t axis) {
  if (x == nullptr) return std::nullopt;
  Shape s = *x;
  for (size_t i = axis; i < s.size(); ++i) s[i] = 1;
  return s;
}

Value* rms_norm(Expansion& e, Value* x, Value* scale, int64_t axis, float epsilon) {
  return e.add("RMSNormalization", {x, scale}, {{"axis", axis}, {"epsilon", epsilon}});
}

}  // namespace

Result<void> infer_simplified_norm(InferContext& ctx) {
  ctx.set(0, ctx.dtype(1), ctx.type(0).shape);
  const Shape* x = ctx.shape(0);
  size_t axis = 0;
  if (x != nullptr) {
    QUERN_ASSIGN(axis, ctx.axis(ctx.node().int_or("axis", -1), x->size()));
  }
  if (ctx.output_count() > 1) ctx.set(1, DType::kF32, statistics_shape(x, axis));
  return {};
}

Result<bool> expand_simplified_norm(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const int64_t axis = node.int_or("axis", -1);
  const float epsilon = node.float_or("epsilon", 1e-5f);
  Value* x = node.input(0);
  if (e.wants(1)) {
    if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
    e.replace(1, inverse_root_mean_square(e, x, axis, epsilon));
  }
  e.replace(0, rms_norm(e, x, node.input(1), axis, epsilon));
  e.finish();
  return true;
}

Result<void> infer_skip_norm(InferContext& ctx) {
  ctx.set(0, ctx.type(0));
  const Shape* x = ctx.shape(0);
  if (x != nullptr && x->empty()) return ctx.error("the input has no axes");
  for (size_t i = 1; i < ctx.output_count() && i < 3; ++i) {
    ctx.set(i, DType::kF32, statistics_shape(x, x != nullptr ? x->size() - 1 : 0));
  }
  if (ctx.output_count() > 3) ctx.set(3, ctx.type(0));
  return {};
}

Result<bool> expand_skip_norm(Graph& graph, Node& node, bool simplified) {
  Expansion e(graph, node, kExpansionOpset);
  const float epsilon = node.float_or("epsilon", 1e-12f);
  Value* beta = simplified ? nullptr : node.input(3);
  Value* bias = node.input(simplified ? 3 : 4);
  Value* sum = e.add("Add", {node.input(0), node.input(1)});
  if (bias != nullptr) sum = e.add("Add", {sum, bias});
  if (e.wants(3)) e.replace(3, sum);
  if (simplified) {
    if (e.wants(1)) return unsupported(cat(node.describe(), ": a mean as output"));
    if (e.wants(2)) {
      if (!node.input(0)->type.shape) {
        return unsupported(cat(node.describe(), ": an input of unknown rank"));
      }
      sum->type = node.input(0)->type;
      e.replace(2, inverse_root_mean_square(e, sum, -1, epsilon));
    }
    e.replace(0, rms_norm(e, sum, node.input(2), -1, epsilon));
  } else {
    std::vector<Value*> inputs = {sum, node.input(2)};
    if (beta != nullptr) inputs.push_back(beta);
    const size_t outputs = e.wants(2) ? 3 : e.wants(1) ? 2 : 1;
    const std::vector<Value*> y = e.add_many("LayerNormalization", std::move(inputs), outputs,
                                             {{"axis", int64_t{-1}}, {"epsilon", epsilon}});
    for (size_t i = 0; i < outputs; ++i) e.replace(i, y[i]);
  }
  e.finish();
  return true;
}

}  // namespace quern
