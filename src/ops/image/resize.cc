// Resize: becomes a table of positions and weights for each axis that changes (quern.ResizeTable)
// and passes over the data that read as the tables say (quern.Resample): one for all axes where
// few taps are met, else one an axis. The only attribute of operator set 10 is `mode`.
#include "ops/common/expansion.h"
#include "ops/common/infer.h"
#include "ops/common/resize_shape.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"antialias", AttributeKind::kInt},
    {"axes", AttributeKind::kInts},
    {"coordinate_transformation_mode", AttributeKind::kString},
    {"cubic_coeff_a", AttributeKind::kFloat},
    {"exclude_outside", AttributeKind::kInt},
    {"extrapolation_value", AttributeKind::kFloat},
    {"keep_aspect_ratio_policy", AttributeKind::kString},
    {"mode", AttributeKind::kString},
    {"nearest_mode", AttributeKind::kString},
};
constexpr int kSizesSince = 11;

/// Places of the inputs; operator set 10 has x and scales.
struct Inputs {
  size_t roi, scales, sizes;
};
Inputs inputs_of(int version) {
  constexpr size_t kAbsent = 4;
  return version < kSizesSince ? Inputs{kAbsent, 1, kAbsent} : Inputs{1, 2, 3};
}

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  const Inputs at = inputs_of(c.version());
  QUERN_ASSIGN(Shape y, resized_shape(c, *x, at.scales, at.sizes));
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

const HostTensor* constant_of(const Value* value) {
  if (value == nullptr || !value->constant || !value->constant->is_inline()) return nullptr;
  return &value->constant->host;
}

/// Axes that are left as they are in every binding are not resized.
std::vector<size_t> changing_axes(const Node& node, const ResizeMapping& mapping,
                                  const std::vector<size_t>& axes) {
  if (!mapping.keeps_unscaled()) return axes;
  const Inputs at = inputs_of(node.version);
  const HostTensor* scales = constant_of(node.input(at.scales));
  const bool by_scales = scales != nullptr && scales->count() == std::ssize(axes);
  const Value* sizes = node.input(at.sizes);
  const bool by_sizes =
      (node.input(at.scales) == nullptr || (scales != nullptr && scales->count() == 0)) &&
      sizes != nullptr && node.string_or("keep_aspect_ratio_policy", "stretch") == "stretch";
  const Shape& in = *node.input(0)->type.shape;
  const std::optional<Shape>& out = node.outputs[0]->type.shape;
  std::vector<size_t> changing;
  for (size_t k = 0; k < axes.size(); ++k) {
    const size_t a = axes[k];
    bool same = false;
    if (by_scales) same = scales->float_at(static_cast<int64_t>(k)) == 1;
    if (by_sizes) same = out && out->size() == in.size() && in[a] == (*out)[a];
    if (!same) changing.push_back(a);
  }
  return changing;
}

/// How many axes a pass takes: loads multiply.
size_t axes_together(const ResizeMapping& mapping) {
  if (mapping.mode == ResizeMapping::Mode::kNearest) return 5;  // as bindings last
  return mapping.mode == ResizeMapping::Mode::kLinear && !mapping.antialias ? 3 : 1;
}

Result<bool> expand(Graph& graph, Node& node) {
  Value* x = node.input(0);
  if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
  QUERN_ASSIGN(ResizeMapping mapping, resize_mapping(node));
  QUERN_ASSIGN(std::vector<size_t> axes, resized_axes(node, x->type.shape->size()));
  axes = changing_axes(node, mapping, axes);
  Expansion e(graph, node);
  if (axes.empty()) {
    e.replace(0, e.add("Identity", {x}));
    e.finish();
    return true;
  }
  const Inputs at = inputs_of(node.version);
  Value* shape = e.add("Shape", {x});
  const auto table_of = [&](size_t axis) {
    Value* table =
        e.add_in("quern", 1, "ResizeTable",
                 {shape, node.input(at.roi), node.input(at.scales), node.input(at.sizes)});
    table->producer->attributes = node.attributes;
    table->producer->attributes["axis"] = static_cast<int64_t>(axis);
    if (node.version < kSizesSince) {
      table->producer->attributes["coordinate_transformation_mode"] = std::string("asymmetric");
      table->producer->attributes["nearest_mode"] = std::string("simple");
    }
    return table;
  };
  const DType dtype = x->type.dtype;
  // Sums stay in their own type up to the last pass.
  DType between = dtype;
  if (mapping.mode != ResizeMapping::Mode::kNearest && dtype != DType::kF64) {
    between = is_integer(dtype) && bit_width(dtype) >= 32 ? DType::kF64 : DType::kF32;
  }
  const int64_t taps = mapping.has_fixed_taps() ? mapping.taps(1) : -1;
  const size_t together = axes_together(mapping);
  for (size_t first = 0; first < axes.size(); first += together) {
    const size_t count = std::min(together, axes.size() - first);
    std::vector<Value*> inputs = {x};
    std::vector<int64_t> places;
    for (size_t k = first; k < first + count; ++k) {
      inputs.push_back(table_of(axes[k]));
      places.push_back(static_cast<int64_t>(axes[k]));
    }
    const bool is_last = first + count == axes.size();
    x = e.add_in("quern", 1, "Resample", std::move(inputs),
                 {{"axes", places},
                  {"crop", int64_t{!mapping.keeps_unscaled()}},
                  {"extrapolation_value", node.float_or("extrapolation_value", 0)},
                  {"taps", taps},
                  {"to", static_cast<int64_t>(is_last ? dtype : between)}});
  }
  e.replace(0, x);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_resize;
const OpDef op_resize = {
    .name = "Resize",
    .since = 10,
    .max_inputs = 4,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 0b1110,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
