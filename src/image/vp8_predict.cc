// VP8's predictions and transforms (RFC 6386, sections 12 and 14).

#include <algorithm>

#include "image/vp8.h"

namespace quern::image {
namespace {

uint8_t clamped(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

int average(int a, int b) { return (a + b + 1) >> 1; }
int average(int a, int b, int c) { return (a + 2 * b + c + 2) >> 2; }

}  // namespace

void vp8_predict(uint8_t* to, size_t stride, int size, Vp8Mode mode, bool has_above,
                 bool has_left) {
  const auto n = static_cast<size_t>(size);
  const uint8_t* above = to - stride;
  const auto left = [&](size_t y) { return int{*(to + y * stride - 1)}; };
  int mean = 128;
  if (mode == kDc && (has_above || has_left)) {
    int sum = 0;
    for (size_t i = 0; i < n; ++i) sum += (has_above ? above[i] : 0) + (has_left ? left(i) : 0);
    const int count = (has_above ? size : 0) + (has_left ? size : 0);
    mean = (sum + count / 2) / count;
  }
  const int corner = above[-1];
  for (size_t y = 0; y < n; ++y) {
    const int l = left(y);
    for (size_t x = 0; x < n; ++x) {
      const int value = mode == kDc           ? mean
                        : mode == kVertical   ? above[x]
                        : mode == kHorizontal ? l
                                              : l + above[x] - corner;
      to[y * stride + x] = clamped(value);
    }
  }
}

void vp8_predict4(uint8_t* to, size_t stride, Vp8Mode mode, const uint8_t* above) {
  // The edge from the lower left over the corner to the upper right: e[4] is the corner.
  int e[13];
  for (size_t i = 0; i < 4; ++i) e[3 - i] = *(to + i * stride - 1);
  e[4] = *(to - stride - 1);
  for (size_t i = 0; i < 8; ++i) e[5 + i] = above[i];
  const int* a = e + 5;  // above
  const auto left = [&](int i) { return e[3 - std::min(i, 3)]; };
  const auto three = [&](int i) { return average(e[i - 1], e[i], e[i + 1]); };
  int sum = 4;
  for (int i = 0; i < 4; ++i) sum += a[i] + left(i);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 4; ++x) {
      int value = 0;
      switch (mode) {
        case kDc:
          value = sum >> 3;
          break;
        case kTrueMotion:
          value = left(y) + a[x] - e[4];
          break;
        case kVertical:
          value = three(5 + x);
          break;
        case kHorizontal:
          value = average(y == 0 ? e[4] : left(y - 1), left(y), left(y + 1));
          break;
        case kRightDown:
          value = three(4 + x - y);
          break;
        case kLeftDown:
          value = average(a[x + y], a[x + y + 1], a[std::min(x + y + 2, 7)]);
          break;
        case kVerticalRight: {
          const int i = 2 * x - y;  // twice as fine as the edge
          value = i < -1       ? three(4 + i + 1)
                  : i == -1    ? three(4)
                  : i % 2 == 0 ? average(e[4 + i / 2], e[5 + i / 2])
                               : three(4 + (i + 1) / 2);
          break;
        }
        case kHorizontalDown: {
          const int i = 2 * y - x;
          value = i < -1       ? three(4 - i - 1)
                  : i == -1    ? three(4)
                  : i % 2 == 0 ? average(e[4 - i / 2], e[3 - i / 2])
                               : three(4 - (i + 1) / 2);
          break;
        }
        case kVerticalLeft:
          if (x == 3 && y >= 2) {
            value = average(a[y + 2], a[y + 3], a[y + 4]);
          } else {
            const int i = x + y / 2;
            value = y % 2 == 0 ? average(a[i], a[i + 1]) : average(a[i], a[i + 1], a[i + 2]);
          }
          break;
        case kHorizontalUp: {
          const int i = x + 2 * y;
          value = i > 5        ? left(3)
                  : i % 2 == 0 ? average(left(i / 2), left(i / 2 + 1))
                               : average(left(i / 2), left(i / 2 + 1), left(i / 2 + 2));
          break;
        }
      }
      to[static_cast<size_t>(y) * stride + static_cast<size_t>(x)] = clamped(value);
    }
  }
}

void vp8_add_block(const int16_t* in, uint8_t* to, size_t stride) {
  // sqrt(2) cos(pi / 8) less 1, and sqrt(2) sin(pi / 8), in 16 bits. Broken files have coefficients
  // of any size.
  const auto more = [](int x) { return x + static_cast<int>(x * int64_t{20091} >> 16); };
  const auto less = [](int x) { return static_cast<int>(x * int64_t{35468} >> 16); };
  int work[16];
  for (size_t i = 0; i < 4; ++i) {
    const int a = in[i] + in[8 + i];
    const int b = in[i] - in[8 + i];
    const int c = less(in[4 + i]) - more(in[12 + i]);
    const int d = more(in[4 + i]) + less(in[12 + i]);
    work[i] = a + d;
    work[4 + i] = b + c;
    work[8 + i] = b - c;
    work[12 + i] = a - d;
  }
  for (size_t y = 0; y < 4; ++y) {
    const int* row = &work[y * 4];
    const int a = row[0] + 4 + row[2];
    const int b = row[0] + 4 - row[2];
    const int c = less(row[1]) - more(row[3]);
    const int d = more(row[1]) + less(row[3]);
    const int values[] = {a + d, b + c, b - c, a - d};
    for (size_t x = 0; x < 4; ++x) {
      uint8_t& sample = to[y * stride + x];
      sample = clamped(sample + (values[x] >> 3));
    }
  }
}

void vp8_inverse_hadamard(const int16_t* in, int16_t* to) {
  int work[16];
  for (size_t i = 0; i < 4; ++i) {
    const int a = in[i] + in[12 + i];
    const int b = in[4 + i] + in[8 + i];
    const int c = in[4 + i] - in[8 + i];
    const int d = in[i] - in[12 + i];
    work[i] = a + b;
    work[4 + i] = d + c;
    work[8 + i] = a - b;
    work[12 + i] = d - c;
  }
  for (size_t y = 0; y < 4; ++y) {
    const int* row = &work[y * 4];
    const int a = row[0] + 3 + row[3];
    const int b = row[1] + row[2];
    const int c = row[1] - row[2];
    const int d = row[0] + 3 - row[3];
    const int values[] = {a + b, d + c, a - b, d - c};
    for (size_t x = 0; x < 4; ++x) to[(y * 4 + x) * 16] = static_cast<int16_t>(values[x] >> 3);
  }
}

}  // namespace quern::image
