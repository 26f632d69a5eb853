// Operators of one tensor, element by element.
#include <cmath>
#include <numbers>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// One of ours that computes with floats: integers become f32 first.
void float_unary(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("self");
  c.set(c.b.op(ours, {c.b.cast(x, float_type(x.dtype))}));
}

/// One of ours for any type.
void same_unary(Call& c, std::string_view ours) { c.set(c.b.op(ours, {c.tensor("self")})); }

/// Of floats; integers are left as they are.
void rounding(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("self");
  c.set(is_float(x.dtype) ? c.b.op(ours, {x}) : c.b.op("Identity", {x}));
}

void logical_not(Call& c, std::string_view) {
  c.set(c.b.op("Not", {c.b.cast(c.tensor("self"), DType::kBool)}));
}

void bitwise_not(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  c.set(c.b.op(x.dtype == DType::kBool ? "Not" : "BitwiseNot", {x}));
}

/// What is new: the same numbers in a storage of their own.
void copy(Call& c, std::string_view) { c.set(c.b.op("Identity", {c.tensor("self")})); }

/// The tensor itself.
void same(Call& c, std::string_view) { c.set_alias(c.has("self") ? "self" : "input"); }

void dropout(Call& c, std::string_view) {
  if (c.flag("train", false) && c.number("p", 0.5) > 0) {
    return c.unsupported("dropout in training; export the model after .eval()");
  }
  if (c.outputs() == 1) return c.set_alias("input");
  const Tensor x = c.tensor("input");
  c.set(c.b.op("Identity", {x}), 0);
  c.set(c.b.expand_like(c.b.scalar(DType::kBool, 1), x), 1);
}

/// The reference of type conversions: "to" and its relatives give the tensor itself where nothing
/// changes.
void to(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  DType dtype = c.dtype("dtype").value_or(x.dtype);
  if (c.is_tensor("other")) dtype = c.tensor("other").dtype;
  if (c.failed()) return;
  if (dtype == x.dtype && !c.flag("copy", false) && c.target() != "aten._to_copy.default") {
    return c.set_alias("self");
  }
  c.set(dtype == x.dtype ? c.b.op("Identity", {x}) : c.b.cast(x, dtype));
}

void contiguous(Call& c, std::string_view) {
  const TensorMeta* meta = c.meta_of(c.tensor_name("self"));
  if (meta != nullptr && meta->contiguous) return c.set_alias("self");
  c.set(c.b.op("Identity", {c.tensor("self")}));
}

/// x / k, log(x) / log(k) and so on: one of ours, times a number.
template <class Make>
void composed(Call& c, Make make) {
  const Tensor x = c.tensor("self");
  const Tensor y = c.b.cast(x, float_type(x.dtype));
  c.set(make(c.b, y, [&](double value) { return c.b.scalar(y.dtype, value); }));
}

#define QUERN_COMPOSED(expression)                                  \
  [](Call& c, std::string_view) {                                   \
    composed(c, [](Builder& b, const Tensor& x, auto k) -> Tensor { \
      (void)k;                                                      \
      return expression;                                            \
    });                                                             \
  }

void round(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const int64_t decimals = c.integer("decimals", 0);
  if (!is_float(x.dtype)) return c.set(c.b.op("Identity", {x}));
  if (decimals == 0) return c.set(c.b.op("Round", {x}));
  const Tensor scale = c.b.scalar(x.dtype, std::pow(10.0, std::abs(static_cast<double>(decimals))));
  const char* there = decimals > 0 ? "Mul" : "Div";
  const char* back = decimals > 0 ? "Div" : "Mul";
  c.set(c.b.op(back, {c.b.op("Round", {c.b.op(there, {x, scale})}), scale}));
}

void frac(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor whole = c.b.op("Mul", {c.b.op("Sign", {x}), c.b.op("Floor", {c.b.op("Abs", {x})})});
  c.set(c.b.op("Sub", {x, whole}));
}

void trunc(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  if (!is_float(x.dtype)) return c.set(c.b.op("Identity", {x}));
  c.set(c.b.op("Mul", {c.b.op("Sign", {x}), c.b.op("Floor", {c.b.op("Abs", {x})})}));
}

void is_finite(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  if (!is_float(x.dtype)) return c.set(c.b.expand_like(c.b.scalar(DType::kBool, 1), x));
  const Tensor bad = c.b.op(
      "Or", {c.b.op("IsNaN", {x}, {}, DType::kBool), c.b.op("IsInf", {x}, {}, DType::kBool)});
  c.set(c.b.op("Not", {bad}));
}

void is_special(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("self");
  if (!is_float(x.dtype)) return c.set(c.b.expand_like(c.b.scalar(DType::kBool, 0), x));
  c.set(c.b.op(ours, {x}, {}, DType::kBool));
}

void is_inf(Call& c, std::string_view) {
  const bool positive = c.target().find("posinf") != std::string_view::npos;
  const bool negative = c.target().find("neginf") != std::string_view::npos;
  const Tensor x = c.tensor("self");
  if (!is_float(x.dtype)) return c.set(c.b.expand_like(c.b.scalar(DType::kBool, 0), x));
  c.set(c.b.op("IsInf", {x},
               {{"detect_positive", int64_t{!negative}}, {"detect_negative", int64_t{!positive}}},
               DType::kBool));
}

void gelu(Call& c, std::string_view) {
  const std::string kind(c.text("approximate", "none"));
  c.set(c.b.op("Gelu", {c.tensor("self")}, {{"approximate", kind}}));
}

void elu(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const auto alpha = static_cast<float>(c.number("alpha", 1));
  const double scale = c.number("scale", 1);
  const double input_scale = c.number("input_scale", 1);
  if (input_scale != 1) return c.unsupported(cat("input_scale ", input_scale));
  const Tensor y = c.b.op("Elu", {x}, {{"alpha", alpha}});
  c.set(scale == 1 ? y : c.b.op("Mul", {y, c.b.scalar(x.dtype, scale)}));
}

void celu(Call& c, std::string_view) {
  c.set(c.b.op("Celu", {c.tensor("self")}, {{"alpha", static_cast<float>(c.number("alpha", 1))}}));
}

void leaky_relu(Call& c, std::string_view) {
  c.set(c.b.op("LeakyRelu", {c.tensor("self")},
               {{"alpha", static_cast<float>(c.number("negative_slope", 0.01))}}));
}

void prelu(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  Tensor slope = c.tensor("weight");
  if (c.failed()) return;
  // One slope a channel, axis 1.
  if (slope.rank == 1 && x.rank > 1 && slope.extent(0) != 1) {
    Ints dims(x.rank - 1, 1);
    dims[0] = -1;
    slope = c.b.reshape(slope, dims);
  }
  c.set(c.b.op("PRelu", {x, slope}));
}

void softplus(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const double beta = c.number("beta", 1);
  const double threshold = c.number("threshold", 20);
  const Tensor scaled = c.b.op("Mul", {x, c.b.scalar(x.dtype, beta)});
  const Tensor soft = c.b.op("Div", {c.b.op("Softplus", {scaled}), c.b.scalar(x.dtype, beta)});
  const Tensor linear =
      c.b.op("Greater", {scaled, c.b.scalar(x.dtype, threshold)}, {}, DType::kBool);
  c.set(c.b.op("Where", {linear, x, soft}, {}, x.dtype));
}

void softshrink(Call& c, std::string_view) {
  const auto lambda = static_cast<float>(c.number("lambd", 0.5));
  c.set(c.b.op("Shrink", {c.tensor("self")}, {{"lambd", lambda}, {"bias", lambda}}));
}

void hardshrink(Call& c, std::string_view) {
  const auto lambda = static_cast<float>(c.number("lambd", 0.5));
  c.set(c.b.op("Shrink", {c.tensor("self")}, {{"lambd", lambda}, {"bias", 0.0f}}));
}

void threshold(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor above = c.b.op("Greater", {x, c.operand("threshold", x.dtype)}, {}, DType::kBool);
  c.set(c.b.op("Where", {above, x, c.operand("value", x.dtype)}, {}, x.dtype));
}

void clamp(Call& c, std::string_view) {
  const DType dtype = c.promoted({"self", "min", "max"});
  Tensor x = c.operand("self", dtype);
  if (c.is_tensor("min") || c.is_tensor("max")) {
    if (c.has("min")) x = c.b.op("Max", {x, c.operand("min", dtype)});
    if (c.has("max")) x = c.b.op("Min", {x, c.operand("max", dtype)});
    return c.set(x);
  }
  const Tensor low = c.has("min") ? c.operand("min", dtype) : Tensor();
  const Tensor high = c.has("max") ? c.operand("max", dtype) : Tensor();
  c.set(c.b.op("Clip", {x, low, high}));
}

void hardtanh(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  c.set(c.b.op("Clip", {x, c.b.scalar(x.dtype, c.number("min_val", -1)),
                        c.b.scalar(x.dtype, c.number("max_val", 1))}));
}

void relu6(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  c.set(c.b.op("Clip", {x, c.b.scalar(x.dtype, 0), c.b.scalar(x.dtype, 6)}));
}

void hard_sigmoid(Call& c, std::string_view) {
  c.set(c.b.op("HardSigmoid", {c.tensor("self")}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}}));
}

void glu(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, -1);
  const auto halves =
      c.b.ops("Split", {x}, 2, {{"axis", static_cast<int64_t>(axis)}, {"num_outputs", int64_t{2}}},
              x.dtype, x.rank);
  if (c.failed()) return;
  c.set(c.b.op("Mul", {halves[0], c.b.op("Sigmoid", {halves[1]})}));
}

void logit(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  x = c.b.cast(x, float_type(x.dtype));
  if (c.has("eps")) {
    const double eps = c.number("eps");
    x = c.b.op("Clip", {x, c.b.scalar(x.dtype, eps), c.b.scalar(x.dtype, 1 - eps)});
  }
  c.set(c.b.op("Log", {c.b.op("Div", {x, c.b.op("Sub", {c.b.scalar(x.dtype, 1), x})})}));
}

void nan_to_num(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  if (!is_float(x.dtype)) return c.set(c.b.op("Identity", {x}));
  const double largest = x.dtype == DType::kF16 ? 65504 : 3.4028234663852886e38;
  const auto where = [&](const Tensor& condition, double value, const Tensor& other) {
    return c.b.op("Where", {condition, c.b.scalar(x.dtype, value), other}, {}, x.dtype, x.rank);
  };
  const auto infinite = [&](int64_t positive) {
    return c.b.op("IsInf", {x}, {{"detect_positive", positive}, {"detect_negative", 1 - positive}},
                  DType::kBool);
  };
  Tensor y = where(c.b.op("IsNaN", {x}, {}, DType::kBool), c.number("nan", 0), x);
  y = where(infinite(1), c.number("posinf", largest), y);
  c.set(where(infinite(0), c.number("neginf", -largest), y));
}

void cumulative(Call& c, std::string_view ours) {
  Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  const DType dtype = c.out_dtype();
  x = c.b.cast(x, dtype);
  if (x.rank == 0) return c.set(x);
  c.set(c.b.op(ours, {x, c.b.integer(static_cast<int64_t>(axis))}, {}, dtype, x.rank));
}

constexpr Operator kOperators[] = {
    {"aten.abs", "default", "Abs", same_unary},
    {"aten.absolute", "default", "Abs", same_unary},
    {"aten.neg", "default", "Neg", same_unary},
    {"aten.negative", "default", "Neg", same_unary},
    {"aten.sign", "default", "Sign", same_unary},
    {"aten.sgn", "default", "Sign", same_unary},
    {"aten.positive", "default", "", same},
    {"aten.exp", "default", "Exp", float_unary},
    {"aten.log", "default", "Log", float_unary},
    {"aten.sqrt", "default", "Sqrt", float_unary},
    {"aten.reciprocal", "default", "Reciprocal", float_unary},
    {"aten.sin", "default", "Sin", float_unary},
    {"aten.cos", "default", "Cos", float_unary},
    {"aten.tan", "default", "Tan", float_unary},
    {"aten.asin", "default", "Asin", float_unary},
    {"aten.acos", "default", "Acos", float_unary},
    {"aten.atan", "default", "Atan", float_unary},
    {"aten.sinh", "default", "Sinh", float_unary},
    {"aten.cosh", "default", "Cosh", float_unary},
    {"aten.tanh", "default", "Tanh", float_unary},
    {"aten.asinh", "default", "Asinh", float_unary},
    {"aten.acosh", "default", "Acosh", float_unary},
    {"aten.atanh", "default", "Atanh", float_unary},
    {"aten.erf", "default", "Erf", float_unary},
    {"aten.special_erf", "default", "Erf", float_unary},
    {"aten.sigmoid", "default", "Sigmoid", float_unary},
    {"aten.special_expit", "default", "Sigmoid", float_unary},
    {"aten.mish", "default", "Mish", float_unary},
    {"aten.selu", "default", "Selu", float_unary},
    {"aten.softsign", "default", "Softsign", float_unary},
    {"aten.hardswish", "default", "HardSwish", float_unary},
    {"aten.floor", "default", "Floor", rounding},
    {"aten.ceil", "default", "Ceil", rounding},
    {"aten.round", "default decimals", "Round", round},
    {"aten.trunc", "default", "Floor", trunc},
    {"aten.fix", "default", "Floor", trunc},
    {"aten.frac", "default", "Floor, Sub", frac},
    {"aten.relu", "default", "Relu", same_unary},
    {"aten.relu6", "default", "Clip", relu6},
    {"aten.hardtanh", "default", "Clip", hardtanh},
    {"aten.hardsigmoid", "default", "HardSigmoid", hard_sigmoid},
    {"aten.gelu", "default", "Gelu", gelu},
    {"aten.elu", "default", "Elu", elu},
    {"aten.celu", "default", "Celu", celu},
    {"aten.leaky_relu", "default", "LeakyRelu", leaky_relu},
    {"aten.prelu", "default", "PRelu", prelu},
    {"aten._prelu_kernel", "default", "PRelu", prelu},
    {"aten.softplus", "default", "Softplus, Where", softplus},
    {"aten.softshrink", "default", "Shrink", softshrink},
    {"aten.hardshrink", "default", "Shrink", hardshrink},
    {"aten.threshold", "default", "Greater, Where", threshold},
    {"aten.clamp", "default Tensor", "Clip", clamp},
    {"aten.clip", "default Tensor", "Clip", clamp},
    {"aten.clamp_min", "default Tensor", "Clip", clamp},
    {"aten.clamp_max", "default Tensor", "Clip", clamp},
    {"aten.glu", "default", "Split, Sigmoid, Mul", glu},
    {"aten.logit", "default", "Log, Div", logit},
    {"aten.nan_to_num", "default", "IsNaN, IsInf, Where", nan_to_num},
    {"aten.silu", "default", "Sigmoid, Mul",
     QUERN_COMPOSED(b.op("Mul", {x, b.op("Sigmoid", {x})}))},
    {"aten.rsqrt", "default", "Sqrt, Reciprocal",
     QUERN_COMPOSED(b.op("Reciprocal", {b.op("Sqrt", {x})}))},
    {"aten.square", "default", "Mul",
     [](Call& c, std::string_view) {
       const Tensor x = c.tensor("self");
       c.set(c.b.op("Mul", {x, x}));
     }},
    {"aten.exp2", "default", "Pow", QUERN_COMPOSED(b.op("Pow", {k(2), x}))},
    {"aten.expm1", "default", "Exp, Sub", QUERN_COMPOSED(b.op("Sub", {b.op("Exp", {x}), k(1)}))},
    {"aten.log1p", "default", "Add, Log", QUERN_COMPOSED(b.op("Log", {b.op("Add", {x, k(1)})}))},
    {"aten.log2", "default", "Log, Mul",
     QUERN_COMPOSED(b.op("Mul", {b.op("Log", {x}), k(std::numbers::log2e)}))},
    {"aten.log10", "default", "Log, Mul",
     QUERN_COMPOSED(b.op("Mul", {b.op("Log", {x}), k(std::numbers::log10e)}))},
    {"aten.erfc", "default", "Erf, Sub", QUERN_COMPOSED(b.op("Sub", {k(1), b.op("Erf", {x})}))},
    {"aten.log_sigmoid", "default", "Softplus, Neg",
     QUERN_COMPOSED(b.op("Neg", {b.op("Softplus", {b.op("Neg", {x})})}))},
    {"aten.log_sigmoid_forward", "default", "Softplus, Neg",
     QUERN_COMPOSED(b.op("Neg", {b.op("Softplus", {b.op("Neg", {x})})}))},
    {"aten.tanhshrink", "default", "Tanh, Sub",
     QUERN_COMPOSED(b.op("Sub", {x, b.op("Tanh", {x})}))},
    {"aten.deg2rad", "default", "Mul", QUERN_COMPOSED(b.op("Mul", {x, k(std::numbers::pi / 180)}))},
    {"aten.rad2deg", "default", "Mul", QUERN_COMPOSED(b.op("Mul", {x, k(180 / std::numbers::pi)}))},
    {"aten.logical_not", "default", "Not", logical_not},
    {"aten.bitwise_not", "default", "BitwiseNot, Not", bitwise_not},
    {"aten.isnan", "default", "IsNaN", is_special},
    {"aten.isinf", "default", "IsInf", is_inf},
    {"aten.isposinf", "default", "IsInf", is_inf},
    {"aten.isneginf", "default", "IsInf", is_inf},
    {"aten.isfinite", "default", "IsNaN, IsInf", is_finite},
    {"aten.cumsum", "default", "CumSum", cumulative},
    {"aten.cumprod", "default", "CumProd", cumulative},
    {"aten.clone", "default", "Identity", copy},
    {"aten.lift_fresh_copy", "default", "Identity", copy},
    {"aten.detach_copy", "default", "Identity", copy},
    {"aten.lift_fresh", "default", "", same},
    {"aten.detach", "default", "", same},
    {"aten.alias", "default", "", same},
    {"aten.resolve_conj", "default", "", same},
    {"aten.resolve_neg", "default", "", same},
    {"aten.contiguous", "default", "Identity", contiguous},
    {"aten.dropout", "default", "", dropout},
    {"aten.native_dropout", "default", "Identity", dropout},
    {"aten.feature_dropout", "default", "", dropout},
    {"aten.alpha_dropout", "default", "", dropout},
    {"aten.feature_alpha_dropout", "default", "", dropout},
    {"aten.to", "dtype dtype_layout device other", "Cast", to},
    {"aten._to_copy", "default", "Cast", to},
    {"aten.type_as", "default", "Cast", to},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kOperators; }

}  // namespace quern::torch
