// quern.ResizeTable: where the elements along one axis of a resize come from, and their weights
// (resize_table). It runs on the host, where positions can be exact and are computed once an axis;
// what it makes is as long as the axis.
#include "ops/common/infer.h"
#include "ops/common/resize_shape.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"antialias", AttributeKind::kInt},
    {"axes", AttributeKind::kInts},
    {"axis", AttributeKind::kInt, true},
    {"coordinate_transformation_mode", AttributeKind::kString},
    {"cubic_coeff_a", AttributeKind::kFloat},
    {"exclude_outside", AttributeKind::kInt},
    {"extrapolation_value", AttributeKind::kFloat},
    {"keep_aspect_ratio_policy", AttributeKind::kString},
    {"mode", AttributeKind::kString},
    {"nearest_mode", AttributeKind::kString},
};
enum Input : size_t { kShape, kRoi, kScales, kSizes };

Result<void> infer(InferContext& c) {
  const auto axis = static_cast<size_t>(c.node().int_or("axis", 0));
  QUERN_ASSIGN(ResizeMapping mapping, resize_mapping(c.node()));
  Dim taps = mapping.has_fixed_taps() ? Dim(mapping.taps(1)) : c.fresh_dim(0, 0);
  const std::optional<std::vector<Dim>> shape = c.contents(kShape);
  if (!shape) {
    c.set(0, DType::kI32, Shape{taps + 1, c.fresh_dim(0, 1)});
    return {};
  }
  if (axis >= shape->size()) return c.error(cat("axis ", axis, " of shape ", *shape));
  QUERN_ASSIGN(Shape out, resized_shape(c, *shape, kScales, kSizes));
  const std::optional<Dims> dims = constant_dims(*shape);
  if (dims && !mapping.has_fixed_taps() && constant_dims(out)) {
    HostTensor sizes;
    if (const auto numbers = c.numbers(kSizes)) {
      sizes = HostTensor::of_ints(DType::kI64, {static_cast<int64_t>(numbers->size())}, *numbers);
    }
    QUERN_ASSIGN(std::vector<ResizeAxis> geometry,
                 resize_geometry(c.node(), *dims, nullptr,
                                 c.has_input(kScales) ? c.host(kScales) : nullptr, &sizes));
    taps = mapping.taps(geometry[axis].scale);
  }
  c.set(0, DType::kI32, Shape{taps + 1, out[axis]});
  return {};
}

Result<void> eval(EvalContext& c) {
  const HostTensor* given[4] = {};
  for (size_t i = 0; i < 4; ++i) {
    if (c.has_input(i)) given[i] = &c.in(i);
  }
  Dims dims;
  for (int64_t a = 0; a < given[kShape]->count(); ++a) dims.push_back(given[kShape]->int_at(a));
  QUERN_ASSIGN(std::vector<ResizeAxis> geometry,
               resize_geometry(c.node(), dims, given[kRoi], given[kScales], given[kSizes]));
  QUERN_ASSIGN(ResizeMapping mapping, resize_mapping(c.node()));
  const auto axis = static_cast<size_t>(c.node().int_or("axis", 0));
  QUERN_ASSIGN(c.out(0), resize_table(mapping, geometry[axis]));
  return {};
}

}  // namespace

extern const OpDef op_resize_table;
const OpDef op_resize_table = {
    .name = "ResizeTable",
    .domain = "quern",
    .max_inputs = 4,
    .types = type_bit(DType::kI64),
    .attributes = kAttributes,
    .host_inputs = 0b1111,
    .is_host = true,
    .infer = infer,
    .eval = eval,
};

}  // namespace quern
