#include <algorithm>

#include "image/jpeg.h"

namespace quern::image {
namespace {

constexpr int kConstBits = 13;
constexpr int kPassBits = 2;

/// One dimension of the inverse transform (Loeffler, Ligtenberg, Moschytz), results shifted down.
template <class Load, class Store>
void transform(Load load, Store store, int shift) {
  const auto descale = [&](int64_t x) {
    return static_cast<int32_t>((x + (int64_t{1} << (shift - 1))) >> shift);
  };
  // Even part.
  int64_t z1 = (load(2) + load(6)) * 4433;
  const int64_t even2 = z1 - load(6) * 15137;
  const int64_t even3 = z1 + load(2) * 6270;
  const int64_t even0 = (load(0) + load(4)) * (1 << kConstBits);
  const int64_t even1 = (load(0) - load(4)) * (1 << kConstBits);
  const int64_t a0 = even0 + even3;
  const int64_t a3 = even0 - even3;
  const int64_t a1 = even1 + even2;
  const int64_t a2 = even1 - even2;
  // Odd part.
  const int64_t x7 = load(7);
  const int64_t x5 = load(5);
  const int64_t x3 = load(3);
  const int64_t x1 = load(1);
  const int64_t z5 = (x7 + x3 + x5 + x1) * 9633;
  z1 = (x7 + x1) * -7373;
  const int64_t z2 = (x5 + x3) * -20995;
  const int64_t z3 = (x7 + x3) * -16069 + z5;
  const int64_t z4 = (x5 + x1) * -3196 + z5;
  const int64_t b0 = x7 * 2446 + z1 + z3;
  const int64_t b1 = x5 * 16819 + z2 + z4;
  const int64_t b2 = x3 * 25172 + z2 + z3;
  const int64_t b3 = x1 * 12299 + z1 + z4;
  store(0, descale(a0 + b3));
  store(7, descale(a0 - b3));
  store(1, descale(a1 + b2));
  store(6, descale(a1 - b2));
  store(2, descale(a2 + b1));
  store(5, descale(a2 - b1));
  store(3, descale(a3 + b0));
  store(4, descale(a3 - b0));
}

void inverse_block(const int16_t* in, const std::array<uint16_t, 64>& quantisers, uint8_t* out,
                   size_t stride) {
  int32_t work[64];
  for (size_t x = 0; x < 8; ++x) {
    transform([&](size_t i) { return int64_t{in[i * 8 + x]} * quantisers[i * 8 + x]; },
              [&](size_t i, int32_t value) { work[i * 8 + x] = value; }, kConstBits - kPassBits);
  }
  for (size_t y = 0; y < 8; ++y) {
    transform([&](size_t i) { return int64_t{work[y * 8 + i]}; },
              [&](size_t i, int32_t value) {
                out[y * stride + i] = static_cast<uint8_t>(std::clamp(value + 128, 0, 255));
              },
              kConstBits + kPassBits + 3);
  }
}

/// The samples of one component; rows may be longer than its width.
struct Plane {
  std::vector<uint8_t> samples;
  size_t stride = 0;
  uint32_t width = 0;
  uint32_t height = 0;

  [[nodiscard]] const uint8_t* row(int64_t y) const {
    return &samples[static_cast<size_t>(std::clamp<int64_t>(y, 0, height - 1)) * stride];
  }
};

Plane samples_of(const JpegComponent& c) {
  Plane plane;
  plane.stride = size_t{c.columns} * 8;
  plane.width = c.width;
  plane.height = c.height;
  plane.samples.resize(plane.stride * c.rows * 8);
  for (size_t y = 0; y < c.rows; ++y) {
    for (size_t x = 0; x < c.columns; ++x) {
      inverse_block(&c.coefficients[(y * c.columns + x) * 64], c.quantisers,
                    &plane.samples[y * 8 * plane.stride + x * 8], plane.stride);
    }
  }
  return plane;
}

/// One row of the picture from a plane that is smaller by whole factors. Twice as large ones are
/// interpolated with weights 3 : 1, others repeated.
void upsample(const Plane& plane, uint32_t y, uint32_t h_factor, uint32_t v_factor,
              std::vector<uint8_t>& out) {
  const size_t n = plane.width;
  const bool smooth_h = h_factor == 2 && n > 2;
  const bool smooth_v = v_factor == 2 && (smooth_h || h_factor == 1);
  const auto near_y = static_cast<int64_t>(y / v_factor);
  const int64_t far_y = y % 2 == 0 ? near_y - 1 : near_y + 1;
  const uint8_t* near = plane.row(near_y);
  const uint8_t* far = plane.row(smooth_v ? far_y : near_y);
  if (smooth_h && smooth_v) {
    const auto column = [&](size_t i) { return near[i] * 3 + far[i]; };
    out[0] = static_cast<uint8_t>((column(0) * 4 + 8) >> 4);
    out[2 * n - 1] = static_cast<uint8_t>((column(n - 1) * 4 + 7) >> 4);
    for (size_t i = 0; i + 1 < n; ++i) {
      out[2 * i + 1] = static_cast<uint8_t>((column(i) * 3 + column(i + 1) + 7) >> 4);
      out[2 * i + 2] = static_cast<uint8_t>((column(i + 1) * 3 + column(i) + 8) >> 4);
    }
  } else if (smooth_h && v_factor == 1) {
    out[0] = near[0];
    out[2 * n - 1] = near[n - 1];
    for (size_t i = 0; i + 1 < n; ++i) {
      out[2 * i + 1] = static_cast<uint8_t>((near[i] * 3 + near[i + 1] + 2) >> 2);
      out[2 * i + 2] = static_cast<uint8_t>((near[i + 1] * 3 + near[i] + 1) >> 2);
    }
  } else if (smooth_v) {
    const int bias = y % 2 == 0 ? 1 : 2;
    for (size_t i = 0; i < n; ++i) {
      out[i] = static_cast<uint8_t>((near[i] * 3 + far[i] + bias) >> 2);
    }
  } else {
    for (size_t i = 0; i < n * h_factor; ++i) out[i] = near[i / h_factor];
  }
}

uint8_t clamped(int32_t value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

}  // namespace

Result<Image> jpeg_pixels(const JpegFrame& frame) {
  const size_t count = frame.components.size();
  QUERN_ASSIGN(Image image, new_image(frame.width, frame.height, count == 1 ? 1 : 3));
  std::vector<Plane> planes;
  std::vector<std::vector<uint8_t>> rows(count);
  for (const JpegComponent& c : frame.components) {
    planes.push_back(samples_of(c));
    rows[planes.size() - 1].resize(size_t{c.width} * (frame.h_max / c.h) + 2);
  }
  for (uint32_t y = 0; y < frame.height; ++y) {
    for (size_t k = 0; k < count; ++k) {
      const JpegComponent& c = frame.components[k];
      upsample(planes[k], y, frame.h_max / c.h, frame.v_max / c.v, rows[k]);
    }
    uint8_t* to = &image.pixels[y * image.row_bytes()];
    for (size_t x = 0; x < frame.width; ++x) {
      if (count == 1) {
        to[x] = rows[0][x];
        continue;
      }
      uint8_t* rgb = to + x * 3;
      if (frame.is_rgb) {
        for (size_t k = 0; k < 3; ++k) rgb[k] = rows[k][x];
        continue;
      }
      constexpr int32_t kHalf = 1 << 15;
      const int32_t luma = rows[0][x];
      const int32_t cb = rows[1][x] - 128;
      const int32_t cr = rows[2][x] - 128;
      rgb[0] = clamped(luma + ((91881 * cr + kHalf) >> 16));
      rgb[1] = clamped(luma + ((-22554 * cb - 46802 * cr + kHalf) >> 16));
      rgb[2] = clamped(luma + ((116130 * cb + kHalf) >> 16));
    }
  }
  return image;
}

}  // namespace quern::image
