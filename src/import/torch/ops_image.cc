// Operators on pictures: sizes, sampling, and channels to pixels.
#include <algorithm>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

void upsample(Call& c, std::string_view) {
  const std::string_view target = c.target();
  const Tensor x = c.tensor(c.has("input") ? "input" : "self");
  if (c.failed()) return;
  if (x.rank < 3) return c.invalid(cat("an input of rank ", x.rank));
  const size_t count = x.rank - 2;
  std::string mode = "linear";
  std::string nearest = "floor";
  std::string coordinates = c.flag("align_corners", false) ? "align_corners" : "half_pixel";
  if (contains(target, "nearest")) {
    mode = "nearest";
    const bool exact = contains(target, "exact");
    coordinates = exact ? "half_pixel" : "asymmetric";
    nearest = exact ? "round_prefer_ceil" : "floor";
  } else if (contains(target, "bicubic")) {
    mode = "cubic";
  }
  Ints axes;
  for (size_t i = 0; i < count; ++i) axes.push_back(static_cast<int64_t>(i) + 2);
  Tensor sizes, scales;
  std::vector<double> factors;
  if (c.has("scale_factors")) factors = c.numbers("scale_factors");
  constexpr std::string_view kScales[][3] = {
      {"scales", "", ""}, {"scales_h", "scales_w", ""}, {"scales_d", "scales_h", "scales_w"}};
  for (size_t i = 0; i < count && count <= 3 && factors.size() == i; ++i) {
    const std::string_view name = kScales[count - 1][i];
    if (c.has(name)) factors.push_back(c.number(name));
  }
  if (factors.size() == count) {
    std::vector<float> values(factors.begin(), factors.end());
    scales = c.b.constant(HostTensor::of_floats({static_cast<int64_t>(count)}, values));
  } else {
    const std::vector<Size> wanted = c.sizes("output_size");
    if (wanted.size() != count) return c.invalid(cat(wanted.size(), " sizes for ", count, " axes"));
    sizes = c.b.list(wanted);
  }
  c.set(c.b.op("Resize", {x, Tensor(), scales, sizes},
               {{"mode", mode},
                {"coordinate_transformation_mode", coordinates},
                {"nearest_mode", nearest},
                {"cubic_coeff_a", contains(target, "_aa") ? -0.5f : -0.75f},
                {"antialias", int64_t{contains(target, "_aa")}},
                {"axes", axes}},
               x.dtype, x.rank));
}

void grid_sampler(Call& c, std::string_view) {
  constexpr std::string_view kModes[] = {"linear", "nearest", "cubic"};
  constexpr std::string_view kPads[] = {"zeros", "border", "reflection"};
  const int64_t mode = c.integer("interpolation_mode", 0);
  const int64_t pads = c.integer("padding_mode", 0);
  if (mode < 0 || mode > 2 || pads < 0 || pads > 2) return c.invalid("an unknown mode");
  const Tensor x = c.tensor("input");
  c.set(c.b.op("GridSample", {x, c.tensor("grid")},
               {{"mode", std::string(kModes[mode])},
                {"padding_mode", std::string(kPads[pads])},
                {"align_corners", int64_t{c.flag("align_corners", false)}}},
               x.dtype, x.rank));
}

void affine_grid(Call& c, std::string_view) {
  const Tensor theta = c.tensor("theta");
  const std::vector<Size> sizes = c.sizes("size");
  c.set(c.b.op("AffineGrid", {theta, c.b.list(sizes)},
               {{"align_corners", int64_t{c.flag("align_corners", false)}}}, theta.dtype,
               sizes.size()));
}

/// The dims before the last three.
std::vector<Size> leading(Call& c, const Tensor& x) {
  std::vector<Size> sizes;
  for (size_t i = 0; i + 3 < x.rank; ++i) sizes.push_back(c.b.size(x, i));
  return sizes;
}

Ints permutation(size_t leading, std::initializer_list<int64_t> rest) {
  Ints perm;
  for (size_t i = 0; i < leading; ++i) perm.push_back(static_cast<int64_t>(i));
  for (const int64_t axis : rest) perm.push_back(static_cast<int64_t>(leading) + axis);
  return perm;
}

/// [C r r, H, W] to [C, H r, W r].
void pixel_shuffle(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const int64_t r = c.integer("upscale_factor");
  if (x.rank < 3 || r < 1) return c.invalid(cat("rank ", x.rank, ", factor ", r));
  if (x.rank == 4) {
    return c.set(c.b.op("DepthToSpace", {x}, {{"blocksize", r}, {"mode", std::string("CRD")}}));
  }
  const std::vector<Size> before = leading(c, x);
  const size_t n = before.size();
  const Size factor = c.b.number(r);
  const Size channels = c.b.arithmetic("Div", c.b.size(x, n), c.b.number(r * r));
  const Size height = c.b.size(x, n + 1);
  const Size width = c.b.size(x, n + 2);
  std::vector<Size> apart = before;
  apart.insert(apart.end(), {channels, factor, factor, height, width});
  std::vector<Size> joined = before;
  joined.insert(joined.end(), {channels, c.b.arithmetic("Mul", height, factor),
                               c.b.arithmetic("Mul", width, factor)});
  const Tensor moved = c.b.permute(c.b.reshape(x, apart), permutation(n, {0, 3, 1, 4, 2}));
  c.set(c.b.reshape(moved, joined));
}

/// [C, H r, W r] to [C r r, H, W].
void pixel_unshuffle(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const int64_t r = c.integer("downscale_factor");
  if (x.rank < 3 || r < 1) return c.invalid(cat("rank ", x.rank, ", factor ", r));
  const std::vector<Size> before = leading(c, x);
  const size_t n = before.size();
  const Size factor = c.b.number(r);
  const Size channels = c.b.size(x, n);
  const Size height = c.b.arithmetic("Div", c.b.size(x, n + 1), factor);
  const Size width = c.b.arithmetic("Div", c.b.size(x, n + 2), factor);
  std::vector<Size> apart = before;
  apart.insert(apart.end(), {channels, height, factor, width, factor});
  std::vector<Size> joined = before;
  joined.insert(joined.end(), {c.b.arithmetic("Mul", channels, c.b.number(r * r)), height, width});
  const Tensor moved = c.b.permute(c.b.reshape(x, apart), permutation(n, {0, 2, 4, 1, 3}));
  c.set(c.b.reshape(moved, joined));
}

void channel_shuffle(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const int64_t groups = c.integer("groups");
  if (x.rank < 3 || groups < 1) return c.invalid(cat("rank ", x.rank, ", groups ", groups));
  std::vector<Size> sizes = c.b.sizes(x);
  const std::vector<Size> own = sizes;
  sizes[1] = c.b.arithmetic("Div", sizes[1], c.b.number(groups));
  sizes.insert(sizes.begin() + 1, c.b.number(groups));
  c.set(c.b.reshape(c.b.swap(c.b.reshape(x, sizes), 1, 2), own));
}

/// Windows of an axis: [.., windows, size, ..] in its place.
Tensor windows(Builder& b, const Tensor& x, size_t axis, int64_t size, int64_t step,
               int64_t dilation) {
  const Size span =
      b.arithmetic("Sub", b.size(x, axis), b.number(dilation * (size - 1) + 1 - step));
  const Size count = b.arithmetic("Div", span, b.number(step));
  const Tensor starts = b.unsqueeze(b.op("Mul", {b.range(count), b.integer(step)}), {1});
  const Tensor inside = b.op("Mul", {b.range(b.number(size)), b.integer(dilation)});
  return b.op("Gather", {x, b.op("Add", {starts, inside}, {}, DType::kI64, 2)},
              {{"axis", static_cast<int64_t>(axis)}}, x.dtype, x.rank + 1);
}

void im2col(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const Ints kernel = c.ints_for("kernel_size", 2, 1);
  const Ints dilation = c.ints_for("dilation", 2, 1);
  const Ints pads = c.ints_for("padding", 2, 0);
  const Ints stride = c.ints_for("stride", 2, 1);
  if (c.failed()) return;
  if (x.rank != 4) return c.unsupported(cat("an input of rank ", x.rank));
  for (size_t i = 0; i < 2; ++i) {
    if (kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1 || kernel[i] > 4096) {
      return c.invalid(cat("kernel ", kernel[i], ", stride ", stride[i]));
    }
  }
  const Size channels = c.b.arithmetic("Mul", c.b.size(x, 1), c.b.number(kernel[0] * kernel[1]));
  const Size batch = c.b.size(x, 0);
  if (pads[0] != 0 || pads[1] != 0) {
    x = c.b.op("Pad", {x, c.b.ints({0, 0, pads[0], pads[1], 0, 0, pads[0], pads[1]})}, {}, x.dtype,
               4);
  }
  x = windows(c.b, x, 2, kernel[0], stride[0], dilation[0]);
  x = windows(c.b, x, 4, kernel[1], stride[1], dilation[1]);
  c.set(c.b.reshape(c.b.permute(x, {0, 1, 3, 5, 2, 4}),
                    std::vector<Size>{batch, channels, c.b.number(-1)}));
}

void col2im(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const bool added = x.rank == 2;
  if (added) x = c.b.unsqueeze(x, {0});
  const Tensor y = c.b.op(
      "Col2Im", {x, c.b.list(c.sizes("output_size")), c.b.ints(c.ints_for("kernel_size", 2, 1))},
      {{"dilations", c.ints_for("dilation", 2, 1)},
       {"pads",
        [&] {
          Ints pads = c.ints_for("padding", 2, 0);
          pads.insert(pads.end(), {pads[0], pads[1]});
          return pads;
        }()},
       {"strides", c.ints_for("stride", 2, 1)}},
      x.dtype, 4);
  c.set(added ? c.b.squeeze(y, {0}) : y);
}

constexpr Operator kOperators[] = {
    {"aten.upsample_nearest1d", "vec default", "Resize", upsample},
    {"aten.upsample_nearest2d", "vec default", "Resize", upsample},
    {"aten.upsample_nearest3d", "vec default", "Resize", upsample},
    {"aten._upsample_nearest_exact1d", "vec default", "Resize", upsample},
    {"aten._upsample_nearest_exact2d", "vec default", "Resize", upsample},
    {"aten._upsample_nearest_exact3d", "vec default", "Resize", upsample},
    {"aten.upsample_linear1d", "vec default", "Resize", upsample},
    {"aten.upsample_bilinear2d", "vec default", "Resize", upsample},
    {"aten.upsample_trilinear3d", "vec default", "Resize", upsample},
    {"aten.upsample_bicubic2d", "vec default", "Resize", upsample},
    {"aten._upsample_bilinear2d_aa", "vec default", "Resize", upsample},
    {"aten._upsample_bicubic2d_aa", "vec default", "Resize", upsample},
    {"aten.grid_sampler", "default", "GridSample", grid_sampler},
    {"aten.grid_sampler_2d", "default", "GridSample", grid_sampler},
    {"aten.grid_sampler_3d", "default", "GridSample", grid_sampler},
    {"aten.affine_grid_generator", "default", "AffineGrid", affine_grid},
    {"aten.pixel_shuffle", "default", "DepthToSpace", pixel_shuffle},
    {"aten.pixel_unshuffle", "default", "Reshape, Transpose", pixel_unshuffle},
    {"aten.channel_shuffle", "default", "Reshape, Transpose", channel_shuffle},
    {"aten.native_channel_shuffle", "default", "Reshape, Transpose", channel_shuffle},
    {"aten.im2col", "default", "Gather, Transpose", im2col},
    {"aten.col2im", "default", "Col2Im", col2im},
};

}  // namespace

std::span<const Operator> image_operators() { return kOperators; }

}  // namespace quern::torch
