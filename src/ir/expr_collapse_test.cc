#include <gtest/gtest.h>

#include "ir/expr.h"
#include "ir/expr_random_testing.h"

namespace quern {
namespace {

// y = a + b with a over the whole domain and b of dims `other` (0: the domain's extent).
ExprProgram add(std::vector<Extent> domain, std::vector<int64_t> other,
                std::vector<int64_t> params = {}) {
  ExprProgram p;
  p.params = std::move(params);
  p.domain = domain;
  std::vector<Extent> dims;
  for (size_t a = 0; a < other.size(); ++a) {
    dims.push_back(other[a] == 0 ? domain[a] : Extent{other[a], -1});
  }
  p.inputs = {{DType::kF32, domain}, {DType::kF32, dims}};
  ExprBuilder b(p);
  std::vector<Expr> full;
  std::vector<Expr> part;
  for (size_t a = 0; a < domain.size(); ++a) {
    full.push_back(b.index(static_cast<uint32_t>(a)));
    part.push_back(other[a] == 1 ? b.i32(0) : full.back());
  }
  p.outputs = {{b.add(b.load(0, full), b.load(1, part)), DType::kF32}};
  return p;
}

std::string collapsed(ExprProgram p) {
  collapse_axes(p);
  const Result<void> ok = verify(p);
  return ok ? print(p) : ok.error().message;
}

TEST(ExprCollapse, AnElementwiseProgramHasOneAxis) {
  EXPECT_EQ(collapsed(add({{2, -1}, {3, -1}, {4, -1}}, {0, 0, 0})),
            "domain [24]\n"
            "in 0: f32[24]\n"
            "in 1: f32[24]\n"
            "%0: i32 = index 0\n"
            "%1: f32 = load 0[%0]\n"
            "%2: f32 = load 1[%0]\n"
            "%3: f32 = add %1, %2\n"
            "out 0: f32 = %3\n");
}

TEST(ExprCollapse, ParametersGiveANewParameter) {
  ExprProgram p = add({{2, 0}, {3, -1}, {4, 1}}, {0, 0, 0}, {2, 4});
  collapse_axes(p);
  EXPECT_EQ(p.params, (std::vector<int64_t>{2, 4, 24}));
  ASSERT_EQ(p.domain.size(), 1u);
  EXPECT_EQ(p.domain[0].param, 2);
  EXPECT_EQ(p.domain[0].value, 24);
  EXPECT_EQ(p.inputs[1].dims[0].param, 2);
  EXPECT_TRUE(verify(p).has_value());
}

TEST(ExprCollapse, BroadcastKeepsWhatItMust) {
  EXPECT_EQ(collapsed(add({{2, -1}, {3, -1}, {4, -1}, {5, -1}}, {1, 1, 0, 0})).substr(0, 52),
            "domain [6, 20]\nin 0: f32[6, 20]\nin 1: f32[20]\n%0: i3");
  EXPECT_EQ(collapsed(add({{2, -1}, {3, -1}, {4, -1}}, {1, 0, 1})).substr(0, 49),
            "domain [2, 3, 4]\nin 0: f32[2, 3, 4]\nin 1: f32[3]\n");
  EXPECT_EQ(collapsed(add({{2, -1}, {1, -1}, {4, -1}}, {1, 0, 0})).substr(0, 43),
            "domain [2, 4]\nin 0: f32[2, 4]\nin 1: f32[4]\n");
  EXPECT_EQ(collapsed(add({{2, -1}, {3, -1}}, {1, 1})).substr(0, 33),
            "domain [6]\nin 0: f32[6]\nin 1: f32");
}

TEST(ExprCollapse, ValuesOfParametersDoNotMatter) {
  ExprProgram a = add({{2, 0}, {3, 1}, {4, -1}}, {1, 0, 0}, {2, 3});
  ExprProgram b = add({{1, 0}, {1, 1}, {4, -1}}, {1, 0, 0}, {1, 1});
  collapse_axes(a);
  collapse_axes(b);
  EXPECT_EQ(a.key(), b.key());
  EXPECT_EQ(a.domain.size(), 2u);
}

TEST(ExprCollapse, AnIndexUsedAsAValueKeepsItsAxis) {
  ExprProgram p = add({{2, -1}, {3, -1}, {4, -1}}, {0, 0, 0});
  ExprBuilder b(p);
  p.outputs.push_back({b.index(2), DType::kI32});
  EXPECT_EQ(collapsed(p).substr(0, 15), "domain [6, 4]\ni");
}

TEST(ExprCollapse, ATransposeKeepsItsAxes) {
  ExprProgram p;
  p.domain = {{2, -1}, {3, -1}, {4, -1}, {5, -1}};
  p.inputs = {{DType::kF32, {{4, -1}, {5, -1}, {2, -1}, {3, -1}}}};
  ExprBuilder b(p);
  const Expr at[] = {b.index(2), b.index(3), b.index(0), b.index(1)};
  p.outputs = {{b.load(0, at), DType::kF32}};
  EXPECT_EQ(collapsed(p),
            "domain [6, 20]\nin 0: f32[20, 6]\n%0: i32 = index 1\n%1: i32 = index 0\n"
            "%2: f32 = load 0[%0, %1]\nout 0: f32 = %2\n");
}

TEST(ExprCollapse, ASliceDoesNotMerge) {
  ExprProgram p;
  p.domain = {{2, -1}, {3, -1}};
  p.inputs = {{DType::kF32, {{2, -1}, {7, -1}}}};  // the first 3 of 7
  ExprBuilder b(p);
  const Expr at[] = {b.index(0), b.index(1)};
  p.outputs = {{b.load(0, at), DType::kF32}};
  EXPECT_EQ(collapsed(p).substr(0, 30), "domain [2, 3]\nin 0: f32[2, 7]\n");
}

TEST(ExprCollapse, TwoLoadsOfOneInputMustAgree) {
  ExprProgram p = add({{2, -1}, {3, -1}}, {0, 0});
  ExprBuilder b(p);
  const Expr at[] = {b.index(0), b.i32(1)};
  p.outputs.push_back({b.load(1, at), DType::kF32});
  EXPECT_EQ(collapsed(p).substr(0, 14), "domain [2, 3]\n");
}

// A mean over the last two of four axes becomes one loop.
TEST(ExprCollapse, NestedReductionsMerge) {
  ExprProgram p;
  p.params = {6};
  p.domain = {{2, -1}, {3, -1}, {1, -1}, {1, -1}};
  p.inputs = {{DType::kF32, {{2, -1}, {3, -1}, {6, 0}, {5, -1}}}};
  ExprBuilder b(p);
  const Expr l = b.loop();
  const Expr m = b.loop();
  const Expr at[] = {b.index(0), b.index(1), l, m};
  const Expr inner = b.reduce(ExprOp::kReduceSum, m, b.i32(5), b.load(0, at));
  p.outputs = {{b.reduce(ExprOp::kReduceSum, l, b.extent({6, 0}), inner), DType::kF32}};
  EXPECT_EQ(collapsed(p),
            "domain [6]\nin 0: f32[6, p1]\n%0: i32 = l0\n%1: i32 = index 0\n"
            "%2: f32 = load 0[%1, %0]\n%3: i32 = p1\n%4: f32 = reduce_sum l0 < %3: %2\n"
            "out 0: f32 = %4\n");
}

TEST(ExprCollapse, LoopsOfOneIterationGo) {
  ExprProgram p;
  p.domain = {{4, -1}};
  p.inputs = {{DType::kF32, {{4, -1}, {1, -1}}}};
  ExprBuilder b(p);
  const Expr l = b.loop();
  const Expr at[] = {b.index(0), l};
  const Expr x = b.load(0, at);
  p.outputs = {{b.reduce(ExprOp::kReduceSum, l, b.i32(1), x), DType::kF32},
               {b.reduce(ExprOp::kArgMaxFirst, l, b.i32(1), x), DType::kI32}};
  EXPECT_EQ(collapsed(p),
            "domain [4]\nin 0: f32[4]\n%0: i32 = 0\n%1: i32 = index 0\n%2: f32 = load 0[%1]\n"
            "out 0: f32 = %2\nout 1: i32 = %0\n");
}

TEST(ExprCollapse, AConstantFillHasOneAxis) {
  ExprProgram p;
  p.domain = {{2, -1}, {3, -1}};
  ExprBuilder b(p);
  p.outputs = {{b.constant(Scalar::kF32, 1.5), DType::kF32}};
  EXPECT_EQ(collapsed(p), "domain [6]\n%0: f32 = 1.5\nout 0: f32 = %0\n");
}

TEST(ExprCollapse, RandomProgramsKeepTheirMeaning) {
  const Dims shapes[] = {{},        {1},          {7},    {2, 3},      {1, 4},
                         {2, 3, 4}, {3, 1, 2, 2}, {0, 3}, {2, 1, 1, 5}};
  for (uint32_t seed = 0; seed < 900; ++seed) {
    const RandomCase c = random_case(seed, {shapes[seed % std::size(shapes)], 10});
    ExprProgram collapsed = c.program;
    collapse_axes(collapsed);
    ASSERT_TRUE(verify(collapsed).has_value()) << seed;
    // Collapsing may merge dims: give the inputs their new ones.
    std::vector<HostTensor> inputs = c.inputs;
    std::vector<const HostTensor*> pointers;
    for (const HostTensor& t : inputs) pointers.push_back(&t);
    auto want = evaluate(c.program, c.input_pointers());
    auto got = evaluate(collapsed, pointers);
    ASSERT_TRUE(want.has_value() && got.has_value()) << seed;
    for (size_t k = 0; k < want->size(); ++k) {
      (*got)[k].dims = (*want)[k].dims;
      EXPECT_EQ(first_difference((*got)[k], (*want)[k]), "") << "seed " << seed << "\n"
                                                             << print(c.program) << "\ncollapsed\n"
                                                             << print(collapsed);
    }
    // Once more changes nothing but parameters.
    ExprProgram again = collapsed;
    collapse_axes(again);
    EXPECT_EQ(again.domain.size(), collapsed.domain.size()) << seed;
  }
}

}  // namespace
}  // namespace quern
