// ConstantOfShape: one value (0.0 by default) in a given shape.
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"value", AttributeKind::kTensor}};

/// The value attribute; null where there is none.
const HostTensor* fill_of(const Node& node) {
  const AttributeValue* value = node.attribute("value");
  if (value == nullptr) return nullptr;
  const ConstantPtr* constant = std::get_if<ConstantPtr>(value);
  if (constant == nullptr || !*constant || !(*constant)->is_inline()) return nullptr;
  return (*constant)->host.count() == 1 ? &(*constant)->host : nullptr;
}

Result<void> infer_constant_of_shape(InferContext& c) {
  const HostTensor* fill = fill_of(c.node());
  if (fill == nullptr && c.node().attribute("value") != nullptr) {
    return c.error("value is not a tensor of one element");
  }
  const DType dtype = fill != nullptr ? fill->dtype : DType::kF32;
  const std::optional<std::vector<Dim>> target = c.contents(0);
  if (!target) {
    const Shape* length = c.shape(0);
    std::optional<Shape> shape;
    if (length != nullptr && length->size() == 1 && (*length)[0].is_const() &&
        (*length)[0].value() <= kMaxContents) {
      shape = fresh_shape(c, 0, static_cast<size_t>((*length)[0].value()));
    }
    c.set(0, dtype, std::move(shape));
    return {};
  }
  Shape shape;
  for (size_t a = 0; a < target->size(); ++a) {
    const Dim& extent = (*target)[a];
    if (extent.is_const() && extent.value() < 0) {
      return c.error(cat("shape ", Shape(*target), " has a negative extent"));
    }
    shape.push_back(extent.lower() < 0 ? c.fresh_dim(0, a) : extent);
  }
  const Dim count = element_count(shape);
  c.set(0, dtype, std::move(shape));
  if ((is_integer(dtype) || dtype == DType::kBool) && count.is_const() &&
      count.value() <= kMaxContents) {
    c.set_contents(0, std::vector<Dim>(static_cast<size_t>(count.value()), Dim(fill->int_at(0))));
  }
  return {};
}

}  // namespace

extern const OpDef op_constant_of_shape;
const OpDef op_constant_of_shape = {
    .name = "ConstantOfShape",
    .since = 9,
    .types = type_bit(DType::kI64),
    .attributes = kAttributes,
    .host_inputs = 1 << 0,
    .infer = infer_constant_of_shape,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      const HostTensor* fill = fill_of(c.node());
      if (fill == nullptr) return c.b.constant(Scalar::kF32, 0);
      const Scalar type = compute_type(fill->dtype);
      if (is_float(fill->dtype)) return c.b.constant(type, fill->float_at(0));
      return c.b.constant_int(type, fill->int_at(0));
    },
};

}  // namespace quern
