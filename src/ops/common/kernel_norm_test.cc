// Row-wise operators: CPU kernels against naive loops.
#include <cmath>

#include "ops/common/kernel_testing.h"
#include "ops/common/norm_rows.h"

namespace quern {

extern const CpuKernel cpu_softmax;
extern const CpuKernel cpu_log_softmax;
extern const CpuKernel cpu_layer_normalization;
extern const CpuKernel cpu_rms_normalization;
extern const CpuKernel cpu_instance_normalization;
extern const CpuKernel cpu_group_normalization;

namespace {

Dims random_dims(Random& random, size_t rank) {
  Dims dims;
  for (size_t i = 0; i < rank; ++i) dims.push_back(random.integer(1, random.chance(4) ? 40 : 6));
  return dims;
}

int64_t product(const Dims& dims, size_t from, size_t to) {
  int64_t n = 1;
  for (size_t i = from; i < to; ++i) n *= dims[i];
  return n;
}

TEST(Softmax, AgreesWithTheDefinition) {
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    const Dims dims = random_dims(random, static_cast<size_t>(random.integer(1, 4)));
    const auto rank = static_cast<int64_t>(dims.size());
    const int64_t axis = random.integer(-rank, rank - 1);
    const auto from = static_cast<size_t>(axis < 0 ? axis + rank : axis);
    const bool flatten = random.chance(2);
    const bool log = random.chance(2);
    const HostTensor x = random.floats(dims, 30.0f);
    NodeUnderTest node(log ? "LogSoftmax" : "Softmax", flatten ? 11 : 13);
    node.input(x).set("axis", axis);
    const auto got = node.run_kernel(log ? cpu_log_softmax : cpu_softmax);
    ASSERT_TRUE(got) << got.error().message;
    HostTensor want = x;
    const int64_t inner = flatten ? 1 : product(dims, from + 1, dims.size());
    const int64_t length = flatten ? product(dims, from, dims.size()) : dims[from];
    for (int64_t r = 0; r < x.count() / length; ++r) {
      const int64_t at = r / inner * length * inner + r % inner;
      double top = -INFINITY, sum = 0;
      for (int64_t i = 0; i < length; ++i) top = std::max(top, x.float_at(at + i * inner));
      for (int64_t i = 0; i < length; ++i) sum += std::exp(x.float_at(at + i * inner) - top);
      for (int64_t i = 0; i < length; ++i) {
        const double v = x.float_at(at + i * inner) - top;
        want.set_float(at + i * inner, log ? v - std::log(sum) : std::exp(v) / sum);
      }
    }
    EXPECT_LT(difference((*got)[0], want), 1e-5)
        << cat(dims, " axis ", axis, " flatten ", flatten, " log ", log);
  }
}

TEST(Hardmax, MarksTheFirstMaximum) {
  const auto hardmax = [](int version, int64_t axis) {
    NodeUnderTest node("Hardmax", version);
    node.input(HostTensor::of_floats({2, 2, 2}, {1, 5, 5, 2, 3, 3, 4, 4})).set("axis", axis);
    const auto y = node.evaluate();
    EXPECT_TRUE(y) << y.error().message;
    return floats_of((*y)[0]);
  };
  EXPECT_EQ(hardmax(13, -1), (std::vector<float>{0, 1, 1, 0, 1, 0, 1, 0}));
  EXPECT_EQ(hardmax(13, 1), (std::vector<float>{0, 1, 1, 0, 0, 0, 1, 1}));
  EXPECT_EQ(hardmax(11, 1), (std::vector<float>{0, 1, 0, 0, 0, 0, 1, 0}));
}

/// Normalises rows of `length` neighbours; the scale of element i of row r is at(r, i).
template <class At>
HostTensor normalised(const HostTensor& x, int64_t length, const HostTensor& scale,
                      const HostTensor* bias, bool rms, const At& at, HostTensor* mean = nullptr,
                      HostTensor* inverse = nullptr) {
  HostTensor y = x;
  for (int64_t r = 0; r < x.count() / length; ++r) {
    double m = 0, v = 0;
    for (int64_t i = 0; i < length; ++i) m += x.float_at(r * length + i);
    m = rms ? 0 : m / static_cast<double>(length);
    for (int64_t i = 0; i < length; ++i) v += std::pow(x.float_at(r * length + i) - m, 2);
    const double inv = 1 / std::sqrt(v / static_cast<double>(length) + 1e-3);
    if (mean != nullptr) mean->set_float(r, m);
    if (inverse != nullptr) inverse->set_float(r, inv);
    for (int64_t i = 0; i < length; ++i) {
      const double b = bias != nullptr ? bias->float_at(at(r, i)) : 0;
      y.set_float(r * length + i,
                  (x.float_at(r * length + i) - m) * inv * scale.float_at(at(r, i)) + b);
    }
  }
  return y;
}

TEST(LayerNormalization, AgreesWithTheDefinition) {
  Random random(12);
  for (int round = 0; round < 40; ++round) {
    const Dims dims = random_dims(random, static_cast<size_t>(random.integer(1, 4)));
    const int64_t axis = random.integer(0, static_cast<int64_t>(dims.size()) - 1);
    const int64_t length = product(dims, static_cast<size_t>(axis), dims.size());
    const bool rms = random.chance(2);
    const bool one = random.chance(4);
    const bool has_bias = !rms && random.chance(2);
    const Dims part = one ? Dims{1} : Dims(dims.begin() + axis, dims.end());
    HostTensor x = random.floats(dims);
    for (int64_t i = 0; i < x.count(); ++i) x.set_float(i, x.float_at(i) + 3);
    const HostTensor scale = random.floats(part);
    const HostTensor bias = random.floats(part);
    NodeUnderTest node(rms ? "RMSNormalization" : "LayerNormalization", 23, rms ? 1 : 3);
    node.input(x).input(scale).set("axis", axis).set("epsilon", 1e-3f);
    if (has_bias) node.input(bias);
    const auto got = node.run_kernel(rms ? cpu_rms_normalization : cpu_layer_normalization);
    ASSERT_TRUE(got) << got.error().message;
    HostTensor mean, inverse;
    if (!rms) {
      mean = (*got)[1];
      inverse = (*got)[2];
    }
    const HostTensor want = normalised(
        x, length, scale, has_bias ? &bias : nullptr, rms,
        [&](int64_t, int64_t i) { return one ? 0 : i; }, rms ? nullptr : &mean,
        rms ? nullptr : &inverse);
    EXPECT_LT(difference((*got)[0], want), 2e-5) << cat(dims, " axis ", axis);
    if (rms) continue;
    EXPECT_LT(difference((*got)[1], mean), 1e-5);
    EXPECT_LT(difference((*got)[2], inverse), 1e-5);
  }
}

TEST(ChannelNormalizations, AgreeWithTheDefinition) {
  Random random(13);
  for (int round = 0; round < 40; ++round) {
    const int64_t groups = random.integer(1, 3);
    const int64_t each = random.integer(1, 4);
    const Dims dims = {random.integer(1, 3), groups * each, random.integer(1, 5),
                       random.integer(1, 30)};
    const int64_t spatial = dims[2] * dims[3];
    const HostTensor x = random.floats(dims);
    const int kind = round % 3;  // instance; group of version 18, of 21
    const int64_t count = kind == 1 ? groups : dims[1];
    const HostTensor scale = random.floats({count});
    const HostTensor bias = random.floats({count});
    NodeUnderTest node(kind == 0 ? "InstanceNormalization" : "GroupNormalization",
                       kind == 1 ? 18 : 21);
    node.input(x).input(scale).input(bias).set("epsilon", 1e-3f).set("num_groups", groups);
    const auto got =
        node.run_kernel(kind == 0 ? cpu_instance_normalization : cpu_group_normalization);
    ASSERT_TRUE(got) << got.error().message;
    const int64_t length = kind == 0 ? spatial : each * spatial;
    const HostTensor want = normalised(x, length, scale, &bias, false, [&](int64_t r, int64_t i) {
      if (kind == 0) return r % dims[1];
      return kind == 1 ? r % groups : r % groups * each + i / spatial;
    });
    EXPECT_LT(difference((*got)[0], want), 2e-5) << kind << " " << cat(dims);
  }
}

TEST(RowWise, InfersAndRefuses) {
  EXPECT_EQ(
      inferred("graph g(%x: f32[n, s, 8], %w: f32[8]) { %y, %m = LayerNormalization@17(%x, %w)\n"
               "return %y }"),
      "f32[n, s, 8]; f32[n, s, 1]");
  EXPECT_EQ(inferred("graph g(%x: f16[n, 8], %w: f32[8]) { %y = RMSNormalization@23(%x, %w)\n"
                     "return %y }"),
            "f32[n, 8]");
  EXPECT_NE(inferred("graph g(%x: f32[n, 8]) { %y = Softmax@13(%x) {axis = 2}\n return %y }")
                .find("axis 2"),
            std::string::npos);
}

}  // namespace
}  // namespace quern
