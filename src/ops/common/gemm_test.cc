#include "ops/common/gemm.h"

#include "ops/common/kernel_testing.h"

namespace quern {

extern const CpuKernel cpu_matmul;
extern const CpuKernel cpu_gemm;

namespace {

TEST(MatMul, KernelAgreesWithTheExpression) {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    const int64_t m = random.integer(1, round % 3 == 0 ? 90 : 9);
    const int64_t n = random.integer(1, round % 4 == 0 ? 300 : 40);
    const int64_t k = random.chance(5) ? 300 : random.integer(0, 40);
    Dims a = {m, k};
    Dims b = {k, n};
    switch (round % 7) {
      case 0:
        a = {k};
        break;
      case 1:
        b = {k};
        break;
      case 2:
        a = {2, 1, 3, m, k};
        b = {4, 3, k, n};
        break;
      case 3:
        a = {3, m, k};
        break;
      case 4:
        a = {2, 1, 1, m, k};
        b = {1, 3, 1, k, n};
        break;
      default:
        break;
    }
    NodeUnderTest node("MatMul", 13);
    node.input(random.floats(a)).input(random.floats(b));
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    const auto got = node.run_kernel(cpu_matmul);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(difference((*got)[0], (*want)[0]), 3e-5) << cat(a, " x ", b);
  }
}

TEST(Gemm, KernelAgreesWithTheExpression) {
  Random random(2);
  for (int round = 0; round < 60; ++round) {
    const int64_t m = random.integer(1, 40);
    const int64_t n = random.integer(1, 200);
    const int64_t k = random.integer(1, 70);
    const bool ta = random.chance(2);
    const bool tb = random.chance(2);
    NodeUnderTest node("Gemm", 13);
    node.input(random.floats(ta ? Dims{k, m} : Dims{m, k}))
        .input(random.floats(tb ? Dims{n, k} : Dims{k, n}));
    const Dims c[] = {{}, {1}, {n}, {1, n}, {m, 1}, {m, n}};
    if (round % 7 < 6) node.input(random.floats(c[round % 7]));
    node.set("transA", int64_t{ta}).set("transB", int64_t{tb});
    if (random.chance(2)) node.set("alpha", 0.25f).set("beta", 0.5f);
    const auto want = node.evaluate();
    ASSERT_TRUE(want) << want.error().message;
    const auto got = node.run_kernel(cpu_gemm);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(difference((*got)[0], (*want)[0]), 1e-5) << m << " " << n << " " << k;
  }
}

TEST(MatMul, InfersSymbolicShapes) {
  EXPECT_EQ(inferred("graph g(%a: f32[batch, 4, s, 8], %b: f32[4, 8, t]) { %y = MatMul@13(%a, %b)\n"
                     "return %y }"),
            "f32[batch, 4, s, t]");
  EXPECT_EQ(
      inferred("graph g(%a: f32[8], %b: f32[2, 8, t]) { %y = MatMul@13(%a, %b)\n return %y }"),
      "f32[2, t]");
  EXPECT_EQ(inferred("graph g(%a: f32[*], %b: f32[8, t]) { %y = MatMul@13(%a, %b)\n return %y }"),
            "f32[*]");
  EXPECT_NE(inferred("graph g(%a: f32[2, 3], %b: f32[4, 5]) { %y = MatMul@13(%a, %b)\n return %y }")
                .find("inner extents differ: [2, 3] x [4, 5]"),
            std::string::npos);
}

TEST(BatchAxes, CollapseToTheFewest) {
  const Dims a = {2, 3, 4};
  EXPECT_EQ(collapse_batch(batch_axes(a, a, 10, 20)), (std::vector<BatchAxis>{{24, 10, 20}}));
  EXPECT_EQ(collapse_batch(batch_axes(a, Dims{4}, 10, 20)),
            (std::vector<BatchAxis>{{6, 40, 0}, {4, 10, 20}}));
  EXPECT_EQ(collapse_batch(batch_axes(Dims{2, 1}, Dims{3}, 10, 20)),
            (std::vector<BatchAxis>{{2, 10, 0}, {3, 0, 20}}));
  EXPECT_TRUE(collapse_batch(batch_axes(Dims{1, 1}, Dims{}, 10, 20)).empty());
}

}  // namespace
}  // namespace quern
