// Operators of one or two tensors, element by element.
#include <cmath>
#include <numbers>

#include "import/tensorflow/operators.h"

namespace quern::tensorflow {
namespace {

/// One of ours for any type.
void unary(Call& c, std::string_view ours) { c.set(c.b.unary(ours, c.in(0))); }

/// One of ours that computes with floats.
void float_unary(Call& c, std::string_view ours) {
  const Tensor x = c.in(0);
  c.set(c.b.unary(ours, c.b.cast(x, emit::float_type(x.dtype))));
}

/// Of floats; integers are left as they are.
void rounding(Call& c, std::string_view ours) {
  const Tensor x = c.in(0);
  c.set(is_float(x.dtype) ? c.b.unary(ours, x) : x);
}

void test(Call& c, std::string_view ours) {
  const Tensor x = c.in(0);
  c.set(c.b.unary(ours, c.b.cast(x, emit::float_type(x.dtype)), {}, DType::kBool));
}

void identity(Call& c, std::string_view) {
  for (size_t i = 0; i < std::max<size_t>(c.count(), 1); ++i) c.set(c.in(i), i);
}

void cast(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const DType to = c.type("DstT", DType::kF32);
  if (to == DType::kString || to == DType::kC64 || to == DType::kC128) {
    return c.unsupported(cat("a cast to ", name_of(to)));
  }
  c.set(c.b.cast(x, to));
}

/// An expression over x, which is made float, and numbers of its type.
#define QUERN_COMPOSED(expression)                                                         \
  [](Call& c, std::string_view) {                                                          \
    Emitter& b = c.b;                                                                      \
    const Tensor x = b.cast(c.in(0), emit::float_type(c.in(0).dtype));                     \
    [[maybe_unused]] const auto k = [&](double value) { return b.number_like(x, value); }; \
    c.set(expression);                                                                     \
  }

void relu6(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  c.set(
      c.b.shaped(c.b.op("Clip", {x, c.b.number_like(x, 0), c.b.number_like(x, 6)}), c.b.shape(x)));
}

void clip(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const Tensor low = c.in(1), high = c.in(2);
  if (low.rank == 0 && high.rank == 0) {
    return c.set(c.b.shaped(c.b.op("Clip", {x, low, high}), c.b.shape(x)));
  }
  c.set(c.b.binary("Max", c.b.binary("Min", x, high), low));
}

void leaky_relu(Call& c, std::string_view) {
  c.set(c.b.unary("LeakyRelu", c.in(0), {{"alpha", static_cast<float>(c.number("alpha", 0.2))}}));
}

void prelu(Call& c, std::string_view) { c.set(c.b.binary("PRelu", c.in(0), c.in(1))); }

void is_finite(Call& c, std::string_view) {
  const Tensor x = c.b.cast(c.in(0), emit::float_type(c.in(0).dtype));
  const Tensor bad = c.b.binary("Or", c.b.unary("IsNaN", x, {}, DType::kBool),
                                c.b.unary("IsInf", x, {}, DType::kBool));
  c.set(c.b.unary("Not", bad));
}

void zeros_like(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const double value = c.op() == "OnesLike" ? 1 : 0;
  const Tensor y =
      c.b.op("Expand", {c.b.scalar(x.dtype, value), c.b.dims_of(x)}, {}, x.dtype, x.rank);
  c.set(x.rank == kUnknownRank ? y : c.b.shaped(y, c.b.shape(x)));
}

/// What an operator does with two lists of integers, where both are known.
std::optional<std::vector<Dim>> folded(Call& c, const Tensor& x, const Tensor& y) {
  auto a = c.b.contents(x);
  auto d = c.b.contents(y);
  if (!a || !d || a->empty() || d->empty()) return {};
  if (a->size() != d->size() && a->size() != 1 && d->size() != 1) return {};
  std::vector<Dim> out;
  for (size_t i = 0; i < std::max(a->size(), d->size()); ++i) {
    const Dim& p = (*a)[a->size() == 1 ? 0 : i];
    const Dim& q = (*d)[d->size() == 1 ? 0 : i];
    const std::string_view op = c.op();
    const bool divides = q.is_const() && q.value() > 0;
    if (op == "Add" || op == "AddV2") {
      out.push_back(p + q);
    } else if (op == "Sub") {
      out.push_back(p - q);
    } else if (op == "Mul") {
      out.push_back(p * q);
    } else if (op == "Maximum") {
      out.push_back(max(p, q));
    } else if (op == "Minimum") {
      out.push_back(min(p, q));
    } else if (divides &&
               (op == "FloorDiv" || (op == "RealDiv" && p.is_const() && p.value() >= 0))) {
      out.push_back(floor_div(p, q));
    } else if (divides && op == "FloorMod") {
      out.push_back(floor_mod(p, q));
    } else {
      return {};
    }
  }
  return out;
}

Tensor with_contents(Call& c, const Tensor& x, const Tensor& y, const Tensor& result) {
  if (!is_integer(result.dtype)) return result;
  if (auto held = folded(c, x, y)) return c.b.holding(result, std::move(*held));
  return result;
}

void binary(Call& c, std::string_view ours) {
  auto [x, y] = c.pair();
  if (x.dtype == DType::kBool) {
    x = c.b.cast(x, DType::kI32);
    y = c.b.cast(y, DType::kI32);
  }
  c.set(with_contents(c, x, y, c.b.binary(ours, x, y)));
}

void compare(Call& c, std::string_view ours) {
  auto [x, y] = c.pair();
  if (c.op() != "Equal" && c.op() != "NotEqual" && x.dtype == DType::kBool) {
    x = c.b.cast(x, DType::kI32);
    y = c.b.cast(y, DType::kI32);
  }
  const Tensor out = c.b.binary(ours, x, y, DType::kBool);
  c.set(c.op() == "NotEqual" ? c.b.unary("Not", out) : out);
}

void logical(Call& c, std::string_view ours) {
  c.set(c.b.binary(ours, c.b.cast(c.in(0), DType::kBool), c.b.cast(c.in(1), DType::kBool)));
}

void logical_not(Call& c, std::string_view ours) {
  c.set(c.b.unary(ours, c.b.cast(c.in(0), DType::kBool)));
}

/// Toward minus infinity.
void floor_div(Call& c, std::string_view) {
  auto [x, y] = c.pair();
  if (is_float(x.dtype)) return c.set(c.b.unary("Floor", c.b.binary("Div", x, y)));
  const Tensor rest = c.b.binary("Mod", x, y);
  c.set(with_contents(c, x, y, c.b.binary("Div", c.b.binary("Sub", x, rest), y)));
}

/// The sign of the divisor: ours of integers, of floats by its definition.
void floor_mod(Call& c, std::string_view) {
  auto [x, y] = c.pair();
  if (!is_float(x.dtype)) return c.set(with_contents(c, x, y, c.b.binary("Mod", x, y)));
  const Tensor whole = c.b.unary("Floor", c.b.binary("Div", x, y));
  c.set(c.b.binary("Sub", x, c.b.binary("Mul", whole, y)));
}

/// Toward zero: the sign of the dividend.
void truncate_mod(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  const Tensor out = c.b.op("Mod", {x, y}, {{"fmod", int64_t{1}}});
  const auto dims = broadcast_shapes(c.b.shape(x), c.b.shape(y));
  c.set(dims ? c.b.shaped(out, *dims) : out);
}

void real_div(Call& c, std::string_view) {
  auto [x, y] = c.pair();
  // Of integers, as TensorFlow.js does it: floats, then integers again.
  if (is_float(x.dtype)) return c.set(c.b.binary("Div", x, y));
  const DType dtype = x.dtype;
  const Tensor quotient = c.b.binary("Div", c.b.cast(x, DType::kF32), c.b.cast(y, DType::kF32));
  c.set(with_contents(c, x, y, c.b.cast(quotient, dtype)));
}

/// x op y, and 0 where `zero` is.
Tensor unless_zero(Call& c, const Tensor& zero, const Tensor& value) {
  const Tensor none = c.b.number_like(value, 0);
  return c.b.where(c.b.binary("Equal", zero, c.b.number_like(zero, 0), DType::kBool), none, value);
}

void div_no_nan(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  c.set(unless_zero(c, y, c.b.binary("Div", x, y)));
}

void mul_no_nan(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  c.set(unless_zero(c, y, c.b.binary("Mul", x, y)));
}

void xlogy(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  c.set(unless_zero(c, x, c.b.binary("Mul", x, c.b.unary("Log", y))));
}

void xdivy(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  c.set(unless_zero(c, x, c.b.binary("Div", x, y)));
}

void squared_difference(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  const Tensor difference = c.b.binary("Sub", x, y);
  c.set(c.b.binary("Mul", difference, difference));
}

/// In quadrants of y and x, from atan(y / x).
void atan2(Call& c, std::string_view) {
  Emitter& b = c.b;
  const auto [y, x] = c.pair();
  const auto k = [&, like = x](double value) { return b.number_like(like, value); };
  const Tensor zero = k(0);
  const Tensor x_is_zero = b.binary("Equal", x, zero, DType::kBool);
  const Tensor safe = b.where(x_is_zero, k(1), x);
  const Tensor base = b.unary("Atan", b.binary("Div", y, safe));
  const Tensor y_negative = b.binary("Less", y, zero, DType::kBool);
  const Tensor turn = b.where(y_negative, k(-std::numbers::pi), k(std::numbers::pi));
  const Tensor left = b.binary("Add", base, turn);
  const Tensor with_x = b.where(b.binary("Less", x, zero, DType::kBool), left, base);
  const Tensor on_axis = b.binary("Mul", b.unary("Sign", y), k(std::numbers::pi / 2));
  c.set(b.where(x_is_zero, on_axis, with_x));
}

void add_n(Call& c, std::string_view) {
  Tensor sum = c.in(0);
  for (size_t i = 1; i < c.count(); ++i) sum = c.b.binary("Add", sum, c.in(i));
  c.set(sum);
}

void bitwise(Call& c, std::string_view ours) {
  const auto [x, y] = c.pair();
  c.set(c.b.binary(ours, x, y));
}

void approximate_equal(Call& c, std::string_view) {
  const auto [x, y] = c.pair();
  const Tensor distance = c.b.unary("Abs", c.b.binary("Sub", x, y));
  c.set(c.b.binary("Less", distance, c.b.number_like(distance, c.number("tolerance", 1e-5)),
                   DType::kBool));
}

/// SelectV2 broadcasts; Select's condition of rank 1 picks rows.
void select(Call& c, std::string_view) {
  Tensor condition = c.b.cast(c.in(0), DType::kBool);
  const auto [x, y] = c.pair(1);
  if (c.op() == "Select" && condition.rank == 1 && x.rank > 1 && x.rank != kUnknownRank) {
    Ints axes;
    for (size_t i = 1; i < x.rank; ++i) axes.push_back(static_cast<int64_t>(i));
    condition = c.b.unsqueeze(condition, axes);
  }
  c.set(c.b.where(condition, x, y));
}

constexpr Operator kUnary[] = {
    {"Abs", "Abs", unary},
    {"ComplexAbs", "Abs", unary},
    {"Acos", "Acos", float_unary},
    {"Acosh", "Acosh", float_unary},
    {"Asin", "Asin", float_unary},
    {"Asinh", "Asinh", float_unary},
    {"Atan", "Atan", float_unary},
    {"Atanh", "Atanh", float_unary},
    {"Ceil", "Ceil", rounding},
    {"Cos", "Cos", float_unary},
    {"Cosh", "Cosh", float_unary},
    {"Elu", "Elu", float_unary},
    {"Erf", "Erf", float_unary},
    {"Erfc", "Erf, Sub", QUERN_COMPOSED(b.binary("Sub", k(1), b.unary("Erf", x)))},
    {"Exp", "Exp", float_unary},
    {"Expm1", "Exp, Sub", QUERN_COMPOSED(b.binary("Sub", b.unary("Exp", x), k(1)))},
    {"Floor", "Floor", rounding},
    {"Inv", "Reciprocal", float_unary},
    {"IsFinite", "IsNaN, IsInf", is_finite},
    {"IsInf", "IsInf", test},
    {"IsNan", "IsNaN", test},
    {"Log", "Log", float_unary},
    {"Log1p", "Log, Add", QUERN_COMPOSED(b.unary("Log", b.binary("Add", x, k(1))))},
    {"LogicalNot", "Not", logical_not},
    {"Invert", "BitwiseNot", unary},
    {"Neg", "Neg", unary},
    {"Reciprocal", "Reciprocal", float_unary},
    {"Relu", "Relu", unary},
    {"Relu6", "Clip", relu6},
    {"Rint", "Round", rounding},
    {"Round", "Round", rounding},
    {"Rsqrt", "Sqrt, Reciprocal", QUERN_COMPOSED(b.unary("Reciprocal", b.unary("Sqrt", x)))},
    {"Selu", "Selu", float_unary},
    {"Sigmoid", "Sigmoid", float_unary},
    {"Sign", "Sign", unary},
    {"Sin", "Sin", float_unary},
    {"Sinh", "Sinh", float_unary},
    {"Softplus", "Softplus", float_unary},
    {"Softsign", "Softsign", float_unary},
    {"Sqrt", "Sqrt", float_unary},
    {"Square", "Mul",
     [](Call& c, std::string_view) { c.set(c.b.binary("Mul", c.in(0), c.in(0))); }},
    {"Tan", "Tan", float_unary},
    {"Tanh", "Tanh", float_unary},
    {"ClipByValue", "Clip", clip},
    {"LeakyRelu", "LeakyRelu", leaky_relu},
    {"Prelu", "PRelu", prelu},
    {"ZerosLike", "Expand", zeros_like},
    {"OnesLike", "Expand", zeros_like},
    {"Cast", "Cast", cast},
    {"Identity", "", identity},
    {"ReadVariableOp", "", identity},
    {"IdentityN", "", identity},
    {"Snapshot", "", identity},
    {"StopGradient", "", identity},
    {"PreventGradient", "", identity},
    {"CheckNumerics", "", [](Call& c, std::string_view) { c.set(c.in(0)); }},
    {"EnsureShape", "", [](Call& c, std::string_view) { c.set(c.in(0)); }},
    {"FakeQuantWithMinMaxVars", "", [](Call& c, std::string_view) { c.set(c.in(0)); }},
    {"PlaceholderWithDefault", "", identity},
    {"Print", "", [](Call& c, std::string_view) { c.set(c.in(0)); }},
};

constexpr Operator kBinary[] = {
    {"Add", "Add", binary},
    {"AddV2", "Add", binary},
    {"AddN", "Add", add_n},
    {"Sub", "Sub", binary},
    {"Mul", "Mul", binary},
    {"Div", "Div", real_div},
    {"RealDiv", "Div", real_div},
    {"DivNoNan", "Div, Where", div_no_nan},
    {"MulNoNan", "Mul, Where", mul_no_nan},
    {"Xlogy", "Log, Mul, Where", xlogy},
    {"Xdivy", "Div, Where", xdivy},
    {"FloorDiv", "Div, Floor", floor_div},
    {"FloorMod", "Mod", floor_mod},
    {"Mod", "Mod", truncate_mod},
    {"TruncateMod", "Mod", truncate_mod},
    {"TruncateDiv", "Div", binary},
    {"Maximum", "Max", binary},
    {"Minimum", "Min", binary},
    {"Pow", "Pow", binary},
    {"SquaredDifference", "Sub, Mul", squared_difference},
    {"Atan2", "Atan, Where", atan2},
    {"BitwiseAnd", "BitwiseAnd", bitwise},
    {"BitwiseOr", "BitwiseOr", bitwise},
    {"BitwiseXor", "BitwiseXor", bitwise},
    {"Equal", "Equal", compare},
    {"NotEqual", "Equal", compare},
    {"ApproximateEqual", "Sub, Less", approximate_equal},
    {"Greater", "Greater", compare},
    {"GreaterEqual", "GreaterOrEqual", compare},
    {"Less", "Less", compare},
    {"LessEqual", "LessOrEqual", compare},
    {"LogicalAnd", "And", logical},
    {"LogicalOr", "Or", logical},
    {"LogicalXor", "Xor", logical},
    {"Select", "Where", select},
    {"SelectV2", "Where", select},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kUnary; }
std::span<const Operator> binary_operators() { return kBinary; }

}  // namespace quern::tensorflow
