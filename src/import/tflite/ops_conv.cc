// Convolutions, pooling and resizing. Data is [N, H, W, C]: Transposes stand around what takes
// channels first, and the core's passes move them.
#include <algorithm>

#include "import/emit/nhwc.h"
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

using emit::auto_pad;
using emit::channels_first;
using emit::channels_last;

constexpr int kSame = 0;

/// A result with channels first, after its activation.
void set_image(Call& c, const Tensor& y, int activation) {
  c.set(channels_last(c.b, c.activate(y, activation)));
}

Tensor image(Call& c, size_t i, size_t rank) {
  const Tensor x = c.input(i);
  if (x.rank != rank) c.invalid(cat("an input of rank ", x.rank, ", expected ", rank));
  return x;
}

bool positive(Call& c, const Ints& values, std::string_view what) {
  const bool good = std::ranges::all_of(values, [](int64_t v) { return v > 0; });
  if (!good) c.invalid(cat(what, " below 1"));
  return good;
}

/// Weights [O, spatial.., I / groups].
void conv(Call& c, const Ints& strides, const Ints& dilations, const Ints& perm, int activation) {
  const size_t rank = strides.size() + 2;
  const Tensor x = image(c, 0, rank);
  const Tensor weight = c.raw(1);
  if (c.failed() || !positive(c, strides, "strides") || !positive(c, dilations, "dilations"))
    return;
  int64_t groups = 1;
  const size_t in_axis = perm[1] >= 0 ? static_cast<size_t>(perm[1]) : 0;
  const auto channels = x.extent(rank - 1);
  const auto each = weight.extent(in_axis);
  if (channels && each && *each > 0 && *channels % *each == 0) groups = *channels / *each;
  c.b.set_scope(c.name());
  const Tensor y = c.b.op("Conv", {channels_first(c.b, x), c.transposed(1, perm), c.optional(2)},
                          {{"strides", strides},
                           {"dilations", dilations},
                           {"auto_pad", auto_pad(c.code(0) == kSame)},
                           {"group", std::max<int64_t>(groups, 1)}},
                          x.dtype, rank);
  set_image(c, y, activation);
}

void conv_2d(Call& c, std::string_view) {
  conv(c, {c.option(2), c.option(1)}, {c.option(5, 1), c.option(4, 1)}, {0, 3, 1, 2}, c.code(3));
}

/// Weights [D, H, W, I / groups, O].
void conv_3d(Call& c, std::string_view) {
  conv(c, {c.option(1), c.option(3), c.option(2)}, {c.option(5, 1), c.option(7, 1), c.option(6, 1)},
       {4, 3, 0, 1, 2}, c.code(4));
}

/// Weights [1, H, W, C * multiplier].
void depthwise_conv_2d(Call& c, std::string_view) {
  const Tensor x = image(c, 0, 4);
  const Tensor weight = c.raw(1);
  const Ints strides = {c.option(2), c.option(1)};
  const Ints dilations = {c.option(6, 1), c.option(5, 1)};
  if (c.failed() || !positive(c, strides, "strides") || !positive(c, dilations, "dilations"))
    return;
  const auto outputs = weight.extent(3);
  auto groups = x.extent(3);
  if (!groups && outputs && c.option(3) > 0) groups = *outputs / c.option(3);
  if (!groups || *groups < 1) return c.unsupported("an unknown number of channels");
  const Tensor y =
      c.b.op("Conv", {channels_first(c.b, x), c.transposed(1, {3, 0, 1, 2}), c.optional(2)},
             {{"strides", strides},
              {"dilations", dilations},
              {"auto_pad", auto_pad(c.code(0) == kSame)},
              {"group", *groups}},
             x.dtype, 4);
  set_image(c, y, c.code(4));
}

}  // namespace

void conv_transpose(Call& c, size_t x_at, const Ints& perm, size_t bias_at,
                    const std::vector<std::optional<int64_t>>& wanted, bool is_same,
                    const Ints& strides, const Ints& dilations, int activation) {
  const size_t axes = strides.size();
  const Tensor x = image(c, x_at, axes + 2);
  const Tensor weight = c.raw(1);
  if (c.failed() || !positive(c, strides, "strides") || !positive(c, dilations, "dilations"))
    return;
  Ints begin;
  Ints end;
  Ints extra;
  for (size_t i = 0; i < axes; ++i) {
    const auto kernel = weight.extent(static_cast<size_t>(perm[i + 2]));
    if (!kernel || *kernel < 1) return c.unsupported("a kernel of unknown size");
    const auto in = x.extent(i + 1);
    const int64_t reach = (*kernel - 1) * dilations[i] + 1;
    int64_t total = 0;  // of padding; below 0: elements that are added after the data
    if (in && i < wanted.size() && wanted[i]) {
      total = (*in - 1) * strides[i] + reach - *wanted[i];
    } else {
      // The result that a forward convolution of the same padding makes into the input.
      total = is_same ? reach - strides[i] : std::min<int64_t>(reach - strides[i], 0);
    }
    const int64_t pads = is_same ? std::max<int64_t>(total, 0) : 0;
    begin.push_back(pads / 2);
    int64_t after = total - pads / 2;
    extra.push_back(std::max<int64_t>(-after, 0));
    end.push_back(std::max<int64_t>(after, 0));
  }
  begin.insert(begin.end(), end.begin(), end.end());
  const Tensor y = c.b.op(
      "ConvTranspose", {channels_first(c.b, x), c.transposed(1, perm), c.optional(bias_at)},
      {{"strides", strides}, {"dilations", dilations}, {"pads", begin}, {"output_padding", extra}},
      x.dtype, axes + 2);
  set_image(c, y, activation);
}

namespace {

std::vector<std::optional<int64_t>> spatial(Call& c, size_t i, size_t axes) {
  std::vector<std::optional<int64_t>> out;
  const auto numbers = c.numbers(i);
  if (!numbers || numbers->size() != axes + 2) return out;
  out.assign(numbers->begin() + 1, numbers->end() - 1);
  return out;
}

/// Weights [O, H, W, I].
void transpose_conv(Call& c, std::string_view) {
  conv_transpose(c, 2, {3, 0, 1, 2}, 3, spatial(c, 0, 2), c.code(0) == kSame,
                 {c.option(2), c.option(1)}, {1, 1}, c.code(3));
}

/// Weights [D, H, W, O, I].
void conv_3d_transpose(Call& c, std::string_view) {
  conv_transpose(c, 2, {4, 3, 0, 1, 2}, 3, spatial(c, 0, 3), c.code(0) == kSame,
                 {c.option(1), c.option(3), c.option(2)},
                 {c.option(5, 1), c.option(7, 1), c.option(6, 1)}, c.code(4));
}

struct Window {
  Ints strides, kernel;
  bool is_same = false;
  int activation = 0;
};

Window window(Call& c) {
  Window out = {
      {c.option(2), c.option(1)}, {c.option(4), c.option(3)}, c.code(0) == kSame, c.code(5)};
  positive(c, out.strides, "strides");
  positive(c, out.kernel, "a window");
  return out;
}

void pool(Call& c, std::string_view ours) {
  const Window w = window(c);
  const bool is_max = ours == "MaxPool";
  // The largest of stored numbers is that of the real ones.
  const Tensor x = is_max && w.activation == 0 ? c.moved(0) : c.input(0);
  if (x.rank != 4) c.invalid(cat("an input of rank ", x.rank, ", expected 4"));
  if (c.failed()) return;
  set_image(
      c,
      c.b.op(
          ours, {channels_first(c.b, x)},
          {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"auto_pad", auto_pad(w.is_same)}}),
      w.activation);
}

void l2_pool(Call& c, std::string_view) {
  const Window w = window(c);
  const Tensor x = channels_first(c.b, image(c, 0, 4));
  const Tensor mean = c.b.op(
      "AveragePool", {c.b.op("Mul", {x, x})},
      {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"auto_pad", auto_pad(w.is_same)}});
  set_image(c, c.b.op("Sqrt", {mean}), w.activation);
}

void resize(Call& c, std::string_view) {
  const bool is_linear = c.scope.context.file.codes[c.op.code].builtin == 23;
  const unsigned first = is_linear ? 2 : 0;
  const bool align = c.flag(first);
  const bool half = c.flag(first + 1);
  const Tensor x = is_linear ? c.input(0) : c.moved(0);
  if (x.rank != 4) return c.invalid(cat("an input of rank ", x.rank, ", expected 4"));
  std::string nearest = "floor";
  if (align || half) nearest = "round_prefer_ceil";
  const Attributes attributes = {
      {"mode", std::string(is_linear ? "linear" : "nearest")},
      {"nearest_mode", nearest},
      {"axes", Ints{1, 2}},
      {"coordinate_transformation_mode", std::string(align  ? "align_corners"
                                                     : half ? "half_pixel"
                                                            : "asymmetric")}};
  c.set(c.b.op("Resize", {x, Tensor(), Tensor(), c.list(1)}, attributes, x.dtype, 4));
}

void depth_to_space(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  if (x.rank != 4) return c.invalid(cat("an input of rank ", x.rank, ", expected 4"));
  if (c.option(0) < 1) return c.invalid("a block size below 1");
  c.set(channels_last(c.b, c.b.op(ours, {channels_first(c.b, x)},
                                  {{"blocksize", static_cast<int64_t>(c.option(0))}})));
}

void local_response_normalization(Call& c, std::string_view) {
  const Tensor x = image(c, 0, 4);
  const int64_t size = 2 * int64_t{c.option(0)} + 1;
  if (size < 1) return c.invalid("a negative radius");
  // Ours divides alpha by the size.
  set_image(c,
            c.b.op("LRN", {channels_first(c.b, x)},
                   {{"size", size},
                    {"bias", c.real(1)},
                    {"alpha", c.real(2) * static_cast<float>(size)},
                    {"beta", c.real(3)}}),
            0);
}

constexpr Operator kOperators[] = {
    {1, "AVERAGE_POOL_2D", "AveragePool", pool},
    {3, "CONV_2D", "Conv", conv_2d},
    {4, "DEPTHWISE_CONV_2D", "Conv", depthwise_conv_2d},
    {5, "DEPTH_TO_SPACE", "DepthToSpace", depth_to_space},
    {12, "L2_POOL_2D", "AveragePool, Sqrt", l2_pool},
    {13, "LOCAL_RESPONSE_NORMALIZATION", "LRN", local_response_normalization},
    {17, "MAX_POOL_2D", "MaxPool", pool},
    {23, "RESIZE_BILINEAR", "Resize", resize},
    {26, "SPACE_TO_DEPTH", "SpaceToDepth", depth_to_space},
    {67, "TRANSPOSE_CONV", "ConvTranspose", transpose_conv},
    {97, "RESIZE_NEAREST_NEIGHBOR", "Resize", resize},
    {132, "CONV_3D", "Conv", conv_3d},
    {141, "CONV_3D_TRANSPOSE", "ConvTranspose", conv_3d_transpose},
};

}  // namespace

std::span<const Operator> conv_operators() { return kOperators; }

}  // namespace quern::tflite
