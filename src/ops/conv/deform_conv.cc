// DeformConv: a convolution whose taps lie at learned offsets between elements. Every tap of every
// input channel is sampled once (quern.DeformColumns); what is left is a matrix product.
#include "ops/common/conv_shape.h"
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"dilations", AttributeKind::kInts},    {"group", AttributeKind::kInt},
    {"kernel_shape", AttributeKind::kInts}, {"offset_group", AttributeKind::kInt},
    {"pads", AttributeKind::kInts},         {"strides", AttributeKind::kInts},
};
enum Input : size_t { kX, kW, kOffset, kBias, kMask };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kX), std::nullopt);
  const Shape* x = c.shape(kX);
  if (x == nullptr) return {};
  if (x->size() < 3) return c.error(cat("input ", *x, " has no spatial axis"));
  QUERN_TRY(c.expect_rank(kW, x->size()));
  QUERN_TRY(c.expect_rank(kOffset, x->size()));
  const size_t rank = x->size() - 2;
  const Shape* w = c.shape(kW);
  const Shape* offset = c.shape(kOffset);
  QUERN_ASSIGN(Window window, read_window(c.node(), rank));
  Shape y = {(*x)[0], w != nullptr ? (*w)[0] : c.fresh_dim(0, 1)};
  for (size_t i = 0; i < rank; ++i) {
    if (w == nullptr && window.kernel.empty()) {
      y.push_back(offset != nullptr ? (*offset)[i + 2] : c.fresh_dim(0, i + 2));
      continue;
    }
    const Dim kernel = w != nullptr ? (*w)[i + 2] : Dim(window.kernel[i]);
    const Dim extent = window_axis(window, i, (*x)[i + 2], kernel).output;
    if (offset != nullptr && proven_equal(extent, (*offset)[i + 2]) == false) {
      return c.error(cat("offsets ", *offset, " do not fit input ", *x));
    }
    y.push_back(extent);
  }
  c.set(0, c.dtype(kX), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Value* x = node.input(kX);
  const std::optional<Shape>& w = node.input(kW)->type.shape;
  if (!x->type.shape || !w) return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  const size_t rank = w->size() - 2;
  const int64_t groups = node.int_or("group", 1);
  if (groups < 1) return invalid_model(cat(node.describe(), ": group is ", groups));
  Expansion e(graph, node);
  Value* columns = e.add_in("quern", 1, "DeformColumns",
                            {x, node.input(kW), node.input(kOffset), node.input(kMask)});
  for (std::string_view name : {"dilations", "offset_group", "pads", "strides"}) {
    if (const AttributeValue* value = node.attribute(name)) {
      columns->producer->attributes[std::string(name)] = *value;
    }
  }
  // [batch, groups, channels of a group * taps, positions]
  Value* places = e.add("Shape", {columns}, {{"start", int64_t{3}}});
  const auto joined = [&](std::vector<Value*> parts) {
    return e.add("Concat", std::move(parts), {{"axis", int64_t{0}}});
  };
  Value* positions = e.add("ReduceProd", {places, e.ints({0})}, {{"keepdims", int64_t{1}}});
  Value* depth =
      e.add("Div", {e.add("Mul", {e.extent(x, 1), e.extent(columns, 2)}), e.ints({groups})});
  Value* grouped =
      e.add("Reshape", {columns, joined({e.extent(x, 0), e.ints({groups}), depth, positions})},
            {{"allowzero", int64_t{1}}});
  Value* weights =
      e.add("Reshape",
            {node.input(kW),
             joined({e.ints({groups}),
                     e.add("Div", {e.extent(node.input(kW), 0), e.ints({groups})}), depth})},
            {{"allowzero", int64_t{1}}});
  Value* y = e.add("MatMul", {weights, grouped});
  y = e.add("Reshape", {y, joined({e.extent(x, 0), e.extent(node.input(kW), 0), places})},
            {{"allowzero", int64_t{1}}});
  if (Value* bias = node.input(kBias)) {
    std::vector<int64_t> shape(rank + 1, 1);
    shape[0] = -1;
    y = e.add("Add", {y, e.add("Reshape", {bias, e.ints(shape)})});
  }
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_deform_conv;
const OpDef op_deform_conv = {
    .name = "DeformConv",
    .since = 19,
    .min_inputs = 3,
    .max_inputs = 5,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
