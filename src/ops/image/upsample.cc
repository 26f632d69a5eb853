// Upsample, which Resize of operator set 10 took the place of. Before set 9 scales are an
// attribute.
#include "ops/common/expansion.h"
#include "ops/common/resize_shape.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"mode", AttributeKind::kString},
                                          {"scales", AttributeKind::kFloats}};
constexpr int kInputsSince = 9;

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  if (c.version() >= kInputsSince) {
    QUERN_ASSIGN(Shape y, resized_shape(c, *x, 1, 2));
    c.set(0, c.dtype(0), std::move(y));
    return {};
  }
  const std::vector<float>* scales = c.node().floats("scales");
  if (scales == nullptr) return c.error("no scales");
  QUERN_ASSIGN(std::vector<size_t> axes, resized_axes(c.node(), x->size()));
  QUERN_ASSIGN(Shape y,
               scaled_shape(c, *x, axes, std::vector<double>(scales->begin(), scales->end())));
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* scales = node.input(1);
  if (node.version < kInputsSince) {
    const std::vector<float>* values = node.floats("scales");
    if (values == nullptr) return invalid_model(cat(node.describe(), ": no scales"));
    const auto n = static_cast<int64_t>(values->size());
    scales = graph.add_constant("", make_constant(HostTensor::of_floats({n}, *values)));
  }
  const std::string mode(node.string_or("mode", "nearest"));
  e.replace(0, e.add_in("", 10, "Resize", {node.input(0), scales}, {{"mode", mode}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_upsample;
const OpDef op_upsample = {
    .name = "Upsample",
    .since = 7,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 0b10,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
