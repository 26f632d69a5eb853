#include "ir/expr_eval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ir/expr_random_testing.h"

namespace quern {
namespace {

std::vector<double> floats(const HostTensor& t) {
  std::vector<double> values;
  for (int64_t i = 0; i < t.count(); ++i) values.push_back(t.float_at(i));
  return values;
}
std::vector<int64_t> ints(const HostTensor& t) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < t.count(); ++i) values.push_back(t.int_at(i));
  return values;
}

TEST(ExprEval, BroadcastAdd) {
  ExprProgram p;
  p.domain = {{2, -1}, {3, -1}};
  p.inputs = {{DType::kF32, {{2, -1}, {3, -1}}}, {DType::kF32, {{3, -1}}}};
  ExprBuilder b(p);
  const Expr ij[] = {b.index(0), b.index(1)};
  const Expr j[] = {b.index(1)};
  p.outputs = {{b.add(b.load(0, ij), b.load(1, j)), DType::kF32}};
  const HostTensor x = HostTensor::of_floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor y = HostTensor::of_floats({3}, {10, 20, 30});
  const HostTensor* inputs[] = {&x, &y};
  const auto result = evaluate(p, inputs);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(floats((*result)[0]), (std::vector<double>{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ((*result)[0].dims, (Dims{2, 3}));
}

// Rows of a table picked by an index tensor: a load inside an index.
ExprProgram gather(int64_t rows) {
  ExprProgram p;
  p.domain = {{3, -1}, {2, -1}};
  p.inputs = {{DType::kI32, {{rows, -1}, {2, -1}}}, {DType::kI64, {{3, -1}}}};
  ExprBuilder b(p);
  const Expr i[] = {b.index(0)};
  const Expr at[] = {b.cast(b.load(1, i), Scalar::kI32), b.index(1)};
  p.outputs = {{b.load(0, at), DType::kI32}};
  return p;
}

TEST(ExprEval, LoadsInsideIndices) {
  const HostTensor table = HostTensor::of_ints(DType::kI32, {4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  const HostTensor where = HostTensor::of_ints(DType::kI64, {3}, {3, 0, 2});
  const HostTensor* inputs[] = {&table, &where};
  const auto result = evaluate(gather(4), inputs);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ints((*result)[0]), (std::vector<int64_t>{30, 31, 0, 1, 20, 21}));
}

TEST(ExprEval, AnIndexOutOfRangeIsAnError) {
  const HostTensor table = HostTensor::of_ints(DType::kI32, {4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  for (int64_t bad : {-1, 4, 1 << 30}) {
    const HostTensor where = HostTensor::of_ints(DType::kI64, {3}, {3, bad, 2});
    const HostTensor* inputs[] = {&table, &where};
    const auto result = evaluate(gather(4), inputs);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(result.error().message,
              cat("index ", bad, " is outside the extent 4 of axis 0 of input 0"));
  }
}

// y[i] = i < 2 ? x[i] : -1 over five elements of an input of two.
TEST(ExprEval, TheSideThatASelectLeavesOutMayBeOutOfRange) {
  ExprProgram p;
  p.domain = {{5, -1}};
  p.inputs = {{DType::kF32, {{2, -1}}}};
  ExprBuilder b(p);
  const Expr i[] = {b.index(0)};
  const Expr x = b.load(0, i);
  p.outputs = {{b.select(b.lt(i[0], b.i32(2)), x, b.constant(Scalar::kF32, -1)), DType::kF32}};
  const HostTensor input = HostTensor::of_floats({2}, {7, 8});
  const HostTensor* inputs[] = {&input};
  const auto result = evaluate(p, inputs);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(floats((*result)[0]), (std::vector<double>{7, 8, -1, -1, -1}));
  p.outputs[0].value = x;
  EXPECT_FALSE(evaluate(p, inputs).has_value());
}

// Row-wise softmax: a reduction whose body uses another one.
TEST(ExprEval, NestedReductions) {
  ExprProgram p;
  p.domain = {{2, -1}, {3, -1}};
  p.inputs = {{DType::kF32, {{2, -1}, {3, -1}}}};
  ExprBuilder b(p);
  const auto x = [&](Expr j) {
    const Expr at[] = {b.index(0), j};
    return b.load(0, at);
  };
  const Expr l = b.loop();
  const Expr most = b.reduce(ExprOp::kReduceMax, l, b.i32(3), x(l));
  const Expr m = b.loop();
  const Expr sum =
      b.reduce(ExprOp::kReduceSum, m, b.i32(3), b.unary(ExprOp::kExp, b.sub(x(m), most)));
  p.outputs = {{b.div(b.unary(ExprOp::kExp, b.sub(x(b.index(1)), most)), sum), DType::kF32},
               {b.mul(sum, b.constant(Scalar::kF32, 1)), DType::kF32}};
  const HostTensor input = HostTensor::of_floats({2, 3}, {1, 2, 3, 0, 0, 0});
  const HostTensor* inputs[] = {&input};
  const auto result = evaluate(p, inputs);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  const std::vector<double> y = floats((*result)[0]);
  const double z = std::exp(-2.0) + std::exp(-1.0) + 1;
  EXPECT_NEAR(y[0], std::exp(-2.0) / z, 1e-7);
  EXPECT_NEAR(y[2], 1 / z, 1e-7);
  EXPECT_NEAR(y[4], 1.0 / 3, 1e-7);
  EXPECT_NEAR(floats((*result)[1])[0], z, 1e-6);
}

// The extent of a loop depends on the element: a triangle's row sums.
TEST(ExprEval, ExtentsThatDependOnTheElement) {
  ExprProgram p;
  p.domain = {{4, -1}};
  ExprBuilder b(p);
  const Expr l = b.loop();
  p.outputs = {{b.reduce(ExprOp::kReduceSum, l, b.index(0), b.add(l, b.index(0))), DType::kI64}};
  EXPECT_FALSE(evaluate(p, {}).has_value());  // the value is an i32
  p.outputs[0].dtype = DType::kI8;
  const auto result = evaluate(p, {});
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(ints((*result)[0]), (std::vector<int64_t>{0, 1, 5, 12}));
}

TEST(ExprEval, ReductionsOfEveryKind) {
  ExprProgram p;
  p.inputs = {{DType::kF32, {{5, -1}}}, {DType::kI32, {{5, -1}}}, {DType::kF32, {{0, -1}}}};
  p.params = {0};
  ExprBuilder b(p);
  const auto reduce = [&](ExprOp op, uint32_t input, const Extent& extent) {
    const Expr l = b.loop();
    const Expr at[] = {l};
    return b.reduce(op, l, b.extent(extent), b.load(input, at));
  };
  for (ExprOp op :
       {ExprOp::kReduceSum, ExprOp::kReduceProd, ExprOp::kReduceMin, ExprOp::kReduceMax,
        ExprOp::kArgMinFirst, ExprOp::kArgMinLast, ExprOp::kArgMaxFirst, ExprOp::kArgMaxLast}) {
    for (uint32_t input = 0; input < 3; ++input) {
      const Expr e = input < 2 ? reduce(op, input, {5, -1}) : reduce(op, input, {0, 0});
      p.outputs.push_back({e, storage_type(b.type_of(e))});
    }
  }
  const HostTensor x = HostTensor::of_floats({5}, {2, -3, 4, -3, 4});
  const HostTensor n = HostTensor::of_ints(DType::kI32, {5}, {2, -3, 4, -3, 4});
  const HostTensor none = HostTensor::of_floats({0}, {});
  const HostTensor* inputs[] = {&x, &n, &none};
  const auto result = evaluate(p, inputs);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  std::vector<double> got;
  for (const HostTensor& t : *result) got.push_back(t.float_at(0));
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(got, (std::vector<double>{4, 4, 0, 288, 288, 1, -3, -3, inf, 4, 4, -inf,
                                      1, 1, 0, 3,   3,   0, 2,  2,  0,   4, 4, 0}));
}

TEST(ExprEval, SumsOfFloatsAreAccurate) {
  ExprProgram p;
  p.inputs = {{DType::kF32, {{3, -1}}}};
  ExprBuilder b(p);
  const Expr l = b.loop();
  const Expr at[] = {l};
  p.outputs = {{b.reduce(ExprOp::kReduceSum, l, b.i32(3), b.load(0, at)), DType::kF32}};
  const HostTensor x = HostTensor::of_floats({3}, {16777216, 1, 1});
  const HostTensor* inputs[] = {&x};
  EXPECT_EQ((*evaluate(p, inputs))[0].float_at(0), 16777218);
}

TEST(ExprEval, ParametersAndEmptyDomains) {
  ExprProgram p;
  p.params = {0};
  p.domain = {{0, 0}};
  ExprBuilder b(p);
  p.outputs = {{b.add(b.index(0), b.extent(p.domain[0])), DType::kI32}};
  auto result = evaluate(p, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ((*result)[0].dims, (Dims{0}));
  p.params[0] = 3;
  p.domain[0].value = 3;
  EXPECT_EQ(ints((*evaluate(p, {}))[0]), (std::vector<int64_t>{3, 4, 5}));
}

TEST(ExprEval, WrongInputsAreErrors) {
  const ExprProgram p = gather(4);
  const HostTensor table = HostTensor::of_ints(DType::kI32, {3, 2}, {0, 1, 10, 11, 20, 21});
  const HostTensor where = HostTensor::of_ints(DType::kI64, {3}, {0, 0, 0});
  const HostTensor* inputs[] = {&table, &where};
  EXPECT_FALSE(evaluate(p, inputs).has_value());
  EXPECT_FALSE(evaluate(p, {inputs, 1}).has_value());
  inputs[0] = nullptr;
  EXPECT_FALSE(evaluate(p, inputs).has_value());
}

TEST(ExprEval, RandomProgramsVerifyAndRun) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const RandomCase c = random_case(seed, {{2, 3, 5}, 15});
    const Result<void> ok = verify(c.program);
    ASSERT_TRUE(ok.has_value()) << "seed " << seed << ": " << ok.error().message << "\n"
                                << print(c.program);
    const auto result = evaluate(c.program, c.input_pointers());
    ASSERT_TRUE(result.has_value()) << "seed " << seed << ": " << result.error().message << "\n"
                                    << print(c.program);
  }
}

}  // namespace
}  // namespace quern
