// Fast Fourier transforms of any length: factors, roots of unity, and a transform in double, from
// which the tables of the device's kernel come too.
//
// Lengths whose primes are small go by Stockham's method: for each factor r, with s the product of
// the factors before it, out[b s r + k + t s] is the sum over q of in[b s + k + q n / r]
// w^(q (k + t s)), w the root of order s r. Other lengths n go by Bluestein's: multiplied by the
// chirp exp(-pi i k^2 / n), a transform is a convolution, which longer transforms of a length of
// small primes compute.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace quern {

/// As std::complex<double>, without its rules for infinities.
struct Complex {
  double re = 0;
  double im = 0;
};
inline Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }

/// A prime past this makes a length take Bluestein's way.
inline constexpr int64_t kMaxFftRadix = 61;
/// Longer transforms are refused.
inline constexpr int64_t kMaxFftLength = int64_t{1} << 26;

/// exp(-2 pi i k / n), 0 <= k < n, from an angle of at most an eighth of a turn.
Complex root_of_unity(int64_t k, int64_t n);

/// Factors of n, pairs of twos as fours; empty for n = 1 or where a prime is too large.
std::vector<int64_t> fft_factors(int64_t n);
/// Has n small primes only?
bool is_fft_length(int64_t n);
/// The length of small primes, at least 2 n - 1, for the convolution of a transform of length n.
int64_t convolution_length(int64_t n);

/// exp(-pi i k^2 / n) for k < n; conjugated for inverse transforms.
std::vector<Complex> chirp_of(int64_t n, bool inverse);

/// The transform of one length, without its scale.
class Fft {
 public:
  /// 1 <= n <= kMaxFftLength.
  Fft(int64_t n, bool inverse);

  /// Elements of `work`.
  [[nodiscard]] int64_t work_size() const { return n_ + 2 * convolution_; }
  /// Transforms n elements in place.
  void run(Complex* data, Complex* work) const;

  /// Of Bluestein's way: the transformed conjugate chirp over the convolution's length, which the
  /// transformed signal is multiplied by.
  [[nodiscard]] const std::vector<Complex>& kernel() const { return kernel_; }

 private:
  void run_factors(Complex* data, Complex* work) const;

  int64_t n_;
  bool inverse_;
  std::vector<int64_t> factors_;
  std::vector<Complex> roots_;  // of order n
  int64_t convolution_ = 0;     // its length, of Bluestein's way
  std::vector<Complex> chirp_;
  std::vector<Complex> kernel_;
  std::unique_ptr<Fft> forward_, backward_;
};

}  // namespace quern
