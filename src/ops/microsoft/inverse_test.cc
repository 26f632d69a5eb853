#include "ops/common/kernel_testing.h"
#include "ops/op_testing.h"

namespace quern {

extern const CpuKernel cpu_inverse;

namespace {

TEST(Inverse, KernelAgreesWithTheFormula) {
  Random random(9);
  for (int64_t n = 0; n <= 3; ++n) {
    NodeUnderTest node("Inverse", 1, 1, "com.microsoft");
    node.input(random.floats({4, 2, n, n}));
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    const auto got = node.run_kernel(cpu_inverse);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(difference((*got)[0], (*want)[0]), 1e-4) << n;
  }
}

TEST(Inverse, OfRowsInAnotherOrder) {
  const HostTensor x = optest::f32({4, 4}, {0, 2, 0, 0, 0, 0, 4, 0, 0, 0, 0, 8, 1, 0, 0, 0});
  NodeUnderTest node("Inverse", 1, 1, "com.microsoft");
  node.input(x);
  const auto got = node.run_kernel(cpu_inverse);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(optest::text((*got)[0]),
            "f32[4, 4] {0, 0, 0, 1, 0.5, 0, 0, 0, 0, 0.25, 0, 0, 0, 0, 0.125, 0}");
}

TEST(Inverse, WantsSquares) {
  NodeUnderTest node("Inverse", 1, 1, "com.microsoft");
  node.input(optest::f32({1, 2}, {1, 2}));
  EXPECT_FALSE(node.infer());
}

}  // namespace
}  // namespace quern
