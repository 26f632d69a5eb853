// CumSum and CumProd: the CPU kernels against the plain definition.
#include "ops/common/kernel_testing.h"
#include "ops/op_testing.h"

namespace quern {

extern const CpuKernel cpu_cum_prod;
extern const CpuKernel cpu_cum_sum;

namespace {

using optest::i64;
using optest::run_one;
using optest::text;

TEST(PrefixScan, KernelsAgreeWithTheDefinition) {
  Random random(8);
  for (int round = 0; round < 60; ++round) {
    Dims dims;
    for (int64_t a = random.integer(1, 3); a > 0; --a) dims.push_back(random.integer(1, 90));
    const auto rank = static_cast<int64_t>(dims.size());
    const bool product = random.chance(2);
    HostTensor x = random.floats(dims, product ? 1.2f : 1.0f);
    if (round % 3 == 0) {
      std::vector<int64_t> values;
      for (int64_t i = 0; i < x.count(); ++i) values.push_back(random.integer(-9, 9));
      x = HostTensor::of_ints(round % 2 == 0 ? DType::kI32 : DType::kI64, dims, values);
    }
    NodeUnderTest node(product ? "CumProd" : "CumSum", 26);
    node.input(x).input(i64({}, {random.integer(-rank, rank - 1)}));
    node.set("exclusive", random.integer(0, 1)).set("reverse", random.integer(0, 1));
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    const auto got = node.run_kernel(product ? cpu_cum_prod : cpu_cum_sum);
    ASSERT_TRUE(got) << got.error().message;
    if (x.dtype != DType::kF32) {
      EXPECT_EQ((*got)[0].bytes, (*want)[0].bytes) << round;
    } else {
      EXPECT_LT(difference((*got)[0], (*want)[0]), 1e-6) << round;
    }
  }
}

TEST(PrefixScan, AxesAndErrors) {
  const HostTensor x = optest::f32({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(text(run_one({.op = "CumSum"}, {x, i64({}, {0})})), "f32[2, 2] {1, 2, 4, 6}");
  EXPECT_EQ(text(run_one({.op = "CumSum", .attributes = {{"exclusive", int64_t{1}}}},
                         {x, i64({}, {-1})})),
            "f32[2, 2] {0, 1, 0, 3}");
  EXPECT_EQ(
      text(run_one({.op = "CumProd", .attributes = {{"reverse", int64_t{1}}}}, {x, i64({}, {1})})),
      "f32[2, 2] {2, 2, 12, 4}");
  EXPECT_FALSE(optest::run({.op = "CumSum"}, {x, i64({}, {2})}).has_value());
}

}  // namespace
}  // namespace quern
