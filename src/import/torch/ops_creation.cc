// Operators that make tensors of nothing but sizes and numbers, and those for sizes themselves.
#include <cmath>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// The dims of the result: `size`, or those of `self`.
std::vector<Size> wanted_sizes(Call& c) {
  return c.has("size") ? c.sizes("size") : c.b.sizes(c.tensor("self"));
}

void full(Call& c, std::string_view) {
  const DType dtype = c.out_dtype();
  double value = 0;
  if (c.target().find("ones") != std::string_view::npos) value = 1;
  const Tensor number =
      c.has("fill_value") ? c.operand("fill_value", dtype) : c.b.scalar(dtype, value);
  if (c.failed()) return;
  c.set(c.b.full(wanted_sizes(c), number));
}

void arange(Call& c, std::string_view) {
  const DType dtype = c.out_dtype();
  // Sizes of float ranges are computed in f64.
  const Tensor start = c.has("start") ? c.operand("start", dtype) : c.b.scalar(dtype, 0);
  const Tensor end = c.operand("end", dtype);
  const Tensor step = c.has("step") ? c.operand("step", dtype) : c.b.scalar(dtype, 1);
  c.set(c.b.op("Range", {start, end, step}, {}, dtype, 1));
}

void linspace(Call& c, std::string_view) {
  const DType dtype = c.out_dtype();
  const int64_t steps = c.integer("steps");
  if (c.is_tensor("start") || c.is_tensor("end")) return c.unsupported("start or end as tensors");
  const double start = c.number("start");
  const double end = c.number("end");
  if (steps < 0 || steps > (1 << 20)) return c.unsupported(cat(steps, " steps"));
  HostTensor tensor;
  tensor.dtype = dtype;
  tensor.dims = {steps};
  tensor.bytes.resize(byte_size(dtype, steps));
  const bool exact = dtype == DType::kF64;
  for (int64_t i = 0; i < steps; ++i) {
    // From the nearer end, with the step rounded as the type has it.
    double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
    if (!exact) step = static_cast<float>(step);
    const double value = i < (steps + 1) / 2 ? start + step * static_cast<double>(i)
                                             : end - step * static_cast<double>(steps - 1 - i);
    if (is_float(dtype)) {
      tensor.set_float(i, value);
    } else {
      tensor.set_int(i, static_cast<int64_t>(std::trunc(value)));
    }
  }
  c.set(c.b.constant(std::move(tensor)));
}

void eye(Call& c, std::string_view) {
  const DType dtype = c.out_dtype();
  const Size rows = c.size("n");
  const Size columns = c.has("m") ? c.size("m") : rows;
  const Tensor zeros = c.b.full({rows, columns}, c.b.scalar(DType::kI32, 0));
  c.set(c.b.op("EyeLike", {zeros}, {{"dtype", static_cast<int64_t>(dtype)}}, dtype, 2));
}

void scalar_tensor(Call& c, std::string_view) { c.set(c.operand("s", c.out_dtype())); }

/// Random numbers: other ones than PyTorch's.
void random(Call& c, std::string_view ours) {
  const DType dtype = c.out_dtype();
  const Tensor zeros = c.b.full(wanted_sizes(c), c.b.scalar(dtype, 0));
  c.set(c.b.op(ours, {zeros}, {{"dtype", static_cast<int64_t>(dtype)}}));
}

void tril_indices(Call& c, std::string_view) {
  const int64_t rows = c.integer("row");
  const int64_t columns = c.integer("col");
  const int64_t offset = c.integer("offset", 0);
  const bool lower = c.target().starts_with("aten.tril");
  if (rows < 0 || columns < 0 || rows * columns > (1 << 20) || rows > (1 << 20) ||
      columns > (1 << 20)) {
    return c.unsupported("that many indices");
  }
  Ints values, second;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      if (lower ? j > i + offset : j < i + offset) continue;
      values.push_back(i);
      second.push_back(j);
    }
  }
  const auto count = static_cast<int64_t>(second.size());
  values.insert(values.end(), second.begin(), second.end());
  c.set(c.b.constant(HostTensor::of_ints(DType::kI64, {2, count}, values)));
}

/// The extent of an axis.
void sym_size(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  if (!c.failed()) c.set_size(c.b.size(x, axis));
}

void sym_numel(Call& c, std::string_view) {
  Size count = c.b.number(1);
  for (const Size& size : c.b.sizes(c.tensor("self"))) count = c.b.arithmetic("Mul", count, size);
  c.set_size(count);
}

/// Arithmetic of sizes: the arguments are called a and b.
void size_arithmetic(Call& c, std::string_view ours) {
  c.set_size(c.b.arithmetic(ours, c.size("a"), c.size("b")));
}

void size_negative(Call& c, std::string_view) {
  c.set_size(c.b.arithmetic("Sub", c.b.number(0), c.size("a")));
}

void size_power(Call& c, std::string_view) {
  const Size base = c.size("a");
  Size result = c.b.number(1);
  const int64_t exponent = c.integer("b");
  if (exponent < 0 || exponent > 64) return c.unsupported(cat("power ", exponent));
  for (int64_t i = 0; i < exponent; ++i) result = c.b.arithmetic("Mul", result, base);
  c.set_size(result);
}

/// Floats of sizes are f64 of rank 0.
void size_division(Call& c, std::string_view) {
  c.set_number(c.b.op("Div", {c.operand("a", DType::kF64), c.operand("b", DType::kF64)}));
}

void float_arithmetic(Call& c, std::string_view ours) {
  c.set_number(c.b.op(ours, {c.operand("a", DType::kF64), c.operand("b", DType::kF64)}));
}

bool is_float_argument(const Json& argument) {
  return argument.contains("as_float") || argument.contains("as_sym_float");
}

/// Of sizes, or of what comes of dividing them.
void arithmetic(Call& c, std::string_view ours) {
  if (is_float_argument(c.argument("a")) || is_float_argument(c.argument("b"))) {
    return float_arithmetic(c, ours);
  }
  size_arithmetic(c, ours);
}

/// To integers: the argument is called a, x or number.
void to_size(Call& c, std::string_view ours) {
  std::string_view name = "a";
  for (const std::string_view other : {"x", "number"}) {
    if (c.has(other)) name = other;
  }
  const Json& argument = c.argument(name);
  if (argument.contains("as_int") || argument.contains("as_sym_int")) {
    return c.set_size(c.size(name));
  }
  Tensor x = c.operand(name, DType::kF64);
  if (!ours.empty()) x = c.b.op(ours, {x});
  c.set_size({.value = c.b.unsqueeze(c.b.cast(x, DType::kI64), {0}).value});
}

void to_float(Call& c, std::string_view) { c.set_number(c.operand("a", DType::kF64)); }

void size_compare(Call& c, std::string_view ours) {
  Tensor result =
      c.b.op(ours == "Equal, Not" ? "Equal" : ours,
             {c.operand("a", DType::kI64), c.operand("b", DType::kI64)}, {}, DType::kBool);
  if (ours == "Equal, Not") result = c.b.op("Not", {result});
  c.set_number(result);
}

void bool_arithmetic(Call& c, std::string_view ours) {
  c.set_number(c.b.op(ours, {c.operand("a", DType::kBool), c.operand("b", DType::kBool)}));
}

void bool_not(Call& c, std::string_view) {
  c.set_number(c.b.op("Not", {c.operand("a", DType::kBool)}));
}

/// The one element of a tensor.
void item(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor one = x.rank == 0 ? x : c.b.reshape(x, Ints{});
  if (c.failed()) return;
  if (is_float(x.dtype)) return c.set_number(c.b.cast(one, DType::kF64));
  if (x.dtype == DType::kBool) return c.set_number(one);
  c.set_size({.value = c.b.unsqueeze(c.b.cast(one, DType::kI64), {0}).value});
}

/// Checks that torch.export put in; dims are checked where a run begins.
void nothing(Call&, std::string_view) {}

constexpr Operator kOperators[] = {
    {"aten.full", "default", "Expand", full},
    {"aten.full_like", "default", "Expand", full},
    {"aten.new_full", "default", "Expand", full},
    {"aten.zeros", "default", "Expand", full},
    {"aten.zeros_like", "default", "Expand", full},
    {"aten.new_zeros", "default", "Expand", full},
    {"aten.ones", "default", "Expand", full},
    {"aten.ones_like", "default", "Expand", full},
    {"aten.new_ones", "default", "Expand", full},
    {"aten.empty", "memory_format", "Expand", full},
    {"aten.empty_like", "default", "Expand", full},
    {"aten.new_empty", "default", "Expand", full},
    {"aten.empty_strided", "default", "Expand", full},
    {"aten.new_empty_strided", "default", "Expand", full},
    {"aten.arange", "default start start_step", "Range", arange},
    {"aten.linspace", "default", "constant", linspace},
    {"aten.eye", "default m", "EyeLike", eye},
    {"aten.scalar_tensor", "default", "Cast", scalar_tensor},
    {"aten.rand", "default", "RandomUniformLike", random},
    {"aten.rand_like", "default", "RandomUniformLike", random},
    {"aten.randn", "default", "RandomNormalLike", random},
    {"aten.randn_like", "default", "RandomNormalLike", random},
    {"aten.tril_indices", "default", "constant", tril_indices},
    {"aten.triu_indices", "default", "constant", tril_indices},
};

constexpr Operator kSizeOperators[] = {
    {"aten.sym_size", "int default", "Shape", sym_size},
    {"aten.sym_numel", "default", "Shape", sym_numel},
    {"_operator.add", "", "Add", arithmetic},
    {"_operator.sub", "", "Sub", arithmetic},
    {"_operator.mul", "", "Mul", arithmetic},
    {"_operator.floordiv", "", "Div", size_arithmetic},
    {"_operator.mod", "", "Mod", size_arithmetic},
    {"_operator.truediv", "", "Div", size_division},
    {"_operator.neg", "", "Sub", size_negative},
    {"_operator.pow", "", "Mul", size_power},
    {"torch.sym_max", "", "Max", arithmetic},
    {"torch.sym_min", "", "Min", arithmetic},
    {"torch.sym_int", "", "Cast", to_size},
    {"torch.sym_float", "", "Cast", to_float},
    {"math.trunc", "", "Cast", to_size},
    {"math.floor", "", "Floor", to_size},
    {"math.ceil", "", "Ceil", to_size},
    {"_operator.eq", "", "Equal", size_compare},
    {"_operator.ne", "", "Equal, Not", size_compare},
    {"_operator.lt", "", "Less", size_compare},
    {"_operator.le", "", "LessOrEqual", size_compare},
    {"_operator.gt", "", "Greater", size_compare},
    {"_operator.ge", "", "GreaterOrEqual", size_compare},
    {"_operator.and_", "", "And", bool_arithmetic},
    {"_operator.or_", "", "Or", bool_arithmetic},
    {"torch.sym_not", "", "Not", bool_not},
    {"aten.item", "default", "Reshape", item},
    {"aten._local_scalar_dense", "default", "Reshape", item},
    {"aten._assert_tensor_metadata", "default", "", nothing},
    {"aten._assert_async", "msg default", "", nothing},
    {"aten._assert_scalar", "default", "", nothing},
    {"aten.sym_constrain_range", "default", "", nothing},
    {"aten.sym_constrain_range_for_size", "default", "", nothing},
};

}  // namespace

std::span<const Operator> creation_operators() { return kOperators; }
std::span<const Operator> size_operators() { return kSizeOperators; }

}  // namespace quern::torch
