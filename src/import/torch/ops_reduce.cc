// Operators that reduce axes.
#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// The axes of "dim": one, several, or all where it is not given.
Ints reduced(Call& c, const Tensor& x) { return c.axes("dim", x.rank); }

/// Computed in the result's type.
void reduce(Call& c, std::string_view ours) {
  const Tensor x = c.b.cast(c.tensor("self"), c.out_dtype());
  const Ints axes = reduced(c, x);
  if (axes.empty()) return c.set(c.b.op("Identity", {x}));
  c.set(c.b.reduce(ours, x, axes, c.flag("keepdim", false)));
}

/// any and all: of 0 and 1.
void logical(Call& c, std::string_view ours) {
  const Tensor x = c.b.cast(c.b.cast(c.tensor("self"), DType::kBool), DType::kI32);
  const Ints axes = reduced(c, x);
  const Tensor y = axes.empty() ? x : c.b.reduce(ours, x, axes, c.flag("keepdim", false));
  c.set(c.b.cast(y, DType::kBool));
}

Tensor arg(Builder& b, const Tensor& x, size_t axis, bool keep, bool largest) {
  return b.op(largest ? "ArgMax" : "ArgMin", {x},
              {{"axis", static_cast<int64_t>(axis)}, {"keepdims", int64_t{keep}}}, DType::kI64,
              keep ? x.rank : x.rank - 1);
}

/// max and min along an axis: values and places.
void extreme_along(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  const bool keep = c.flag("keepdim", false);
  if (x.rank == 0) {
    c.set(c.b.op("Identity", {x}), 0);
    return c.set(c.b.integer(0), 1);
  }
  c.set(c.b.reduce(ours, x, {static_cast<int64_t>(axis)}, keep), 0);
  c.set(arg(c.b, x, axis, keep, ours == "ReduceMax"), 1);
}

void arg_extreme(Call& c, std::string_view ours) {
  Tensor x = c.tensor("self");
  const bool keep = c.flag("keepdim", false);
  if (x.dtype == DType::kBool) x = c.b.cast(x, DType::kI32);
  const bool largest = ours == "ArgMax";
  if (x.rank == 0) return c.set(c.b.integer(0));
  if (c.has("dim")) return c.set(arg(c.b, x, c.axis("dim", x.rank), keep, largest));
  const Tensor place = arg(c.b, c.b.reshape(x, Ints{-1}), 0, false, largest);
  c.set(keep ? c.b.reshape(place, Ints(x.rank, 1)) : place);
}

/// The sum of squared distances from the mean, over the count less the correction.
void variance(Call& c, std::string_view ours) {
  const Tensor x = c.tensor("self");
  const Ints axes = reduced(c, x);
  const bool keep = c.flag("keepdim", false);
  double correction = 1;
  if (c.has("correction")) correction = c.number("correction");
  if (c.has("unbiased")) correction = c.flag("unbiased", true) ? 1 : 0;
  if (c.failed()) return;
  if (axes.empty()) return c.unsupported("a tensor of rank 0");
  const Tensor mean = c.b.reduce("ReduceMean", x, axes, true);
  const Tensor distance = c.b.op("Sub", {x, mean});
  const Tensor square = c.b.op("Mul", {distance, distance});
  Tensor result = c.b.reduce("ReduceMean", square, axes, keep);
  if (correction != 0) {
    Size count = c.b.number(1);
    for (const int64_t axis : axes) {
      count = c.b.arithmetic("Mul", count, c.b.size(x, static_cast<size_t>(axis)));
    }
    const Tensor n = c.b.scalar_of(count, x.dtype);
    const Tensor less = c.b.op("Sub", {n, c.b.scalar(x.dtype, correction)});
    const Tensor divisor = c.b.op("Max", {less, c.b.scalar(x.dtype, 0)});
    result = c.b.op("Mul", {result, c.b.op("Div", {n, divisor})});
  }
  if (ours == "Sqrt") result = c.b.op("Sqrt", {result});
  c.set(result, 0);
  if (c.outputs() > 1) c.set(c.b.reduce("ReduceMean", x, axes, keep), 1);
}

void count_nonzero(Call& c, std::string_view) {
  const Tensor x = c.b.cast(c.b.cast(c.tensor("self"), DType::kBool), DType::kI64);
  const Ints axes = reduced(c, x);
  c.set(axes.empty() ? x : c.b.reduce("ReduceSum", x, axes, false));
}

void nan_sum(Call& c, std::string_view) {
  const Tensor given = c.tensor("self");
  Tensor x = c.b.cast(given, c.out_dtype());
  if (is_float(given.dtype)) {
    const Tensor bad = c.b.op("IsNaN", {given}, {}, DType::kBool);
    x = c.b.op("Where", {bad, c.b.scalar(x.dtype, 0), x}, {}, x.dtype);
  }
  const Ints axes = reduced(c, x);
  c.set(axes.empty() ? x : c.b.reduce("ReduceSum", x, axes, c.flag("keepdim", false)));
}

constexpr Operator kOperators[] = {
    {"aten.sum", "default dim_IntList", "ReduceSum", reduce},
    {"aten.mean", "default dim", "ReduceMean", reduce},
    {"aten.prod", "default dim_int", "ReduceProd", reduce},
    {"aten.amax", "default", "ReduceMax", reduce},
    {"aten.amin", "default", "ReduceMin", reduce},
    {"aten.max", "default", "ReduceMax", reduce},
    {"aten.min", "default", "ReduceMin", reduce},
    {"aten.logsumexp", "default", "ReduceLogSumExp", reduce},
    {"aten.nansum", "default", "ReduceSum", nan_sum},
    {"aten.any", "default dim dims", "ReduceMax", logical},
    {"aten.all", "default dim dims", "ReduceMin", logical},
    {"aten.max", "dim", "ReduceMax", extreme_along},
    {"aten.min", "dim", "ReduceMin", extreme_along},
    {"aten.argmax", "default", "ArgMax", arg_extreme},
    {"aten.argmin", "default", "ArgMin", arg_extreme},
    {"aten.var", "default dim correction", "ReduceMean", variance},
    {"aten.std", "default dim correction", "Sqrt", variance},
    {"aten.var_mean", "default dim correction", "ReduceMean", variance},
    {"aten.std_mean", "default dim correction", "Sqrt", variance},
    {"aten.count_nonzero", "default dim_IntList", "ReduceSum", count_nonzero},
};

}  // namespace

std::span<const Operator> reduce_operators() { return kOperators; }

}  // namespace quern::torch
