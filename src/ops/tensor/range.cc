// Range: start, start + delta, ... up to but without limit.
#include <cmath>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"stash_type", AttributeKind::kInt}};

/// The number of elements, where the scalars are known.
std::optional<Dim> length(InferContext& c) {
  if (is_float(c.dtype(0))) {
    double scalar[3];
    for (size_t i = 0; i < 3; ++i) {
      const HostTensor* host = c.host(i);
      if (host == nullptr || host->count() != 1) return std::nullopt;
      scalar[i] = host->float_at(0);
    }
    const double steps = std::ceil((scalar[1] - scalar[0]) / scalar[2]);
    if (!(std::abs(steps) < INT32_MAX)) return std::nullopt;
    return Dim(static_cast<int64_t>(std::fmax(steps, 0)));
  }
  const auto start = c.contents(0);
  const auto limit = c.contents(1);
  const auto delta = c.contents(2);
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 ||
      delta->size() != 1) {
    return std::nullopt;
  }
  const Dim& step = (*delta)[0];
  if (!step.is_const() || step.value() == 0 || step.value() == INT64_MIN) return std::nullopt;
  const Dim span = step.value() > 0 ? (*limit)[0] - (*start)[0] : (*start)[0] - (*limit)[0];
  return max(ceil_div(span, std::abs(step.value())), 0);
}

Result<void> infer_range(InferContext& c) {
  QUERN_TRY(expect_same_type(c, 0, 1));
  QUERN_TRY(expect_same_type(c, 0, 2));
  const std::optional<std::vector<int64_t>> delta = c.numbers(2);
  if (delta && delta->size() == 1 && (*delta)[0] == 0) return c.error("delta is 0");
  const std::optional<Dim> count = length(c);
  c.set(0, c.dtype(0), Shape{count ? *count : c.fresh_dim(0, 0)});
  if (!count || !count->is_const() || count->value() > kMaxContents || is_float(c.dtype(0))) {
    return {};
  }
  std::vector<std::optional<Dim>> contents;
  for (int64_t i = 0; i < count->value(); ++i) {
    contents.push_back((*c.contents(0))[0] + (*c.contents(2))[0] * i);
  }
  set_checked_contents(c, 0, contents);
  return {};
}

/// A scalar that the host knows, in the type that its elements are computed in.
Expr host_scalar(ExprContext& c, size_t input) {
  const Scalar type = compute_type(c.input(input).dtype);
  if (!is_float(c.input(input).dtype)) return c.host_int(input, 0, type);
  const HostTensor* host = c.host(input);
  const double value = host != nullptr && host->count() == 1 ? host->float_at(0) : 0;
  if (host_baked(c, input)) return c.b.constant(type, value);
  return c.b.cast(c.derived_float(static_cast<float>(value), false), type);
}

}  // namespace

extern const OpDef op_range;
const OpDef op_range = {
    .name = "Range",
    .since = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats | types_of(DType::kI16, DType::kI32, DType::kI64),
    .attributes = kAttributes,
    .host_inputs = 0b111,
    .infer = infer_range,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      const Expr start = host_scalar(c, 0);
      const Expr delta = host_scalar(c, 2);
      return c.b.add(start, c.b.mul(c.b.cast(c.index(0), c.b.type_of(start)), delta));
    },
};

}  // namespace quern
