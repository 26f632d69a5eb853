// Convolutions, pooling, and their fused forms.
#include <algorithm>

#include "import/tensorflow/operators.h"
#include "import/tensorflow/window.h"

namespace quern::tensorflow {

Tensor activation(Call& c, std::string_view name, const Tensor& x) {
  Emitter& b = c.b;
  if (name == "Relu" || name == "Elu" || name == "Sigmoid" || name == "Tanh")
    return b.unary(name, x);
  if (name == "Relu6") {
    return b.shaped(b.op("Clip", {x, b.number_like(x, 0), b.number_like(x, 6)}), b.shape(x));
  }
  if (name == "LeakyRelu") {
    return b.unary("LeakyRelu", x,
                   {{"alpha", static_cast<float>(c.number("leakyrelu_alpha", 0.2))}});
  }
  if (name == "GeluExact" || name == "GeluApproximate") {
    return b.unary("Gelu", x,
                   {{"approximate", std::string(name == "GeluExact" ? "none" : "tanh")}});
  }
  c.unsupported(cat("the fused operator '", name, "'"));
  return x;
}

Tensor fused_epilogue(Call& c, Tensor y, size_t first_argument, bool is_channels_last) {
  size_t argument = first_argument;
  Emitter& b = c.b;
  const auto along_channels = [&](Tensor x) {
    if (is_channels_last || x.rank != 1 || y.rank < 3) return x;
    Ints axes;
    for (size_t i = 2; i < y.rank; ++i) axes.push_back(static_cast<int64_t>(i) - 1);
    return b.unsqueeze(x, axes);
  };
  for (const std::string& name : c.texts("fused_ops")) {
    if (name == "BiasAdd" || name == "Add") {
      y = b.binary("Add", y, along_channels(c.in(argument++)));
    } else if (name == "Prelu") {
      y = b.binary("PRelu", y, along_channels(c.in(argument++)));
    } else if (name == "FusedBatchNorm") {
      if (argument + 4 > c.count()) {
        c.invalid("a fused batch normalisation without its four operands");
        return y;
      }
      const Tensor scale = along_channels(c.in(argument)),
                   offset = along_channels(c.in(argument + 1));
      const Tensor mean = along_channels(c.in(argument + 2));
      const Tensor variance = along_channels(c.in(argument + 3));
      argument += 4;
      const Tensor deviation = b.unary(
          "Sqrt", b.binary("Add", variance, b.number_like(variance, c.number("epsilon", 1e-4))));
      y = b.binary("Add",
                   b.binary("Mul", b.binary("Sub", y, mean), b.binary("Div", scale, deviation)),
                   offset);
    } else {
      y = activation(c, name, y);
    }
  }
  return y;
}

namespace {

/// Strides and the like of all axes, for the spatial ones.
Ints spatial(Call& c, std::string_view name, size_t axes, bool is_last, int64_t fallback = 1) {
  Ints all = c.ints(name);
  if (all.empty()) return Ints(axes, fallback);
  if (all.size() == axes) return all;
  if (all.size() == 1) return Ints(axes, all[0]);
  if (all.size() != axes + 2) {
    c.invalid(cat("'", name, "' has ", all.size(), " numbers"));
    return Ints(axes, fallback);
  }
  const size_t channel = is_last ? axes + 1 : 1;
  if (all[0] != 1 || all[channel] != 1) {
    c.unsupported(cat("'", name, "' over batches or channels"));
  }
  const auto from = all.begin() + (is_last ? 1 : 2);
  return {from, from + static_cast<ptrdiff_t>(axes)};
}

bool is_channels_last(Call& c) { return !c.text("data_format", "NHWC").starts_with("NC"); }

Window window_of(Call& c, Ints kernel, std::string_view dilations = "dilations") {
  const size_t axes = kernel.size();
  Window w;
  w.channels_last = is_channels_last(c);
  w.kernel = std::move(kernel);
  w.strides = spatial(c, "strides", axes, w.channels_last);
  w.dilations = spatial(c, dilations, axes, w.channels_last);
  w.padding = c.text("padding", "VALID");
  std::ranges::transform(w.padding, w.padding.begin(), [](char ch) {
    return ch >= 'a' && ch <= 'z' ? static_cast<char>(ch - 32) : ch;
  });
  if (w.padding == "EXPLICIT") {
    const Ints all = c.ints("explicit_paddings");
    if (all.size() != 2 * (axes + 2)) {
      c.invalid("explicit padding without its numbers");
      return w;
    }
    const size_t first = w.channels_last ? 1 : 2;
    for (size_t side = 0; side < 2; ++side) {
      for (size_t i = 0; i < axes; ++i) w.pads.push_back(all[2 * (first + i) + side]);
    }
  } else if (w.padding != "SAME" && w.padding != "VALID") {
    c.unsupported(cat("padding '", w.padding, "'"));
  }
  return w;
}

/// The extents of a weight's spatial axes.
Ints kernel_of(Call& c, const Tensor& weight) {
  Ints out;
  if (weight.rank < 3 || weight.rank > 5) {
    c.invalid("a weight of an unexpected rank");
    return out;
  }
  for (size_t i = 0; i + 2 < weight.rank; ++i) {
    const auto extent = weight.extent(i);
    if (!extent) c.unsupported("a weight whose extents are not known");
    out.push_back(extent.value_or(1));
  }
  return out;
}

void conv(Call& c, std::string_view) {
  const Tensor weight = c.in(1);
  const Tensor x = Emitter::of_rank(c.in(0), weight.rank);
  const Ints kernel = kernel_of(c, weight);
  if (c.failed()) return;
  const Window w = window_of(c, kernel);
  const auto depth = weight.extent(weight.rank - 2);
  const auto channels = x.extent(w.channels_last ? x.rank - 1 : 1);
  int64_t groups = 1;
  if (depth && channels && *depth > 0 && *channels % *depth == 0) groups = *channels / *depth;
  const Tensor y = convolution(c.b, x, conv_weight(c.b, weight), groups, w);
  c.set(fused_epilogue(c, y, 2, w.channels_last));
}

void depthwise(Call& c, std::string_view) {
  const Tensor weight = c.in(1);
  const Tensor x = Emitter::of_rank(c.in(0), weight.rank);
  const Ints kernel = kernel_of(c, weight);
  if (c.failed()) return;
  const Window w = window_of(c, kernel);
  const Tensor y = convolution(c.b, x, depthwise_weight(c.b, weight),
                               weight.extent(weight.rank - 2).value_or(1), w);
  c.set(fused_epilogue(c, y, 2, w.channels_last));
}

void conv_backprop(Call& c, std::string_view) {
  const Tensor weight = c.in(1);
  const Ints kernel = kernel_of(c, weight);
  if (c.failed()) return;
  const Window w = window_of(c, kernel);
  std::vector<Dim> sizes;
  const auto held = c.b.contents(c.in(0));
  if (held && held->size() == kernel.size() + 2) {
    const auto from = held->begin() + (w.channels_last ? 1 : 2);
    sizes.assign(from, from + static_cast<ptrdiff_t>(kernel.size()));
  } else if (held && held->size() == kernel.size()) {
    sizes = *held;
  } else {
    for (size_t i = 0; i < kernel.size(); ++i) sizes.push_back(c.b.unknown());
  }
  c.set(transposed_convolution(c.b, Emitter::of_rank(c.in(2), weight.rank), weight, sizes, w));
}

void pooling(Call& c, std::string_view ours) {
  const Tensor x = c.in(0);
  if (x.rank < 3 || x.rank > 5) return c.invalid("an input of an unexpected rank");
  const bool last = is_channels_last(c);
  const Window w = window_of(c, spatial(c, "ksize", x.rank - 2, last));
  c.set(pool(c.b, ours, x, w));
}

/// The places count over the whole image, channels last, and the batch where the attribute says so.
void pool_with_places(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = channels_first(b, c.in(0));
  if (x.rank != 4) return c.invalid("an input of an unexpected rank");
  const Window w = window_of(c, spatial(c, "ksize", 2, true));
  const auto pads = known_pads(b, x, w);
  const auto height = x.extent(2), width = x.extent(3), channels = x.extent(1);
  if (!pads || !height || !width || !channels) return c.unsupported("extents that are not known");
  const auto out =
      b.ops("MaxPool", {x}, 2,
            {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"pads", *pads}}, x.dtype, 4);
  if (c.failed()) return;
  Shape dims = window_dims(b, x, w);
  dims.insert(dims.begin(), {b.shape(x)[0], b.shape(x)[1]});
  c.set(channels_last(b, b.shaped(out[0], dims)), 0);
  // Ours are ((batch * channels + channel) * height + y) * width + x.
  Tensor place = out[1];
  place.dtype = DType::kI64;
  place.value->type.dtype = DType::kI64;
  place = b.shaped(place, dims);
  const Tensor plane = b.integer(*height * *width);
  const Tensor inside = b.binary("Mod", place, plane);
  const Tensor image = b.binary("Div", place, plane);
  const Tensor channel = b.binary("Mod", image, b.integer(*channels));
  Tensor flat = b.binary("Add", b.binary("Mul", inside, b.integer(*channels)), channel);
  if (c.flag("include_batch_in_index", false)) {
    const Tensor batch = b.binary("Div", image, b.integer(*channels));
    flat = b.binary("Add", flat, b.binary("Mul", batch, b.integer(*height * *width * *channels)));
  }
  c.set(channels_last(b, b.cast(flat, c.type("Targmax", DType::kI64))), 1);
}

/// Dilation2D: the largest of x + weight over windows, as slices of x, one for each element of the
/// weight.
void dilation(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor weight = c.in(1);
  if (weight.rank != 3 || c.in(0).rank != 4) return c.invalid("an input of an unexpected rank");
  const Ints kernel = {weight.extent(0).value_or(1), weight.extent(1).value_or(1)};
  if (kernel[0] * kernel[1] > 1024) return c.unsupported("a weight of more than 1024 elements");
  Window w = window_of(c, kernel, "rates");
  const Tensor first = channels_first(b, c.in(0));
  const auto pads = known_pads(b, first, w);
  if (!pads) return c.unsupported("extents that are not known");
  const Shape dims = window_dims(b, first, w);
  const Tensor padded =
      b.op("Pad", {c.in(0), b.ints({0, (*pads)[0], (*pads)[1], 0, 0, (*pads)[2], (*pads)[3], 0}),
                   b.number_like(c.in(0), -3.4e38)});
  const auto rows = dims[0].constant(), columns = dims[1].constant();
  if (!rows || !columns) return c.unsupported("extents that are not known");
  Tensor y;
  for (int64_t i = 0; i < kernel[0]; ++i) {
    for (int64_t j = 0; j < kernel[1]; ++j) {
      const int64_t top = i * w.dilations[0], left = j * w.dilations[1];
      const Ints ends = {top + (*rows - 1) * w.strides[0] + 1,
                         left + (*columns - 1) * w.strides[1] + 1};
      const Tensor part = b.op(
          "Slice", {padded, b.ints({top, left}), b.ints(ends), b.ints({1, 2}), b.ints(w.strides)},
          {}, {}, 4);
      const Tensor row = b.select(b.select(weight, 0, b.number(i)), 0, b.number(j));
      const Tensor sum = b.op("Add", {part, row});
      y = y ? b.op("Max", {y, sum}) : sum;
    }
  }
  c.set(b.shaped(y, {b.shape(first)[0], dims[0], dims[1], b.shape(first)[1]}));
}

constexpr Operator kOperators[] = {
    {"Conv1D", "Conv", conv},
    {"Conv2D", "Conv", conv},
    {"Conv3D", "Conv", conv},
    {"_FusedConv2D", "Conv, Add, Relu, ...", conv},
    {"FusedConv2D", "Conv, Add, Relu, ...", conv},
    {"DepthwiseConv2d", "Conv", depthwise},
    {"DepthwiseConv2dNative", "Conv", depthwise},
    {"FusedDepthwiseConv2dNative", "Conv, Add, Relu, ...", depthwise},
    {"_FusedDepthwiseConv2dNative", "Conv, Add, Relu, ...", depthwise},
    {"Conv2DBackpropInput", "ConvTranspose", conv_backprop},
    {"Conv3DBackpropInputV2", "ConvTranspose", conv_backprop},
    {"AvgPool", "AveragePool", pooling},
    {"AvgPool3D", "AveragePool", pooling},
    {"MaxPool", "MaxPool", pooling},
    {"MaxPool3D", "MaxPool", pooling},
    {"MaxPoolWithArgmax", "MaxPool", pool_with_places, "output argmax"},
    {"Dilation2D", "Pad, Slice, Add, Max", dilation},
};

}  // namespace

std::span<const Operator> convolution_operators() { return kOperators; }

}  // namespace quern::tensorflow
