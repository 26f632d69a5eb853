#include "shader/generalize.h"

#include <gtest/gtest.h>

#include <bit>

#include "ir/expr.h"
#include "shader/lanes.h"

namespace quern {
namespace {

ExprProgram shared(ExprProgram p) {
  Generalizer({}).run(p);
  const Result<void> ok = verify(p);
  EXPECT_TRUE(ok) << ok.error().message;
  return p;
}

// The sums of x[channels, h] over a dynamic h.
ExprProgram row_sums(int64_t channels, int64_t h) {
  ExprProgram p;
  p.params = {h};
  p.domain = {{channels, -1}};
  p.inputs = {{DType::kF32, {{channels, -1}, {h, 0}}, false}};
  ExprBuilder b(p);
  const Expr loop = b.loop();
  const Expr at[] = {b.index(0), loop};
  p.outputs = {{b.reduce(ExprOp::kReduceSum, loop, b.extent({h, 0}), b.load(0, at)), DType::kF32}};
  return p;
}

// x + b where b runs along `axis` of the domain.
ExprProgram add_along(std::vector<Extent> domain, uint32_t axis) {
  ExprProgram p;
  for (const Extent& e : domain) {
    if (!e.baked()) p.params.push_back(e.value);
  }
  p.domain = domain;
  p.inputs = {{DType::kF32, domain, false}, {DType::kF32, {domain[axis]}, false}};
  ExprBuilder b(p);
  std::vector<Expr> at;
  for (uint32_t a = 0; a < domain.size(); ++a) at.push_back(b.index(a));
  p.outputs = {{b.add(b.load(0, at), b.load(1, {{at[axis]}})), DType::kF32}};
  return p;
}

TEST(Generalize, LayersOfOtherChannelsAreOneProgram) {
  EXPECT_NE(row_sums(16, 10).key(), row_sums(24, 5).key());
  const ExprProgram p = shared(row_sums(16, 10));
  EXPECT_EQ(p.key(), shared(row_sums(24, 5)).key());
  EXPECT_EQ(p.params, (std::vector<int64_t>{10, 16}));
}

TEST(Generalize, WhatWasFoundServesAnotherBinding) {
  Generalizer generalizer({});
  for (const int64_t h : {10, 20}) {
    ExprProgram p = row_sums(16, h);
    generalizer.run(p);
    EXPECT_EQ(p.key(), shared(row_sums(16, h)).key());
    EXPECT_EQ(p.params, (std::vector<int64_t>{h, 16}));
  }
}

TEST(Generalize, ElementwiseProgramsOfAnySizeAreOne) {
  EXPECT_EQ(shared(add_along({{1000, -1}}, 0)).key(), shared(add_along({{4096, -1}}, 0)).key());
}

TEST(Generalize, AnInputKeepsItsPlaceInTheDomain) {
  // A bias along the channels of x[channels, h].
  const ExprProgram p = shared(add_along({{16, -1}, {100, 0}}, 0));
  EXPECT_EQ(p.domain[0].param, p.inputs[1].dims[0].param);
  EXPECT_EQ(p.domain[0].param, p.inputs[0].dims[0].param);
  EXPECT_EQ(p.key(), shared(add_along({{24, -1}, {50, 0}}, 0)).key());
}

TEST(Generalize, WhatVectorsNeedStays) {
  const ExprProgram p = shared(add_along({{100, 0}, {64, -1}}, 1));
  EXPECT_TRUE(p.domain[1].baked());
  // Not in rows that are no whole vectors.
  EXPECT_FALSE(shared(add_along({{100, 0}, {63, -1}}, 1)).domain[1].baked());
}

TEST(Generalize, KnownShapesKeepTheirDivisionsWhereTheyAreLarge) {
  const ExprProgram p = add_along({{1 << 11, -1}, {1 << 11, -1}}, 0);
  EXPECT_EQ(shared(p).key(), p.key());
}

TEST(Generalize, SmallKnownShapesAreOneProgramAndKeepTheirVectors) {
  const ExprProgram p = shared(add_along({{16, -1}, {100, -1}}, 0));
  EXPECT_EQ(p.key(), shared(add_along({{24, -1}, {64, -1}}, 0)).key());
  EXPECT_EQ(p.params, (std::vector<int64_t>{16, 100}));
  EXPECT_EQ(p.domain[1].multiple, 4);
  EXPECT_TRUE(lanes_of(p, facts_of(p)).row);
  EXPECT_NE(p.key(), shared(add_along({{16, -1}, {99, -1}}, 0)).key());
}

TEST(Generalize, AnEpilogueKnowsNoExtents) {
  const auto key = [](int64_t rows, int64_t columns, uint32_t axis) {
    ExprProgram p = add_along({{rows, -1}, {columns, -1}}, axis);
    p.inputs[0].is_anchor = true;
    Generalizer::run_epilogue(p);
    EXPECT_TRUE(verify(p));
    return p.key();
  };
  // Only those that places are computed with are parameters: not how many rows there are.
  EXPECT_EQ(key(128, 768, 1), key(128, 3072, 1));
  EXPECT_EQ(key(128, 768, 0), key(64, 96, 0));
}

// x * scale + shift over a domain of one axis.
ExprProgram affine(float scale, float shift) {
  ExprProgram p;
  p.domain = {{1000, -1}};
  p.inputs = {{DType::kF32, p.domain, false}};
  ExprBuilder b(p);
  const Expr at[] = {b.index(0)};
  const Expr x = b.load(0, at);
  const Expr y = b.add(b.mul(x, b.number(x, scale)), b.number(x, shift));
  p.outputs = {{y, DType::kF32}};
  return p;
}

TEST(Generalize, LearnedNumbersAreParameters) {
  EXPECT_EQ(shared(affine(0.8234567f, 1.2345678f)).key(),
            shared(affine(1.1234567f, 0.1234567f)).key());
  // What operators are made of stays.
  EXPECT_NE(shared(affine(0.5f, 3.0f)).key(), shared(affine(0.25f, 3.0f)).key());
  EXPECT_EQ(shared(affine(0.5f, 3.0f)).params.size(), 1u);  // the extent
}

TEST(Generalize, ParametersKeepTheirBits) {
  const ExprProgram p = shared(affine(0.1f, 3.0f));
  ASSERT_EQ(p.params.size(), 2u);
  EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(p.params[0])), 0.1f);
}

TEST(Generalize, OtherUsesOfANumberStay) {
  ExprProgram p = affine(0.1f, 3.0f);
  ExprBuilder b(p);
  const Expr x{p.outputs[0].value};
  p.outputs[0].value = b.binary(ExprOp::kPow, x, b.number(x, 0.1f));
  EXPECT_EQ(shared(p).params.size(), 1u);
}

}  // namespace
}  // namespace quern
