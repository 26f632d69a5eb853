#include "import/torch/weights.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace quern::torch {
namespace {

/// Elements of a tensor with gaps that are gathered one by one.
constexpr uint64_t kMostGathered = uint64_t{1} << 26;

struct Layout {
  Dims dims, strides;
  uint64_t offset = 0;  ///< in elements
  uint64_t end = 0;     ///< past the last element
};

Result<Layout> read_layout(const TensorMeta& meta) {
  Layout out;
  const auto dims = constant_dims(meta.sizes);
  if (!dims || meta.strides.size() != dims->size())
    return invalid_model("dims that are no numbers");
  out.dims = *dims;
  QUERN_ASSIGN(const int64_t count, element_count(out.dims));
  int64_t last = meta.storage_offset.value_or(0);
  if (last < 0) return invalid_model("a negative offset");
  out.offset = static_cast<uint64_t>(last);
  for (size_t i = 0; i < out.dims.size(); ++i) {
    const int64_t stride = meta.strides[i].value_or(-1);
    if (stride < 0) return unsupported("negative or symbolic strides");
    out.strides.push_back(stride);
    int64_t span = 0;
    if (count > 0 && (__builtin_mul_overflow(out.dims[i] - 1, stride, &span) ||
                      __builtin_add_overflow(last, span, &last))) {
      return invalid_model("strides that overflow");
    }
  }
  out.end = count == 0 ? out.offset : static_cast<uint64_t>(last) + 1;
  return out;
}

/// Axes from the largest stride to the smallest, if that order has no gaps: a transposed tensor.
std::optional<Ints> dense_order(const Layout& layout) {
  Ints order(layout.dims.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [](const Dims& list, int64_t i) { return list[static_cast<size_t>(i)]; };
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    if (at(layout.strides, a) != at(layout.strides, b)) {
      return at(layout.strides, a) > at(layout.strides, b);
    }
    if (at(layout.dims, a) != at(layout.dims, b)) return at(layout.dims, a) > at(layout.dims, b);
    return a < b;
  });
  int64_t expected = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const int64_t dim = at(layout.dims, order[i]);
    if (dim == 1) continue;
    if (at(layout.strides, order[i]) != expected) return std::nullopt;
    expected *= dim;
  }
  return order;
}

std::vector<uint8_t> gather(const Layout& layout, std::span<const uint8_t> storage, size_t width,
                            uint64_t count) {
  std::vector<uint8_t> out(count * width);
  Dims index(layout.dims.size());
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t at = layout.offset;
    for (size_t a = 0; a < index.size(); ++a) {
      at += static_cast<uint64_t>(index[a] * layout.strides[a]);
    }
    std::memcpy(out.data() + i * width, storage.data() + at * width, width);
    for (size_t a = index.size(); a-- > 0;) {
      if (++index[a] < layout.dims[a]) break;
      index[a] = 0;
    }
  }
  return out;
}

HostTensor host_tensor(DType dtype, Dims dims, std::vector<uint8_t> bytes) {
  if (dtype == DType::kBool) {
    for (uint8_t& byte : bytes) byte = byte != 0;
  }
  return {dtype, std::move(dims), std::move(bytes), {}};
}

}  // namespace

Tensor Weights::dense(std::string_view name, const Payload& payload, std::string_view key,
                      DType dtype, const Dims& dims, uint64_t offset) {
  const auto count = element_count(dims);
  const uint64_t bytes = count ? byte_size(dtype, *count) : 0;
  std::string id = cat(key, " ", offset, " ", name_of(dtype), " ", dims);
  const auto [entry, is_new] = made_.try_emplace(std::move(id));
  if (!is_new) return entry->second;
  Tensor& out = entry->second;
  if (!payload.in_file) {
    const auto from = payload.bytes.begin() + static_cast<ptrdiff_t>(offset);
    out = b_.constant(host_tensor(dtype, dims, {from, from + static_cast<ptrdiff_t>(bytes)}));
  } else {
    out = b_.weight({std::string(name), dtype, dims, bytes, "", payload.offset + offset}, table_);
  }
  out.value->name = name;
  return out;
}

Tensor Weights::load(std::string_view name) {
  const auto nothing = [&](ErrorCode code, std::string_view why) {
    b_.fail(code, cat("tensor '", name, "': ", why));
    return b_.scalar(DType::kF32, 0);
  };
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    return nothing(ErrorCode::kInvalidModel, "the archive has no contents for it");
  }
  const StoredTensor& stored = found->second;
  const auto storage = payloads.find(stored.payload);
  if (storage == payloads.end()) {
    return nothing(ErrorCode::kInvalidModel, cat("there is no entry '", stored.payload, "'"));
  }
  const Payload& payload = storage->second;
  auto read = read_layout(stored.meta);
  if (!read) return nothing(read.error().code, read.error().message);
  Layout layout = *std::move(read);
  const DType dtype = stored.meta.dtype;
  const auto width = static_cast<uint64_t>(bit_width(dtype)) / 8;
  const int64_t count = *element_count(layout.dims);
  if (count > 0 && layout.end > payload.size / width) {
    return nothing(ErrorCode::kInvalidModel,
                   cat("it needs ", layout.end, " elements of ", width, " bytes, its storage '",
                       stored.payload, "' has ", payload.size, " bytes"));
  }
  if (count == 0) return b_.constant(host_tensor(dtype, layout.dims, {}));
  // Axes of stride 0 repeat one element.
  Dims once = layout.dims;
  for (size_t i = 0; i < once.size(); ++i) {
    if (layout.strides[i] == 0) once[i] = 1;
  }
  const bool repeats = once != layout.dims;
  const Dims whole = layout.dims;
  layout.dims = once;
  Tensor out;
  if (const auto order = dense_order(layout)) {
    Dims dims;
    Ints perm(order->size());
    for (size_t i = 0; i < order->size(); ++i) {
      dims.push_back(once[static_cast<size_t>((*order)[i])]);
      perm[static_cast<size_t>((*order)[i])] = static_cast<int64_t>(i);
    }
    out = dense(name, payload, stored.payload, dtype, dims, layout.offset * width);
    if (!std::ranges::is_sorted(perm)) out = b_.permute(out, perm);
  } else if (!payload.in_file && static_cast<uint64_t>(count) <= kMostGathered) {
    const auto elements = static_cast<uint64_t>(*element_count(once));
    out = b_.constant(host_tensor(
        dtype, once, gather(layout, payload.bytes, static_cast<size_t>(width), elements)));
    out.value->name = name;
  } else {
    std::string text = "strides with gaps: ";
    append(text, layout.strides);
    return nothing(ErrorCode::kUnsupported, cat(text, "; make it contiguous() before the export"));
  }
  if (!repeats) return out;
  std::vector<Size> sizes;
  for (const int64_t dim : whole) sizes.push_back(b_.number(dim));
  return b_.expand(out, sizes);
}

}  // namespace quern::torch
