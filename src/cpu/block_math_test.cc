#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "cpu/block_ops.h"

namespace quern {
namespace {

std::vector<float> run(ExprOp op, std::vector<float> x) {
  const size_t count = x.size();
  x.resize((count + 511) / 512 * 512);
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); i += 512) {
    block_kernel(op, Scalar::kF32, Scalar::kF32)({y.data() + i, {x.data() + i}, 512, 0});
  }
  y.resize(count);
  return y;
}

// The distance of `got` from the exact value, in units in the last place of an f32 near it.
double ulps(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  const auto rounded = static_cast<float>(want);
  if (std::isinf(rounded) || std::isinf(got)) return got == rounded ? 0 : 1e9;
  int exponent = 0;
  std::frexp(want, &exponent);
  return std::fabs(got - want) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

struct Function {
  ExprOp op;
  double (*exact)(double);
  double limit;  // in ulps
};

// Every 997th float: all signs and magnitudes, infinities and NaN.
TEST(BlockMath, ErrorsInUlps) {
  const Function functions[] = {
      {ExprOp::kExp, [](double x) { return std::exp(x); }, 1.5},
      {ExprOp::kExpm1, [](double x) { return std::expm1(x); }, 2},
      {ExprOp::kLog, [](double x) { return std::log(x); }, 1.5},
      {ExprOp::kLog1p, [](double x) { return std::log1p(x); }, 2},
      {ExprOp::kTanh, [](double x) { return std::tanh(x); }, 2},
      {ExprOp::kErf, [](double x) { return std::erf(x); }, 2},
      {ExprOp::kSin, [](double x) { return std::sin(x); }, 1.5},
      {ExprOp::kCos, [](double x) { return std::cos(x); }, 1.5},
      {ExprOp::kSqrt, [](double x) { return std::sqrt(x); }, 0.51},
      {ExprOp::kFloor, [](double x) { return std::floor(x); }, 0},
      {ExprOp::kCeil, [](double x) { return std::ceil(x); }, 0},
      {ExprOp::kRound, [](double x) { return std::nearbyint(x); }, 0},
      {ExprOp::kTrunc, [](double x) { return std::trunc(x); }, 0},
      {ExprOp::kTan, [](double x) { return std::tan(x); }, 2},
      {ExprOp::kAtan, [](double x) { return std::atan(x); }, 2},
      {ExprOp::kSinh, [](double x) { return std::sinh(x); }, 2},
      {ExprOp::kAsinh, [](double x) { return std::asinh(x); }, 2},
  };
  std::vector<float> x;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 9973) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  // Densely where the functions are interesting.
  for (int i = -40000; i <= 40000; ++i) x.push_back(static_cast<float>(i) / 4000);
  for (int i = -40000; i <= 40000; ++i) x.push_back(static_cast<float>(i) / 300);
  for (int i = 0; i <= 4000; ++i) x.push_back(static_cast<float>(i * M_PI / 2));
  for (const Function& f : functions) {
    const std::vector<float> y = run(f.op, x);
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = ulps(y[i], f.exact(x[i]));
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    EXPECT_LE(worst, f.limit) << name_of(f.op) << " at " << at;
    RecordProperty(std::string(name_of(f.op)), std::to_string(worst));
  }
}

TEST(BlockMath, SpecialValues) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(run(ExprOp::kExp, {inf, -inf, 89, -104, 0}), (std::vector<float>{inf, 0, inf, 0, 1}));
  EXPECT_EQ(run(ExprOp::kLog, {0, -0.0F, 1, inf}), (std::vector<float>{-inf, -inf, 0, inf}));
  EXPECT_EQ(run(ExprOp::kLog1p, {-1, 0, inf}), (std::vector<float>{-inf, 0, inf}));
  EXPECT_EQ(run(ExprOp::kExpm1, {-inf, 0, inf}), (std::vector<float>{-1, 0, inf}));
  EXPECT_EQ(run(ExprOp::kTanh, {-inf, -20, 20, inf}), (std::vector<float>{-1, -1, 1, 1}));
  EXPECT_EQ(run(ExprOp::kErf, {-inf, -5, 5, inf}), (std::vector<float>{-1, -1, 1, 1}));
  for (ExprOp op : {ExprOp::kTanh, ExprOp::kErf, ExprOp::kSin, ExprOp::kExpm1, ExprOp::kLog1p}) {
    EXPECT_TRUE(std::signbit(run(op, {-0.0F})[0])) << name_of(op);
    EXPECT_EQ(run(op, {1e-40F})[0], op == ExprOp::kErf ? 1.12837e-40F : 1e-40F) << name_of(op);
  }
  for (ExprOp op : {ExprOp::kExp, ExprOp::kLog, ExprOp::kTanh, ExprOp::kErf, ExprOp::kSin,
                    ExprOp::kCos, ExprOp::kExpm1, ExprOp::kLog1p}) {
    EXPECT_TRUE(std::isnan(run(op, {NAN})[0])) << name_of(op);
  }
  EXPECT_TRUE(std::isnan(run(ExprOp::kSin, {inf})[0]));
  EXPECT_TRUE(std::isnan(run(ExprOp::kLog, {-1})[0]));
}

}  // namespace
}  // namespace quern
