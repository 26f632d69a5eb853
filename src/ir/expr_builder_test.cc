#include <gtest/gtest.h>

#include "ir/expr.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

// A program over [8, 4, p0] with an f32 and an i32 input of that shape, and an i8 one.
struct Fixture : testing::Test {
  Fixture() : b((setup(), program)) {}
  void setup() {
    program.params = {16};
    program.domain = {{8, -1}, {4, -1}, {16, 0}};
    program.inputs = {
        {DType::kF32, program.domain}, {DType::kI32, program.domain}, {DType::kI8, program.domain}};
  }
  Expr f() { return at(0); }
  Expr n() { return at(1); }
  Expr small() { return at(2); }
  Expr at(uint32_t input) {
    const Expr index[] = {b.index(0), b.index(1), b.index(2)};
    return b.load(input, index);
  }
  ExprProgram program;
  ExprBuilder b;
};
using ExprBuilderTest = Fixture;

TEST_F(ExprBuilderTest, EqualNodesAreOne) {
  EXPECT_EQ(b.add(f(), b.index(0).id == 0 ? f() : f()), b.add(f(), f()));
  EXPECT_EQ(b.mul(n(), b.index(1)), b.mul(b.index(1), n()));
  EXPECT_NE(b.sub(n(), b.index(1)), b.sub(b.index(1), n()));
  EXPECT_NE(b.param(Scalar::kI32, 3), b.param(Scalar::kI32, 3));
  EXPECT_EQ(b.extent(program.domain[2]), b.extent(program.domain[2]));
  EXPECT_EQ(b.extent(program.domain[0]), b.i32(8));
}

TEST_F(ExprBuilderTest, ConstantsFold) {
  int64_t value = 0;
  ASSERT_TRUE(b.is_constant(b.add(b.i32(INT32_MAX), b.i32(1)), &value));
  EXPECT_EQ(value, INT32_MIN);
  ASSERT_TRUE(b.is_constant(b.div(b.i32(7), b.i32(0)), &value));
  EXPECT_EQ(value, 0);
  EXPECT_EQ(b.cast(b.constant(Scalar::kF32, -3.7), Scalar::kI32), b.i32(-3));
  EXPECT_EQ(b.unary(ExprOp::kSqrt, b.constant(Scalar::kF32, 9)), b.constant(Scalar::kF32, 3));
  EXPECT_EQ(b.lt(b.i32(1), b.i32(2)), b.boolean(true));
  EXPECT_EQ(b.select(b.boolean(false), f(), b.constant(Scalar::kF32, 2)),
            b.constant(Scalar::kF32, 2));
  EXPECT_EQ(b.bitcast(b.constant(Scalar::kF32, 1.0), Scalar::kI32), b.i32(0x3f800000));
  EXPECT_EQ(b.narrow(b.i32(300), DType::kI8), b.i32(44));
}

TEST_F(ExprBuilderTest, NeutralElements) {
  const Expr x = f();
  const auto c = [&](double v) { return b.constant(Scalar::kF32, v); };
  EXPECT_EQ(b.add(x, c(0)), x);
  EXPECT_EQ(b.add(c(0), x), x);
  EXPECT_EQ(b.sub(x, c(0)), x);
  EXPECT_EQ(b.mul(c(1), x), x);
  EXPECT_NE(b.mul(x, c(0)), c(0));  // not for NaN and infinity
  EXPECT_EQ(b.div(x, c(1)), x);
  EXPECT_EQ(b.div(x, c(4)), b.mul(x, c(0.25)));
  EXPECT_EQ(program.at(b.div(x, c(3))).op, ExprOp::kDiv);
  EXPECT_EQ(b.binary(ExprOp::kPow, x, c(2)), b.mul(x, x));
  EXPECT_EQ(b.unary(ExprOp::kNeg, b.unary(ExprOp::kNeg, x)), x);
  EXPECT_EQ(b.mul(n(), b.i32(0)), b.i32(0));
  EXPECT_EQ(b.sub(n(), n()), b.i32(0));
  EXPECT_EQ(b.add(b.add(n(), b.i32(2)), b.i32(-2)), n());
  EXPECT_EQ(b.sub(b.add(n(), b.i32(5)), b.i32(2)), b.add(n(), b.i32(3)));
  EXPECT_EQ(b.mul(b.mul(n(), b.i32(2)), b.i32(3)), b.mul(n(), b.i32(6)));
  const Expr t = b.lt(x, c(1));
  EXPECT_EQ(b.logical_and(t, b.boolean(true)), t);
  EXPECT_EQ(b.logical_and(t, b.boolean(false)), b.boolean(false));
  EXPECT_EQ(b.logical_or(b.boolean(true), t), b.boolean(true));
  EXPECT_EQ(b.logical_not(b.logical_not(t)), t);
  EXPECT_EQ(b.select(t, x, x), x);
  EXPECT_EQ(b.select(t, b.boolean(true), b.boolean(false)), t);
}

TEST_F(ExprBuilderTest, IndexMathFolds) {
  const Expr i = b.index(0);
  const Expr j = b.index(1);
  const Expr flat = b.add(b.mul(i, b.i32(4)), j);
  EXPECT_EQ(b.div(flat, b.i32(4)), i);
  EXPECT_EQ(b.binary(ExprOp::kRem, flat, b.i32(4)), j);
  EXPECT_EQ(b.binary(ExprOp::kMod, flat, b.i32(4)), j);
  EXPECT_EQ(b.div(flat, b.i32(2)), b.add(b.mul(i, b.i32(2)), b.div(j, b.i32(2))));
  EXPECT_EQ(b.div(flat, b.i32(32)), b.i32(0));
  EXPECT_EQ(b.div(b.div(n(), b.i32(3)), b.i32(5)), b.div(n(), b.i32(15)));
  EXPECT_EQ(b.max(i, b.i32(0)), i);
  EXPECT_EQ(b.min(i, b.i32(7)), i);
  EXPECT_NE(b.min(i, b.i32(6)), i);
  EXPECT_EQ(b.lt(j, b.i32(4)), b.boolean(true));
  EXPECT_EQ(b.lt(j, b.i32(0)), b.boolean(false));
  // Of an extent that is a parameter, only that it is not negative is known.
  EXPECT_EQ(b.max(b.index(2), b.i32(0)), b.index(2));
  EXPECT_NE(b.min(b.index(2), b.i32(15)), b.index(2));
  // An arbitrary integer may wrap.
  EXPECT_NE(b.div(b.mul(n(), b.i32(4)), b.i32(4)), n());
  EXPECT_EQ(b.narrow(small(), DType::kI8), small());
  EXPECT_EQ(b.min(small(), b.i32(127)), small());
}

TEST_F(ExprBuilderTest, Casts) {
  EXPECT_EQ(b.cast(f(), Scalar::kF32), f());
  EXPECT_EQ(b.cast(b.cast(n(), Scalar::kI64), Scalar::kI32), n());
  EXPECT_NE(b.cast(b.cast(f(), Scalar::kI32), Scalar::kF32), f());
  EXPECT_EQ(b.cast(b.cast(f(), Scalar::kF64), Scalar::kF32), f());
  EXPECT_EQ(b.narrow(f(), DType::kF32), f());
  const Expr half = b.narrow(f(), DType::kF16);
  EXPECT_NE(half, f());
  EXPECT_EQ(b.narrow(half, DType::kF16), half);
}

TEST_F(ExprBuilderTest, EqualReductionsAreOne) {
  const auto sum = [&](double scale) {
    const Expr l = b.loop();
    const Expr index[] = {b.index(0), b.index(1), l};
    const Expr body = b.mul(b.load(0, index), b.constant(Scalar::kF32, scale));
    return b.reduce(ExprOp::kReduceSum, l, b.extent(program.domain[2]), body);
  };
  EXPECT_EQ(sum(2), sum(2));
  EXPECT_NE(sum(2), sum(3));
  const auto nested = [&](bool swapped) {
    const Expr l = b.loop();
    const Expr m = b.loop();
    const Expr index[] = {b.index(0), swapped ? m : l, swapped ? l : m};
    const Expr inner = b.reduce(ExprOp::kReduceMax, m, b.i32(4), b.load(0, index));
    return b.reduce(ExprOp::kReduceSum, l, b.i32(4), inner);
  };
  EXPECT_EQ(nested(false), nested(false));
  EXPECT_NE(nested(false), nested(true));
  EXPECT_EQ(b.reduce(ExprOp::kReduceSum, b.loop(), b.i32(0), f()), b.constant(Scalar::kF32, 0));
  EXPECT_EQ(b.reduce(ExprOp::kReduceMin, b.loop(), b.i32(0), n()), b.i32(INT32_MAX));
}

TEST_F(ExprBuilderTest, IndexAlongOneIsZero) {
  ExprProgram p;
  p.domain = {{1, -1}, {5, -1}};
  p.inputs = {{DType::kF32, {{1, -1}, {1, -1}}}};
  ExprBuilder c(p);
  EXPECT_EQ(c.index(0), c.i32(0));
  const Expr index[] = {c.i32(0), c.index(1)};
  EXPECT_EQ(p.at(c.load(0, index)).args[1], c.i32(0));
}

TEST_F(ExprBuilderTest, WrongTypesAreReported) {
  EXPECT_TRUE(b.check().has_value());
  b.add(f(), n());
  const Result<void> result = b.check();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message, "expression: add of f32 and i32");
}

TEST_F(ExprBuilderTest, OtherMistakesAreReported) {
  const Expr x = f();
  for (int mistake = 0; mistake < 7; ++mistake) {
    ExprBuilder c(program);
    switch (mistake) {
      case 0:
        c.unary(ExprOp::kSin, c.i32(1));
        break;
      case 1:
        c.index(3);
        break;
      case 2:
        c.load(9, {});
        break;
      case 3:
        c.load(0, {});
        break;
      case 4:
        c.select(c.i32(1), c.i32(1), c.i32(2));
        break;
      case 5:
        c.bitcast(x, Scalar::kI64);
        break;
      default:
        c.reduce(ExprOp::kReduceAny, c.loop(), c.i32(3), c.i32(1));
        break;
    }
    EXPECT_FALSE(c.check().has_value()) << mistake;
  }
}

TEST_F(ExprBuilderTest, AContinuedProgramKeepsItsNodes) {
  const Expr sum = b.add(f(), f());
  const size_t before = program.nodes.size();
  ExprBuilder c(program);
  const Expr index[] = {c.index(0), c.index(1), c.index(2)};
  EXPECT_EQ(c.add(c.load(0, index), c.load(0, index)), sum);
  EXPECT_EQ(program.nodes.size(), before);
}

TEST_F(ExprBuilderTest, KeyIgnoresParameterValues) {
  program.outputs = {{f(), DType::kF32}};
  ExprProgram other = program;
  other.params[0] = 99;
  other.domain[2].value = 99;
  other.inputs[0].dims[2].value = 99;
  EXPECT_EQ(program.key(), other.key());
  other.domain[0].value = 9;
  EXPECT_NE(program.key(), other.key());
  other = program;
  other.outputs[0].dtype = DType::kF16;
  EXPECT_NE(program.key(), other.key());
}

TEST(ExprTypes, ComputeAndStorage) {
  EXPECT_EQ(compute_type(DType::kF16), Scalar::kF32);
  EXPECT_EQ(compute_type(DType::kF8E4M3FN), Scalar::kF32);
  EXPECT_EQ(compute_type(DType::kI4), Scalar::kI32);
  EXPECT_EQ(compute_type(DType::kU2), Scalar::kU32);
  EXPECT_EQ(compute_type(DType::kU64), Scalar::kU64);
  for (Scalar t : {Scalar::kF32, Scalar::kF64, Scalar::kI32, Scalar::kU32, Scalar::kI64,
                   Scalar::kU64, Scalar::kBool}) {
    EXPECT_EQ(compute_type(storage_type(t)), t);
  }
}

}  // namespace
}  // namespace quern
