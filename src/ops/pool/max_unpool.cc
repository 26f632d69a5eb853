// MaxUnpool: elements put back where MaxPool found them, zeros elsewhere. Their places count
// through the tensor that the kernel, strides and pads give; output_shape pads (or cuts) that.
#include "ops/common/conv_shape.h"
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"kernel_shape", AttributeKind::kInts, true},
                                          {"pads", AttributeKind::kInts},
                                          {"strides", AttributeKind::kInts}};
enum Input : size_t { kX, kPlaces, kOutputShape };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kX), std::nullopt);
  const Shape* x = c.shape(kX);
  if (x == nullptr) return {};
  if (x->size() < 3) return c.error(cat("input ", *x, " has no spatial axis"));
  const size_t rank = x->size() - 2;
  QUERN_ASSIGN(Window window, read_window(c.node(), rank));
  if (window.kernel.size() != rank) return c.error("no kernel_shape");
  Shape y = {(*x)[0], (*x)[1]};
  for (size_t i = 0; i < rank; ++i) {
    const Dim extent = ((*x)[i + 2] - 1) * window.strides[i] +
                       (window.kernel[i] - window.pads_begin[i] - window.pads_end[i]);
    if (extent.upper() < 0) return c.error(cat("no output along axis ", i + 2));
    y.push_back(extent.lower() >= 0 ? extent : max(extent, 0));
  }
  if (c.has_input(kOutputShape)) {
    const std::optional<std::vector<Dim>> given = c.contents(kOutputShape);
    if (given && given->size() != y.size()) {
      return c.error(cat("output_shape ", Shape(*given), " for an input of shape ", *x));
    }
    for (size_t a = 0; a < y.size(); ++a) {
      y[a] = given && (*given)[a].lower() >= 0 ? (*given)[a] : c.fresh_dim(0, a);
    }
  }
  c.set(0, c.dtype(kX), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Value* x = node.input(kX);
  if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
  const size_t rank = x->type.shape->size() - 2;
  QUERN_ASSIGN(Window window, read_window(node, rank));
  Expansion e(graph, node);
  const auto add = [&](std::string_view op, std::vector<Value*> inputs,
                       Expansion::Attributes attributes = {}) {
    return e.add_in("", 18, std::string(op), std::move(inputs), attributes);
  };
  std::vector<int64_t> more;
  for (size_t i = 0; i < rank; ++i) {
    more.push_back(window.kernel[i] - window.pads_begin[i] - window.pads_end[i]);
  }
  Value* steps = add("Sub", {add("Shape", {x}), e.ints({1})});
  steps = add("Slice", {steps, e.ints({2}), e.ints({INT32_MAX})});
  Value* spatial = add("Add", {add("Mul", {steps, e.ints(window.strides)}), e.ints(more)});
  Value* inferred =
      add("Concat", {e.extent(x, 0), e.extent(x, 1), spatial}, {{"axis", int64_t{0}}});
  HostTensor fill;
  fill.dtype = x->type.dtype;
  fill.dims = {1};
  fill.bytes.resize(byte_size(fill.dtype, 1));
  Value* zeros = add("ConstantOfShape", {inferred}, {{"value", make_constant(std::move(fill))}});
  const auto flat = [&](Value* v) { return add("Reshape", {v, e.ints({-1})}); };
  Value* y = add("ScatterElements", {flat(zeros), flat(node.input(kPlaces)), flat(x)},
                 {{"axis", int64_t{0}}});
  y = add("Reshape", {y, inferred}, {{"allowzero", int64_t{1}}});
  if (Value* shape = node.input(kOutputShape)) {
    Value* none = e.ints(std::vector<int64_t>(rank + 2, 0));
    Value* pads = add("Concat", {none, add("Sub", {shape, inferred})}, {{"axis", int64_t{0}}});
    y = add("Pad", {y, pads});
  }
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_max_unpool;
const OpDef op_max_unpool = {
    .name = "MaxUnpool",
    .since = 9,
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1 << kOutputShape,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
