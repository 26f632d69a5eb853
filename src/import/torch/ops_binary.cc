// Operators of two and three tensors, element by element, with PyTorch's promotion of types.
#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// "other" or, in a few operators of the core set, the second argument's older name.
std::string_view other(Call& c) { return c.has("other") ? "other" : "exponent"; }

/// x + alpha * y and x - alpha * y.
void add(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  Tensor y = c.operand("other", dtype);
  if (c.has("alpha")) {
    const double alpha = c.number("alpha", 1);
    if (alpha != 1) y = c.b.op("Mul", {y, c.operand("alpha", dtype)});
  }
  // What is true plus what is true is true.
  if (dtype == DType::kBool) return c.set(c.b.op("Or", {x, y}));
  c.set(c.target().starts_with("aten.rsub") ? c.b.op(ours, {y, x}) : c.b.op(ours, {x, y}));
}

void mul(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  c.set(c.b.op(dtype == DType::kBool ? "And" : "Mul", {x, y}));
}

/// Toward minus infinity, as Python's //.
Tensor floor_divide(Builder& b, const Tensor& x, const Tensor& y) {
  if (is_float(x.dtype)) return b.op("Floor", {b.op("Div", {x, y})});
  return b.op("Div", {b.op("Sub", {x, b.op("Mod", {x, y})}), y});
}

void div(Call& c, std::string_view) {
  const std::string_view mode = c.text("rounding_mode", "");
  DType dtype = c.promoted({"self", "other"});
  if (mode.empty()) dtype = float_type(dtype);
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  if (mode == "floor") return c.set(floor_divide(c.b, x, y));
  Tensor result = c.b.op("Div", {x, y});
  if (mode == "trunc" && is_float(dtype)) {
    result = c.b.op("Mul", {c.b.op("Sign", {result}), c.b.op("Floor", {c.b.op("Abs", {result})})});
  }
  c.set(result);
}

void floor_division(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  c.set(floor_divide(c.b, c.operand("self", dtype), c.operand("other", dtype)));
}

/// With the sign of the divisor.
void remainder(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  if (!is_float(dtype)) return c.set(c.b.op("Mod", {x, y}));
  const Tensor quotient = c.b.op("Floor", {c.b.op("Div", {x, y})});
  c.set(c.b.op("Sub", {x, c.b.op("Mul", {quotient, y})}));
}

/// With the sign of the dividend.
void fmod(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  c.set(
      c.b.op("Mod", {c.operand("self", dtype), c.operand("other", dtype)}, {{"fmod", int64_t{1}}}));
}

void pow(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", other(c)});
  const Tensor x = c.operand("self", dtype);
  if (!c.is_tensor(other(c)) && is_float(dtype)) {
    const double exponent = c.number(other(c));
    if (exponent == 1) return c.set(c.b.op("Identity", {x}));
    if (exponent == 2) return c.set(c.b.op("Mul", {x, x}));
    if (exponent == 0.5) return c.set(c.b.op("Sqrt", {x}));
    if (exponent == -0.5) return c.set(c.b.op("Reciprocal", {c.b.op("Sqrt", {x})}));
    if (exponent == -1) return c.set(c.b.op("Reciprocal", {x}));
  }
  c.set(c.b.op("Pow", {x, c.operand(other(c), dtype)}));
}

/// One of ours of two operands of one type.
void same_binary(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "other"});
  c.set(c.b.op(ours, {c.operand("self", dtype), c.operand("other", dtype)}));
}

/// fmax and fmin: a NaN on one side loses.
void ignoring_nan(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  const Tensor best = c.b.op(ours, {x, y});
  if (!is_float(dtype)) return c.set(best);
  const Tensor first =
      c.b.op("Where", {c.b.op("IsNaN", {y}, {}, DType::kBool), x, best}, {}, dtype);
  c.set(c.b.op("Where", {c.b.op("IsNaN", {x}, {}, DType::kBool), y, first}, {}, dtype));
}

void compare(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "other"});
  Tensor x = c.operand("self", dtype);
  Tensor y = c.operand("other", dtype);
  if (dtype == DType::kBool && ours != "Equal") {
    x = c.b.cast(x, DType::kI32);
    y = c.b.cast(y, DType::kI32);
  }
  c.set(c.b.op(ours, {x, y}, {}, DType::kBool));
}

void not_equal(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor same =
      c.b.op("Equal", {c.operand("self", dtype), c.operand("other", dtype)}, {}, DType::kBool);
  c.set(c.b.op("Not", {same}));
}

void logical(Call& c, std::string_view ours) {
  c.set(c.b.op(ours, {c.operand("self", DType::kBool), c.operand("other", DType::kBool)}));
}

/// And, Or, Xor: of bools, or of bits.
void bitwise(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  c.set(c.b.op(dtype == DType::kBool ? std::string(ours) : cat("Bitwise", ours), {x, y}));
}

void shift(Call& c, std::string_view) {
  const bool left = c.target().find("lshift") != std::string_view::npos ||
                    c.target().find("left") != std::string_view::npos;
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  if (!is_signed_int(dtype)) {
    return c.set(c.b.op("BitShift", {x, y}, {{"direction", std::string(left ? "LEFT" : "RIGHT")}}));
  }
  // Numbers with sign: powers of two, and division toward minus infinity.
  const Tensor power =
      c.b.cast(c.b.op("Pow", {c.b.scalar(DType::kF64, 2), c.b.cast(y, DType::kF64)}, {},
                      DType::kF64, y.rank),
               dtype);
  c.set(left ? c.b.op("Mul", {x, power}) : floor_divide(c.b, x, power));
}

void atan2(Call& c, std::string_view) {
  const DType dtype = float_type(c.promoted({"self", "other"}));
  const Tensor y = c.operand("self", dtype);
  const Tensor x = c.operand("other", dtype);
  const auto k = [&](double value) { return c.b.scalar(dtype, value); };
  constexpr double kPi = 3.14159265358979323846;
  const auto less = [&](const Tensor& a) { return c.b.op("Less", {a, k(0)}, {}, DType::kBool); };
  const auto where = [&](const Tensor& condition, const Tensor& a, const Tensor& b) {
    return c.b.op("Where", {condition, a, b}, {}, dtype);
  };
  const Tensor angle = c.b.op("Atan", {c.b.op("Div", {y, x})});
  const Tensor turned =
      where(less(y), c.b.op("Sub", {angle, k(kPi)}), c.b.op("Add", {angle, k(kPi)}));
  const Tensor both_zero = c.b.op("And", {c.b.op("Equal", {x, k(0)}, {}, DType::kBool),
                                          c.b.op("Equal", {y, k(0)}, {}, DType::kBool)});
  c.set(where(both_zero, k(0), where(less(x), turned, angle)));
}

void hypot(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  c.set(c.b.op("Sqrt", {c.b.op("Add", {c.b.op("Mul", {x, x}), c.b.op("Mul", {y, y})})}));
}

void log_add_exp(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  const Tensor distance = c.b.op("Neg", {c.b.op("Abs", {c.b.op("Sub", {x, y})})});
  c.set(c.b.op("Add", {c.b.op("Max", {x, y}), c.b.op("Softplus", {distance})}));
}

/// x log y, 0 where x is.
void xlogy(Call& c, std::string_view) {
  const DType dtype = float_type(c.promoted({"self", "other"}));
  const Tensor x = c.operand("self", dtype);
  const Tensor y = c.operand("other", dtype);
  const Tensor zero = c.b.scalar(dtype, 0);
  const Tensor product = c.b.op("Mul", {x, c.b.op("Log", {y})});
  const Tensor is_zero = c.b.op("Equal", {x, zero}, {}, DType::kBool);
  c.set(c.b.op("Where", {is_zero, zero, product}, {}, dtype));
}

void where(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "other"});
  const Tensor condition = c.b.cast(c.tensor("condition"), DType::kBool);
  c.set(
      c.b.op("Where", {condition, c.operand("self", dtype), c.operand("other", dtype)}, {}, dtype));
}

void masked_fill(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor mask = c.b.cast(c.tensor("mask"), DType::kBool);
  c.set(c.b.op("Where", {mask, c.operand("value", x.dtype), x}, {}, x.dtype));
}

/// start + weight * (end - start), from the nearer end as PyTorch does.
void lerp(Call& c, std::string_view) {
  const Tensor start = c.tensor("self");
  const Tensor step = c.b.op("Sub", {c.tensor("end"), start});
  c.set(c.b.op("Add", {start, c.b.op("Mul", {step, c.operand("weight", start.dtype)})}));
}

/// self + value * tensor1 * tensor2, or / tensor2.
void addcmul(Call& c, std::string_view ours) {
  const DType dtype = c.promoted({"self", "tensor1", "tensor2"});
  Tensor product = c.b.op(ours, {c.operand("tensor1", dtype), c.operand("tensor2", dtype)});
  if (c.has("value")) product = c.b.op("Mul", {product, c.operand("value", dtype)});
  c.set(c.b.op("Add", {c.operand("self", dtype), product}));
}

void copy_from(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor source = c.b.cast(c.tensor("src"), x.dtype);
  c.set(c.b.expand_like(source, x));
}

void fill(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  Tensor value = c.has("value") ? c.operand("value", x.dtype) : c.b.scalar(x.dtype, 0);
  c.set(c.b.expand_like(value, x));
}

constexpr Operator kOperators[] = {
    {"aten.add", "Tensor Scalar", "Add", add},
    {"aten.sub", "Tensor Scalar", "Sub", add},
    {"aten.subtract", "Tensor Scalar", "Sub", add},
    {"aten.rsub", "Tensor Scalar", "Sub", add},
    {"aten.mul", "Tensor Scalar", "Mul", mul},
    {"aten.multiply", "Tensor Scalar", "Mul", mul},
    {"aten.div", "Tensor Scalar Tensor_mode Scalar_mode", "Div", div},
    {"aten.divide", "Tensor Scalar Tensor_mode Scalar_mode", "Div", div},
    {"aten.true_divide", "Tensor Scalar", "Div", div},
    {"aten.floor_divide", "default Scalar", "Div, Floor", floor_division},
    {"aten.remainder", "Tensor Scalar Scalar_Tensor", "Mod", remainder},
    {"aten.fmod", "Tensor Scalar", "Mod", fmod},
    {"aten.pow", "Tensor_Scalar Tensor_Tensor Scalar", "Pow", pow},
    {"aten.maximum", "default", "Max", same_binary},
    {"aten.minimum", "default", "Min", same_binary},
    {"aten.max", "other", "Max", same_binary},
    {"aten.min", "other", "Min", same_binary},
    {"aten.fmax", "default", "Max, IsNaN", ignoring_nan},
    {"aten.fmin", "default", "Min, IsNaN", ignoring_nan},
    {"aten.eq", "Tensor Scalar", "Equal", compare},
    {"aten.ne", "Tensor Scalar", "Equal, Not", not_equal},
    {"aten.not_equal", "Tensor Scalar", "Equal, Not", not_equal},
    {"aten.lt", "Tensor Scalar", "Less", compare},
    {"aten.less", "Tensor Scalar", "Less", compare},
    {"aten.le", "Tensor Scalar", "LessOrEqual", compare},
    {"aten.less_equal", "Tensor Scalar", "LessOrEqual", compare},
    {"aten.gt", "Tensor Scalar", "Greater", compare},
    {"aten.greater", "Tensor Scalar", "Greater", compare},
    {"aten.ge", "Tensor Scalar", "GreaterOrEqual", compare},
    {"aten.greater_equal", "Tensor Scalar", "GreaterOrEqual", compare},
    {"aten.logical_and", "default", "And", logical},
    {"aten.logical_or", "default", "Or", logical},
    {"aten.logical_xor", "default", "Xor", logical},
    {"aten.bitwise_and", "Tensor Scalar Scalar_Tensor", "And", bitwise},
    {"aten.bitwise_or", "Tensor Scalar Scalar_Tensor", "Or", bitwise},
    {"aten.bitwise_xor", "Tensor Scalar Scalar_Tensor", "Xor", bitwise},
    {"aten.__and__", "Tensor Scalar", "And", bitwise},
    {"aten.__or__", "Tensor Scalar", "Or", bitwise},
    {"aten.__xor__", "Tensor Scalar", "Xor", bitwise},
    {"aten.__lshift__", "Tensor Scalar", "BitShift", shift},
    {"aten.__rshift__", "Tensor Scalar", "BitShift", shift},
    {"aten.bitwise_left_shift", "Tensor Tensor_Scalar Scalar_Tensor", "BitShift", shift},
    {"aten.bitwise_right_shift", "Tensor Tensor_Scalar Scalar_Tensor", "BitShift", shift},
    {"aten.atan2", "default", "Atan, Where", atan2},
    {"aten.arctan2", "default", "Atan, Where", atan2},
    {"aten.hypot", "default", "Mul, Sqrt", hypot},
    {"aten.logaddexp", "default", "Max, Softplus", log_add_exp},
    {"aten.xlogy", "Tensor Scalar_Other Scalar_Self", "Log, Mul, Where", xlogy},
    {"aten.where", "self ScalarOther ScalarSelf Scalar", "Where", where},
    {"aten.masked_fill", "Scalar Tensor", "Where", masked_fill},
    {"aten.lerp", "Scalar Tensor", "Sub, Mul, Add", lerp},
    {"aten.addcmul", "default", "Mul", addcmul},
    {"aten.addcdiv", "default", "Div", addcmul},
    {"aten.copy", "default", "Expand", copy_from},
    {"aten.fill", "Scalar Tensor", "Expand", fill},
    {"aten.zero", "default", "Expand", fill},
};

}  // namespace

std::span<const Operator> binary_operators() { return kOperators; }

}  // namespace quern::torch
