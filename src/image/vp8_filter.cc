// VP8's loop filter (RFC 6386, section 15), and from its planes to RGB.

#include <algorithm>
#include <cstdlib>

#include "image/vp8.h"

namespace quern::image {
namespace {

int within(int value, int low, int high) { return std::clamp(value, low, high); }
uint8_t clamped(int value) { return static_cast<uint8_t>(within(value, 0, 255)); }

/// The samples across an edge: p[0] is the last before it, q[0] the first after.
class Edge {
 public:
  Edge(uint8_t* at, size_t step) : at_(at), step_(static_cast<std::ptrdiff_t>(step)) {}

  uint8_t& p(int i) { return at_[-(i + 1) * step_]; }
  uint8_t& q(int i) { return at_[i * step_]; }

  /// Is the step across the edge small enough to be an artefact?
  bool is_small(int limit) {
    return 4 * std::abs(p(0) - q(0)) + std::abs(p(1) - q(1)) <= 2 * limit + 1;
  }
  bool is_smooth(int inner) {
    for (int i = 0; i < 3; ++i) {
      if (std::abs(p(i + 1) - p(i)) > inner || std::abs(q(i + 1) - q(i)) > inner) return false;
    }
    return true;
  }
  bool varies(int threshold) {
    return std::abs(p(1) - p(0)) > threshold || std::abs(q(1) - q(0)) > threshold;
  }

  void filter_two() {
    const int a = 3 * (q(0) - p(0)) + within(p(1) - q(1), -128, 127);
    move(0, within((a + 3) >> 3, -16, 15), within((a + 4) >> 3, -16, 15));
  }
  void filter_four() {
    const int a = 3 * (q(0) - p(0));
    const int a1 = within((a + 4) >> 3, -16, 15);
    const int a2 = within((a + 3) >> 3, -16, 15);
    move(0, a2, a1);
    move(1, (a1 + 1) >> 1, (a1 + 1) >> 1);
  }
  void filter_six() {
    const int a = within(3 * (q(0) - p(0)) + within(p(1) - q(1), -128, 127), -128, 127);
    const int weights[] = {27, 18, 9};
    for (int i = 0; i < 3; ++i) {
      const int change = (weights[i] * a + 63) >> 7;
      move(i, change, change);
    }
  }

 private:
  void move(int i, int up, int down) {
    p(i) = clamped(p(i) + up);
    q(i) = clamped(q(i) - down);
  }

  uint8_t* at_;
  std::ptrdiff_t step_;
};

/// An edge of `length` samples; `along` from one to the next, `across` over the edge.
void filter_edge(uint8_t* at, size_t along, size_t across, int length, const Vp8Filter& filter,
                 bool outer, bool simple) {
  const int limit = filter.limit + (outer ? 4 : 0);
  for (int i = 0; i < length; ++i) {
    Edge edge(at + static_cast<size_t>(i) * along, across);
    if (!edge.is_small(limit)) continue;
    if (simple) {
      edge.filter_two();
    } else if (edge.is_smooth(filter.inner_limit)) {
      if (edge.varies(filter.threshold)) {
        edge.filter_two();
      } else if (outer) {
        edge.filter_six();
      } else {
        edge.filter_four();
      }
    }
  }
}

}  // namespace

void vp8_loop_filter(Vp8Frame& frame) {
  if (frame.filters.empty()) return;
  const bool simple = frame.simple_filter;
  for (uint32_t y = 0; y < frame.rows; ++y) {
    for (uint32_t x = 0; x < frame.columns; ++x) {
      const Vp8Filter& filter = frame.filters[size_t{y} * frame.columns + x];
      if (filter.limit == 0) continue;
      // Edges of columns first, the outer one before those inside, then those of rows.
      for (const bool columns : {true, false}) {
        for (size_t p = 0; p < (simple ? 1 : 3); ++p) {
          Vp8Plane& plane = frame.planes[p];
          const int size = p == 0 ? 16 : 8;
          uint8_t* at = plane.at(size_t{x} * static_cast<size_t>(size),
                                 size_t{y} * static_cast<size_t>(size));
          const size_t along = columns ? plane.stride : 1;
          const size_t across = columns ? 1 : plane.stride;
          if (columns ? x > 0 : y > 0) filter_edge(at, along, across, size, filter, true, simple);
          for (int i = 4; filter.inside && i < size; i += 4) {
            filter_edge(at + static_cast<size_t>(i) * across, along, across, size, filter, false,
                        simple);
          }
        }
      }
    }
  }
}

Result<Image> vp8_pixels(const Vp8Frame& frame) {
  QUERN_ASSIGN(Image image, new_image(frame.width, frame.height, 3));
  const auto chroma_width = static_cast<int64_t>((frame.width + 1) / 2);
  const auto chroma_height = static_cast<int64_t>((frame.height + 1) / 2);
  // A sample of chroma lies between four of luma.
  const auto chroma = [&](const Vp8Plane& plane, uint32_t x, uint32_t y) {
    const int64_t nx = x / 2;
    const int64_t ny = y / 2;
    const int64_t fx = std::clamp<int64_t>(x % 2 == 0 ? nx - 1 : nx + 1, 0, chroma_width - 1);
    const int64_t fy = std::clamp<int64_t>(y % 2 == 0 ? ny - 1 : ny + 1, 0, chroma_height - 1);
    const auto at = [&](int64_t cx, int64_t cy) {
      return int{*plane.at(static_cast<size_t>(cx), static_cast<size_t>(cy))};
    };
    const int near = at(nx, ny);
    const int beside = at(fx, ny);
    const int above = at(nx, fy);
    const int far = at(fx, fy);
    // 9 : 3 : 3 : 1, rounded down once in between.
    return (((near + beside + above + far + 8 + 2 * (beside + above)) >> 3) + near) >> 1;
  };
  for (uint32_t y = 0; y < frame.height; ++y) {
    for (uint32_t x = 0; x < frame.width; ++x) {
      const int luma = *frame.planes[0].at(x, y) * 19077 >> 8;
      const int u = chroma(frame.planes[1], x, y);
      const int v = chroma(frame.planes[2], x, y);
      uint8_t* to = &image.pixels[(size_t{y} * frame.width + x) * 3];
      to[0] = clamped((luma + (v * 26149 >> 8) - 14234) >> 6);
      to[1] = clamped((luma - (u * 6419 >> 8) - (v * 13320 >> 8) + 8708) >> 6);
      to[2] = clamped((luma + (u * 33050 >> 8) - 17685) >> 6);
    }
  }
  return image;
}

}  // namespace quern::image
