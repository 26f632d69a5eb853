#include "ops/common/resize_shape.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "ops/common/infer.h"

namespace quern {
namespace {

/// Extents and tables past this are refused.
constexpr double kMaxExtent = 1 << 30;
/// Dyadic scales with a numerator up to this give symbolic extents; f32 products are exact then.
constexpr double kMaxNumerator = 1 << 16;

Result<int64_t> scaled_extent(const Node& node, int64_t extent, double scale) {
  // In f32, as the operator's own shape inference has it.
  const float product = static_cast<float>(extent) * static_cast<float>(scale);
  if (!(product >= 0) || static_cast<double>(product) > kMaxExtent) {
    return invalid_model(cat(node.describe(), ": an extent of ", extent, " cannot be scaled"));
  }
  return static_cast<int64_t>(std::floor(product));
}

Result<void> check_scale(const Node& node, double scale) {
  if (scale > 0 && scale <= kMaxExtent) return {};
  return invalid_model(cat(node.describe(), ": a scale that is not positive"));
}

bool is_given(const HostTensor* tensor) { return tensor != nullptr && tensor->count() != 0; }

/// A const scale as a fraction whose denominator is a power of two, where that is short.
struct Fraction {
  int64_t numerator, denominator;
};
std::optional<Fraction> fraction_of(double scale) {
  for (int64_t denominator = 1; denominator <= 64; denominator *= 2) {
    const double numerator = scale * static_cast<double>(denominator);
    if (numerator > kMaxNumerator) return std::nullopt;
    if (numerator == std::floor(numerator)) {
      return Fraction{static_cast<int64_t>(numerator), denominator};
    }
  }
  return std::nullopt;
}

double cubic_weight(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// The source coordinate of position `x`. In T = float it's rounded as in other runtimes, which
/// decides what is nearest; in double it's what weights are made of.
template <class T>
T source_of(const ResizeMapping& mapping, const ResizeAxis& axis, int64_t x) {
  using C = ResizeMapping::Coordinates;
  const T at = static_cast<T>(x);
  const T scale = static_cast<T>(axis.scale);
  const T half = T(0.5);
  const T in = static_cast<T>(axis.in);
  // The output's extent before it was rounded.
  T width = scale * in;
  const T out = static_cast<T>(axis.out);
  if (std::abs(width - out) <= T(1e-6) * out) width = out;
  switch (mapping.coordinates) {
    case C::kHalfPixel:
      return (at + half) / scale - half;
    case C::kPytorchHalfPixel:
      return axis.out > 1 ? (at + half) / scale - half : T(0);
    case C::kHalfPixelSymmetric:
      return in / 2 * (1 - out / width) + (at + half) / scale - half;
    case C::kHalfPixelForNearest:
      return (at + half) / scale;
    case C::kAsymmetric:
      return at / scale;
    case C::kAlignCorners:
      return width == T(1) || axis.out == 1 ? T(0) : at * (in - 1) / (width - 1);
    case C::kCrop: {
      const T start = static_cast<T>(axis.roi_start);
      const T end = static_cast<T>(axis.roi_end);
      if (axis.out == 1) return half * (start + end) * (in - 1);
      return start * (in - 1) + at * (end - start) * (in - 1) / (width - 1);
    }
  }
  return at;
}

double rounded(ResizeMapping::Rounding rounding, double at, double scale) {
  using R = ResizeMapping::Rounding;
  switch (rounding) {
    case R::kFloor:
      return std::floor(at);
    case R::kCeil:
      return std::ceil(at);
    case R::kPreferFloor:
      return std::ceil(at - 0.5);
    case R::kPreferCeil:
      return std::floor(at + 0.5);
    case R::kSimple:
      return scale < 1 ? std::ceil(at) : std::floor(at);
  }
  return at;
}

/// The weights of the taps at `first` and on, of a position whose source is `ratio` past tap
/// `before` of them.
void weigh(const ResizeMapping& m, const ResizeAxis& axis, double ratio, int64_t before,
           int64_t first, std::vector<double>& weights) {
  const double stretch = m.antialias ? std::min(axis.scale, 1.0) : 1.0;
  double sum = 0;
  for (size_t t = 0; t < weights.size(); ++t) {
    const int64_t place = first + static_cast<int64_t>(t);
    const double distance =
        (static_cast<double>(static_cast<int64_t>(t) - before) - ratio) * stretch;
    double weight = m.mode == ResizeMapping::Mode::kLinear ? std::max(0.0, 1 - std::abs(distance))
                                                           : cubic_weight(distance, m.cubic_a);
    if (m.exclude_outside && (place < 0 || place >= axis.in)) weight = 0;
    weights[t] = weight;
    sum += weight;
  }
  if (sum == 0 || (!m.antialias && !m.exclude_outside)) return;
  for (double& weight : weights) weight /= sum;
}

}  // namespace

Result<std::vector<size_t>> resized_axes(const Node& node, size_t rank) {
  if (const std::vector<int64_t>* axes = node.ints("axes")) {
    return resolve_axes(node, *axes, rank);
  }
  std::vector<size_t> all;
  for (size_t a = 0; a < rank; ++a) all.push_back(a);
  return all;
}

Result<std::vector<ResizeAxis>> resize_geometry(const Node& node, const Dims& x,
                                                const HostTensor* roi, const HostTensor* scales,
                                                const HostTensor* sizes) {
  std::vector<ResizeAxis> result(x.size());
  for (size_t a = 0; a < x.size(); ++a) result[a].in = result[a].out = x[a];
  QUERN_ASSIGN(std::vector<size_t> axes, resized_axes(node, x.size()));
  const auto count = static_cast<int64_t>(axes.size());
  const HostTensor* extents = is_given(scales) ? scales : sizes;
  if (axes.empty()) return result;
  if (!is_given(extents) || extents->count() != count) {
    return invalid_model(cat(node.describe(), ": scales or sizes are not one each for ", count,
                             " axes of a tensor of dims ", x));
  }
  if (is_given(roi) && roi->count() == 2 * count) {
    for (size_t k = 0; k < axes.size(); ++k) {
      result[axes[k]].roi_start = roi->float_at(static_cast<int64_t>(k));
      result[axes[k]].roi_end = roi->float_at(count + static_cast<int64_t>(k));
    }
  }
  if (is_given(scales)) {
    for (size_t k = 0; k < axes.size(); ++k) {
      ResizeAxis& axis = result[axes[k]];
      axis.scale = scales->float_at(static_cast<int64_t>(k));
      QUERN_TRY(check_scale(node, axis.scale));
      QUERN_ASSIGN(axis.out, scaled_extent(node, axis.in, axis.scale));
    }
    return result;
  }
  for (size_t k = 0; k < axes.size(); ++k) {
    ResizeAxis& axis = result[axes[k]];
    axis.out = sizes->int_at(static_cast<int64_t>(k));
    if (axis.out < 0 || static_cast<double>(axis.out) > kMaxExtent) {
      return invalid_model(cat(node.describe(), ": a size of ", axis.out));
    }
    if (axis.in > 0) axis.scale = static_cast<double>(axis.out) / static_cast<double>(axis.in);
  }
  const std::string_view policy = node.string_or("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") return result;
  double scale = result[axes[0]].scale;
  for (size_t a : axes) {
    scale = policy == "not_larger" ? std::min(scale, result[a].scale)
                                   : std::max(scale, result[a].scale);
  }
  for (size_t a : axes) {
    result[a].scale = scale;
    const double extent = std::floor(scale * static_cast<double>(result[a].in) + 0.5);
    if (extent > kMaxExtent) return invalid_model(cat(node.describe(), ": sizes are too large"));
    result[a].out = static_cast<int64_t>(extent);
  }
  return result;
}

Result<Shape> scaled_shape(InferContext& c, const Shape& x, const std::vector<size_t>& axes,
                           const std::vector<double>& scales) {
  if (scales.size() != axes.size()) {
    return c.error(cat(scales.size(), " scales for ", axes.size(), " axes of shape ", x));
  }
  Shape result = x;
  for (size_t k = 0; k < axes.size(); ++k) {
    QUERN_TRY(check_scale(c.node(), scales[k]));
    Dim& extent = result[axes[k]];
    if (extent.is_const()) {
      QUERN_ASSIGN(extent, scaled_extent(c.node(), extent.value(), scales[k]));
    } else if (const std::optional<Fraction> f = fraction_of(scales[k])) {
      extent = floor_div(extent * f->numerator, f->denominator);
    } else {
      extent = c.fresh_dim(0, axes[k]);
    }
  }
  return result;
}

Result<Shape> resized_shape(InferContext& c, const Shape& x, size_t scales, size_t sizes) {
  QUERN_ASSIGN(std::vector<size_t> axes, resized_axes(c.node(), x.size()));
  Shape result = x;
  for (size_t a : axes) result[a] = c.fresh_dim(0, a);
  const auto is_empty = [&](size_t i) {
    const Shape* shape = c.shape(i);
    return !c.has_input(i) || (shape != nullptr && element_count(*shape) == Dim(0));
  };
  if (!is_empty(scales)) {
    const HostTensor* host = c.host(scales);
    if (host == nullptr) return result;
    std::vector<double> numbers;
    for (int64_t k = 0; k < std::min(host->count(), kMaxContents); ++k) {
      numbers.push_back(host->float_at(k));
    }
    return scaled_shape(c, x, axes, numbers);
  }
  const std::optional<std::vector<Dim>> extents = c.contents(sizes);
  if (!extents) return result;
  if (extents->size() != axes.size()) {
    return c.error(cat(extents->size(), " sizes for ", axes.size(), " axes of shape ", x));
  }
  if (c.node().string_or("keep_aspect_ratio_policy", "stretch") != "stretch") {
    const std::optional<Dims> numbers = constant_dims(*extents);
    const std::optional<Dims> dims = constant_dims(x);
    if (!numbers || !dims) return result;
    const HostTensor host =
        HostTensor::of_ints(DType::kI64, {static_cast<int64_t>(numbers->size())}, *numbers);
    QUERN_ASSIGN(std::vector<ResizeAxis> geometry,
                 resize_geometry(c.node(), *dims, nullptr, nullptr, &host));
    for (size_t a : axes) result[a] = geometry[a].out;
    return result;
  }
  for (size_t k = 0; k < axes.size(); ++k) {
    const Dim& extent = (*extents)[k];
    if (extent.upper() < 0) return c.error(cat("sizes ", Shape(*extents), " are negative"));
    if (extent.lower() >= 0) result[axes[k]] = extent;
  }
  return result;
}

int64_t ResizeMapping::taps(double scale) const {
  if (mode == Mode::kNearest) return 0;
  const double radius = mode == Mode::kLinear ? 1 : 2;
  if (!antialias) return static_cast<int64_t>(2 * radius);
  // As many on each side as the stretched filter reaches.
  const double stretch = std::max(std::min(scale, 1.0), 1 / kMaxExtent);
  return 2 * static_cast<int64_t>(std::ceil(radius / stretch));
}

namespace {

/// The first parts of pairs: "a, b, c".
std::string names_of(const auto& pairs) {
  std::string names;
  for (const auto& [name, value] : pairs) names += cat(names.empty() ? "" : ", ", name);
  return names;
}

}  // namespace

Result<ResizeMapping> resize_mapping(const Node& node) {
  using C = ResizeMapping::Coordinates;
  using R = ResizeMapping::Rounding;
  ResizeMapping m;
  const auto unknown = [&](std::string_view what, std::string_view value, std::string_view known) {
    return invalid_model(cat(node.describe(), ": ", what, " is '", value, "', expected ", known));
  };
  const std::string_view mode = node.string_or("mode", "nearest");
  if (mode == "linear" || mode == "bilinear") {
    m.mode = ResizeMapping::Mode::kLinear;
  } else if (mode == "cubic") {
    m.mode = ResizeMapping::Mode::kCubic;
  } else if (mode != "nearest") {
    return unknown("mode", mode, "nearest, linear or cubic");
  }
  constexpr std::pair<std::string_view, C> kCoordinates[] = {
      {"half_pixel", C::kHalfPixel},
      {"half_pixel_symmetric", C::kHalfPixelSymmetric},
      {"pytorch_half_pixel", C::kPytorchHalfPixel},
      {"align_corners", C::kAlignCorners},
      {"asymmetric", C::kAsymmetric},
      {"tf_crop_and_resize", C::kCrop},
      {"tf_half_pixel_for_nn", C::kHalfPixelForNearest},
  };
  const std::string_view coordinates =
      node.string_or("coordinate_transformation_mode", "half_pixel");
  const auto* c = std::ranges::find(kCoordinates, coordinates, [](auto& e) { return e.first; });
  if (c == std::end(kCoordinates))
    return unknown("coordinate_transformation_mode", coordinates, names_of(kCoordinates));
  m.coordinates = c->second;
  constexpr std::pair<std::string_view, R> kRoundings[] = {
      {"round_prefer_floor", R::kPreferFloor},
      {"round_prefer_ceil", R::kPreferCeil},
      {"floor", R::kFloor},
      {"ceil", R::kCeil},
      {"simple", R::kSimple},
  };
  const std::string_view rounding = node.string_or("nearest_mode", "round_prefer_floor");
  const auto* r = std::ranges::find(kRoundings, rounding, [](auto& e) { return e.first; });
  if (r == std::end(kRoundings)) return unknown("nearest_mode", rounding, names_of(kRoundings));
  m.rounding = r->second;
  const std::string_view policy = node.string_or("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller") {
    return unknown("keep_aspect_ratio_policy", policy, "stretch, not_larger or not_smaller");
  }
  m.cubic_a = static_cast<double>(node.float_or("cubic_coeff_a", -0.75f));
  m.antialias = node.int_or("antialias", 0) != 0 && m.mode != ResizeMapping::Mode::kNearest;
  m.exclude_outside = node.int_or("exclude_outside", 0) != 0;
  return m;
}

Result<HostTensor> resize_table(const ResizeMapping& mapping, const ResizeAxis& axis) {
  const int64_t taps = mapping.taps(axis.scale);
  QUERN_ASSIGN(HostTensor table, HostTensor::zeros(DType::kI32, {1 + taps, axis.out}));
  if (axis.in <= 0) return table;
  auto* words = reinterpret_cast<int32_t*>(table.bytes.data());
  const auto last = static_cast<double>(axis.in - 1);
  const bool unscaled = axis.scale == 1 && mapping.keeps_unscaled();
  std::vector<double> weights(static_cast<size_t>(taps));
  for (int64_t x = 0; x < axis.out; ++x) {
    const auto source = static_cast<double>(source_of<float>(mapping, axis, x));
    int32_t& start = words[x];
    if (mapping.coordinates == ResizeMapping::Coordinates::kCrop &&
        !(source >= 0 && source <= last)) {
      start = kResizeOutside;
      continue;
    }
    if (mapping.mode == ResizeMapping::Mode::kNearest) {
      const double at =
          unscaled ? static_cast<double>(x) : rounded(mapping.rounding, source, axis.scale);
      start = static_cast<int32_t>(std::clamp(at, 0.0, last));
      continue;
    }
    double exact = unscaled ? static_cast<double>(x) : source_of<double>(mapping, axis, x);
    // Farther outside nothing changes any more.
    const auto reach = static_cast<double>(taps + 1);
    exact = std::isnan(exact) ? 0 : std::clamp(exact, -reach, last + reach);
    const double floor = std::floor(exact);
    const int64_t before = taps / 2 - 1;
    const int64_t first = static_cast<int64_t>(floor) - before;
    start = static_cast<int32_t>(first);
    weigh(mapping, axis, exact - floor, before, first, weights);
    for (int64_t t = 0; t < taps; ++t) {
      words[(1 + t) * axis.out + x] =
          std::bit_cast<int32_t>(static_cast<float>(weights[static_cast<size_t>(t)]));
    }
  }
  return table;
}

}  // namespace quern
