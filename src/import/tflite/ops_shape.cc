// Operators that move elements, and those on shapes.
#include <algorithm>

#include "import/emit/nhwc.h"
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

constexpr int64_t kLast = INT32_MAX;

Ints range_to(size_t n) {
  Ints out;
  for (size_t i = 0; i < n; ++i) out.push_back(static_cast<int64_t>(i));
  return out;
}

/// x with other dims: of complex numbers their last axis of 2 stays.
void set_shaped(Call& c, const Tensor& x, std::vector<Size> sizes) {
  if (!c.is_complex(x)) return c.set(c.b.reshape(x, sizes));
  sizes.push_back(c.b.number(2));
  c.set_complex(c.b.reshape(x, sizes));
}

void reshape(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  if (c.failed()) return;
  std::vector<Size> sizes;
  if (c.has(1)) {
    sizes = c.sizes(1);
  } else {
    for (const int32_t dim : c.op.options.vector(0, 4).numbers<int32_t>()) {
      sizes.push_back(c.b.number(dim));
    }
  }
  if (!c.failed()) set_shaped(c, x, std::move(sizes));
}

void squeeze(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const bool is_complex = c.is_complex(x);
  const size_t rank = x.rank - (is_complex ? 1 : 0);
  Ints axes;
  for (const int32_t axis : c.op.options.vector(0, 4).numbers<int32_t>()) {
    axes.push_back(static_cast<int64_t>(c.axis_of(axis, rank)));
  }
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) {
      const auto extent = x.extent(i);
      if (!extent) return c.unsupported("to squeeze unknown dims");
      if (*extent == 1) axes.push_back(static_cast<int64_t>(i));
    }
  }
  if (c.failed()) return;
  std::ranges::sort(axes);
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  const Tensor y = axes.empty() ? x : c.b.squeeze(x, axes);
  is_complex ? c.set_complex(y) : c.set(y);
}

void expand_dims(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const bool is_complex = c.is_complex(x);
  const size_t axis = c.axis(1, x.rank + (is_complex ? 0 : 1));
  if (c.failed()) return;
  const Tensor y = c.b.unsqueeze(x, {static_cast<int64_t>(axis)});
  is_complex ? c.set_complex(y) : c.set(y);
}

void transpose(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  Ints perm = c.known(1, "permutations");
  if (c.failed()) return;
  std::vector<bool> seen(x.rank);
  for (int64_t& axis : perm) {
    const size_t at = c.axis_of(axis, x.rank);
    if (c.failed() || x.rank != perm.size() || seen[at])
      return c.invalid("no permutation of the axes");
    seen[at] = true;
    axis = static_cast<int64_t>(at);
  }
  c.set(perm.empty() ? x : c.b.permute(x, perm));
}

/// The stored number for 0 of an input.
Tensor zero_of(Call& c, const Tensor& x) {
  const TensorInfo* info = c.in_info(0);
  const bool is_stored = info != nullptr && info->is_quantized() && !is_float(x.dtype);
  const auto& zeros = info == nullptr ? std::vector<int64_t>() : info->quantization.zero_point;
  return c.b.integer(is_stored && !zeros.empty() ? zeros[0] : 0, x.dtype);
}

/// [rank, 2] pads as ONNX has them: all begins, then all ends.
Tensor pads_of(Call& c, size_t i) {
  if (const auto numbers = c.numbers(i)) {
    Ints begins;
    Ints ends;
    for (size_t k = 0; k + 1 < numbers->size(); k += 2) {
      begins.push_back((*numbers)[k]);
      ends.push_back((*numbers)[k + 1]);
    }
    begins.insert(begins.end(), ends.begin(), ends.end());
    return c.b.ints(begins);
  }
  const Tensor pads = c.b.cast(c.raw(i), DType::kI64);
  return c.b.reshape(c.b.permute(pads, {1, 0}), Ints{-1});
}

void pad(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  Tensor value = c.has(2) ? c.raw(2) : zero_of(c, x);
  if (c.has(2) && value.dtype != x.dtype) value = c.b.cast(c.input(2), x.dtype);
  if (value.rank > 0) value = c.b.reshape(value, Ints{});
  c.set(c.b.op("Pad", {x, pads_of(c, 1), value}, {{"mode", std::string("constant")}}, x.dtype,
               x.rank));
}

void mirror_pad(Call& c, std::string_view) {
  Tensor x = c.moved(0);
  if (c.code(0) == 0) {
    return c.set(
        c.b.op("Pad", {x, pads_of(c, 1)}, {{"mode", std::string("reflect")}}, x.dtype, x.rank));
  }
  // SYMMETRIC: with the edge itself.
  const Ints pads = c.known(1, "pads");
  if (c.failed()) return;
  if (pads.size() != 2 * x.rank) return c.invalid(cat(pads.size(), " pads for ", x.rank, " axes"));
  for (size_t axis = 0; axis < x.rank; ++axis) {
    const int64_t before = pads[2 * axis];
    const int64_t after = pads[2 * axis + 1];
    if (before < 0 || after < 0) return c.invalid("negative pads");
    std::vector<Tensor> parts;
    if (before > 0) {
      parts.push_back(c.b.slice(x, axis, c.b.number(before - 1), c.b.number(-kLast), -1));
    }
    parts.push_back(x);
    if (after > 0) {
      parts.push_back(c.b.slice(x, axis, c.b.number(-1), c.b.number(-after - 1), -1));
    }
    if (parts.size() > 1) x = c.b.concat(parts, axis);
  }
  c.set(x);
}

void concatenation(Call& c, std::string_view) {
  // Stored values may be joined where all are quantised as the result is.
  const TensorInfo* to = c.out_info();
  bool alike = true;
  for (size_t i = 0; i < c.inputs(); ++i) {
    const TensorInfo* from = c.in_info(i);
    alike = alike && from != nullptr && to != nullptr &&
            from->quantization.scale == to->quantization.scale &&
            from->quantization.zero_point == to->quantization.zero_point;
  }
  std::vector<Tensor> parts;
  for (size_t i = 0; i < c.inputs(); ++i) parts.push_back(alike ? c.raw(i) : c.input(i));
  if (c.failed() || parts.empty()) return c.invalid("no inputs");
  const size_t axis = c.axis_of(c.option(0), parts[0].rank);
  c.set(c.activate(c.b.concat(parts, axis), c.code(1)));
}

void pack(Call& c, std::string_view) {
  std::vector<Tensor> parts;
  size_t axis = 0;
  for (size_t i = 0; i < c.inputs(); ++i) {
    const Tensor x = c.moved(i);
    if (i == 0) axis = c.axis_of(c.option(1), x.rank + 1);
    parts.push_back(c.b.unsqueeze(x, {static_cast<int64_t>(axis)}));
  }
  if (c.failed() || parts.empty()) return c.invalid("no inputs");
  c.set(c.b.concat(parts, axis));
}

void unpack(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const size_t axis = c.axis_of(c.option(1), x.rank);
  for (size_t i = 0; i < c.outputs() && !c.failed(); ++i) {
    c.set(c.b.select(x, axis, c.b.number(static_cast<int64_t>(i))), i);
  }
}

void split_into(Call& c, const Tensor& x, size_t axis, const std::vector<Tensor>& sizes) {
  std::vector<Tensor> inputs = {x};
  inputs.insert(inputs.end(), sizes.begin(), sizes.end());
  const auto axis_number = static_cast<int64_t>(axis);
  const auto count = static_cast<int64_t>(c.outputs());
  const std::vector<Tensor> parts =
      sizes.empty()
          ? c.b.ops("Split", inputs, c.outputs(), {{"axis", axis_number}, {"num_outputs", count}},
                    x.dtype, x.rank)
          : c.b.ops("Split", inputs, c.outputs(), {{"axis", axis_number}}, x.dtype, x.rank);
  for (size_t i = 0; i < parts.size(); ++i) c.set(parts[i], i);
}

void split(Call& c, std::string_view) {
  const Tensor x = c.moved(1);
  const size_t axis = c.axis(0, x.rank);
  if (c.failed()) return;
  if (c.outputs() == 1) return c.set(x);
  split_into(c, x, axis, {});
}

void split_v(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const size_t axis = c.axis(2, x.rank);
  Ints sizes = c.known(1, "sizes");
  if (c.failed()) return;
  int64_t rest = -1;
  int64_t sum = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0) rest = static_cast<int64_t>(i);
    if (sizes[i] >= 0) sum += sizes[i];
  }
  if (sizes.size() != c.outputs()) return c.invalid(cat(sizes.size(), " sizes"));
  if (rest >= 0) {
    const auto extent = x.extent(axis);
    if (!extent) return c.unsupported("to split unknown dims");
    sizes[static_cast<size_t>(rest)] = *extent - sum;
  }
  split_into(c, x, axis, {c.b.ints(sizes)});
}

void tile(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  c.set(c.b.op(ours, {x, c.list(1)}, {}, x.dtype, x.rank));
}

/// The rank that a list of dims has, by its constant or its shape.
std::optional<size_t> rank_of_list(Call& c, size_t i) {
  if (const auto numbers = c.numbers(i)) return numbers->size();
  const TensorInfo* info = c.in_info(i);
  if (info != nullptr && info->shape.size() == 1 && info->shape[0] >= 0) {
    return static_cast<size_t>(info->shape[0]);
  }
  c.unsupported("a list of unknown length");
  return std::nullopt;
}

void broadcast_to(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  const auto rank = rank_of_list(c, 1);
  if (rank) c.set(c.b.op(ours, {x, c.list(1)}, {}, x.dtype, std::max(*rank, x.rank)));
}

void fill(Call& c, std::string_view ours) {
  const Tensor value = c.moved(1);
  const auto rank = rank_of_list(c, 0);
  if (rank) c.set(c.b.op(ours, {value, c.list(0)}, {}, value.dtype, *rank));
}

void zeros_like(Call& c, std::string_view) {
  const Tensor x = c.raw(0);
  c.set(c.b.op("Expand", {zero_of(c, x), c.b.shape_of(x)}, {}, x.dtype, x.rank));
}

void shape(Call& c, std::string_view ours) { c.set(c.b.op(ours, {c.raw(0)}, {}, DType::kI64, 1)); }

void rank(Call& c, std::string_view) { c.set(c.b.integer(static_cast<int64_t>(c.raw(0).rank))); }

void range(Call& c, std::string_view ours) {
  const auto number = [&](size_t i) {
    const Tensor x = c.input(i);
    return x.rank == 0 ? x : c.b.reshape(x, Ints{});
  };
  const Tensor start = number(0);
  c.set(c.b.op(ours, {start, number(1), number(2)}, {}, start.dtype, 1));
}

/// The shape that two shapes broadcast to.
void broadcast_args(Call& c, std::string_view) {
  const auto of = [&](size_t i) {
    return c.b.op("Expand", {c.b.integer(0), c.list(i)}, {}, DType::kI64,
                  rank_of_list(c, i).value_or(0));
  };
  const Tensor x = of(0);
  c.set(c.b.op("Shape", {c.b.op("Add", {x, of(1)})}, {}, DType::kI64, 1));
}

void reverse(Call& c, std::string_view) {
  Tensor x = c.moved(0);
  Ints axes = c.known(1, "axes");
  for (const int64_t axis : axes) {
    if (c.failed()) return;
    x = c.b.slice(x, c.axis_of(axis, x.rank), c.b.number(-1), c.b.number(INT64_MIN), -1);
  }
  c.set(x);
}

void reverse_sequence(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  const size_t time = c.axis_of(c.option(0), x.rank);
  const size_t batch = c.axis_of(c.option(1), x.rank);
  if (c.failed()) return;
  if (time > 1 || batch > 1 || time == batch) {
    // Ours takes the first two axes.
    if (time == batch) return c.invalid("one axis for time and batch");
    Ints perm = {static_cast<int64_t>(batch), static_cast<int64_t>(time)};
    for (const int64_t axis : range_to(x.rank)) {
      if (axis != perm[0] && axis != perm[1]) perm.push_back(axis);
    }
    Ints back(perm.size());
    for (size_t i = 0; i < perm.size(); ++i)
      back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
    const Tensor turned =
        c.b.op(ours, {c.b.permute(x, perm), c.list(1)},
               {{"batch_axis", int64_t{0}}, {"time_axis", int64_t{1}}}, x.dtype, x.rank);
    return c.set(c.b.permute(turned, back));
  }
  c.set(c.b.op(
      ours, {x, c.list(1)},
      {{"batch_axis", static_cast<int64_t>(batch)}, {"time_axis", static_cast<int64_t>(time)}},
      x.dtype, x.rank));
}

/// [N * blocks, spatial.., rest..] to [N, spatial * block - crops.., rest..].
void batch_to_space(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const Ints block = c.known(1, "blocks");
  const std::vector<Size> crops = c.sizes(2);
  const size_t m = block.size();
  if (c.failed()) return;
  if (m == 0 || x.rank < m + 1 || crops.size() != 2 * m) return c.invalid("blocks of another rank");
  int64_t all = 1;
  for (const int64_t one : block) {
    if (one < 1 || __builtin_mul_overflow(all, one, &all)) return c.invalid("a block below 1");
  }
  std::vector<Size> split;
  for (const int64_t one : block) split.push_back(c.b.number(one));
  split.push_back(c.b.arithmetic("Div", c.b.size(x, 0), c.b.number(all)));
  for (size_t i = 1; i < x.rank; ++i) split.push_back(c.b.size(x, i));
  Ints perm = {static_cast<int64_t>(m)};
  std::vector<Size> joined = {split[m]};
  for (size_t i = 0; i < m; ++i) {
    perm.push_back(static_cast<int64_t>(m + 1 + i));
    perm.push_back(static_cast<int64_t>(i));
    joined.push_back(c.b.arithmetic("Mul", split[m + 1 + i], c.b.number(block[i])));
  }
  for (size_t i = 2 * m + 1; i < split.size(); ++i) {
    perm.push_back(static_cast<int64_t>(i));
    joined.push_back(split[i]);
  }
  Tensor y = c.b.reshape(c.b.permute(c.b.reshape(x, split), perm), joined);
  for (size_t i = 0; i < m; ++i) {
    if (crops[2 * i].is(0) && crops[2 * i + 1].is(0)) continue;
    y = c.b.slice(y, i + 1, crops[2 * i], c.b.arithmetic("Sub", joined[i + 1], crops[2 * i + 1]));
  }
  c.set(y);
}

void space_to_batch(Call& c, std::string_view) {
  Tensor x = c.moved(0);
  const Ints block = c.known(1, "blocks");
  const Ints pads = c.known(2, "pads");
  const size_t m = block.size();
  if (c.failed()) return;
  if (m == 0 || x.rank < m + 1 || pads.size() != 2 * m) return c.invalid("blocks of another rank");
  Ints begins(x.rank, 0);
  Ints ends(x.rank, 0);
  for (size_t i = 0; i < m; ++i) {
    if (block[i] < 1) return c.invalid("a block below 1");
    begins[i + 1] = pads[2 * i];
    ends[i + 1] = pads[2 * i + 1];
  }
  std::vector<Size> sizes = {c.b.size(x, 0)};
  Ints perm;
  std::vector<Size> joined = {sizes[0]};
  const Tensor unpadded = x;
  const bool padded = std::ranges::any_of(pads, [](int64_t pad) { return pad != 0; });
  if (padded) {
    Ints all = begins;
    all.insert(all.end(), ends.begin(), ends.end());
    x = c.b.op("Pad", {x, c.b.ints(all), zero_of(c, x)}, {{"mode", std::string("constant")}});
  }
  for (size_t i = 0; i < m; ++i) {
    const Size whole =
        c.b.arithmetic("Add", c.b.size(unpadded, i + 1), c.b.number(begins[i + 1] + ends[i + 1]));
    const Size part = c.b.arithmetic("Div", whole, c.b.number(block[i]));
    sizes.push_back(part);
    sizes.push_back(c.b.number(block[i]));
    joined[0] = c.b.arithmetic("Mul", joined[0], c.b.number(block[i]));
    joined.push_back(part);
    perm.push_back(static_cast<int64_t>(2 * i + 2));
  }
  perm.push_back(0);
  for (size_t i = 0; i < m; ++i) perm.push_back(static_cast<int64_t>(2 * i + 1));
  for (size_t i = m + 1; i < x.rank; ++i) {
    perm.push_back(static_cast<int64_t>(sizes.size()));
    sizes.push_back(c.b.size(unpadded, i));
    joined.push_back(sizes.back());
  }
  c.set(c.b.reshape(c.b.permute(c.b.reshape(x, sizes), perm), joined));
}

constexpr Operator kOperators[] = {
    {2, "CONCATENATION", "Concat", concatenation},
    {22, "RESHAPE", "Reshape", reshape},
    {34, "PAD", "Pad", pad},
    {37, "BATCH_TO_SPACE_ND", "Reshape, Transpose, Slice", batch_to_space},
    {38, "SPACE_TO_BATCH_ND", "Pad, Reshape, Transpose", space_to_batch},
    {39, "TRANSPOSE", "Transpose", transpose},
    {43, "SQUEEZE", "Squeeze", squeeze},
    {49, "SPLIT", "Split", split},
    {60, "PADV2", "Pad", pad},
    {69, "TILE", "Tile", tile},
    {70, "EXPAND_DIMS", "Unsqueeze", expand_dims},
    {77, "SHAPE", "Shape", shape},
    {83, "PACK", "Unsqueeze, Concat", pack},
    {88, "UNPACK", "Gather", unpack},
    {93, "ZEROS_LIKE", "Expand", zeros_like},
    {94, "FILL", "Expand", fill},
    {96, "RANGE", "Range", range},
    {100, "MIRROR_PAD", "Pad, Slice, Concat", mirror_pad},
    {102, "SPLIT_V", "Split", split_v},
    {105, "REVERSE_V2", "Slice", reverse},
    {110, "RANK", "constant", rank},
    {112, "REVERSE_SEQUENCE", "ReverseSequence", reverse_sequence},
    {130, "BROADCAST_TO", "Expand", broadcast_to},
    {145, "BROADCAST_ARGS", "Expand, Add, Shape", broadcast_args},
};

}  // namespace

std::span<const Operator> shape_operators() { return kOperators; }

}  // namespace quern::tflite
