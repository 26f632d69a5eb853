// Custom operators of MediaPipe's models (mediapipe/util/tflite/operations).
#include <cstring>

#include "import/emit/nhwc.h"
#include "import/tflite/flexbuffer.h"
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

using emit::auto_pad;
using emit::channels_first;
using emit::channels_last;

/// TfLitePadding, as the options of builtin operators are in memory.
constexpr int32_t kPaddingSame = 1;

/// Options that are a C struct of 32-bit numbers.
Ints words(Call& c, size_t count) {
  Ints out(count, 1);
  if (c.op.custom.size() < 4 * count) {
    c.invalid(cat(c.op.custom.size(), " bytes of options, expected ", 4 * count));
    return out;
  }
  for (size_t i = 0; i < count; ++i) {
    int32_t word = 0;
    std::memcpy(&word, c.op.custom.data() + 4 * i, sizeof word);
    out[i] = word;
  }
  return out;
}

int32_t version(const Call& c) { return c.scope.context.file.codes[c.op.code].version; }

Tensor image(Call& c, size_t i) {
  const Tensor x = c.input(i);
  if (!c.failed() && x.rank != 4) c.invalid(cat("an input of rank ", x.rank, ", expected 4"));
  return x;
}

/// Height and width of an image, which must be known.
std::pair<int64_t, int64_t> extents(Call& c, const Tensor& x) {
  const auto height = x.extent(1);
  const auto width = x.extent(2);
  if (height && width && *height > 0 && *width > 0) return {*height, *width};
  if (!c.failed()) c.unsupported("an image of unknown size");
  return {1, 1};
}

/// x [N, H, W, I], weights [O, h, w, I], bias.
void transpose_bias(Call& c, std::string_view) {
  const Ints options = words(c, 3);
  const bool is_same = options[0] == kPaddingSame;
  const Ints strides = {options[2], options[1]};
  const Tensor x = image(c, 0);
  const Tensor weight = c.raw(1);
  if (c.failed()) return;
  if (strides[0] < 1 || strides[1] < 1) return c.invalid("strides below 1");
  std::vector<std::optional<int64_t>> wanted(2);
  for (size_t i = 0; i < 2; ++i) {
    const auto in = x.extent(i + 1);
    const auto kernel = weight.rank == 4 ? weight.extent(i + 1) : std::nullopt;
    if (!in || !kernel) return c.unsupported("an image of unknown size");
    const int64_t pads = is_same ? std::max<int64_t>(*kernel - (*in - 1) % strides[i] - 1, 0) : 0;
    wanted[i] = strides[i] * (*in - 1) + *kernel - pads;
  }
  conv_transpose(c, 0, {3, 0, 1, 2}, 2, wanted, is_same, strides, {1, 1}, 0);
}

struct Window {
  Ints strides, kernel;
  bool is_same = false;
  int activation = 0;
};

/// TfLitePoolParams.
Window window(Call& c) {
  const Ints options = words(c, 6);
  Window out = {{options[2], options[1]},
                {options[4], options[3]},
                options[0] == kPaddingSame,
                static_cast<int>(options[5])};
  for (const int64_t one : {options[1], options[2], options[3], options[4]}) {
    if (one < 1) c.invalid("strides or a window below 1");
  }
  return out;
}

/// i * stride - pad for i below n, along an axis of two.
Tensor origins(Builder& b, int64_t n, int64_t stride, int64_t pad, bool down) {
  Ints values;
  for (int64_t i = 0; i < n; ++i) values.push_back(i * stride - pad);
  return b.reshape(b.ints(values), down ? Ints{n, 1} : Ints{1, n});
}

constexpr int64_t kMostPlaces = 1 << 16;

/// The largest of each window and its place in it, row by row, plus 0.1.
void max_pool_argmax(Call& c, std::string_view) {
  const Window w = window(c);
  const Tensor x = image(c, 0);
  const auto [height, width] = extents(c, x);
  if (c.failed()) return;
  const std::pair<int64_t, int64_t> in = {height, width};
  Ints out(2);
  Ints pads(2);
  for (size_t i = 0; i < 2; ++i) {
    const int64_t extent = i == 0 ? in.first : in.second;
    out[i] = w.is_same ? (extent + w.strides[i] - 1) / w.strides[i]
                       : (extent - w.kernel[i] + w.strides[i]) / w.strides[i];
    if (out[i] < 1 || out[i] > kMostPlaces) return c.invalid("an image smaller than the window");
    pads[i] = std::max<int64_t>((out[i] - 1) * w.strides[i] + w.kernel[i] - extent, 0) / 2;
  }
  const auto pooled = c.b.ops(
      "MaxPool", {channels_first(c.b, x)}, 2,
      {{"kernel_shape", w.kernel}, {"strides", w.strides}, {"auto_pad", auto_pad(w.is_same)}},
      x.dtype, 4);
  if (c.failed()) return;
  const auto k = [&](int64_t value) { return c.b.integer(value); };
  const Tensor plane = c.b.op("Mod", {Tensor{pooled[1].value, DType::kI64, 4}, k(height * width)});
  const Tensor y = c.b.op(
      "Sub", {c.b.op("Div", {plane, k(width)}), origins(c.b, out[0], w.strides[0], pads[0], true)});
  const Tensor across = c.b.op("Sub", {c.b.op("Mod", {plane, k(width)}),
                                       origins(c.b, out[1], w.strides[1], pads[1], false)});
  const Tensor place = c.b.op("Add", {c.b.op("Mul", {y, k(w.kernel[1])}), across});
  c.set(channels_last(c.b, c.activate(pooled[0], w.activation)), 0);
  c.set(channels_last(c.b,
                      c.b.op("Add", {c.b.cast(place, DType::kF32), c.b.scalar(DType::kF32, 0.1)})),
        1);
}

/// Values back to their places in windows; the rest is 0.
void max_unpooling(Call& c, std::string_view) {
  const Window w = window(c);
  const Tensor x = image(c, 0);
  const Tensor indices = image(c, 1);
  const auto [height, width] = extents(c, x);
  if (c.failed()) return;
  if (height > kMostPlaces || width > kMostPlaces || w.kernel[0] > kMostPlaces ||
      w.kernel[1] > kMostPlaces) {
    return c.invalid("an image that is too large");
  }
  const int64_t out_height = height * w.kernel[0];
  const int64_t out_width = width * w.kernel[1];
  const auto pad = [](int64_t n, int64_t stride, int64_t kernel, int64_t out) {
    return std::max<int64_t>((n - 1) * stride + kernel - out, 0) / 2;
  };
  const auto k = [&](int64_t value) { return c.b.integer(value); };
  const Tensor place = c.b.cast(channels_first(c.b, indices), DType::kI64);
  const Tensor y =
      c.b.op("Add", {c.b.op("Div", {place, k(w.kernel[1])}),
                     origins(c.b, height, w.strides[0],
                             pad(height, w.strides[0], w.kernel[0], out_height), true)});
  const Tensor across = c.b.op(
      "Add",
      {c.b.op("Mod", {place, k(w.kernel[1])}),
       origins(c.b, width, w.strides[1], pad(width, w.strides[1], w.kernel[1], out_width), false)});
  const Tensor flat = c.b.op("Add", {c.b.op("Mul", {y, k(out_width)}), across});
  const Size batch = c.b.size(x, 0);
  const Size channels = c.b.size(x, 3);
  const auto rows = [&](const Tensor& v) {
    return c.b.reshape(v, std::vector<Size>{batch, channels, c.b.number(height * width)});
  };
  const Tensor empty =
      c.b.full({batch, channels, c.b.number(out_height * out_width)}, c.b.scalar(x.dtype, 0));
  const Tensor filled = c.b.op("ScatterElements", {empty, rows(flat), rows(channels_first(c.b, x))},
                               {{"axis", int64_t{2}}}, x.dtype, 3);
  c.set(channels_last(c.b,
                      c.b.reshape(filled, std::vector<Size>{batch, channels, c.b.number(out_height),
                                                            c.b.number(out_width)})));
}

/// Options by name.
class Options {
 public:
  explicit Options(Call& c) : c_(c) {
    auto read = read_flexbuffer_map(c.op.custom);
    if (read) {
      values_ = *std::move(read);
    } else {
      c.invalid(read.error().message);
    }
  }

  double number(std::string_view name) {
    const auto found = values_.find(name);
    if (found != values_.end() && found->second.size() == 1) return found->second[0];
    if (!c_.failed()) c_.invalid(cat("no option '", name, "'"));
    return 1;
  }
  /// From 1 to a limit.
  int64_t count(std::string_view name) {
    const double value = number(name);
    if (value >= 0 && value <= kMostPlaces) return static_cast<int64_t>(value);
    c_.invalid(cat("option '", name, "' is ", value));
    return 1;
  }
  Ints list(std::string_view name) {
    Ints out;
    const auto found = values_.find(name);
    if (found == values_.end()) return out;
    for (const double value : found->second) {
      if (!(value >= 0 && value <= kMostPlaces)) {
        c_.invalid(cat("option '", name, "' has ", value));
        return {};
      }
      out.push_back(static_cast<int64_t>(value));
    }
    return out;
  }

 private:
  Call& c_;
  std::map<std::string, std::vector<double>, std::less<>> values_;
};

/// x [N, H, W, C] at the places where a matrix [1, 4, 4] takes the pixels of the result.
void transform_tensor(Call& c, std::string_view) {
  Options options(c);
  const int64_t out_height = options.count("output_height");
  const int64_t out_width = options.count("output_width");
  const Tensor x = image(c, 0);
  const Tensor matrix = c.input(1);
  const auto [height, width] = extents(c, x);
  if (c.failed()) return;
  if (out_height < 1 || out_width < 1 || out_height * out_width > (1 << 20)) {
    return c.invalid("a result of another size than 1 to 2^20");
  }
  if (matrix.rank != 3) return c.invalid("a matrix of another rank than 3");
  // Since version 2 pixels have their centres at one half.
  const float half = version(c) > 1 ? 0.5F : 0.0F;
  const int64_t n = out_height * out_width;
  std::vector<float> points(static_cast<size_t>(4 * n), 0.0F);
  for (int64_t i = 0; i < n; ++i) {
    points[static_cast<size_t>(i)] = static_cast<float>(i % out_width) + half;
    points[static_cast<size_t>(n + i)] = static_cast<float>(i / out_width) + half;
    points[static_cast<size_t>(3 * n + i)] = 1.0F;
  }
  const Tensor rows = c.b.slice(matrix, 1, c.b.number(0), c.b.number(2));
  const Tensor product = c.b.op(
      "MatMul", {rows, c.b.constant(HostTensor::of_floats({1, 4, n}, points))}, {}, x.dtype, 3);
  const Tensor places =
      c.b.reshape(c.b.permute(c.b.op("Sub", {product, c.b.scalar(x.dtype, half)}), {0, 2, 1}),
                  Ints{1, out_height, out_width, 2});
  const auto last = [](int64_t extent) { return static_cast<float>(extent - 1); };
  const Tensor ends = c.b.constant(HostTensor::of_floats({2}, {last(width), last(height)}));
  // Outside of the image, even by half a pixel, is 0.
  const Tensor inside =
      c.b.op("And", {c.b.op("GreaterOrEqual", {places, c.b.scalar(x.dtype, 0)}, {}, DType::kBool),
                     c.b.op("LessOrEqual", {places, ends}, {}, DType::kBool)});
  const Tensor mask = c.b.reduce("ReduceMin", c.b.cast(inside, DType::kF32), {3}, true);
  const auto scale = [](int64_t extent) {
    return extent > 1 ? 2.0F / static_cast<float>(extent - 1) : 0.0F;
  };
  const Tensor grid =
      c.b.op("Sub", {c.b.op("Mul", {places, c.b.constant(HostTensor::of_floats(
                                                {2}, {scale(width), scale(height)}))}),
                     c.b.scalar(x.dtype, 1)});
  const Tensor sampled = c.b.op("GridSample", {channels_first(c.b, x), grid},
                                {{"mode", std::string("linear")},
                                 {"padding_mode", std::string("border")},
                                 {"align_corners", int64_t{1}}},
                                x.dtype, 4);
  c.set(c.b.op("Mul", {channels_last(c.b, sampled), mask}));
}

/// Points [.., 2 or 3] by a matrix [1, 4, 4]; a third coordinate stays.
void transform_landmarks(Call& c, std::string_view) {
  const Tensor points = c.input(0);
  const Tensor matrix = c.input(1);
  if (c.failed()) return;
  if (version(c) < 2) return c.unsupported("version 1");
  const auto size = points.rank == 3 ? points.extent(2) : std::nullopt;
  if (!size || (*size != 2 && *size != 3)) return c.invalid("points of other than 2 or 3 numbers");
  if (matrix.rank != 3) return c.invalid("a matrix of another rank than 3");
  const auto part = [&](const Tensor& x, size_t axis, int64_t from, int64_t to) {
    return c.b.slice(x, axis, c.b.number(from), c.b.number(to));
  };
  const Tensor rows = part(matrix, 1, 0, 2);
  const Tensor turned =
      c.b.op("MatMul", {part(points, 2, 0, 2), c.b.permute(part(rows, 2, 0, 2), {0, 2, 1})}, {},
             points.dtype, 3);
  const Tensor moved = c.b.op("Add", {turned, c.b.permute(part(rows, 2, 3, 4), {0, 2, 1})});
  c.set(*size == 2 ? moved : c.b.concat({moved, part(points, 2, 2, 3)}, 2));
}

/// The matrix that takes a crop around landmarks [1, n, 3], upright, to the image.
void landmarks_to_matrix(Call& c, std::string_view) {
  if (version(c) < 2) return c.unsupported("version 1");
  Options options(c);
  const int64_t left = options.count("left_rotation_idx");
  const int64_t right = options.count("right_rotation_idx");
  const double out_width = options.number("output_width");
  const double out_height = options.number("output_height");
  const Ints subset = options.list("subset_idxs");
  const double target = options.number("target_rotation_radians");
  const double scale_x = options.number("scale_x");
  const double scale_y = options.number("scale_y");
  const Tensor points = c.input(0);
  if (c.failed()) return;
  if (points.rank != 3 || subset.empty() || !(out_width > 0) || !(out_height > 0)) {
    return c.invalid("landmarks or options out of range");
  }
  Builder& b = c.b;
  const auto k = [&](double value) { return b.scalar(points.dtype, value); };
  const auto add = [&](const Tensor& u, const Tensor& v) { return b.op("Add", {u, v}); };
  const auto sub = [&](const Tensor& u, const Tensor& v) { return b.op("Sub", {u, v}); };
  const auto mul = [&](const Tensor& u, const Tensor& v) { return b.op("Mul", {u, v}); };
  // Numbers are tensors of one element.
  const auto coordinate = [&](int64_t index, int64_t axis) {
    const Tensor point = b.select(points, 1, b.number(index));
    return b.reshape(b.select(point, 1, b.number(axis)), Ints{1});
  };
  const Tensor dy = sub(coordinate(right, 1), coordinate(left, 1));
  const Tensor dx = sub(coordinate(right, 0), coordinate(left, 0));
  const Tensor angle = sub(k(target), atan2_of(b, dy, dx));
  const Tensor cos = b.op("Cos", {angle});
  const Tensor sin = b.op("Sin", {angle});
  const Tensor chosen =
      b.op("Gather", {points, b.ints(subset)}, {{"axis", int64_t{1}}}, points.dtype, 3);
  const auto column = [&](int64_t axis) {
    return b.reshape(b.select(chosen, 2, b.number(axis)), Ints{-1});
  };
  const Tensor x = column(0);
  const Tensor y = column(1);
  const Tensor turned_x = sub(mul(x, cos), mul(y, sin));
  const Tensor turned_y = add(mul(x, sin), mul(y, cos));
  const auto most = [&](const Tensor& v) { return b.reduce("ReduceMax", v, {0}, true); };
  const auto least = [&](const Tensor& v) { return b.reduce("ReduceMin", v, {0}, true); };
  const auto middle = [&](const Tensor& v) { return mul(add(most(v), least(v)), k(0.5)); };
  const auto reach = [&](const Tensor& v, double factor) {
    return mul(sub(most(v), least(v)), k(factor));
  };
  const Tensor mx = middle(turned_x);
  const Tensor my = middle(turned_y);
  const Tensor size_x = reach(turned_x, scale_x / out_width);
  const Tensor size_y = reach(turned_y, scale_y / out_height);
  const Tensor xx = mul(cos, size_x);
  const Tensor xy = mul(sin, size_y);
  const Tensor yx = b.op("Neg", {mul(sin, size_x)});
  const Tensor yy = mul(cos, size_y);
  const auto offset = [&](const Tensor& center, const Tensor& of_x, const Tensor& of_y) {
    return sub(center, add(mul(of_x, k(out_width / 2)), mul(of_y, k(out_height / 2))));
  };
  const Tensor to_x = offset(add(mul(mx, cos), mul(my, sin)), xx, xy);
  const Tensor to_y = offset(sub(mul(my, cos), mul(mx, sin)), yx, yy);
  const Tensor zero = b.constant(HostTensor::of_floats({1}, {0}));
  const Tensor rest = b.constant(HostTensor::of_floats({8}, {0, 0, 1, 0, 0, 0, 0, 1}));
  c.set(b.reshape(b.concat({xx, xy, zero, to_x, yx, yy, zero, to_y, rest}, 0), Ints{1, 4, 4}));
}

constexpr Operator kOperators[] = {
    {kCustom, "Convolution2DTransposeBias", "ConvTranspose", transpose_bias},
    {kCustom, "Landmarks2TransformMatrix", "Gather, Cos, Sin, Concat", landmarks_to_matrix},
    {kCustom, "MaxPoolingWithArgmax2D", "MaxPool", max_pool_argmax},
    {kCustom, "MaxUnpooling2D", "ScatterElements", max_unpooling},
    {kCustom, "TransformLandmarks", "MatMul, Add", transform_landmarks},
    {kCustom, "TransformTensorBilinear", "MatMul, GridSample", transform_tensor},
};

}  // namespace

std::span<const Operator> custom_operators() { return kOperators; }

}  // namespace quern::tflite
