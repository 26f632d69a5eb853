// Layers with windows: convolutions, pooling, padding, sizes of images.
#include <algorithm>

#include "import/tensorflow/window.h"
#include "import/tfjs/layer.h"

namespace quern::tfjs {
namespace {

using tensorflow::Window;

/// The digit of "Conv2D".
size_t axes_of(Layer& l) {
  const size_t at = l.kind.find_first_of("123");
  return at == l.kind.npos ? 2 : static_cast<size_t>(l.kind[at] - '0');
}

std::string padding_of(Layer& l) {
  const std::string_view name = l.text("padding", "valid");
  if (name == "same") return "SAME";
  if (name == "valid") return "VALID";
  if (name == "causal") return "CAUSAL";
  l.unsupported(cat("padding '", name, "'"));
  return "VALID";
}

Window window_of(Layer& l, size_t axes, Ints kernel) {
  Window w;
  w.kernel = std::move(kernel);
  w.strides = l.numbers("strides", axes, 1);
  w.dilations = l.numbers("dilation_rate", axes, 1);
  w.padding = padding_of(l);
  w.channels_last = l.channels_last();
  if (w.padding == "CAUSAL") {
    // All pads go before the first element.
    w.padding = "EXPLICIT";
    for (size_t i = 0; i < axes; ++i) w.pads.push_back((w.kernel[i] - 1) * w.dilations[i]);
    w.pads.resize(2 * axes);
  }
  return w;
}

Ints kernel_of(Layer& l, const Tensor& weight, size_t axes) {
  Ints out;
  if (weight.rank != axes + 2) {
    l.invalid(cat("a kernel of rank ", weight.rank));
    return Ints(axes, 1);
  }
  for (size_t i = 0; i < axes; ++i) out.push_back(weight.extent(i).value_or(1));
  return out;
}

void finish(Layer& l, Tensor y, bool last) {
  if (l.flag("use_bias", true)) {
    Tensor bias = l.weight("bias");
    if (!last && y.rank > 2) {
      Ints axes;
      for (size_t i = 2; i < y.rank; ++i) axes.push_back(static_cast<int64_t>(i) - 1);
      bias = l.b.unsqueeze(bias, axes);
    }
    y = l.b.binary("Add", y, bias);
  }
  l.set(l.activated("activation", y));
}

void conv(Layer& l, std::string_view) {
  const size_t axes = axes_of(l);
  const Tensor kernel = l.weight("kernel");
  const Window w = window_of(l, axes, kernel_of(l, kernel, axes));
  if (l.b.failed()) return;
  finish(l,
         tensorflow::convolution(l.b, l.x(), tensorflow::conv_weight(l.b, kernel),
                                 l.integer("groups", 1), w),
         w.channels_last);
}

void transposed(Layer& l, std::string_view) {
  const size_t axes = axes_of(l);
  const Tensor kernel = l.weight("kernel"), x = l.x();
  const Window w = window_of(l, axes, kernel_of(l, kernel, axes));
  if (l.b.failed()) return;
  const Shape dims = l.b.shape(x);
  std::vector<Dim> sizes;
  for (size_t i = 0; i < axes && axes + 2 == x.rank; ++i) {
    const Dim in = dims[i + (w.channels_last ? 1 : 2)];
    const int64_t reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
    Dim size = in * w.strides[i];
    if (w.padding == "VALID") size = size + std::max<int64_t>(reach - w.strides[i], 0);
    sizes.push_back(size);
  }
  finish(l, tensorflow::transposed_convolution(l.b, x, kernel, sizes, w), w.channels_last);
}

void depthwise(Layer& l, std::string_view) {
  const size_t axes = axes_of(l);
  const Tensor kernel = l.weight("depthwise_kernel");
  const Window w = window_of(l, axes, kernel_of(l, kernel, axes));
  if (l.b.failed()) return;
  const int64_t groups = kernel.extent(axes).value_or(1);
  finish(l,
         tensorflow::convolution(l.b, l.x(), tensorflow::depthwise_weight(l.b, kernel), groups, w),
         w.channels_last);
}

void separable(Layer& l, std::string_view) {
  const size_t axes = axes_of(l);
  const Tensor depth = l.weight("depthwise_kernel"), point = l.weight("pointwise_kernel");
  const Window w = window_of(l, axes, kernel_of(l, depth, axes));
  if (l.b.failed()) return;
  const Tensor y = tensorflow::convolution(l.b, l.x(), tensorflow::depthwise_weight(l.b, depth),
                                           depth.extent(axes).value_or(1), w);
  Window one;
  one.kernel = one.strides = one.dilations = Ints(axes, 1);
  one.channels_last = w.channels_last;
  finish(l, tensorflow::convolution(l.b, y, tensorflow::conv_weight(l.b, point), 1, one),
         w.channels_last);
}

void pooling(Layer& l, std::string_view ours) {
  const size_t axes = axes_of(l);
  Window w;
  w.kernel = l.numbers("pool_size", axes, 2);
  w.strides = l.has("strides") ? l.numbers("strides", axes, 1) : w.kernel;
  w.dilations = Ints(axes, 1);
  w.padding = padding_of(l);
  w.channels_last = l.channels_last();
  if (!l.b.failed()) l.set(tensorflow::pool(l.b, ours, l.x(), w));
}

void global_pool(Layer& l, std::string_view ours) {
  const Tensor x = l.x();
  Ints axes;
  for (size_t i = 0; i < axes_of(l); ++i)
    axes.push_back(static_cast<int64_t>(i) + (l.channels_last() ? 1 : 2));
  if (x.rank != axes.size() + 2) return l.invalid("an input of an unexpected rank");
  l.set(l.b.reduce(ours, x, axes, l.flag("keepdims", false)));
}

/// Starts and ends of spatial axes: a number, one for each axis, or pairs.
std::vector<std::pair<int64_t, int64_t>> borders(Layer& l, std::string_view key, size_t axes,
                                                 int64_t fallback) {
  std::vector<std::pair<int64_t, int64_t>> out;
  const Json& value = member(l.config, key);
  const Json::array_t& items = items_of(value);
  if (items.empty()) {
    const int64_t n = integer_of(value).value_or(fallback);
    out.assign(axes, {n, n});
  } else if (axes == 1 && items.size() == 2) {
    out.emplace_back(integer_of(items[0]).value_or(0), integer_of(items[1]).value_or(0));
  } else {
    for (const Json& item : items) {
      const Json::array_t& pair = items_of(item);
      const int64_t one = integer_of(item).value_or(0);
      out.emplace_back(pair.size() == 2 ? integer_of(pair[0]).value_or(0) : one,
                       pair.size() == 2 ? integer_of(pair[1]).value_or(0) : one);
    }
  }
  if (out.size() != axes) l.invalid(cat("'", key, "' of other axes"));
  for (const auto& [before, after] : out) {
    if (before < 0 || after < 0 || before > (1 << 30) || after > (1 << 30))
      l.invalid(cat("'", key, "' out of range"));
  }
  return out;
}

void zero_padding(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const size_t axes = axes_of(l);
  const auto pads = borders(l, "padding", axes, 1);
  const Tensor x = l.x();
  if (b.failed() || x.rank != axes + 2) return l.invalid("an input of an unexpected rank");
  Ints list(2 * x.rank);
  Shape dims = b.shape(x);
  for (size_t i = 0; i < axes; ++i) {
    const size_t at = i + (l.channels_last() ? 1 : 2);
    list[at] = pads[i].first;
    list[x.rank + at] = pads[i].second;
    dims[at] = dims[at] + pads[i].first + pads[i].second;
  }
  l.set(b.shaped(b.op("Pad", {x, b.ints(list), b.number_like(x, 0)}, {}, x.dtype, x.rank), dims));
}

void cropping(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const size_t axes = axes_of(l);
  const auto crops = borders(l, "cropping", axes, 1);
  const Tensor x = l.x();
  if (b.failed() || x.rank != axes + 2) return l.invalid("an input of an unexpected rank");
  Ints from, to, which;
  Shape dims = b.shape(x);
  for (size_t i = 0; i < axes; ++i) {
    const size_t at = i + (l.channels_last() ? 1 : 2);
    which.push_back(static_cast<int64_t>(at));
    from.push_back(crops[i].first);
    to.push_back(crops[i].second == 0 ? INT64_MAX : -crops[i].second);
    dims[at] = dims[at] - (crops[i].first + crops[i].second);
  }
  l.set(b.shaped(b.op("Slice", {x, b.ints(from), b.ints(to), b.ints(which)}, {}, x.dtype, x.rank),
                 dims));
}

/// The spatial extents of x, channels second, resized to whole multiples or to sizes.
Tensor resized(Layer& l, const Tensor& x, const Ints& sizes, bool multiples, bool nearest,
               bool half) {
  Emitter& b = l.b;
  Ints axes;
  std::vector<float> scales;
  Shape dims = b.shape(x);
  for (size_t i = 0; i < sizes.size(); ++i) {
    axes.push_back(static_cast<int64_t>(i) + 2);
    scales.push_back(static_cast<float>(sizes[i]));
    dims[i + 2] = multiples ? dims[i + 2] * sizes[i] : Dim(sizes[i]);
  }
  const Tensor scale =
      multiples ? b.constant(HostTensor::of_floats({static_cast<int64_t>(scales.size())}, scales))
                : Tensor{};
  const Tensor size = multiples ? Tensor{} : b.ints(sizes);
  const Tensor y =
      b.op("Resize", {x, {}, scale, size},
           {{"mode", std::string(nearest ? "nearest" : "linear")},
            {"coordinate_transformation_mode", std::string(half ? "half_pixel" : "asymmetric")},
            {"nearest_mode", std::string("floor")},
            {"axes", axes}},
           x.dtype, x.rank);
  return b.shaped(y, dims);
}

void up_sampling(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const size_t axes = axes_of(l);
  const Ints size = l.numbers("size", axes, 2);
  const std::string_view mode = l.text("interpolation", "nearest");
  if (mode != "nearest" && mode != "bilinear")
    return l.unsupported(cat("interpolation '", mode, "'"));
  for (const int64_t n : size) {
    if (n < 1 || n > 65536) return l.invalid("a size out of range");
  }
  const bool last = axes == 1 || l.channels_last();
  const Tensor x = last ? tensorflow::channels_first(b, l.x()) : l.x();
  if (b.failed() || x.rank != axes + 2) return l.invalid("an input of an unexpected rank");
  const Tensor y = resized(l, x, size, true, mode == "nearest", false);
  l.set(last ? tensorflow::channels_last(b, y) : y);
}

void resizing(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const std::string_view mode = l.text("interpolation", "bilinear");
  const int64_t height = l.integer("height", 0), width = l.integer("width", 0);
  if (mode != "nearest" && mode != "bilinear")
    return l.unsupported(cat("interpolation '", mode, "'"));
  if (l.flag("crop_to_aspect_ratio", false)) return l.unsupported("a crop to the aspect ratio");
  if (height < 1 || width < 1) return l.invalid("a size out of range");
  const Tensor x = tensorflow::channels_first(b, b.cast(l.x(), DType::kF32));
  if (x.rank != 4) return l.invalid("an input of an unexpected rank");
  // As tfjs-layers does it: corners are not aligned, nor are centers at a half.
  l.set(tensorflow::channels_last(b,
                                  resized(l, x, {height, width}, false, mode == "nearest", false)));
}

void center_crop(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Tensor x = l.x();
  const int64_t height = l.integer("height", 0), width = l.integer("width", 0);
  if (x.rank != 4) return l.invalid("an input of an unexpected rank");
  const auto rows = x.extent(1), columns = x.extent(2);
  if (!rows || !columns) return l.unsupported("an image whose extents are not known");
  if (height < 1 || width < 1 || height > *rows || width > *columns) {
    return l.unsupported("a crop that is larger than the image");
  }
  const int64_t top = (*rows - height) / 2, left = (*columns - width) / 2;
  const Tensor y =
      b.op("Slice", {x, b.ints({top, left}), b.ints({top + height, left + width}), b.ints({1, 2})},
           {}, x.dtype, 4);
  const Shape dims = b.shape(x);
  l.set(b.shaped(y, {dims[0], height, width, dims[3]}));
}

constexpr LayerKind kKinds[] = {
    {"Conv1D", "Conv", conv},
    {"Conv2D", "Conv", conv},
    {"Conv3D", "Conv", conv},
    {"Conv2DTranspose", "ConvTranspose", transposed},
    {"Conv3DTranspose", "ConvTranspose", transposed},
    {"DepthwiseConv2D", "Conv", depthwise},
    {"SeparableConv1D", "Conv", separable},
    {"SeparableConv2D", "Conv", separable},
    {"AveragePooling1D", "AveragePool", pooling},
    {"AveragePooling2D", "AveragePool", pooling},
    {"AveragePooling3D", "AveragePool", pooling},
    {"MaxPooling1D", "MaxPool", pooling},
    {"MaxPooling2D", "MaxPool", pooling},
    {"MaxPooling3D", "MaxPool", pooling},
    {"GlobalAveragePooling1D", "ReduceMean", global_pool},
    {"GlobalAveragePooling2D", "ReduceMean", global_pool},
    {"GlobalAveragePooling3D", "ReduceMean", global_pool},
    {"GlobalMaxPooling1D", "ReduceMax", global_pool},
    {"GlobalMaxPooling2D", "ReduceMax", global_pool},
    {"GlobalMaxPooling3D", "ReduceMax", global_pool},
    {"ZeroPadding1D", "Pad", zero_padding},
    {"ZeroPadding2D", "Pad", zero_padding},
    {"ZeroPadding3D", "Pad", zero_padding},
    {"Cropping1D", "Slice", cropping},
    {"Cropping2D", "Slice", cropping},
    {"Cropping3D", "Slice", cropping},
    {"UpSampling1D", "Resize", up_sampling},
    {"UpSampling2D", "Resize", up_sampling},
    {"UpSampling3D", "Resize", up_sampling},
    {"Resizing", "Resize", resizing},
    {"CenterCrop", "Slice", center_crop},
};

}  // namespace

std::span<const LayerKind> convolution_layers() { return kKinds; }

}  // namespace quern::tfjs
