#include "ops/common/fft.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace quern {
namespace {

/// One factor's step from `in` to `out`; `before` is the product of the factors before it.
void step(int64_t n, int64_t r, int64_t before, const Complex* roots, double sign,
          const Complex* in, Complex* out) {
  const int64_t columns = n / r;
  const int64_t unit = n / (before * r);
  const auto root = [&](int64_t e) { return Complex{roots[e].re, sign * roots[e].im}; };
  Complex v[kMaxFftRadix];
  for (int64_t j = 0; j < columns; ++j) {
    const int64_t k = j % before;
    for (int64_t q = 0; q < r; ++q) v[q] = in[j + q * columns] * root(q * k * unit);
    Complex* to = out + (j - k) * r + k;
    if (r == 2) {
      to[0] = v[0] + v[1];
      to[before] = v[0] - v[1];
    } else if (r == 4) {
      const Complex even = v[0] + v[2];
      const Complex odd = v[1] + v[3];
      const Complex left = v[0] - v[2];
      const Complex turned = v[1] - v[3];
      const Complex right = {sign * turned.im, -sign * turned.re};  // times -i
      to[0] = even + odd;
      to[before] = left + right;
      to[2 * before] = even - odd;
      to[3 * before] = left - right;
    } else {
      for (int64_t t = 0; t < r; ++t) {
        Complex sum = v[0];
        for (int64_t q = 1, e = t; q < r; ++q, e = e + t >= r ? e + t - r : e + t) {
          sum = sum + v[q] * root(e * columns);
        }
        to[t * before] = sum;
      }
    }
  }
}

}  // namespace

Complex root_of_unity(int64_t k, int64_t n) {
  // The angle in eighths of a turn, whole and rest, without rounding.
  const int64_t eighths = 8 * k / n;
  const int64_t rest = 8 * k % n;
  const bool odd = (eighths & 1) != 0;
  const double angle =
      static_cast<double>(odd ? n - rest : rest) / static_cast<double>(n) * (std::numbers::pi / 4);
  double x = std::cos(angle);
  double y = std::sin(angle);
  if (((eighths + 1) & 2) != 0) std::swap(x, y);  // octants 1, 2, 5, 6
  if (eighths >= 2 && eighths < 6) x = -x;
  if (eighths >= 4) y = -y;
  return {x, -y};
}

std::vector<int64_t> fft_factors(int64_t n) {
  std::vector<int64_t> factors;
  for (int64_t p : {4, 2}) {
    for (; n % p == 0; n /= p) factors.push_back(p);
  }
  for (int64_t p = 3; p <= kMaxFftRadix && n > 1; p += 2) {
    for (; n % p == 0; n /= p) factors.push_back(p);
  }
  if (n > 1) factors.clear();
  return factors;
}

bool is_fft_length(int64_t n) { return n == 1 || !fft_factors(n).empty(); }

int64_t convolution_length(int64_t n) {
  int64_t best = INT64_MAX;
  for (int64_t odd : {1, 3, 5, 9, 15}) {
    int64_t length = odd;
    while (length < 2 * n - 1) length *= 2;
    best = std::min(best, length);
  }
  return best;
}

std::vector<Complex> chirp_of(int64_t n, bool inverse) {
  std::vector<Complex> chirp(static_cast<size_t>(n));
  int64_t square = 0;  // k^2 modulo 2 n
  for (int64_t k = 0; k < n; ++k) {
    Complex& c = chirp[static_cast<size_t>(k)];
    c = root_of_unity(square, 2 * n);
    if (inverse) c.im = -c.im;
    square = (square + 2 * k + 1) % (2 * n);
  }
  return chirp;
}

Fft::Fft(int64_t n, bool inverse) : n_(n), inverse_(inverse), factors_(fft_factors(n)) {
  if (n == 1) return;
  if (!factors_.empty()) {
    roots_.resize(static_cast<size_t>(n));
    for (int64_t k = 0; k < n; ++k) roots_[static_cast<size_t>(k)] = root_of_unity(k, n);
    return;
  }
  convolution_ = convolution_length(n);
  chirp_ = chirp_of(n, inverse);
  forward_ = std::make_unique<Fft>(convolution_, false);
  backward_ = std::make_unique<Fft>(convolution_, true);
  // The conjugate chirp, which is even, around 0.
  kernel_.resize(static_cast<size_t>(convolution_));
  for (int64_t k = 0; k < n; ++k) {
    const Complex c = {chirp_[static_cast<size_t>(k)].re, -chirp_[static_cast<size_t>(k)].im};
    kernel_[static_cast<size_t>(k)] = c;
    kernel_[static_cast<size_t>((convolution_ - k) % convolution_)] = c;
  }
  std::vector<Complex> work(static_cast<size_t>(convolution_));
  forward_->run_factors(kernel_.data(), work.data());
  const double scale = 1 / static_cast<double>(convolution_);
  for (Complex& c : kernel_) c = {c.re * scale, c.im * scale};
}

void Fft::run_factors(Complex* data, Complex* work) const {
  Complex* from = data;
  Complex* to = work;
  int64_t before = 1;
  for (int64_t r : factors_) {
    step(n_, r, before, roots_.data(), inverse_ ? -1 : 1, from, to);
    std::swap(from, to);
    before *= r;
  }
  if (from != data) std::copy(from, from + n_, data);
}

void Fft::run(Complex* data, Complex* work) const {
  if (convolution_ == 0) return run_factors(data, work);
  Complex* long_data = work;
  Complex* long_work = work + convolution_;
  for (int64_t k = 0; k < n_; ++k) long_data[k] = data[k] * chirp_[static_cast<size_t>(k)];
  std::fill(long_data + n_, long_data + convolution_, Complex{});
  forward_->run_factors(long_data, long_work);
  for (int64_t k = 0; k < convolution_; ++k) {
    long_data[k] = long_data[k] * kernel_[static_cast<size_t>(k)];
  }
  backward_->run_factors(long_data, long_work);
  for (int64_t k = 0; k < n_; ++k) data[k] = long_data[k] * chirp_[static_cast<size_t>(k)];
}

}  // namespace quern
