#include "plan/split_expr.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "ir/expr_random_testing.h"
#include "plan/move_bits.h"

namespace quern {
namespace {

Target believing(uint64_t binding_bytes, uint32_t buffers = 8) {
  Target target;
  target.max_binding_bytes = binding_bytes;
  target.max_storage_buffers = buffers;
  return target;
}

std::vector<uint32_t> apart(const ExprProgram& program) {
  std::vector<uint32_t> storages(program.inputs.size());
  for (size_t i = 0; i < storages.size(); ++i) storages[i] = static_cast<uint32_t>(i);
  return storages;
}

/// Runs all parts and puts their outputs together, as the device does.
std::vector<HostTensor> run_parts(const ExprProgram& whole, const std::vector<ExprPart>& parts,
                                  const std::vector<HostTensor>& inputs, const Target& target) {
  std::vector<HostTensor> outputs;
  Dims dims;
  for (const Extent& e : whole.domain) dims.push_back(e.value);
  for (const ExprOutput& output : whole.outputs) {
    outputs.push_back(*HostTensor::zeros(output.dtype, dims));
  }
  for (const ExprPart& part : parts) {
    EXPECT_TRUE(verify(part.program)) << print(part.program);
    EXPECT_LE(part.inputs.size() + part.outputs.size(), target.max_storage_buffers);
    std::vector<HostTensor> ranges;
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      const ExprInput& input = part.program.inputs[i];
      Dims own;
      for (const Extent& e : input.dims) own.push_back(e.value);
      HostTensor range = *HostTensor::zeros(input.dtype, own);
      const Window& window = part.inputs[i].window;
      EXPECT_LE(window.bytes, target.max_binding_bytes);
      EXPECT_EQ(window.offset % 256, 0U);
      const HostTensor& from = inputs[part.inputs[i].input];
      EXPECT_LE(window.offset + window.bytes, from.bytes.size());
      EXPECT_EQ(window.bytes, range.bytes.size());
      std::memcpy(range.bytes.data(), from.bytes.data() + window.offset, window.bytes);
      ranges.push_back(std::move(range));
    }
    std::vector<const HostTensor*> pointers;
    for (const HostTensor& t : ranges) pointers.push_back(&t);
    const auto results = evaluate(part.program, pointers);
    if (!results) {
      ADD_FAILURE() << results.error().message;
      return outputs;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Window& window = part.outputs[i];
      EXPECT_EQ(window.offset % 256, 0U);
      EXPECT_LE(window.bytes, target.max_binding_bytes);
      EXPECT_EQ(window.bytes, (*results)[i].bytes.size());
      std::memcpy(outputs[i].bytes.data() + window.offset, (*results)[i].bytes.data(),
                  window.bytes);
    }
  }
  return outputs;
}

TEST(SplitExpression, RandomProgramsInPartsGiveTheSame) {
  int split = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    const Dims shapes[] = {{5, 7, 40}, {1400}, {2, 700}, {33, 43}, {1, 9, 2, 80}};
    const RandomCase random = random_case(seed, {.dims = shapes[seed % 5]});
    const Target target = believing(seed % 2 == 0 ? 1024 : 2560, 32);
    if (!needs_split(random.program, target)) continue;
    const auto parts = split_expression(random.program, apart(random.program), target);
    if (!parts) {
      EXPECT_EQ(parts.error().code, ErrorCode::kLimit) << parts.error().message;
      continue;
    }
    ++split;
    const auto want = evaluate(random.program, random.input_pointers());
    ASSERT_TRUE(want);
    const auto got = run_parts(random.program, *parts, random.inputs, target);
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(first_difference(got[i], (*want)[i]), "") << "seed " << seed;
    }
  }
  EXPECT_GT(split, 80);
}

/// A program over `domain` of one f32 input.
struct Built {
  ExprProgram program;
  std::vector<HostTensor> inputs;

  Built(const Dims& domain, const Dims& input) {
    for (int64_t d : domain) program.domain.push_back(extent(d));
    add(input);
  }
  Extent extent(int64_t d) {
    program.params.push_back(d);
    return {d, static_cast<int32_t>(program.params.size() - 1)};
  }
  void add(const Dims& dims) {
    ExprInput input{DType::kF32, {}, false};
    for (int64_t d : dims) input.dims.push_back(extent(d));
    program.inputs.push_back(std::move(input));
    std::mt19937 random(7);
    inputs.push_back(random_tensor(DType::kF32, dims, random));
  }
  std::vector<ExprPart> check(const Target& target) {
    std::vector<const HostTensor*> pointers;
    for (const HostTensor& t : inputs) pointers.push_back(&t);
    const auto want = evaluate(program, pointers);
    auto parts = split_expression(program, apart(program), target);
    EXPECT_TRUE(want);
    EXPECT_TRUE(parts) << (parts ? "" : parts.error().message);
    if (!want || !parts) return {};
    EXPECT_EQ(first_difference(run_parts(program, *parts, inputs, target)[0], (*want)[0]), "");
    return *std::move(parts);
  }
};

TEST(SplitExpression, PartsOfOneShapeAreOneProgram) {
  Built built({3000}, {3000});
  ExprBuilder b(built.program);
  const Expr at[] = {b.index(0)};
  built.program.outputs.push_back({b.unary(ExprOp::kNeg, b.load(0, at)), DType::kF32});
  const auto parts = built.check(believing(4096));
  ASSERT_EQ(parts.size(), 3U);
  std::set<std::string> keys;
  for (const ExprPart& part : parts) {
    keys.insert(part.program.key());
    ASSERT_EQ(part.inputs.size(), 1U);
    // The load follows the output's index: lanes take vectors.
    EXPECT_EQ(part.inputs[0].window, part.outputs[0]);
    EXPECT_TRUE(std::ranges::none_of(part.program.nodes, [](const ExprNode& node) {
      return node.op == ExprOp::kSub || node.op == ExprOp::kSelect;
    }));
  }
  EXPECT_EQ(keys.size(), 1U);
}

TEST(SplitExpression, ATransposedReadBindsSeveralWindows) {
  Built built({40, 60}, {60, 40});
  ExprBuilder b(built.program);
  const Expr at[] = {b.index(1), b.index(0)};
  built.program.outputs.push_back({b.load(0, at), DType::kF32});
  const auto parts = built.check(believing(4096));
  ASSERT_EQ(parts.size(), 3U);
  for (const ExprPart& part : parts) EXPECT_EQ(part.inputs.size(), 3U);
}

TEST(SplitExpression, SmallOutputsAreHalvedUntilOneWindowDoes) {
  // Sums of rows: 512 rows of 4 kB under a limit of 300 kB.
  Built built({512}, {512, 1000});
  ExprBuilder b(built.program);
  const Expr k = b.loop();
  const Expr at[] = {b.index(0), k};
  const Expr extent = b.extent(built.program.inputs[0].dims[1]);
  built.program.outputs.push_back(
      {b.reduce(ExprOp::kReduceSum, k, extent, b.load(0, at)), DType::kF32});
  const auto parts = built.check(believing(300 << 10));
  ASSERT_EQ(parts.size(), 8U);
  for (const ExprPart& part : parts) EXPECT_EQ(part.inputs.size(), 1U);
}

TEST(SplitExpression, AShiftedReadAndItsNeighbourShareWindows) {
  // y[i] = x[i] + x[i + 5]: one storage, loaded at two places.
  Built built({2995}, {3000});
  ExprBuilder b(built.program);
  const Expr here[] = {b.index(0)};
  const Expr there[] = {b.add(b.index(0), b.i32(5))};
  built.program.outputs.push_back({b.add(b.load(0, here), b.load(0, there)), DType::kF32});
  const auto parts = built.check(believing(4096));
  for (const ExprPart& part : parts) {
    for (size_t i = 0; i + 1 < part.inputs.size(); ++i) {
      EXPECT_LE(part.inputs[i].window.offset + part.inputs[i].window.bytes,
                part.inputs[i + 1].window.offset);
    }
  }
}

TEST(SplitExpression, TooManyWindowsAreALimit) {
  Built built({100, 100}, {100, 100});
  ExprBuilder b(built.program);
  const Expr at[] = {b.index(1), b.index(0)};
  built.program.outputs.push_back({b.load(0, at), DType::kF32});
  const auto parts = split_expression(built.program, apart(built.program), believing(1024));
  ASSERT_FALSE(parts);
  EXPECT_EQ(parts.error().code, ErrorCode::kLimit);
  EXPECT_EQ(parts.error().message, "it would bind more than 8 ranges of at most 1024 bytes");
}

TEST(MoveBits, OnlyWhatIsMovedChangesType) {
  ExprProgram program;
  program.domain = {{4, -1}};
  program.inputs = {{DType::kF64, program.domain, false}, {DType::kF64, program.domain, false}};
  ExprBuilder b(program);
  const Expr at[] = {b.index(0)};
  const Expr x = b.load(0, at);
  const Expr y = b.load(1, at);
  const Expr chosen = b.select(b.lt(b.index(0), b.i32(2)), x, b.constant(Scalar::kF64, 0.1));
  program.outputs = {{chosen, DType::kF64}, {b.add(y, y), DType::kF64}};
  HostTensor data = *HostTensor::zeros(DType::kF64, {4});
  const double numbers[] = {1e300, 0.3, 5, 7};
  std::memcpy(data.bytes.data(), numbers, sizeof(numbers));
  const HostTensor* inputs[] = {&data, &data};
  const auto want = evaluate(program, inputs);
  ASSERT_TRUE(want);
  const uint32_t storages[] = {0, 1};
  ExprProgram moved = program;
  move_bits(moved, storages);
  EXPECT_EQ(moved.inputs[0].dtype, DType::kU64);
  EXPECT_EQ(moved.inputs[1].dtype, DType::kF64);
  EXPECT_EQ(moved.outputs[0].dtype, DType::kU64);
  EXPECT_EQ(moved.outputs[1].dtype, DType::kF64);
  HostTensor bits = data;
  bits.dtype = DType::kU64;
  const HostTensor* as_bits[] = {&bits, &data};
  const auto got = evaluate(moved, as_bits);
  ASSERT_TRUE(got);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ((*got)[i].bytes, (*want)[i].bytes);
  // One storage under both inputs keeps one type.
  const uint32_t shared[] = {3, 3};
  ExprProgram kept = program;
  move_bits(kept, shared);
  EXPECT_EQ(kept.inputs[0].dtype, DType::kF64);
}

}  // namespace
}  // namespace quern
