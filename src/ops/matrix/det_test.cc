#include "ops/common/kernel_testing.h"
#include "ops/op_testing.h"

namespace quern {

extern const CpuKernel cpu_det;

namespace {

TEST(Det, KernelAgreesWithTheFormula) {
  Random random(9);
  for (int64_t n = 0; n <= 3; ++n) {
    NodeUnderTest node("Det", 11);
    node.input(random.floats({4, 2, n, n}));
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    const auto got = node.run_kernel(cpu_det);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(difference((*got)[0], (*want)[0]), 1e-5) << n;
  }
}

TEST(Det, OfATriangleWithRowsTurned) {
  // Rows 1, 2, 3, 0 of an upper triangle: three exchanges.
  const HostTensor x = optest::f32({4, 4}, {0, 3, 5, 1, 0, 0, 2, 8, 0, 0, 0, 7, 2, 1, 9, 4});
  NodeUnderTest node("Det", 22);
  node.input(x);
  const auto got = node.run_kernel(cpu_det);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(optest::text((*got)[0]), "f32[] {-84}");
}

}  // namespace
}  // namespace quern
