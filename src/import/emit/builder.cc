#include "import/emit/builder.h"

#include <algorithm>
#include <limits>

namespace quern::emit {
namespace {

/// Nodes of a model; what a small file can make of itself is bounded by it.
constexpr size_t kMostNodes = 1'000'000;

}  // namespace

DType float_type(DType dtype) { return is_float(dtype) ? dtype : DType::kF32; }

double extreme(DType dtype, bool largest) {
  if (is_float(dtype)) {
    return largest ? std::numeric_limits<double>::infinity()
                   : -std::numeric_limits<double>::infinity();
  }
  const int bits = bit_width(dtype);
  const bool is_unsigned =
      dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 || dtype == DType::kU64;
  if (dtype == DType::kBool) return largest ? 1 : 0;
  const double power = static_cast<double>(uint64_t{1} << (bits - 1));
  if (is_unsigned) return largest ? power * 2 - 1 : 0;
  return largest ? power - 1 : -power;
}

Result<void> Builder::status() const {
  if (error_) return std::unexpected(*error_);
  return {};
}

void Builder::fail(ErrorCode code, std::string message) {
  if (!error_) error_ = Error{code, std::move(message)};
}

std::vector<Tensor> Builder::ops(std::string_view name, const std::vector<Tensor>& inputs,
                                 size_t outputs, Attributes attributes, DType dtype, size_t rank) {
  if (++count_ > kMostNodes) fail(ErrorCode::kLimit, cat("more than ", kMostNodes, " nodes"));
  std::vector<Value*> values;
  for (const Tensor& input : inputs) values.push_back(input.value);
  while (!values.empty() && values.back() == nullptr) values.pop_back();
  if (failed()) outputs = std::min<size_t>(outputs, 1);
  // After a failure nothing is added: the result is a value that nobody will look at.
  std::vector<Tensor> results;
  if (failed()) {
    results.push_back({graph_.add_value("", {}), dtype, rank});
    return results;
  }
  Node* node = graph_.add_node(std::string(name), std::move(values), outputs, nullptr, "", kOpset);
  node->name = scope_;
  for (const auto& [key, value] : attributes) node->attributes[std::string(key)] = value;
  for (Value* output : node->outputs) {
    output->type.dtype = dtype;
    results.push_back({output, dtype, rank});
  }
  return results;
}

Tensor Builder::op(std::string_view name, std::initializer_list<Tensor> inputs,
                   Attributes attributes, std::optional<DType> dtype, std::optional<size_t> rank) {
  size_t largest = 0;
  for (const Tensor& input : inputs) largest = std::max(largest, input.rank);
  const DType first = inputs.size() == 0 ? DType::kUndefined : inputs.begin()->dtype;
  return ops(name, inputs, 1, attributes, dtype.value_or(first), rank.value_or(largest))[0];
}

Tensor Builder::constant(HostTensor tensor) {
  Shape shape(tensor.dims.begin(), tensor.dims.end());
  const DType dtype = tensor.dtype;
  const size_t rank = shape.size();
  Value* value = graph_.add_constant("", make_constant(std::move(tensor)));
  value->type = Type::tensor(dtype, std::move(shape));
  return {value, dtype, rank};
}

Tensor Builder::weight(WeightInfo info, std::vector<WeightInfo>& table, std::string name) {
  auto constant = std::make_shared<Constant>();
  constant->dtype = info.dtype;
  constant->dims = info.dims;
  constant->weight = static_cast<uint32_t>(table.size());
  Value* value = graph_.add_constant(std::move(name), std::move(constant));
  value->type = Type::tensor(info.dtype, Shape(info.dims.begin(), info.dims.end()));
  const Tensor out = {value, info.dtype, info.dims.size()};
  table.push_back(std::move(info));
  return out;
}

Tensor Builder::ints(const Ints& values) {
  return constant(HostTensor::of_ints(DType::kI64, {static_cast<int64_t>(values.size())}, values));
}

Tensor Builder::scalar(DType dtype, double value) {
  HostTensor tensor;
  tensor.dtype = dtype;
  tensor.bytes.resize(byte_size(dtype, 1));
  if (bit_width(dtype) == 0) {
    unsupported(cat("a number of type ", name_of(dtype)));
  } else {
    tensor.set_float(0, value);
  }
  return constant(std::move(tensor));
}

Tensor Builder::integer(int64_t value, DType dtype) {
  if (dtype != DType::kI64) return scalar(dtype, static_cast<double>(value));
  return constant(HostTensor::of_ints(DType::kI64, {}, {value}));
}

Tensor Builder::cast(const Tensor& x, DType dtype) {
  if (x.dtype == dtype || dtype == DType::kUndefined) return x;
  return op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}}, dtype);
}

Tensor Builder::reshape(const Tensor& x, const std::vector<Size>& sizes) {
  size_t unknown = 0;
  bool has_zero = false;
  bool has_rest = false;
  for (const Size& size : sizes) {
    unknown += size.value != nullptr ? 1 : 0;
    has_rest = has_rest || size.is(-1);
    has_zero = has_zero || size.is(0);
  }
  if (unknown == 0 || (unknown == 1 && !has_rest && !has_zero)) {
    Ints numbers;
    for (const Size& size : sizes) numbers.push_back(size.value != nullptr ? -1 : size.number);
    return reshape(x, numbers);
  }
  return op("Reshape", {x, list(sizes)}, {{"allowzero", int64_t{has_rest ? 0 : 1}}}, {},
            sizes.size());
}

Tensor Builder::reshape(const Tensor& x, const Ints& sizes) {
  const bool has_rest = std::ranges::find(sizes, -1) != sizes.end();
  const bool has_zero = std::ranges::find(sizes, 0) != sizes.end();
  if (has_rest && has_zero) unsupported("a reshape to -1 beside a dim of 0");
  return op("Reshape", {x, ints(sizes)}, {{"allowzero", int64_t{has_zero ? 1 : 0}}}, {},
            sizes.size());
}

Tensor Builder::reshape_like(const Tensor& x, const Tensor& like) {
  return reshape(x, sizes(like));
}

Tensor Builder::permute(const Tensor& x, Ints perm) {
  const size_t rank = perm.size();
  return op("Transpose", {x}, {{"perm", std::move(perm)}}, {}, rank);
}

Tensor Builder::swap(const Tensor& x, size_t a, size_t b) {
  Ints perm;
  for (size_t i = 0; i < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
  if (a >= x.rank || b >= x.rank) {
    invalid(cat("axes ", a, " and ", b, " of a tensor of rank ", x.rank));
    return x;
  }
  std::swap(perm[a], perm[b]);
  return permute(x, std::move(perm));
}

Tensor Builder::unsqueeze(const Tensor& x, const Ints& axes) {
  const size_t rank = x.rank + axes.size();
  return op("Unsqueeze", {x, ints(axes)}, {}, {}, rank);
}

Tensor Builder::squeeze(const Tensor& x, const Ints& axes) {
  const size_t rank = x.rank - std::min(x.rank, axes.size());
  return op("Squeeze", {x, ints(axes)}, {}, {}, rank);
}

Tensor Builder::slice(const Tensor& x, size_t axis, Size start, Size end, int64_t step) {
  return op("Slice", {x, list(start), list(end), ints({static_cast<int64_t>(axis)}), ints({step})},
            {}, {}, x.rank);
}

Tensor Builder::select(const Tensor& x, size_t axis, Size index) {
  return op("Gather", {x, scalar_of(index)}, {{"axis", static_cast<int64_t>(axis)}}, {},
            x.rank - std::min<size_t>(x.rank, 1));
}

Tensor Builder::expand(const Tensor& x, const std::vector<Size>& sizes) {
  return op("Expand", {x, list(sizes)}, {}, {}, sizes.size());
}

Tensor Builder::expand_like(const Tensor& x, const Tensor& like) {
  return op("Expand", {x, shape_of(like)}, {}, {}, like.rank);
}

Tensor Builder::concat(const std::vector<Tensor>& parts, size_t axis) {
  if (parts.empty()) {
    invalid("a concatenation of nothing");
    return scalar(DType::kF32, 0);
  }
  return ops("Concat", parts, 1, {{"axis", static_cast<int64_t>(axis)}}, parts[0].dtype,
             parts[0].rank)[0];
}

Tensor Builder::reduce(std::string_view name, const Tensor& x, const Ints& axes, bool keep) {
  Ints all = axes;
  if (all.empty()) {
    for (size_t i = 0; i < x.rank; ++i) all.push_back(static_cast<int64_t>(i));
  }
  const size_t rank = keep ? x.rank : x.rank - std::min(x.rank, all.size());
  if (all.empty()) return x;
  return op(name, {x, ints(all)}, {{"keepdims", int64_t{keep}}}, {}, rank);
}

Tensor Builder::full(const std::vector<Size>& sizes, const Tensor& value) {
  return expand(value, sizes);
}

Tensor Builder::shape_of(const Tensor& x) { return list(sizes(x)); }

Tensor Builder::range(const Size& n) {
  return op("Range", {integer(0), scalar_of(n), integer(1)}, {}, DType::kI64, 1);
}

Size Builder::size(const Tensor& x, size_t axis) {
  if (const auto known = x.extent(axis)) return {.number = *known};
  const auto at = static_cast<int64_t>(axis);
  return {.value = op("Shape", {x}, {{"start", at}, {"end", at + 1}}, DType::kI64, 1).value};
}

std::vector<Size> Builder::sizes(const Tensor& x) {
  std::vector<Size> out;
  for (size_t i = 0; i < x.rank; ++i) out.push_back(size(x, i));
  return out;
}

Tensor Builder::list(const Size& size) {
  if (size.value == nullptr) return ints({size.number});
  return {size.value, DType::kI64, 1};
}

Tensor Builder::scalar_of(const Size& size, DType dtype) {
  if (size.value == nullptr) return integer(size.number, dtype);
  return cast(op("Squeeze", {list(size), ints({0})}, {}, DType::kI64, 0), dtype);
}

Tensor Builder::list(const std::vector<Size>& sizes) {
  Ints numbers;
  std::vector<Tensor> parts;
  for (const Size& size : sizes) {
    if (size.value == nullptr) {
      numbers.push_back(size.number);
      continue;
    }
    if (!numbers.empty()) parts.push_back(ints(numbers));
    numbers.clear();
    parts.push_back(list(size));
  }
  if (parts.empty()) return ints(numbers);
  if (!numbers.empty()) parts.push_back(ints(numbers));
  return parts.size() == 1 ? parts[0] : concat(parts, 0);
}

Size Builder::arithmetic(std::string_view name, const Size& a, const Size& b) {
  if (a.value == nullptr && b.value == nullptr) {
    int64_t result = 0;
    bool overflow = false;
    if (name == "Add") overflow = __builtin_add_overflow(a.number, b.number, &result);
    if (name == "Sub") overflow = __builtin_sub_overflow(a.number, b.number, &result);
    if (name == "Mul") overflow = __builtin_mul_overflow(a.number, b.number, &result);
    if (name == "Max") result = std::max(a.number, b.number);
    if (name == "Min") result = std::min(a.number, b.number);
    if (name == "Div" || name == "Mod") {
      if (b.number == 0 || b.number == -1) {
        overflow = true;
      } else {
        // As Python does, toward minus infinity.
        const int64_t rest = a.number % b.number;
        const bool adjust = rest != 0 && (rest < 0) != (b.number < 0);
        result =
            name == "Div" ? a.number / b.number - (adjust ? 1 : 0) : rest + (adjust ? b.number : 0);
      }
    }
    if (overflow) invalid(cat(name, " of the sizes ", a.number, " and ", b.number));
    return {.number = result};
  }
  if (name == "Div") {
    // Ours rounds toward zero.
    const Size rest = arithmetic("Mod", a, b);
    return {.value = op("Div", {op("Sub", {list(a), list(rest)}), list(b)}).value};
  }
  return {.value = op(name, {list(a), list(b)}).value};
}

Tensor Builder::binary(std::string_view name, const Tensor& x, const Tensor& y, DType dtype) {
  return op(name, {cast(x, dtype), cast(y, dtype)}, {}, dtype);
}

}  // namespace quern::emit
