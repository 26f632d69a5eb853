// From code-blocks to samples: dequantisation and the inverse wavelet transforms 5/3 and 9/7.

#include <algorithm>

#include "image/jp2.h"

namespace quern::image {
namespace {

/// Index `i` mirrored into [0, n).
size_t mirrored(int64_t i, int64_t n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return static_cast<size_t>(i);
}

/// Adds `f(left + right)` to every second sample, from `first` on.
template <class T, class F>
void lift(std::vector<T>& x, size_t first, F f) {
  const auto n = std::ssize(x);
  for (auto i = static_cast<int64_t>(first); i < n; i += 2) {
    x[static_cast<size_t>(i)] += f(x[mirrored(i - 1, n)], x[mirrored(i + 1, n)]);
  }
}

/// One dimension, in place: low and high samples in turn; `odd`: the first is a high one.
void inverse(std::vector<int32_t>& x, bool odd) {
  if (x.size() == 1) {
    if (odd) x[0] /= 2;
    return;
  }
  const size_t even = odd ? 1 : 0;
  lift(x, even, [](int32_t a, int32_t b) { return -((a + b + 2) >> 2); });
  lift(x, 1 - even, [](int32_t a, int32_t b) { return (a + b) >> 1; });
}

void inverse(std::vector<float>& x, bool odd) {
  if (x.size() == 1) {
    if (odd) x[0] /= 2;
    return;
  }
  constexpr float kScale = 1.230174105f;
  const size_t even = odd ? 1 : 0;
  for (size_t i = even; i < x.size(); i += 2) x[i] *= kScale;
  for (size_t i = 1 - even; i < x.size(); i += 2) x[i] /= kScale;
  const auto step = [&](size_t first, float weight) {
    lift(x, first, [weight](float a, float b) { return -weight * (a + b); });
  };
  step(even, 0.443506852f);
  step(1 - even, 0.882911075f);
  step(even, -0.052980118f);
  step(1 - even, -1.586134342f);
}

/// The picture of a resolution from the one below, which it is put in place of.
template <class T>
std::vector<T> synthesise(const Jp2TileComponent& component, uint32_t r, const std::vector<T>& low,
                          const std::vector<std::vector<T>>& bands) {
  const Jp2Resolution& res = component.resolutions[r];
  const Rect& area = res.area;
  const Rect& below = component.resolutions[r - 1].area;
  const size_t width = area.width();
  const size_t height = area.height();
  std::vector<T> out(width * height);
  // Samples go where their coordinates say: twice the band's, and one more for a high one.
  const auto place = [&](const Rect& from, const std::vector<T>& values, uint32_t hx, uint32_t hy) {
    for (uint32_t y = from.y0; y < from.y1; ++y) {
      for (uint32_t x = from.x0; x < from.x1; ++x) {
        const size_t to_x = 2 * x + hx - area.x0;
        const size_t to_y = 2 * y + hy - area.y0;
        if (to_x >= width || to_y >= height) continue;
        out[to_y * width + to_x] = values[size_t{y - from.y0} * from.width() + x - from.x0];
      }
    }
  };
  place(below, low, 0, 0);
  for (size_t b = 0; b < res.bands.size(); ++b) {
    const auto o = static_cast<uint32_t>(res.bands[b].orientation);
    place(res.bands[b].area, bands[b], o & 1, o >> 1);
  }
  std::vector<T> line(width);
  for (size_t y = 0; width > 0 && y < height; ++y) {
    const auto row = out.begin() + static_cast<std::ptrdiff_t>(y * width);
    std::copy_n(row, width, line.begin());
    inverse(line, area.x0 % 2 != 0);
    std::ranges::copy(line, row);
  }
  line.resize(height);
  for (size_t x = 0; height > 0 && x < width; ++x) {
    for (size_t y = 0; y < height; ++y) line[y] = out[y * width + x];
    inverse(line, area.y0 % 2 != 0);
    for (size_t y = 0; y < height; ++y) out[y * width + x] = line[y];
  }
  return out;
}

template <class T>
Result<std::vector<T>> reconstruct(const Jp2TileComponent& component) {
  std::vector<T> picture;
  for (uint32_t r = 0; r < component.resolutions.size(); ++r) {
    const Jp2Resolution& res = component.resolutions[r];
    std::vector<std::vector<T>> bands;
    for (size_t b = 0; b < res.bands.size(); ++b) {
      const Jp2Band& band = res.bands[b];
      std::vector<T> values(size_t{band.area.width()} * band.area.height());
      for (const Jp2Precinct& precinct : res.precincts) {
        for (const Jp2Block& block : precinct.bands[b].blocks) {
          if (block.codewords.empty()) continue;
          QUERN_ASSIGN(const std::vector<int32_t> decoded,
                       jp2_decode_block(block, band, component.coding.style));
          for (uint32_t y = block.area.y0; y < block.area.y1; ++y) {
            for (uint32_t x = block.area.x0; x < block.area.x1; ++x) {
              const int32_t twice =
                  decoded[size_t{y - block.area.y0} * block.area.width() + x - block.area.x0];
              T& to = values[size_t{y - band.area.y0} * band.area.width() + x - band.area.x0];
              if constexpr (std::is_same_v<T, float>) {
                to = static_cast<float>(twice) * 0.5f * band.step;
              } else {
                to = twice / 2;
              }
            }
          }
        }
      }
      bands.push_back(std::move(values));
    }
    picture = r == 0 ? std::move(bands[0]) : synthesise(component, r, picture, bands);
  }
  return picture;
}

}  // namespace

Result<void> jp2_reconstruct(Jp2TileComponent& component) {
  if (component.coding.reversible) {
    QUERN_ASSIGN(component.values, reconstruct<int32_t>(component));
  } else {
    QUERN_ASSIGN(component.reals, reconstruct<float>(component));
  }
  return {};
}

}  // namespace quern::image
