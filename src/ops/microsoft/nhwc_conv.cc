// NhwcConv: Conv of an input with channels along the last axis. Weights lie as Conv's, or (as one
// version of a popular optimiser leaves them) with their input channels last as well.
#include "ops/common/conv.h"
#include "ops/common/microsoft.h"

namespace quern {
namespace {

/// Axes of a tensor with channels last, in the order of one with channels at axis 1.
std::vector<int64_t> channels_first(size_t rank) {
  std::vector<int64_t> order = {0, static_cast<int64_t>(rank) - 1};
  for (size_t i = 1; i + 1 < rank; ++i) order.push_back(static_cast<int64_t>(i));
  return order;
}

Shape permuted(const Shape& shape, const std::vector<int64_t>& order) {
  Shape out;
  for (int64_t i : order) out.push_back(shape[static_cast<size_t>(i)]);
  return out;
}

bool weights_channels_last(const Node& node, const Shape& x, const Shape& w) {
  const int64_t groups = node.int_or("group", 1);
  return x.size() == w.size() && proven_equal(w[1] * groups, x.back()) != true &&
         proven_equal(w.back() * groups, x.back()) == true;
}

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.dtype(0), std::nullopt);
  const Shape* x = ctx.shape(0);
  const Shape* w = ctx.shape(1);
  if (x == nullptr || w == nullptr) return {};
  if (x->size() < 3 || w->size() != x->size()) {
    return ctx.error(cat("input ", *x, " and weights ", *w));
  }
  const std::vector<int64_t> order = channels_first(x->size());
  std::vector<InferContext::Input> inputs(2);
  inputs[0] = {.type = Type::tensor(ctx.dtype(0), permuted(*x, order)), .present = true};
  inputs[1] = {
      .type = Type::tensor(ctx.dtype(1),
                           weights_channels_last(ctx.node(), *x, *w) ? permuted(*w, order) : *w),
      .present = true};
  InferContext plain(ctx.node(), std::move(inputs));
  QUERN_TRY(infer_conv(plain, 1, ctx.dtype(0)));
  Shape y = *plain.outputs()[0].type.shape;
  y.push_back(y[1]);
  y.erase(y.begin() + 1);
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  const Type& x = node.input(0)->type;
  const Type& w = node.input(1)->type;
  if (!x.shape || !w.shape) return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  Expansion e(graph, node, kExpansionOpset);
  const std::vector<int64_t> order = channels_first(x.shape->size());
  std::vector<int64_t> back = {0};
  for (size_t i = 2; i < order.size(); ++i) back.push_back(static_cast<int64_t>(i));
  back.push_back(1);
  std::vector<Value*> inputs = node.inputs;
  inputs[0] = e.add("Transpose", {inputs[0]}, {{"perm", order}});
  if (weights_channels_last(node, *x.shape, *w.shape)) {
    inputs[1] = e.add("Transpose", {inputs[1]}, {{"perm", order}});
  }
  Value* y = e.add("Conv", std::move(inputs));
  y->producer->attributes = node.attributes;
  e.replace(0, e.add("Transpose", {y}, {{"perm", back}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_nhwc_conv;
const OpDef op_nhwc_conv = {
    .name = "NhwcConv",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kConvAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
