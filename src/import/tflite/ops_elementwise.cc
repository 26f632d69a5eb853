// Operators that act on each element alone.
#include "import/tflite/operators.h"

namespace quern::tflite {

Tensor atan2_of(Builder& b, const Tensor& y, const Tensor& x) {
  constexpr double kPi = 3.14159265358979323846;
  const auto k = [&](double value) { return b.scalar(x.dtype, value); };
  const auto less = [&](const Tensor& v) { return b.op("Less", {v, k(0)}, {}, DType::kBool); };
  const auto where = [&](const Tensor& condition, const Tensor& u, const Tensor& v) {
    return b.op("Where", {condition, u, v}, {}, x.dtype);
  };
  const Tensor angle = b.op("Atan", {b.op("Div", {y, x})});
  const Tensor turned = where(less(y), b.op("Sub", {angle, k(kPi)}), b.op("Add", {angle, k(kPi)}));
  const Tensor both_zero = b.op("And", {b.op("Equal", {x, k(0)}, {}, DType::kBool),
                                        b.op("Equal", {y, k(0)}, {}, DType::kBool)});
  return where(both_zero, k(0), where(less(x), turned, angle));
}

namespace {

void unary(Call& c, std::string_view ours) { c.set(c.b.op(ours, {c.input(0)})); }

/// Boolean results, on stored values.
void logical(Call& c, std::string_view ours) {
  const Tensor x = c.raw(0);
  if (c.inputs() == 1) return c.set(c.b.op(ours, {x}));
  c.set(c.b.op(ours, {x, c.raw(1)}));
}

void identity(Call& c, std::string_view) { c.set(c.input(0)); }

/// The fused activation is option 0.
void binary(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  c.set(c.activate(c.b.op(ours, {x, c.input(1)}), c.code(0)));
}

/// Without activation.
void plain_binary(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  c.set(c.b.op(ours, {x, c.input(1)}));
}

void pow(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  c.set(c.b.op("Pow", {x, c.b.cast(c.input(1), x.dtype)}));
}

void add_n(Call& c, std::string_view) {
  Tensor sum = c.input(0);
  for (size_t i = 1; i < c.inputs(); ++i) sum = c.b.op("Add", {sum, c.input(i)});
  c.set(sum);
}

void compare(Call& c, std::string_view ours) {
  const bool negated = ours == "NotEqual";
  const Tensor x = c.input(0);
  const Tensor y = c.b.op(negated ? "Equal" : ours, {x, c.input(1)}, {}, DType::kBool);
  c.set(negated ? c.b.op("Not", {y}) : y);
}

void floor_div(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const Tensor y = c.input(1);
  if (is_float(x.dtype)) return c.set(c.b.op("Floor", {c.b.op("Div", {x, y})}));
  // Ours rounds toward zero; Mod has the divisor's sign.
  c.set(c.b.op("Div", {c.b.op("Sub", {x, c.b.op("Mod", {x, y})}), y}));
}

void floor_mod(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const Tensor y = c.input(1);
  if (!is_float(x.dtype)) return c.set(c.b.op("Mod", {x, y}));
  const Tensor zero = c.b.scalar(x.dtype, 0);
  const auto negative = [&](const Tensor& v) {
    return c.b.op("Less", {v, zero}, {}, DType::kBool);
  };
  const Tensor rest = c.b.op("Mod", {x, y}, {{"fmod", int64_t{1}}});
  const Tensor nonzero = c.b.op("Not", {c.b.op("Equal", {rest, zero}, {}, DType::kBool)});
  const Tensor other_sign = c.b.op("Xor", {negative(rest), negative(y)});
  c.set(c.b.op("Where", {c.b.op("And", {nonzero, other_sign}), c.b.op("Add", {rest, y}), rest}, {},
               x.dtype));
}

void squared_difference(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const Tensor d = c.b.op("Sub", {x, c.input(1)});
  c.set(c.b.op("Mul", {d, d}));
}

void square(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  c.set(c.b.op("Mul", {x, x}));
}

void rsqrt(Call& c, std::string_view) {
  c.set(c.b.op("Reciprocal", {c.b.op("Sqrt", {c.input(0)})}));
}

void clip(Call& c, std::string_view) {
  const int code = c.scope.context.file.codes[c.op.code].builtin;
  const Tensor x = c.input(0);
  // RELU_N1_TO_1, RELU6, RELU_0_TO_1
  const double low = code == 20 ? -1 : 0;
  const double high = code == 21 ? 6 : 1;
  c.set(c.b.op("Clip", {x, c.b.scalar(x.dtype, low), c.b.scalar(x.dtype, high)}));
}

void gelu(Call& c, std::string_view) {
  c.set(c.b.op("Gelu", {c.input(0)}, {{"approximate", std::string(c.flag(0) ? "tanh" : "none")}}));
}

void leaky_relu(Call& c, std::string_view) {
  c.set(c.b.op("LeakyRelu", {c.input(0)}, {{"alpha", c.real(0)}}));
}

void prelu(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  c.set(c.b.op("PRelu", {x, c.input(1)}, {}, x.dtype, x.rank));
}

void softmax(Call& c, std::string_view ours) {
  Tensor x = c.input(0);
  if (x.rank == 0) return c.invalid("an input of rank 0");
  const float beta = ours == "Softmax" ? c.real(0) : 1.0F;
  if (beta != 1.0F) x = c.b.op("Mul", {x, c.b.scalar(x.dtype, beta)});
  c.set(c.b.op(ours, {x}, {{"axis", static_cast<int64_t>(x.rank) - 1}}));
}

void l2_normalization(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  if (x.rank == 0) return c.invalid("an input of rank 0");
  const Tensor norm = c.b.reduce("ReduceL2", x, {static_cast<int64_t>(x.rank) - 1}, true);
  c.set(c.b.op("Div", {x, c.b.op("Max", {norm, c.b.scalar(x.dtype, 1e-6)})}));
}

void cast(Call& c, std::string_view) {
  const Tensor x = c.raw(0);
  if (c.is_complex(x)) {
    return c.set(c.b.select(x, x.rank - 1, c.b.number(0)));
  }
  const TensorInfo* from = c.in_info(0);
  const TensorInfo* to = c.out_info();
  if (from == nullptr || to == nullptr) return c.set(x);
  // A stored number is meant, whatever its scale.
  c.set(c.b.cast(x, dtype_of(to->type)));
}

void bitcast(Call& c, std::string_view) {
  const Tensor x = c.raw(0);
  const DType dtype = c.out_dtype();
  if (dtype == x.dtype) return c.set(x);
  if (bit_width(dtype) != bit_width(x.dtype)) {
    return c.unsupported(cat("a bitcast from ", name_of(x.dtype), " to ", name_of(dtype)));
  }
  c.set(c.b.op("BitCast", {x}, {{"to", static_cast<int64_t>(dtype)}}, dtype));
}

void bitwise_xor(Call& c, std::string_view ours) {
  const Tensor x = c.raw(0);
  c.set(c.b.op(x.dtype == DType::kBool ? "Xor" : ours, {x, c.raw(1)}));
}

/// Arithmetic for numbers with sign: a division toward minus infinity.
void right_shift(Call& c, std::string_view ours) {
  const Tensor x = c.raw(0);
  const Tensor by = c.raw(1);
  if (!is_signed_int(x.dtype)) {
    return c.set(c.b.op(ours, {x, by}, {{"direction", std::string("RIGHT")}}));
  }
  const Tensor wide = c.b.cast(x, DType::kI64);
  const Tensor power =
      c.b.cast(c.b.op("Pow", {c.b.scalar(DType::kF32, 2), c.b.cast(by, DType::kF32)}, {},
                      DType::kF32, by.rank),
               DType::kI64);
  c.set(c.b.op("Div", {c.b.op("Sub", {wide, c.b.op("Mod", {wide, power})}), power}));
}

void atan2(Call& c, std::string_view) {
  const Tensor y = c.input(0);
  c.set(atan2_of(c.b, y, c.input(1)));
}

void fake_quant(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const double low = c.real(0);
  const double high = c.real(1);
  const int32_t bits = c.option(2);
  if (bits < 2 || bits > 16 || !(low < high)) {
    return c.invalid(cat("quantisation to ", bits, " bits from ", low, " to ", high));
  }
  const double first = c.flag(3) ? 1 : 0;
  const double last = (1 << bits) - 1;
  const double scale = (high - low) / (last - first);
  // The zero point is a whole number in the range.
  const double exact = first - low / scale;
  const double zero = exact < first  ? first
                      : exact > last ? last
                                     : static_cast<double>(static_cast<int64_t>(exact + 0.5));
  const auto k = [&](double value) { return c.b.scalar(x.dtype, value); };
  const double bottom = (first - zero) * scale;
  const Tensor clipped = c.b.op("Clip", {x, k(bottom), k((last - zero) * scale)});
  const Tensor steps = c.b.op("Div", {c.b.op("Sub", {clipped, k(bottom)}), k(scale)});
  const Tensor whole = c.b.op("Floor", {c.b.op("Add", {steps, k(0.5)})});
  c.set(c.b.op("Add", {c.b.op("Mul", {whole, k(scale)}), k(bottom)}));
}

constexpr Operator kOperators[] = {
    {0, "ADD", "Add", binary},
    {6, "DEQUANTIZE", "DequantizeLinear, Cast", identity},
    {8, "FLOOR", "Floor", unary},
    {11, "L2_NORMALIZATION", "ReduceL2, Div", l2_normalization},
    {14, "LOGISTIC", "Sigmoid", unary},
    {18, "MUL", "Mul", binary},
    {19, "RELU", "Relu", unary},
    {20, "RELU_N1_TO_1", "Clip", clip},
    {21, "RELU6", "Clip", clip},
    {25, "SOFTMAX", "Softmax", softmax},
    {28, "TANH", "Tanh", unary},
    {41, "SUB", "Sub", binary},
    {42, "DIV", "Div", binary},
    {47, "EXP", "Exp", unary},
    {50, "LOG_SOFTMAX", "LogSoftmax", softmax},
    {53, "CAST", "Cast", cast},
    {54, "PRELU", "PRelu", prelu},
    {55, "MAXIMUM", "Max", plain_binary},
    {57, "MINIMUM", "Min", plain_binary},
    {58, "LESS", "Less", compare},
    {59, "NEG", "Neg", unary},
    {61, "GREATER", "Greater", compare},
    {62, "GREATER_EQUAL", "GreaterOrEqual", compare},
    {63, "LESS_EQUAL", "LessOrEqual", compare},
    {66, "SIN", "Sin", unary},
    {71, "EQUAL", "Equal", compare},
    {72, "NOT_EQUAL", "NotEqual", compare},
    {73, "LOG", "Log", unary},
    {75, "SQRT", "Sqrt", unary},
    {76, "RSQRT", "Sqrt, Reciprocal", rsqrt},
    {78, "POW", "Pow", pow},
    {80, "FAKE_QUANT", "Clip, Floor", fake_quant},
    {84, "LOGICAL_OR", "Or", logical},
    {86, "LOGICAL_AND", "And", logical},
    {87, "LOGICAL_NOT", "Not", logical},
    {90, "FLOOR_DIV", "Div, Floor", floor_div},
    {92, "SQUARE", "Mul", square},
    {95, "FLOOR_MOD", "Mod", floor_mod},
    {98, "LEAKY_RELU", "LeakyRelu", leaky_relu},
    {99, "SQUARED_DIFFERENCE", "Sub, Mul", squared_difference},
    {101, "ABS", "Abs", unary},
    {104, "CEIL", "Ceil", unary},
    {106, "ADD_N", "Add", add_n},
    {108, "COS", "Cos", unary},
    {111, "ELU", "Elu", unary},
    {114, "QUANTIZE", "QuantizeLinear", identity},
    {116, "ROUND", "Round", unary},
    {117, "HARD_SWISH", "HardSwish", unary},
    {124, "DENSIFY", "nothing", identity},
    {150, "GELU", "Gelu", gelu},
    {152, "RELU_0_TO_1", "Clip", clip},
    {156, "ATAN2", "Atan, Where", atan2},
    {158, "SIGN", "Sign", unary},
    {159, "BITCAST", "BitCast", bitcast},
    {160, "BITWISE_XOR", "BitwiseXor", bitwise_xor},
    {161, "RIGHT_SHIFT", "BitShift", right_shift},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kOperators; }

}  // namespace quern::tflite
