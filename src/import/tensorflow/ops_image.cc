// Images: resizes, crops, projections. Semantics after tensorflow/core/kernels/image.
#include "import/tensorflow/operators.h"
#include "import/tensorflow/window.h"

namespace quern::tensorflow {
namespace {

void resize(Call& c, std::string_view) {
  Emitter& b = c.b;
  Tensor image = Emitter::of_rank(c.in(0), 4);
  const bool nearest = c.op() == "ResizeNearestNeighbor";
  if (image.rank != 4) return c.invalid("an input of an unexpected rank");
  if (!nearest) image = b.cast(image, emit::float_type(image.dtype));
  const bool corners = c.flag("align_corners", false), half = c.flag("half_pixel_centers", false);
  if (corners && half) return c.invalid("align_corners and half_pixel_centers exclude each other");
  const Tensor x = channels_first(b, image);
  const auto held = b.contents(c.in(1));
  const std::string transform = corners ? "align_corners" : half ? "half_pixel" : "asymmetric";
  // TensorFlow rounds half up where corners are aligned or centers are at a half.
  const std::string rounding = corners || half ? "round_prefer_ceil" : "floor";
  const std::string mode = nearest ? "nearest" : c.op() == "ResizeBicubic" ? "cubic" : "linear";
  Tensor y = b.op("Resize", {x, {}, {}, b.as_i64(c.in(1))},
                  {{"mode", mode},
                   {"coordinate_transformation_mode", transform},
                   {"nearest_mode", rounding},
                   {"cubic_coeff_a", half ? -0.5F : -0.75F},
                   {"exclude_outside", int64_t{half ? 1 : 0}},
                   {"axes", Ints{2, 3}}},
                  x.dtype, 4);
  const Shape dims = b.shape(x);
  const bool known = held && held->size() == 2;
  y = b.shaped(
      y, {dims[0], dims[1], known ? (*held)[0] : b.unknown(), known ? (*held)[1] : b.unknown()});
  c.set(channels_last(b, y));
}

/// Element `i` of the last axis.
Tensor part(Emitter& b, const Tensor& x, int64_t i) { return b.select(x, x.rank - 1, b.number(i)); }

/// From 0 to 1 in `count` steps, f32; 0.5 where there is one.
Tensor steps(Emitter& b, int64_t count) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(count == 1 ? 0.5F : static_cast<float>(i) / static_cast<float>(count - 1));
  }
  return b.constant(HostTensor::of_floats({count}, values));
}

/// x at relative places [n, rows, columns] of its two axes, 0 the first pixel's center and 1 the
/// last one's.
Tensor sampled(Emitter& b, const Tensor& x, const Tensor& rows, const Tensor& columns, bool nearest,
               std::string padding) {
  const auto scaled = [&](const Tensor& t) {
    const Tensor doubled = b.op("Mul", {t, b.scalar(DType::kF32, 2)});
    return b.op("Unsqueeze", {b.op("Sub", {doubled, b.scalar(DType::kF32, 1)}), b.ints({3})}, {},
                {}, 4);
  };
  const Tensor grid = b.Builder::concat({scaled(columns), scaled(rows)}, 3);
  return b.op("GridSample", {x, grid},
              {{"mode", std::string(nearest ? "nearest" : "linear")},
               {"padding_mode", std::move(padding)},
               {"align_corners", int64_t{1}}},
              x.dtype, 4);
}

void crop_and_resize(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor image = b.cast(c.in(0), DType::kF32), boxes = c.in(1);
  const Ints size = c.ints_in(3);
  if (c.failed()) return;
  if (image.rank != 4 || boxes.rank != 2 || size.size() != 2)
    return c.invalid("inputs of unexpected ranks");
  for (const int64_t n : size) {
    if (n < 1 || n > 65536) return c.invalid("a crop's size out of range");
  }
  const std::string method = c.text("method", "bilinear");
  // Boxes are [y1, x1, y2, x2], relative. An axis each: [n, rows or columns].
  const auto along = [&](int64_t from, int64_t to, int64_t count) {
    const Tensor start = b.op("Unsqueeze", {part(b, boxes, from), b.ints({1})}, {}, {}, 2);
    const Tensor end = b.op("Unsqueeze", {part(b, boxes, to), b.ints({1})}, {}, {}, 2);
    return b.op("Add", {start, b.op("Mul", {b.op("Sub", {end, start}), steps(b, count)})}, {}, {},
                2);
  };
  const Tensor zero = b.scalar(DType::kF32, 0), one = b.scalar(DType::kF32, 1);
  const Tensor y = along(0, 2, size[0]), x = along(1, 3, size[1]);
  const auto inside = [&](const Tensor& t) {
    return b.op("And",
                {b.op("GreaterOrEqual", {t, zero}, {}, DType::kBool),
                 b.op("LessOrEqual", {t, one}, {}, DType::kBool)},
                {}, DType::kBool);
  };
  const Tensor rows = b.op("Unsqueeze", {y, b.ints({2})}, {}, {}, 3);
  const Tensor columns = b.op("Unsqueeze", {x, b.ints({1})}, {}, {}, 3);
  const Tensor whole = b.op("Add", {rows, b.op("Mul", {columns, zero})}, {}, {}, 3);
  const Tensor whole_columns = b.op("Add", {columns, b.op("Mul", {rows, zero})}, {}, {}, 3);
  const Tensor images =
      b.op("Gather", {channels_first(b, image), b.as_i64(c.in(2))}, {{"axis", int64_t{0}}}, {}, 4);
  Tensor out = sampled(b, images, whole, whole_columns, method == "nearest", "border");
  Tensor hit = b.op("And", {inside(rows), inside(columns)}, {}, DType::kBool, 3);
  hit = b.op("Unsqueeze", {hit, b.ints({1})}, {}, DType::kBool, 4);
  out = b.op("Where", {hit, out, b.scalar(DType::kF32, c.number("extrapolation_value", 0))}, {},
             DType::kF32, 4);
  out = b.shaped(out, {b.shape(boxes)[0], b.shape(image)[3], size[0], size[1]});
  c.set(channels_last(b, out));
}

void projective(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor image = b.cast(c.in(0), DType::kF32), transforms = c.in(1);
  const Ints size = c.ints_in(2);
  const double fill = c.count() > 3 && c.in(3).value->constant &&
                              c.in(3).value->constant->is_inline() &&
                              c.in(3).value->constant->host.count() == 1
                          ? c.in(3).value->constant->host.float_at(0)
                          : 0;
  const std::string mode = c.text("fill_mode", "CONSTANT");
  if (c.failed()) return;
  if (image.rank != 4 || transforms.rank != 2 || size.size() != 2)
    return c.invalid("inputs of unexpected ranks");
  if (mode != "CONSTANT" && mode != "NEAREST") return c.unsupported(cat("fill mode '", mode, "'"));
  for (const int64_t n : size) {
    if (n < 1 || n > 65536 || size[0] * size[1] > (1 << 26))
      return c.invalid("an image's size out of range");
  }
  const Shape dims = b.shape(image);
  const auto height = dims[1].constant(), width = dims[2].constant();
  if (!height || !width || *height < 2 || *width < 2)
    return c.unsupported("an image whose extents are not known");
  const auto axis = [&](int64_t count, int64_t at) {
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
    Dims extents = {1, 1, 1};
    extents[static_cast<size_t>(at)] = count;
    return b.constant(HostTensor::of_floats(extents, values));
  };
  const Tensor y = axis(size[0], 1), x = axis(size[1], 2);
  const auto factor = [&](int64_t i) {
    return b.op("Unsqueeze", {part(b, transforms, i), b.ints({1, 2})}, {}, {}, 3);
  };
  const auto row = [&](int64_t i, const Tensor& last) {
    return b.op(
        "Add", {b.op("Add", {b.op("Mul", {factor(i), x}), b.op("Mul", {factor(i + 1), y})}), last});
  };
  const Tensor scale = row(6, b.scalar(DType::kF32, 1));
  const auto relative = [&](const Tensor& t, int64_t extent) {
    return b.op("Div",
                {b.op("Div", {t, scale}), b.scalar(DType::kF32, static_cast<double>(extent - 1))});
  };
  const Tensor columns = relative(row(0, factor(2)), *width),
               rows = relative(row(3, factor(5)), *height);
  Tensor images = channels_first(b, image);
  // One transform may serve all images: the grid has their number.
  const auto spread = [&](const Tensor& t) {
    const std::vector<Size> sizes = {b.size(images, 0), b.number(size[0]), b.number(size[1])};
    return b.expand(t, sizes);
  };
  const Tensor level = b.scalar(DType::kF32, fill);
  if (fill != 0) images = b.binary("Sub", images, level);
  Tensor out = sampled(b, images, spread(rows), spread(columns),
                       c.text("interpolation", "NEAREST") == "NEAREST",
                       mode == "NEAREST" ? "border" : "zeros");
  if (fill != 0) out = b.op("Add", {out, level});
  c.set(channels_last(b, b.shaped(out, {dims[0], dims[3], size[0], size[1]})));
}

constexpr Operator kOperators[] = {
    {"ResizeBilinear", "Resize", resize},
    {"ResizeNearestNeighbor", "Resize", resize},
    {"ResizeBicubic", "Resize", resize},
    {"CropAndResize", "GridSample, Where", crop_and_resize},
    {"ImageProjectiveTransformV2", "GridSample", projective},
    {"ImageProjectiveTransformV3", "GridSample", projective},
};

}  // namespace

std::span<const Operator> image_operators() { return kOperators; }

}  // namespace quern::tensorflow
