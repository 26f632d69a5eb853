#include "import/tensorflow/emitter.h"

#include <algorithm>

namespace quern::tensorflow {
namespace {

/// Elements of a list whose contents are followed.
constexpr size_t kMostContents = 4096;

}  // namespace

Result<void> Emitter::located() const {
  auto result = status();
  if (result) return {};
  Error error = std::move(result).error();
  if (where_.empty() || error.message.starts_with("node "))
    return std::unexpected(std::move(error));
  return std::unexpected(std::move(error).in(where_));
}

void Emitter::adopt(const Emitter& body) {
  const auto result = body.located();
  if (!result) fail(result.error().code, result.error().message);
}

Dim Emitter::unknown() { return Dim::symbol(cat("?tf", shared.unknowns++), INT32_MIN); }

Shape Emitter::shape(const Tensor& x) {
  if (x.value != nullptr && x.value->type.shape && x.value->type.shape->size() == x.rank) {
    return *x.value->type.shape;
  }
  Shape out;
  if (x.rank == kUnknownRank) return out;
  for (size_t i = 0; i < x.rank; ++i) out.push_back(unknown());
  return out;
}

Tensor Emitter::shaped(Tensor x, Shape shape) {
  x.rank = shape.size();
  if (x.value != nullptr && !failed()) x.value->type.shape = std::move(shape);
  return x;
}

Tensor Emitter::holding(Tensor x, std::vector<Dim> contents) {
  if (x.value != nullptr && !x.value->is_constant() && contents.size() <= kMostContents) {
    x.value->contents = std::move(contents);
  }
  return x;
}

std::optional<std::vector<Dim>> Emitter::contents(const Tensor& x) {
  if (x.value == nullptr) return {};
  if (x.value->contents) return x.value->contents;
  const ConstantPtr& constant = x.value->constant;
  if (!constant || !constant->is_inline()) return {};
  if (!is_integer(constant->dtype) && constant->dtype != DType::kBool) return {};
  const int64_t count = constant->host.count();
  if (count < 0 || static_cast<size_t>(count) > kMostContents) return {};
  std::vector<Dim> out;
  for (int64_t i = 0; i < count; ++i) out.emplace_back(constant->host.int_at(i));
  return out;
}

std::optional<Ints> Emitter::known_ints(const Tensor& x) {
  const auto held = contents(x);
  if (!held) return {};
  Ints out;
  for (const Dim& dim : *held) {
    const auto number = dim.constant();
    if (!number) return {};
    out.push_back(*number);
  }
  return out;
}

Tensor Emitter::unary(std::string_view name, const Tensor& x, Attributes attributes,
                      std::optional<DType> dtype) {
  const Tensor y = op(name, {x}, attributes, dtype);
  if (y.rank == kUnknownRank) return y;
  return shaped(y, shape(x));
}

Tensor Emitter::binary(std::string_view name, const Tensor& x, const Tensor& y,
                       std::optional<DType> dtype) {
  const Tensor out = op(name, {x, y}, {}, dtype);
  if (out.rank == kUnknownRank) return out;
  const auto dims = broadcast_shapes(shape(x), shape(y));
  if (!dims) {
    invalid(dims.error().message);
    return out;
  }
  return shaped(out, *dims);
}

Tensor Emitter::where(const Tensor& condition, const Tensor& x, const Tensor& y) {
  const Tensor out = op("Where", {condition, x, y}, {}, x.dtype);
  if (out.rank == kUnknownRank) return out;
  auto dims = broadcast_shapes(shape(x), shape(y));
  if (dims) dims = broadcast_shapes(*dims, shape(condition));
  if (!dims) {
    invalid(dims.error().message);
    return out;
  }
  return shaped(out, *dims);
}

Tensor Emitter::cast(const Tensor& x, DType dtype) {
  if (x.dtype == dtype || dtype == DType::kUndefined) return x;
  const Tensor y = unary("Cast", x, {{"to", static_cast<int64_t>(dtype)}}, dtype);
  const bool keeps = dtype == DType::kI32 || dtype == DType::kI64;
  if (const auto held = contents(x); held && keeps) return holding(y, *held);
  return y;
}

Tensor Emitter::permute(const Tensor& x, Ints perm) {
  const Shape dims = shape(x);
  Shape out;
  bool identity = true;
  for (size_t i = 0; i < perm.size(); ++i) {
    const auto from = static_cast<size_t>(perm[i]);
    if (from >= dims.size() || perm.size() != x.rank) {
      invalid(cat("a permutation of ", perm.size(), " axes of a tensor of rank ", x.rank));
      return x;
    }
    identity = identity && from == i;
    out.push_back(dims[from]);
  }
  if (identity) return x;
  return shaped(Builder::permute(x, std::move(perm)), std::move(out));
}

Tensor Emitter::unsqueeze(const Tensor& x, Ints axes) {
  Shape dims = shape(x);
  for (const int64_t axis : axes) {
    if (axis < 0 || axis > static_cast<int64_t>(dims.size())) {
      invalid(cat("axis ", axis, " of a tensor of rank ", x.rank));
      return x;
    }
    dims.insert(dims.begin() + static_cast<ptrdiff_t>(axis), Dim(1));
  }
  const Tensor y = shaped(Builder::unsqueeze(x, std::move(axes)), std::move(dims));
  if (const auto held = contents(x)) return holding(y, *held);
  return y;
}

Tensor Emitter::squeeze(const Tensor& x, Ints axes) {
  const Shape dims = shape(x);
  Shape out;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (std::ranges::find(axes, static_cast<int64_t>(i)) == axes.end()) out.push_back(dims[i]);
  }
  const Tensor y = shaped(Builder::squeeze(x, std::move(axes)), std::move(out));
  if (const auto held = contents(x)) return holding(y, *held);
  return y;
}

Tensor Emitter::reduce(std::string_view name, const Tensor& x, Ints axes, bool keep) {
  const Shape dims = shape(x);
  Shape out;
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool reduced =
        axes.empty() || std::ranges::find(axes, static_cast<int64_t>(i)) != axes.end();
    if (!reduced) out.push_back(dims[i]);
    if (reduced && keep) out.emplace_back(1);
  }
  if (x.rank == kUnknownRank) {
    return op(name, {x}, {{"keepdims", int64_t{keep}}}, {}, keep ? kUnknownRank : 0);
  }
  return shaped(Builder::reduce(name, x, axes, keep), std::move(out));
}

Tensor Emitter::concat(std::vector<Tensor> parts, size_t axis) {
  if (parts.empty()) {
    invalid("a concatenation of nothing");
    return {};
  }
  if (parts.size() == 1) return parts[0];
  Shape dims = shape(parts[0]);
  if (axis >= dims.size()) {
    invalid(cat("axis ", axis, " of tensors of rank ", parts[0].rank));
    return parts[0];
  }
  std::optional<std::vector<Dim>> held = contents(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    const Shape other = shape(parts[i]);
    if (other.size() != dims.size()) {
      invalid(cat("a concatenation of tensors of ranks ", dims.size(), " and ", other.size()));
      return parts[0];
    }
    for (size_t a = 0; a < dims.size(); ++a) {
      if (a == axis) {
        dims[a] = dims[a] + other[a];
      } else if (!dims[a].is_const() && other[a].is_const()) {
        dims[a] = other[a];
      }
    }
    const auto more = contents(parts[i]);
    if (held && more && dims.size() == 1) {
      held->insert(held->end(), more->begin(), more->end());
    } else {
      held.reset();
    }
  }
  const Tensor y = shaped(Builder::concat(parts, axis), std::move(dims));
  return held && y.rank == 1 ? holding(y, *held) : y;
}

Tensor Emitter::reshape_to(const Tensor& x, const Tensor& list) {
  const auto held = contents(list);
  const auto count = list.extent(0);
  if (!held && !count) {
    unsupported("a reshape to a list of sizes whose length is not known");
    return x;
  }
  const size_t rank = held ? held->size() : static_cast<size_t>(std::max<int64_t>(*count, 0));
  if (const auto numbers = known_ints(list)) return reshape_ints(x, *numbers);
  const Tensor y = op("Reshape", {x, as_i64(list)}, {{"allowzero", int64_t{0}}}, {}, rank);
  if (!held) return y;
  Shape dims;
  for (const Dim& dim : *held) {
    dims.push_back(dim.is_const() && dim.value() < 0 ? unknown() : dim);
  }
  return shaped(y, std::move(dims));
}

Tensor Emitter::reshape_ints(const Tensor& x, const Ints& sizes) {
  Shape dims;
  Dim rest = x.rank == kUnknownRank ? unknown() : element_count(shape(x));
  for (const int64_t size : sizes) {
    if (size > 0) rest = floor_div(rest, size);
    dims.emplace_back(size);
  }
  for (Dim& dim : dims) {
    if (dim.value() < 0) dim = rest;
  }
  return shaped(Builder::reshape(x, sizes), std::move(dims));
}

Tensor Emitter::dims_of(const Tensor& x) {
  const Tensor y = op("Shape", {x}, {}, DType::kI64, 1);
  if (x.rank == kUnknownRank) return y;
  const Shape dims = shape(x);
  return holding(shaped(y, {static_cast<int64_t>(x.rank)}), dims);
}

Tensor Emitter::list_of(Tensor x, DType dtype, std::optional<Shape> element) {
  x.dtype = dtype;
  x.rank = kUnknownRank;
  if (x.value != nullptr) {
    x.value->type = Type::container(Type::Kind::kSequence, Type::tensor(dtype, std::move(element)));
  }
  return x;
}

std::optional<Shape> Emitter::element_of(const Tensor& list) {
  if (list.value == nullptr || !list.value->type.element) return {};
  return list.value->type.element->shape;
}

Tensor Emitter::pick(const Tensor& list, const Ints& indices) {
  const Tensor y = op("Gather", {list, ints(indices)}, {{"axis", int64_t{0}}}, list.dtype, 1);
  Tensor out = shaped(y, {static_cast<int64_t>(indices.size())});
  if (const auto held = contents(list)) {
    std::vector<Dim> picked;
    for (const int64_t index : indices) {
      if (index >= 0 && static_cast<size_t>(index) < held->size()) {
        picked.push_back((*held)[static_cast<size_t>(index)]);
      }
    }
    if (picked.size() == indices.size()) return holding(out, std::move(picked));
  }
  return out;
}

}  // namespace quern::tensorflow
