#include "ops/common/cast.h"

#include <cmath>
#include <cstdlib>

#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"

namespace quern {
namespace {

/// The largest finite number of a float8 format, and half the step to the number after it: what
/// is nearer to that one overflows.
struct Float8Range {
  double largest;
  double half_step;
};

std::optional<Float8Range> float8_range(DType type) {
  switch (type) {
    case DType::kF8E4M3FN:
      return Float8Range{448, 16};
    case DType::kF8E4M3FNUZ:
      return Float8Range{240, 8};
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
      return Float8Range{57344, 4096};
    default:
      return std::nullopt;
  }
}

/// Held inside the range; or, where not saturating, infinity outside (NaN of the same sign where
/// the format has no infinity).
Expr to_float8(ExprBuilder& b, Expr x, DType type, Float8Range range, bool saturate) {
  if (saturate) {
    return b.max(b.min(x, b.number(x, range.largest)), b.number(x, -range.largest));
  }
  const Expr magnitude = b.unary(ExprOp::kAbs, x);
  const Expr inside = b.lt(magnitude, b.number(x, range.largest + range.half_step));
  if (type != DType::kF8E5M2) {
    const auto u32 = [&](int64_t value) { return b.constant_int(Scalar::kU32, value); };
    const Expr bits = b.bitcast(b.cast(x, Scalar::kF32), Scalar::kU32);
    const Expr sign = b.binary(ExprOp::kBitAnd, bits, u32(0x80000000));
    const Expr nan = b.bitcast(b.binary(ExprOp::kBitOr, sign, u32(0x7fc00000)), Scalar::kF32);
    return b.select(inside, x, b.cast(nan, b.type_of(x)));
  }
  // x times infinity has the sign of x; NaN stays NaN.
  return b.select(inside, x, b.mul(x, b.number(x, HUGE_VAL)));
}

/// A power of two: the exponent of `x`, rounded as its mantissa says. The tie of "nearest" goes
/// up, except among subnormal numbers.
Expr to_float8_e8m0(ExprBuilder& b, Expr x, std::string_view round_mode, bool saturate) {
  const auto u32 = [&](int64_t value) { return b.constant_int(Scalar::kU32, value); };
  const Expr bits = b.bitcast(x, Scalar::kU32);
  const Expr exponent = b.binary(ExprOp::kBitAnd, b.binary(ExprOp::kShr, bits, u32(23)), u32(0xff));
  const Expr mantissa = b.binary(ExprOp::kBitAnd, bits, u32(0x7fffff));
  Expr up = b.boolean(false);
  if (round_mode == "up") {
    up = b.lt(u32(0), mantissa);
  } else if (round_mode == "nearest") {
    const Expr tie = b.logical_and(b.eq(mantissa, u32(0x400000)), b.lt(u32(0), exponent));
    up = b.logical_or(b.lt(u32(0x400000), mantissa), tie);
  }
  if (saturate) up = b.logical_and(up, b.binary(ExprOp::kNe, exponent, u32(0xfe)));
  const Expr rounded = b.add(exponent, b.select(up, u32(1), u32(0)));
  const Expr power = b.bitcast(b.binary(ExprOp::kShl, rounded, u32(23)), Scalar::kF32);
  const Expr finite = b.select(b.eq(rounded, u32(0)), b.number(x, 0x1p-127), power);
  const Expr is_nan = b.logical_or(b.eq(exponent, u32(0xff)), b.eq(rounded, u32(0xff)));
  return b.select(is_nan, b.number(x, std::nan("")), finite);
}

/// The number that a string stands for; "INF", "+inf", "-Inf", "NaN" in any case.
bool parse_number(HostTensor& out, int64_t i, const std::string& text) {
  const char* begin = text.c_str();
  char* end = nullptr;
  if (is_integer(out.dtype)) {
    const bool is_unsigned = is_unsigned_int(out.dtype);
    const int64_t whole = is_unsigned ? static_cast<int64_t>(std::strtoull(begin, &end, 10))
                                      : std::strtoll(begin, &end, 10);
    if (end != begin && *end == '\0') {
      out.set_int(i, whole);
      return true;
    }
  }
  const double value = std::strtod(begin, &end);
  if (end == begin || *end != '\0') return false;
  out.set_float(i, value);
  return true;
}

/// The shortest text that reads back as the same number.
std::string number_text(const HostTensor& in, int64_t i) {
  if (in.dtype == DType::kBool) return in.int_at(i) != 0 ? "True" : "False";
  if (in.dtype == DType::kU64) return cat(static_cast<uint64_t>(in.int_at(i)));
  if (is_integer(in.dtype)) return cat(in.int_at(i));
  const double value = in.float_at(i);
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-INF" : "INF";
  return in.dtype == DType::kF64 ? cat(value) : cat(static_cast<float>(value));
}

/// An element of symbolic contents in another type; nothing where it can't be said.
std::optional<Dim> convert(const Dim& x, DType to) {
  if (to != DType::kBool) return x;
  if (std::optional<bool> is_zero = proven_equal(x, 0)) return Dim(!*is_zero);
  return std::nullopt;
}

}  // namespace

Result<DType> type_attribute(const Node& node, std::string_view name, DType fallback) {
  const int64_t number = node.int_or(name, static_cast<int64_t>(fallback));
  if (number < 1 || number > static_cast<int64_t>(DType::kI2)) {
    return invalid_model(
        cat(node.describe(), ": attribute ", name, " is no element type: ", number));
  }
  return static_cast<DType>(number);
}

Expr to_small_float(ExprBuilder& b, Expr x, DType type, bool saturate) {
  if (std::optional<Float8Range> range = float8_range(type)) {
    return to_float8(b, x, type, *range, saturate);
  }
  // ONNX's Cast makes zero of what this format can't say.
  return b.select(b.unary(ExprOp::kIsNan, x), b.number(x, -0.0), x);
}

Result<void> infer_cast(InferContext& c, DType to) {
  c.set(0, to, c.type(0).shape);
  if (!is_integer(to) && to != DType::kBool) return {};
  std::vector<std::optional<Dim>> converted;
  if (const HostTensor* host = c.host(0); host != nullptr && is_float(host->dtype)) {
    if (host->count() > kMaxContents) return {};
    for (int64_t i = 0; i < host->count(); ++i) {
      converted.emplace_back(to == DType::kBool ? host->float_at(i) != 0 : host->int_at(i));
    }
  } else if (std::optional<std::vector<Dim>> contents = c.contents(0)) {
    for (const Dim& x : *contents) converted.push_back(convert(x, to));
  } else {
    return {};
  }
  set_checked_contents(c, 0, converted);
  return {};
}

Result<Expr> cast_expr(ExprContext& c, size_t) {
  QUERN_ASSIGN(Expr x, c.load_broadcast(0));
  const DType to = c.output(0).dtype;
  const bool saturate = c.node().int_or("saturate", 1) != 0;
  if (float8_range(to)) {
    if (!is_float(c.input(0).dtype)) x = c.b.cast(x, Scalar::kF32);
    x = to_small_float(c.b, x, to, saturate);
  } else if (to == DType::kF8E8M0) {
    x = to_float8_e8m0(c.b, c.b.cast(x, Scalar::kF32), c.node().string_or("round_mode", "up"),
                       saturate);
  }
  if (to == DType::kF4E2M1 && is_float(c.input(0).dtype)) {
    x = to_small_float(c.b, x, to, saturate);
  }
  // Narrow unsigned types wrap, also what is below zero: a cast to u32 would make it zero.
  if (is_unsigned_int(to) && bit_width(to) < 32 && is_float(c.input(0).dtype)) {
    x = c.b.cast(x, Scalar::kI32);
  }
  return c.b.cast(x, compute_type(to));
}

Result<void> eval_cast(EvalContext& c) {
  const HostTensor& in = c.in(0);
  HostTensor& out = c.out(0);
  const bool text = in.dtype == DType::kString || out.dtype == DType::kString;
  if (in.dtype != out.dtype && !text) return eval_by_expr(c);
  QUERN_ASSIGN(out, cast_host(c.node(), in, out.dtype));
  return {};
}

Result<HostTensor> cast_host(const Node& node, const HostTensor& in, DType to) {
  if (in.dtype == to) return in;
  QUERN_ASSIGN(HostTensor out, HostTensor::zeros(to, in.dims));
  for (int64_t i = 0; i < in.count(); ++i) {
    if (to == DType::kString) {
      out.strings[static_cast<size_t>(i)] = number_text(in, i);
    } else if (in.dtype != DType::kString) {
      if (is_float(to)) {
        out.set_float(i, in.float_at(i));
      } else {
        out.set_int(i, in.int_at(i));
      }
    } else if (const std::string& text = in.strings[static_cast<size_t>(i)];
               !parse_number(out, i, text)) {
      return invalid_argument(cat(node.describe(), ": '", text, "' is no number"));
    }
  }
  return out;
}

}  // namespace quern
