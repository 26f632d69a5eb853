// Convolutions and pooling.
#include <algorithm>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// PyTorch takes images without a batch axis, too: with one, and the rank without channels.
struct Batched {
  Tensor x;
  size_t axes = 0;  ///< spatial
  bool added = false;
};

Batched batched(Call& c, const Tensor& x, size_t axes) {
  if (x.rank == axes + 2) return {x, axes, false};
  if (x.rank == axes + 1) return {c.b.unsqueeze(x, {0}), axes, true};
  c.invalid(cat("an input of rank ", x.rank, " for ", axes, " spatial axes"));
  return {x, axes, false};
}

void set_batched(Call& c, const Batched& input, const Tensor& y, size_t output = 0) {
  c.set(input.added ? c.b.squeeze(y, {0}) : y, output);
}

Ints doubled(const Ints& values) {
  Ints out = values;
  out.insert(out.end(), values.begin(), values.end());
  return out;
}

size_t last_digit(std::string_view target, std::string_view prefix) {
  const size_t at = target.find(prefix);
  if (at == target.npos || at + prefix.size() >= target.size()) return 0;
  const char digit = target[at + prefix.size()];
  return digit >= '1' && digit <= '3' ? static_cast<size_t>(digit - '0') : 0;
}

void conv(Call& c, std::string_view) {
  const Tensor weight = c.tensor("weight");
  if (weight.rank < 3) return c.invalid(cat("a weight of rank ", weight.rank));
  const size_t axes = weight.rank - 2;
  const Batched input = batched(c, c.tensor("input"), axes);
  const Tensor bias = c.optional("bias");
  const Ints strides = c.ints_for("stride", axes, 1);
  const Ints dilations = c.ints_for("dilation", axes, 1);
  Ints pads;
  if (c.argument("padding").contains("as_string")) {
    const std::string_view mode = c.text("padding", "valid");
    if (mode != "same" && mode != "valid") return c.invalid(cat("padding '", mode, "'"));
    Ints ends;
    for (size_t i = 0; i < axes; ++i) {
      const auto kernel = weight.extent(i + 2);
      if (!kernel) return c.unsupported("a kernel of unknown size");
      const int64_t all = mode == "same" ? dilations[i] * (*kernel - 1) : 0;
      // The odd one goes after the data.
      pads.push_back(all / 2);
      ends.push_back(all - all / 2);
    }
    pads.insert(pads.end(), ends.begin(), ends.end());
  } else {
    pads = doubled(c.ints_for("padding", axes, 0));
  }
  const int64_t group = c.integer("groups", 1);
  const bool transposed =
      c.flag("transposed", false) || c.target().find("conv_transpose") != std::string_view::npos;
  if (!transposed) {
    return set_batched(
        c, input,
        c.b.op("Conv", {input.x, weight, bias},
               {{"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"group", group}},
               input.x.dtype, axes + 2));
  }
  const Ints extra = c.ints_for("output_padding", axes, 0);
  set_batched(c, input,
              c.b.op("ConvTranspose", {input.x, weight, bias},
                     {{"strides", strides},
                      {"dilations", dilations},
                      {"pads", pads},
                      {"output_padding", extra},
                      {"group", group}},
                     input.x.dtype, axes + 2));
}

void max_pool(Call& c, std::string_view) {
  const size_t axes = last_digit(c.target(), "pool");
  const Batched input = batched(c, c.tensor("self"), axes);
  const Ints kernel = c.ints_for("kernel_size", axes, 1);
  const Ints stride = c.ints("stride", Ints{}).empty() ? kernel : c.ints_for("stride", axes, 1);
  const Ints pads = doubled(c.ints_for("padding", axes, 0));
  const Ints dilations = c.ints_for("dilation", axes, 1);
  const int64_t ceil = c.flag("ceil_mode", false) ? 1 : 0;
  const bool indices = c.outputs() > 1;
  const auto y = c.b.ops("MaxPool", {input.x}, indices ? 2 : 1,
                         {{"kernel_shape", kernel},
                          {"strides", stride},
                          {"pads", pads},
                          {"dilations", dilations},
                          {"ceil_mode", ceil}},
                         input.x.dtype, axes + 2);
  if (c.failed()) return;
  set_batched(c, input, y[0]);
  if (!indices) return;
  // Ours count from the tensor's start, PyTorch's from the plane's.
  Tensor places = y[1];
  places.dtype = DType::kI64;
  places.value->type.dtype = DType::kI64;
  Size plane = c.b.number(1);
  for (size_t i = 0; i < axes; ++i) plane = c.b.arithmetic("Mul", plane, c.b.size(input.x, i + 2));
  set_batched(c, input, c.b.op("Mod", {places, c.b.scalar_of(plane)}), 1);
}

void avg_pool(Call& c, std::string_view) {
  const size_t axes = last_digit(c.target(), "pool");
  const Batched input = batched(c, c.tensor("self"), axes);
  const Ints kernel = c.ints_for("kernel_size", axes, 1);
  const Ints stride = c.ints("stride", Ints{}).empty() ? kernel : c.ints_for("stride", axes, 1);
  const Ints pads = doubled(c.ints_for("padding", axes, 0));
  const int64_t ceil = c.flag("ceil_mode", false) ? 1 : 0;
  const int64_t count_pads = c.flag("count_include_pad", true) ? 1 : 0;
  Tensor y = c.b.op("AveragePool", {input.x},
                    {{"kernel_shape", kernel},
                     {"strides", stride},
                     {"pads", pads},
                     {"ceil_mode", ceil},
                     {"count_include_pad", count_pads}});
  if (c.has("divisor_override")) {
    if (count_pads == 0 || ceil != 0) return c.unsupported("divisor_override of partial windows");
    double size = 1;
    for (const int64_t k : kernel) size *= static_cast<double>(k);
    y = c.b.op("Mul", {y, c.b.scalar(y.dtype, size / c.number("divisor_override"))});
  }
  set_batched(c, input, y);
}

/// The part of an axis of `extent` that element `i` of `count` covers.
std::pair<int64_t, int64_t> window(int64_t i, int64_t count, int64_t extent) {
  return {i * extent / count, ((i + 1) * extent + count - 1) / count};
}

/// Means over windows of one axis: a product with a matrix of 1 / size.
Tensor adaptive_mean(Builder& b, const Tensor& x, size_t axis, int64_t extent, int64_t count) {
  HostTensor matrix;
  matrix.dtype = x.dtype;
  matrix.dims = {extent, count};
  matrix.bytes.resize(byte_size(x.dtype, extent * count));
  for (int64_t i = 0; i < count; ++i) {
    const auto [from, to] = window(i, count, extent);
    for (int64_t j = from; j < to; ++j) {
      matrix.set_float(j * count + i, 1.0 / static_cast<double>(to - from));
    }
  }
  const size_t last = x.rank - 1;
  const Tensor turned = axis == last ? x : b.swap(x, axis, last);
  const Tensor y = b.op("MatMul", {turned, b.constant(std::move(matrix))}, {}, x.dtype, x.rank);
  return axis == last ? y : b.swap(y, axis, last);
}

Tensor adaptive_max(Builder& b, const Tensor& x, size_t axis, int64_t extent, int64_t count) {
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < count; ++i) {
    const auto [from, to] = window(i, count, extent);
    parts.push_back(b.reduce("ReduceMax", b.slice(x, axis, b.number(from), b.number(to)),
                             {static_cast<int64_t>(axis)}, true));
  }
  return b.concat(parts, axis);
}

void adaptive_pool(Call& c, std::string_view) {
  constexpr int64_t kMostOutput = 1 << 12;
  const bool max = c.target().find("max") != std::string_view::npos;
  const size_t axes = last_digit(c.target(), "pool");
  const Batched input = batched(c, c.tensor("self"), axes);
  const Ints wanted = c.ints_for("output_size", axes, 1);
  if (c.failed()) return;
  if (c.outputs() > 1 && max && c.meta(1) == nullptr) return c.invalid("no indices");
  if (std::ranges::all_of(wanted, [](int64_t n) { return n == 1; })) {
    Ints all;
    for (size_t i = 0; i < axes; ++i) all.push_back(static_cast<int64_t>(i) + 2);
    return set_batched(c, input, c.b.reduce(max ? "ReduceMax" : "ReduceMean", input.x, all, true));
  }
  Ints extents;
  bool divides = true;
  for (size_t i = 0; i < axes; ++i) {
    const auto extent = input.x.extent(i + 2);
    if (!extent) {
      return c.unsupported(cat("dims that are not known, to ", wanted[i], " elements"));
    }
    if (wanted[i] < 1 || wanted[i] > kMostOutput || *extent < 1 ||
        *extent * wanted[i] > (1 << 22)) {
      return c.unsupported(cat("an output of ", wanted[i], " from ", *extent));
    }
    extents.push_back(*extent);
    divides = divides && *extent % wanted[i] == 0;
  }
  Tensor y = input.x;
  if (divides) {
    Ints kernel;
    for (size_t i = 0; i < axes; ++i) kernel.push_back(extents[i] / wanted[i]);
    y = c.b.op(max ? "MaxPool" : "AveragePool", {y},
               {{"kernel_shape", kernel}, {"strides", kernel}});
  } else {
    for (size_t i = 0; i < axes; ++i) {
      if (extents[i] == wanted[i]) continue;
      y = max ? adaptive_max(c.b, y, i + 2, extents[i], wanted[i])
              : adaptive_mean(c.b, y, i + 2, extents[i], wanted[i]);
    }
  }
  set_batched(c, input, y);
}

constexpr Operator kOperators[] = {
    {"aten.conv1d", "default padding", "Conv", conv},
    {"aten.conv2d", "default padding", "Conv", conv},
    {"aten.conv3d", "default padding", "Conv", conv},
    {"aten.convolution", "default", "Conv, ConvTranspose", conv},
    {"aten._convolution", "default deprecated", "Conv, ConvTranspose", conv},
    {"aten.conv_transpose1d", "default", "ConvTranspose", conv},
    {"aten.conv_transpose2d", "input", "ConvTranspose", conv},
    {"aten.conv_transpose3d", "input", "ConvTranspose", conv},
    {"aten.max_pool1d", "default", "MaxPool", max_pool},
    {"aten.max_pool2d", "default", "MaxPool", max_pool},
    {"aten.max_pool3d", "default", "MaxPool", max_pool},
    {"aten.max_pool1d_with_indices", "default", "MaxPool", max_pool},
    {"aten.max_pool2d_with_indices", "default", "MaxPool", max_pool},
    {"aten.max_pool3d_with_indices", "default", "MaxPool", max_pool},
    {"aten.avg_pool1d", "default", "AveragePool", avg_pool},
    {"aten.avg_pool2d", "default", "AveragePool", avg_pool},
    {"aten.avg_pool3d", "default", "AveragePool", avg_pool},
    {"aten.adaptive_avg_pool1d", "default", "AveragePool", adaptive_pool},
    {"aten.adaptive_avg_pool2d", "default", "AveragePool", adaptive_pool},
    {"aten.adaptive_avg_pool3d", "default", "AveragePool", adaptive_pool},
    {"aten._adaptive_avg_pool2d", "default", "AveragePool", adaptive_pool},
    {"aten._adaptive_avg_pool3d", "default", "AveragePool", adaptive_pool},
    {"aten.adaptive_max_pool1d", "default", "MaxPool", adaptive_pool},
    {"aten.adaptive_max_pool2d", "default", "MaxPool", adaptive_pool},
    {"aten.adaptive_max_pool3d", "default", "MaxPool", adaptive_pool},
};

}  // namespace

std::span<const Operator> conv_operators() { return kOperators; }

}  // namespace quern::torch
