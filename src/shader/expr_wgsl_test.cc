// The structure of generated kernels; what they compute is tested on the GPU (gpu_*_test.cc).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/expr.h"
#include "shader/lanes.h"
#include "shader/lower.h"

namespace quern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr BindingPlan kRead = {Access::kRead, -1};
constexpr BindingPlan kWrite = {Access::kReadWrite, -1};

// y = x + b over `domain`; b runs along the last axis.
ExprProgram add_bias(std::vector<Extent> domain, DType dtype) {
  ExprProgram p;
  for (const Extent& e : domain) {
    if (!e.baked()) p.params.push_back(e.value);
  }
  p.domain = domain;
  p.inputs = {{dtype, domain, false}, {dtype, {domain.back()}, false}};
  ExprBuilder b(p);
  std::vector<Expr> at;
  for (uint32_t a = 0; a < domain.size(); ++a) at.push_back(b.index(a));
  const Expr sum = b.add(b.load(0, at), b.load(1, {{at.back()}}));
  p.outputs = {{sum, dtype}};
  return p;
}

std::string text_of(const ExprProgram& p) {
  const std::vector<BindingPlan> in(p.inputs.size(), kRead);
  const std::vector<BindingPlan> out(p.outputs.size(), kWrite);
  const auto shader = write_wgsl(p, in, out, schedule_of(p, {}), {});
  return shader ? shader->wgsl : shader.error().message;
}

TEST(WriteWgsl, RowsOfWholeVectorsDivideOnce) {
  const std::string text = text_of(add_bias({{10, -1}, {8, -1}}, DType::kF32));
  EXPECT_THAT(text, HasSubstr("x0: array<vec4<f32>>"));
  EXPECT_THAT(text, HasSubstr("x1: array<vec4<f32>>"));
  EXPECT_THAT(text, HasSubstr("i1 = i32(i % 8u)"));
  EXPECT_THAT(text, Not(HasSubstr("i0")));
  EXPECT_THAT(text, Not(HasSubstr("i + 4u <= n")));  // rows end where vectors do
}

TEST(WriteWgsl, OtherRowsCarryTheirIndex) {
  const std::string text = text_of(add_bias({{10, -1}, {7, -1}}, DType::kF32));
  EXPECT_THAT(text, HasSubstr("x0: array<vec4<f32>>"));
  EXPECT_THAT(text, HasSubstr("x1: array<f32>"));
  EXPECT_THAT(text, HasSubstr("if (i1 == 7)"));
  EXPECT_THAT(text, HasSubstr("i + 4u <= n"));
}

TEST(WriteWgsl, ExtentsAsParametersGiveOneText) {
  const ExprProgram small = add_bias({{10, 0}, {7, 1}}, DType::kF16);
  const ExprProgram large = add_bias({{1000, 0}, {4096, 1}}, DType::kF16);
  EXPECT_EQ(text_of(small), text_of(large));
  EXPECT_EQ(small.key(), large.key());
  EXPECT_THAT(param_words(large), ElementsAre(1000u, 4096u));
  EXPECT_THAT(text_of(small), HasSubstr("struct Params { p0: i32, p1: i32 }"));
}

TEST(WriteWgsl, NarrowOutputsAreWholeWords) {
  ExprProgram p;
  p.domain = {{5, -1}};
  p.inputs = {{DType::kI64, p.domain, false}};
  ExprBuilder b(p);
  const Expr at[] = {b.index(0)};
  p.outputs = {{b.lt(b.load(0, at), b.constant_int(Scalar::kI64, 3)), DType::kBool}};
  const std::string text = text_of(p);
  EXPECT_THAT(text, HasSubstr("x0: array<vec4<u32>>"));
  EXPECT_THAT(text, HasSubstr("y0[g] = u32(r0) | (u32(r1) << 8u)"));
  EXPECT_THAT(text, HasSubstr("fn lt_i64("));
  EXPECT_EQ(workgroups_of(p, schedule_of(p, {}), {})[0], 1u);
}

TEST(WriteWgsl, MergesEqualBindings) {
  ExprProgram p = add_bias({{16, -1}}, DType::kF32);
  const std::vector<BindingPlan> in = {kWrite, {Access::kReadWrite, 0}};
  const auto shader = write_wgsl(p, in, std::vector<BindingPlan>{{Access::kReadWrite, 1}}, {}, {});
  ASSERT_TRUE(shader) << shader.error().message;
  EXPECT_THAT(shader->bindings, ElementsAre(Access::kReadWrite));
  EXPECT_THAT(shader->wgsl, Not(HasSubstr("y0:")));
}

TEST(WriteWgsl, RefusesTooManyBuffers) {
  ExprProgram p = add_bias({{16, -1}}, DType::kF32);
  const auto shader =
      write_wgsl(p, std::vector{kRead, kRead}, std::vector{kWrite}, {}, {.max_storage_buffers = 2});
  ASSERT_FALSE(shader);
  EXPECT_EQ(shader.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(shader.error().message, HasSubstr("binds 3 storage buffers, the device allows 2"));
}

// A long chain of operations: no deep nesting in the text, nor in the generator.
TEST(WriteWgsl, LongChains) {
  ExprProgram p;
  p.domain = {{5, -1}};
  p.inputs = {{DType::kF32, p.domain, false}};
  ExprBuilder b(p);
  const Expr at[] = {b.index(0)};
  Expr e = b.load(0, at);
  for (int i = 0; i < 20000; ++i) e = b.unary(i % 2 == 0 ? ExprOp::kTanh : ExprOp::kNeg, e);
  p.outputs = {{e, DType::kF32}};
  const std::string text = text_of(p);
  EXPECT_THAT(text, HasSubstr("y0[i] = "));
  EXPECT_THAT(text, Not(HasSubstr("(((((((((((((")));
}

// sum over the last axis of x[rows, length], or over the first.
ExprProgram sum_of(int64_t rows, Extent length, bool last) {
  ExprProgram p;
  p.domain = {{rows, -1}};
  if (!length.baked()) p.params = {length.value};
  p.inputs = {{DType::kF32, {p.domain[0], length}, false}};
  if (!last) std::swap(p.inputs[0].dims[0], p.inputs[0].dims[1]);
  ExprBuilder b(p);
  const Expr loop = b.loop();
  const Expr at[] = {last ? b.index(0) : loop, last ? loop : b.index(0)};
  p.outputs = {{b.reduce(ExprOp::kReduceSum, loop, b.extent(length), b.load(0, at)), DType::kF32}};
  return p;
}

TEST(Schedule, SharesLongContiguousReductions) {
  const auto size = [](const ExprProgram& p) {
    const ExprSchedule s = schedule_of(p, {});
    return s.workgroup_reduce ? s.workgroup_size : 0;
  };
  EXPECT_EQ(size(sum_of(100000, {1000, -1}, true)), 128u);
  EXPECT_EQ(size(sum_of(100000, {100, -1}, true)), 32u);
  EXPECT_EQ(size(sum_of(100000, {20, -1}, true)), 0u);
  EXPECT_EQ(size(sum_of(100000, {1000, -1}, false)), 0u);  // neighbours are neighbours already
  EXPECT_EQ(size(sum_of(10, {5000, -1}, false)), 256u);
  // Not baked: two variants.
  EXPECT_EQ(size(sum_of(10, {1000, 0}, true)), 128u);
  EXPECT_EQ(size(sum_of(10, {100000, 0}, true)), 128u);
  EXPECT_EQ(size(sum_of(10, {10, 0}, true)), 0u);
}

TEST(Schedule, SplitsWorkgroups) {
  EXPECT_EQ(split_workgroups(65535, {}), (std::array<uint64_t, 3>{65535, 1, 1}));
  EXPECT_EQ(split_workgroups(65536, {}), (std::array<uint64_t, 3>{32768, 2, 1}));
  EXPECT_EQ(split_workgroups(0, {}), (std::array<uint64_t, 3>{0, 1, 1}));
  const ExprProgram p = sum_of(100000, {1000, -1}, true);
  const auto groups = workgroups_of(p, schedule_of(p, {}), {});
  EXPECT_EQ(groups, (std::array<uint64_t, 3>{50000, 2, 1}));
}

TEST(ParamWords, OfAllTypes) {
  ExprProgram p;
  p.domain = {{4, -1}};
  ExprBuilder b(p);
  b.param(Scalar::kI64, -2);
  b.param(Scalar::kF32, word_of(1.5f));
  p.params.push_back(77);  // of no node: not passed
  b.param(Scalar::kU32, UINT32_MAX);
  b.param(Scalar::kF64, __builtin_bit_cast(int64_t, 2.5));
  EXPECT_THAT(param_words(p),
              ElementsAre(0xfffffffeu, 0xffffffffu, word_of(1.5f), 0xffffffffu, word_of(2.5f)));
}

}  // namespace
}  // namespace quern
