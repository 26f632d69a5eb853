#include "ir/op_context.h"

#include <algorithm>
#include <bit>

namespace quern {

InferContext::InferContext(const Node& node, std::vector<Input> inputs)
    : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {}

const Shape* InferContext::shape(size_t i) const {
  if (!has_input(i)) return nullptr;
  const std::optional<Shape>& shape = inputs_[i].type.shape;
  return shape ? &*shape : nullptr;
}

std::optional<std::vector<Dim>> InferContext::contents(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  const Input& input = inputs_[i];
  if (input.host != nullptr) {
    const std::optional<std::vector<int64_t>> values = numbers(i);
    if (!values) return std::nullopt;
    return std::vector<Dim>(values->begin(), values->end());
  }
  if (input.contents == nullptr || input.contents->size() > size_t{kMaxContents}) {
    return std::nullopt;
  }
  return *input.contents;
}

std::optional<std::vector<int64_t>> InferContext::numbers(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  const Input& input = inputs_[i];
  std::vector<int64_t> values;
  if (input.host != nullptr) {
    const DType dtype = input.host->dtype;
    const int64_t count = input.host->count();
    if ((!is_integer(dtype) && dtype != DType::kBool) || count > kMaxContents) return std::nullopt;
    for (int64_t k = 0; k < count; ++k) values.push_back(input.host->int_at(k));
    return values;
  }
  if (input.contents == nullptr || input.contents->size() > size_t{kMaxContents}) {
    return std::nullopt;
  }
  for (const Dim& dim : *input.contents) {
    if (!dim.is_const()) return std::nullopt;
    values.push_back(dim.value());
  }
  return values;
}

void InferContext::set(size_t output, DType dtype, std::optional<Shape> shape) {
  set(output, Type::tensor(dtype, std::move(shape)));
}

void InferContext::set(size_t output, Type type) {
  if (output < outputs_.size()) outputs_[output].type = std::move(type);
}

void InferContext::set_contents(size_t output, std::vector<Dim> contents) {
  if (output >= outputs_.size() || contents.size() > size_t{kMaxContents}) return;
  outputs_[output].contents = std::move(contents);
}

Dim InferContext::fresh_dim(size_t output, size_t axis, int64_t lower, int64_t upper) const {
  return Dim::symbol(cat("_", node_.id, "_", output, "_", axis), lower, upper);
}

std::unexpected<Error> InferContext::error(std::string_view message) const {
  return invalid_model(cat(node_.describe(), ": ", message));
}

Result<void> InferContext::expect_rank(size_t i, size_t rank) const {
  const Shape* s = shape(i);
  if (s != nullptr && s->size() != rank) {
    return error(cat("input ", i, " has shape ", *s, ", expected rank ", rank));
  }
  return {};
}

Result<size_t> InferContext::axis(int64_t axis, size_t rank) const {
  const auto r = static_cast<int64_t>(rank);
  if (axis < -r || axis >= r) {
    return error(cat("axis ", axis, " is out of range for rank ", rank));
  }
  return static_cast<size_t>(axis < 0 ? axis + r : axis);
}

std::vector<int64_t> OpContext::ints(size_t i) const {
  std::vector<int64_t> values;
  const HostTensor* tensor = host(i);
  if (tensor == nullptr || tensor->dtype == DType::kString) return values;
  const int64_t count = tensor->count();
  values.reserve(static_cast<size_t>(count));
  for (int64_t k = 0; k < count; ++k) values.push_back(tensor->int_at(k));
  return values;
}

std::unexpected<Error> OpContext::error(std::string_view message) const {
  return invalid_model(cat(node().describe(), ": ", message));
}

Result<Expr> ExprContext::load_broadcast(size_t i) {
  const TensorInfo& in = input(i);
  const TensorInfo& out = output(0);
  const size_t rank = index_.size();
  if (in.rank() > rank || out.rank() != rank) {
    return error(cat("input ", i, " of shape ", in.dims, " does not broadcast to ", out.dims));
  }
  std::vector<Expr> at;
  for (size_t a = 0; a < in.rank(); ++a) {
    const size_t to = rank - in.rank() + a;
    const int64_t extent = in.dims[a];
    if (extent != 1 && extent != out.dims[to]) {
      return error(cat("input ", i, " of shape ", in.dims, " does not broadcast to ", out.dims));
    }
    if (in.is_baked(a)) {
      at.push_back(extent == 1 ? b.i32(0) : index(to));
    } else if (in.is_aligned(a) || (out.is_baked(to) && out.dims[to] == 1)) {
      at.push_back(index(to));
    } else {  // whether it broadcasts differs from binding to binding
      at.push_back(b.mul(index(to), derived(extent == 1 ? 0 : 1, false)));
    }
  }
  return load(i, at);
}

Expr ExprContext::host_int(size_t input, int64_t i, Scalar type) {
  const HostTensor* tensor = host(input);
  const int64_t value = tensor != nullptr && i >= 0 && i < tensor->count() ? tensor->int_at(i) : 0;
  return derived(value, input < 64 && (frame_.host_baked >> input & 1) != 0, type);
}

Expr ExprContext::derived(int64_t value, bool is_baked, Scalar type) {
  return is_baked ? b.constant_int(type, value) : b.param(type, value);
}

Expr ExprContext::derived_float(float value, bool is_baked) {
  if (is_baked) return b.constant(Scalar::kF32, static_cast<double>(value));
  return b.param(Scalar::kF32, std::bit_cast<uint32_t>(value));
}

bool ExprContext::all_baked() const {
  const auto baked = [](const TensorInfo& t) {
    for (size_t a = 0; a < t.rank(); ++a) {
      if (!t.is_baked(a)) return false;
    }
    return true;
  };
  for (size_t i = 0; i < frame_.host.size(); ++i) {
    if (frame_.host[i] != nullptr && (i >= 64 || (frame_.host_baked >> i & 1) == 0)) return false;
  }
  const auto all = [&](const std::vector<TensorInfo>& tensors) {
    return std::all_of(tensors.begin(), tensors.end(),
                       [&](const TensorInfo& t) { return !t.present || baked(t); });
  };
  return all(frame_.inputs) && all(frame_.outputs);
}

}  // namespace quern
