#include "import/tflite/call.h"

#include <algorithm>
#include <cmath>

namespace quern::tflite {

using emit::Builder;

namespace {

/// The stored number that stands for 0.
int64_t zero_of(const Quantization& q, size_t i) {
  return i < q.zero_point.size() ? q.zero_point[i] : 0;
}

HostTensor scales_of(const Quantization& q) {
  HostTensor out = HostTensor::of_floats({static_cast<int64_t>(q.scale.size())}, q.scale);
  if (q.scale.size() == 1) out.dims.clear();
  return out;
}

HostTensor zeros_of(const Quantization& q, DType dtype) {
  Ints values;
  for (size_t i = 0; i < q.scale.size(); ++i) values.push_back(zero_of(q, i));
  Dims dims;
  if (values.size() != 1) dims.push_back(static_cast<int64_t>(values.size()));
  return HostTensor::of_ints(dtype, std::move(dims), values);
}

bool has_zeros(const Quantization& q) {
  return std::ranges::any_of(q.zero_point, [](int64_t zero) { return zero != 0; });
}

}  // namespace

Tensor dequantize(Builder& b, const Tensor& x, const Quantization& q, const Ints& perm) {
  int64_t axis = q.axis;
  if (axis < 0) axis += static_cast<int64_t>(x.rank);
  if (!perm.empty()) axis = std::ranges::find(perm, axis) - perm.begin();
  if (q.scale.size() > 1 && (axis < 0 || axis >= static_cast<int64_t>(x.rank))) {
    b.invalid(cat("a quantised axis of ", q.axis, " in a tensor of rank ", x.rank));
    return x;
  }
  const Tensor scale = b.constant(scales_of(q));
  if (x.dtype == DType::kI64) {
    // Biases of int16 models: no zero points.
    Tensor shaped = scale;
    if (q.scale.size() > 1) {
      Ints dims(x.rank, 1);
      dims[static_cast<size_t>(axis)] = static_cast<int64_t>(q.scale.size());
      shaped = b.reshape(scale, dims);
    }
    return b.op("Mul", {b.cast(x, DType::kF32), shaped});
  }
  Tensor zero;
  if (x.dtype != DType::kI32) zero = b.constant(zeros_of(q, x.dtype));
  if (x.dtype == DType::kI32 && has_zeros(q)) b.unsupported("an int32 tensor with a zero point");
  return b.op("DequantizeLinear", {x, scale, zero},
              {{"axis", q.scale.size() > 1 ? axis : int64_t{1}}}, DType::kF32, x.rank);
}

Tensor quantize(Builder& b, const Tensor& x, const Quantization& q, DType dtype) {
  if (dtype == DType::kI32 || dtype == DType::kI64) {
    const Tensor scaled = b.op("Div", {x, b.constant(scales_of(q))});
    return b.cast(b.op("Round", {scaled}), dtype);
  }
  int64_t axis = q.axis < 0 ? q.axis + static_cast<int64_t>(x.rank) : q.axis;
  return b.op("QuantizeLinear",
              {b.cast(x, DType::kF32), b.constant(scales_of(q)), b.constant(zeros_of(q, dtype))},
              {{"axis", q.scale.size() > 1 ? axis : int64_t{1}}}, dtype, x.rank);
}

const TensorInfo* Scope::find(int32_t index) const {
  if (index < 0 || static_cast<size_t>(index) >= info.tensors.size()) return nullptr;
  return &info.tensors[static_cast<size_t>(index)];
}

Tensor Scope::failed(std::string_view name, std::string_view why, bool is_known) {
  b.fail(is_known ? ErrorCode::kUnsupported : ErrorCode::kInvalidModel,
         cat("tensor '", name, "': ", why));
  return b.scalar(DType::kF32, 0);
}

Tensor Scope::get(int32_t index) {
  const TensorInfo* tensor = find(index);
  if (tensor == nullptr) return failed(cat(index), "there is no such tensor");
  Tensor& value = values_[static_cast<size_t>(index)];
  if (!value && tensor->is_variable) value = variable(index).now;
  if (!value) value = constant(*tensor);
  return value;
}

void Scope::set(int32_t index, const Tensor& value) {
  if (find(index) == nullptr) return b.invalid(cat("there is no tensor ", index));
  values_[static_cast<size_t>(index)] = value;
  real_.erase(index);
}

Tensor Scope::real(int32_t index) {
  const Tensor stored = get(index);
  const TensorInfo* tensor = find(index);
  const bool is_stored_so = !is_float(stored.dtype) && stored.dtype != DType::kBool;
  if (tensor == nullptr || !tensor->is_quantized() || !is_stored_so) return stored;
  const auto [entry, is_new] = real_.try_emplace(index);
  if (is_new) entry->second = dequantize(b, stored, tensor->quantization);
  return entry->second;
}

Variable& Scope::variable(int32_t index) {
  const TensorInfo& tensor = *find(index);
  const auto [entry, is_new] = context.variables.try_emplace(tensor.name);
  if (is_new) {
    Dims dims(tensor.shape.begin(), tensor.shape.end());
    auto zeros = HostTensor::zeros(dtype_of(tensor.type), std::move(dims),
                                   std::min<uint64_t>(context.options.memory_limit, 1 << 26));
    if (!zeros) {
      entry->second.now = failed(tensor.name, zeros.error().message);
    } else {
      if (tensor.is_quantized() && is_integer(zeros->dtype)) {
        for (int64_t i = 0; i < zeros->count(); ++i) {
          zeros->set_int(i, zero_of(tensor.quantization, 0));
        }
      }
      entry->second.now = b.constant(*std::move(zeros));
      entry->second.initial = entry->second.now.value;
      entry->second.initial->name = tensor.name;
    }
  }
  return entry->second;
}

Tensor Scope::constant(const TensorInfo& tensor) {
  const DType dtype = dtype_of(tensor.type);
  const Dims dims(tensor.shape.begin(), tensor.shape.end());
  if (tensor.buffer == 0 || tensor.buffer >= context.file.buffers.size()) {
    return failed(tensor.name, "it is read before it is computed");
  }
  const BufferInfo& buffer = context.file.buffers[tensor.buffer];
  if (dtype == DType::kUndefined || bit_width(dtype) == 0) {
    return failed(tensor.name, cat("type ", type_name(tensor.type)), true);
  }
  if (std::ranges::any_of(dims, [](int64_t dim) { return dim < 0; })) {
    return failed(tensor.name, "a negative dim");
  }
  const auto count = element_count(dims);
  if (!count) return failed(tensor.name, "its size overflows");
  const uint64_t size = byte_size(dtype, *count);
  if (buffer.size == 0 && size > 0) {
    return failed(tensor.name, "it is read before it is computed");
  }
  if (!tensor.sparsity && buffer.size < size) {
    return failed(tensor.name, cat("it takes ", size, " bytes, its buffer has ", buffer.size));
  }
  if (!tensor.sparsity && buffer.size >= context.options.inline_below && dtype != DType::kBool) {
    auto weight = std::make_shared<Constant>();
    weight->dtype = dtype;
    weight->dims = dims;
    weight->weight = static_cast<uint32_t>(context.weights.size());
    context.weights.push_back({tensor.name, dtype, dims, size, "", buffer.offset});
    Value* value = b.graph().add_constant(tensor.name, std::move(weight));
    value->type = Type::tensor(dtype, Shape(dims.begin(), dims.end()));
    return {value, dtype, dims.size()};
  }
  HostTensor host;
  host.dtype = dtype;
  host.dims = dims;
  host.bytes = context.parts.bytes(buffer.offset, buffer.size);
  if (host.bytes.size() != buffer.size) {
    return failed(tensor.name, context.parts.failure().value_or("its contents were not read"),
                  true);
  }
  if (tensor.sparsity) {
    if (!context.parts.charge(size)) return failed(tensor.name, *context.parts.failure(), true);
    auto dense = densify(tensor, host.bytes, static_cast<size_t>(bit_width(dtype)) / 8,
                         context.options.memory_limit);
    if (!dense) return failed(tensor.name, dense.error().message);
    host.bytes = *std::move(dense);
  }
  host.bytes.resize(size);
  if (dtype == DType::kBool) {
    for (uint8_t& byte : host.bytes) byte = byte != 0;
  }
  const Tensor out = b.constant(std::move(host));
  out.value->name = tensor.name;
  return out;
}

Call::Call(Scope& in, const OperatorInfo& info, size_t number)
    : scope(in), b(in.b), op(info), number_(number) {}

std::string Call::name() const {
  const TensorInfo* out = out_info();
  return out == nullptr || out->name.empty() ? cat("operator_", number_) : out->name;
}

void Call::unsupported(std::string_view what) { b.unsupported(std::string(what)); }
void Call::invalid(std::string_view what) { b.invalid(std::string(what)); }

bool Call::has(size_t i) const { return i < op.inputs.size() && op.inputs[i] >= 0; }

const TensorInfo* Call::in_info(size_t i) const {
  return i < op.inputs.size() ? scope.find(op.inputs[i]) : nullptr;
}
const TensorInfo* Call::out_info(size_t i) const {
  return i < op.outputs.size() ? scope.find(op.outputs[i]) : nullptr;
}
DType Call::out_dtype(size_t i) const {
  const TensorInfo* info = out_info(i);
  return info == nullptr ? DType::kUndefined : dtype_of(info->type);
}

Tensor Call::raw(size_t i) {
  if (!has(i)) {
    invalid(cat("it has ", inputs(), " inputs, input ", i, " is needed"));
    return b.scalar(DType::kF32, 0);
  }
  return scope.get(op.inputs[i]);
}

Tensor Call::input(size_t i) { return has(i) ? scope.real(op.inputs[i]) : raw(i); }

Tensor Call::optional(size_t i) { return has(i) ? input(i) : Tensor(); }

Tensor Call::moved(size_t i) {
  const TensorInfo* from = in_info(i);
  const TensorInfo* to = out_info();
  const bool alike = from != nullptr && to != nullptr && from->type == to->type &&
                     from->quantization.scale == to->quantization.scale &&
                     from->quantization.scale.size() <= 1 &&
                     from->quantization.zero_point == to->quantization.zero_point;
  return alike || from == nullptr || !from->is_quantized() ? raw(i) : input(i);
}

Tensor Call::transposed(size_t i, const Ints& perm) {
  const Tensor x = raw(i);
  const TensorInfo* info = in_info(i);
  if (failed()) return x;
  if (x.rank != perm.size()) {
    invalid(cat("weights of rank ", x.rank, ", expected ", perm.size()));
    return x;
  }
  const bool is_stored = info != nullptr && info->is_quantized() && !is_float(x.dtype);
  if (is_stored && bit_width(x.dtype) < 8) return b.permute(input(i), perm);
  const Tensor turned = std::ranges::is_sorted(perm) ? x : b.permute(x, perm);
  return is_stored ? dequantize(b, turned, info->quantization, perm) : turned;
}

std::optional<Ints> Call::numbers(size_t i) {
  const Tensor x = raw(i);
  if (failed() || !x.value->is_constant() || !x.value->constant->is_inline()) return std::nullopt;
  if (is_float(x.dtype)) return std::nullopt;
  const HostTensor& host = x.value->constant->host;
  Ints out;
  for (int64_t k = 0; k < host.count(); ++k) out.push_back(host.int_at(k));
  return out;
}

Ints Call::known(size_t i, std::string_view what) {
  auto found = numbers(i);
  if (!found) {
    unsupported(cat(what, " that are computed"));
    return {};
  }
  return *std::move(found);
}

Tensor Call::list(size_t i) {
  if (const auto known_ints = numbers(i)) return b.ints(*known_ints);
  const Tensor x = b.cast(raw(i), DType::kI64);
  return x.rank == 1 ? x : b.reshape(x, Ints{-1});
}

std::vector<Size> Call::sizes(size_t i) {
  std::vector<Size> out;
  if (const auto known_ints = numbers(i)) {
    for (const int64_t number : *known_ints) out.push_back(b.number(number));
    return out;
  }
  const Tensor x = list(i);
  const TensorInfo* info = in_info(i);
  if (failed()) return out;
  if (info == nullptr || info->shape.size() != 1 || info->shape[0] < 0 || info->shape[0] > 64) {
    unsupported("a list of unknown length");
    return out;
  }
  for (int64_t k = 0; k < info->shape[0]; ++k) {
    out.push_back({.value = b.slice(x, 0, b.number(k), b.number(k + 1)).value});
  }
  return out;
}

Size Call::size(size_t i) {
  if (const auto known_ints = numbers(i)) {
    if (known_ints->size() == 1) return b.number((*known_ints)[0]);
    invalid(cat(known_ints->size(), " numbers, expected one"));
    return b.number(1);
  }
  return {.value = b.reshape(b.cast(raw(i), DType::kI64), Ints{1}).value};
}

size_t Call::axis_of(int64_t axis, size_t rank) {
  const auto n = static_cast<int64_t>(std::max<size_t>(rank, 1));
  if (axis < -n || axis >= n) {
    invalid(cat("axis ", axis, " of a tensor of rank ", rank));
    return 0;
  }
  return static_cast<size_t>(axis < 0 ? axis + n : axis);
}

size_t Call::axis(size_t i, size_t rank) {
  const Ints list = known(i, "axes");
  if (failed()) return 0;
  if (list.size() != 1) {
    invalid(cat(list.size(), " axes, expected one"));
    return 0;
  }
  return axis_of(list[0], rank);
}

bool Call::is_complex(const Tensor& x) const { return scope.context.complex.contains(x.value); }

Tensor Call::activate(const Tensor& x, int activation) {
  const auto clip = [&](double low, double high) {
    return b.op("Clip", {x, b.scalar(x.dtype, low), b.scalar(x.dtype, high)});
  };
  switch (activation) {
    case 0:
      return x;
    case 1:
      return is_float(x.dtype) ? b.op("Relu", {x}) : b.op("Max", {x, b.scalar(x.dtype, 0)});
    case 2:
      return clip(-1, 1);
    case 3:
      return clip(0, 6);
    case 4:
      return b.op("Tanh", {x});
    default:
      unsupported(cat("the fused activation ", activation));
      return x;
  }
}

void Call::set(const Tensor& y, size_t i) {
  const TensorInfo* info = out_info(i);
  if (failed() || info == nullptr) return;
  const DType dtype = dtype_of(info->type);
  if (dtype == DType::kUndefined) {
    return unsupported(cat("tensor '", info->name, "' of type ", type_name(info->type)));
  }
  if (info->is_quantized() && is_float(y.dtype) && !is_float(dtype)) {
    if (info->quantization.scale.size() > 1) {
      return unsupported(cat("the result '", info->name, "' is quantised per channel"));
    }
    return publish(quantize(b, y, info->quantization, dtype), i);
  }
  publish(b.cast(y, dtype), i);
}

void Call::set_complex(const Tensor& y, size_t i) {
  if (failed() || out_info(i) == nullptr) return;
  scope.context.complex.insert(y.value);
  publish(y, i);
}

void Call::publish(Tensor y, size_t i) {
  const TensorInfo& info = *out_info(i);
  if (y.value->producer != nullptr) {
    if (y.value->name.empty()) y.value->name = info.name;
    const std::vector<int32_t>& dims = info.signature.empty() ? info.shape : info.signature;
    const bool holds = scope.context.is_static || !info.signature.empty();
    const bool is_known = std::ranges::all_of(dims, [](int32_t dim) { return dim >= 0; });
    if (holds && is_known && dims.size() == y.rank && !y.value->type.shape && !is_complex(y)) {
      y.value->type.shape = Shape(dims.begin(), dims.end());
    }
  }
  scope.set(op.outputs[i], y);
}

void Call::update(size_t i, const Tensor& y) {
  const TensorInfo* info = in_info(i);
  if (failed() || info == nullptr || !info->is_variable) return;
  if (scope.context.depth > 0) return unsupported("a variable that changes in a branch or a loop");
  Tensor stored = b.cast(y, dtype_of(info->type));
  if (info->is_quantized() && is_float(y.dtype)) {
    stored = quantize(b, y, info->quantization, dtype_of(info->type));
  }
  Variable& variable = scope.variable(op.inputs[i]);
  variable.now = stored;
  variable.changed = true;
  scope.set(op.inputs[i], stored);
}

}  // namespace quern::tflite
