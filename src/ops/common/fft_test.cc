#include "ops/common/fft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

namespace quern {
namespace {

/// The sum that defines a transform, with angles in long double.
std::vector<Complex> by_definition(const std::vector<Complex>& x, bool inverse) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<Complex> y;
  for (int64_t k = 0; k < n; ++k) {
    Complex sum;
    for (int64_t i = 0; i < n; ++i) {
      const long double angle = 2 * std::numbers::pi_v<long double> *
                                static_cast<long double>(k * i % n) / static_cast<long double>(n);
      const Complex root = {static_cast<double>(std::cos(angle)),
                            static_cast<double>((inverse ? 1 : -1) * std::sin(angle))};
      sum = sum + x[static_cast<size_t>(i)] * root;
    }
    y.push_back(sum);
  }
  return y;
}

TEST(RootOfUnity, IsExactWhereItCanBe) {
  for (int64_t n : {4, 12, 100, 4096}) {
    EXPECT_EQ(root_of_unity(0, n).re, 1);
    EXPECT_EQ(root_of_unity(0, n).im, 0);
    EXPECT_EQ(root_of_unity(n / 4, n).re, 0);
    EXPECT_EQ(root_of_unity(n / 4, n).im, -1);
    EXPECT_EQ(root_of_unity(n / 2, n).re, -1);
    EXPECT_EQ(root_of_unity(n / 2, n).im, 0);
    EXPECT_EQ(root_of_unity(3 * n / 4, n).im, 1);
  }
}

TEST(RootOfUnity, IsSymmetric) {
  for (int64_t n : {5, 8, 24, 1001}) {
    for (int64_t k = 1; k < n; ++k) {
      const Complex a = root_of_unity(k, n);
      const Complex b = root_of_unity(n - k, n);
      EXPECT_NEAR(a.re, b.re, 3e-16) << k << " of " << n;
      EXPECT_NEAR(a.im, -b.im, 3e-16) << k << " of " << n;
      const double angle = -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
      EXPECT_NEAR(a.re, std::cos(angle), 1e-15);
      EXPECT_NEAR(a.im, std::sin(angle), 1e-15);
    }
  }
}

TEST(Fft, AgreesWithTheDefinition) {
  std::mt19937 engine(3);
  std::uniform_real_distribution<double> number(-1, 1);
  std::vector<int64_t> lengths = {59, 61, 62, 64, 67, 96, 100, 127, 134, 243, 256, 257, 400, 509};
  for (int64_t n = 1; n <= 30; ++n) lengths.push_back(n);
  for (int64_t n : lengths) {
    for (bool inverse : {false, true}) {
      std::vector<Complex> x(static_cast<size_t>(n));
      for (Complex& c : x) c = {number(engine), number(engine)};
      const std::vector<Complex> want = by_definition(x, inverse);
      const Fft fft(n, inverse);
      std::vector<Complex> work(static_cast<size_t>(fft.work_size()));
      fft.run(x.data(), work.data());
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_NEAR(x[i].re, want[i].re, 1e-11) << i << " of " << n;
        EXPECT_NEAR(x[i].im, want[i].im, 1e-11) << i << " of " << n;
      }
    }
  }
}

TEST(Fft, KnowsItsLengths) {
  EXPECT_TRUE(is_fft_length(1));
  EXPECT_TRUE(is_fft_length(2 * 3 * 5 * 7 * 61));
  EXPECT_FALSE(is_fft_length(67));
  EXPECT_EQ(fft_factors(48), (std::vector<int64_t>{4, 4, 3}));
  EXPECT_EQ(fft_factors(8), (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(convolution_length(67), 144);
  for (int64_t n : {67, 1009, 8209}) {
    EXPECT_GE(convolution_length(n), 2 * n - 1);
    EXPECT_TRUE(is_fft_length(convolution_length(n)));
  }
}

}  // namespace
}  // namespace quern
