#include "cpu/expr_blocked.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "ir/expr_ops.h"
#include "ir/expr_random_testing.h"

namespace quern {
namespace {

#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
constexpr bool kHasThreads = false;
#else
constexpr bool kHasThreads = true;
#endif

// Cuts every loop into pieces and runs them on threads, or in reverse order on this one.
class Pieces final : public Parallel {
 public:
  explicit Pieces(int pieces, bool threads = false)
      : pieces_(pieces), threads_(threads && kHasThreads) {}
  [[nodiscard]] int threads() const override { return pieces_; }
  void run(int64_t count, int64_t grain,
           const std::function<void(int64_t, int64_t)>& body) override {
    const int64_t size =
        std::max<int64_t>((count + pieces_ - 1) / pieces_, ignore_grain ? 1 : grain);
    std::vector<std::thread> workers;
    for (int64_t i = (count + size - 1) / size; i-- > 0;) {
      const auto piece = [=, &body] { body(i * size, std::min(count, (i + 1) * size)); };
      if (threads_)
        workers.emplace_back(piece);
      else
        piece();
    }
    for (std::thread& worker : workers) worker.join();
  }
  bool ignore_grain = true;

 private:
  int pieces_;
  bool threads_;
};

Result<std::vector<HostTensor>> run(const ExprProgram& program,
                                    std::span<const HostTensor* const> inputs, Parallel& parallel) {
  QUERN_ASSIGN(const BlockedProgram blocked, BlockedProgram::compile(program));
  // Exact copies, so that the address sanitizer sees a read past the end.
  std::vector<std::unique_ptr<uint8_t[]>> copies;
  std::vector<const uint8_t*> from;
  for (const HostTensor* t : inputs) {
    copies.push_back(std::make_unique<uint8_t[]>(t->bytes.size()));
    std::copy(t->bytes.begin(), t->bytes.end(), copies.back().get());
    from.push_back(copies.back().get());
  }
  Dims dims;
  for (const Extent& e : program.domain) dims.push_back(e.value);
  std::vector<HostTensor> results;
  std::vector<uint8_t*> to;
  for (const ExprOutput& output : program.outputs) {
    results.push_back(*HostTensor::zeros(output.dtype, dims));
    std::fill(results.back().bytes.begin(), results.back().bytes.end(), uint8_t{0x5a});
  }
  for (HostTensor& t : results) to.push_back(t.bytes.data());
  QUERN_TRY(blocked.run(from, to, parallel));
  return results;
}

void expect_same(uint32_t seed, const RandomOptions& options, Parallel& parallel) {
  const RandomCase c = random_case(seed, options);
  const auto want = evaluate(c.program, c.input_pointers());
  const auto got = run(c.program, c.input_pointers(), parallel);
  ASSERT_TRUE(want.has_value()) << "seed " << seed;
  ASSERT_TRUE(got.has_value()) << "seed " << seed << ": " << got.error().message;
  for (size_t k = 0; k < want->size(); ++k) {
    ASSERT_EQ(first_difference((*got)[k], (*want)[k]), "")
        << "output " << k << ", seed " << seed << ", dims " << join(options.dims, " ") << "\n"
        << print(c.program);
  }
}

TEST(BlockedProgram, RandomProgramsOfManyShapes) {
  const Dims shapes[] = {{},      {1},     {2},        {16},          {17},   {255},    {256},
                         {257},   {1000},  {0},        {3, 0},        {2, 3}, {7, 129}, {300, 3},
                         {1, 40}, {40, 1}, {5, 4, 33}, {2, 1, 3, 50}, {513},  {2, 600}};
  for (uint32_t seed = 0; seed < 1200; ++seed) {
    Pieces parallel(1 + static_cast<int>(seed % 4));
    RandomOptions options{shapes[seed % std::size(shapes)], 3 + static_cast<int>(seed % 12)};
    options.reductions = options.dims.size() < 2 && options.dims != Dims{1000} && seed % 3 != 0;
    ASSERT_NO_FATAL_FAILURE(expect_same(seed, options, parallel));
  }
}

TEST(BlockedProgram, RandomProgramsWithReductions) {
  const Dims shapes[] = {{}, {3}, {20}, {64}, {6, 40}, {40, 6}, {3, 5, 4}};
  for (uint32_t seed = 0; seed < 1200; ++seed) {
    Pieces parallel(1 + static_cast<int>(seed % 3));
    ASSERT_NO_FATAL_FAILURE(
        expect_same(seed + 100000, {shapes[seed % std::size(shapes)], 8}, parallel));
  }
}

TEST(BlockedProgram, ThreadsGiveTheSame) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Pieces parallel(4, true);
    ASSERT_NO_FATAL_FAILURE(expect_same(seed + 200000, {{37, 129}, 8, false}, parallel));
  }
}

// ---- Particular programs ----

struct One {
  ExprProgram program;
  std::vector<HostTensor> inputs;
  std::vector<const HostTensor*> pointers() const {
    std::vector<const HostTensor*> p;
    for (const HostTensor& t : inputs) p.push_back(&t);
    return p;
  }
};

void expect_close(const One& one, double tolerance) {
  Pieces parallel(3);
  const auto want = evaluate(one.program, one.pointers());
  const auto got = run(one.program, one.pointers(), parallel);
  ASSERT_TRUE(want.has_value() && got.has_value());
  for (size_t k = 0; k < want->size(); ++k) {
    double error = 0;
    double norm = 0;
    for (int64_t i = 0; i < (*want)[k].count(); ++i) {
      const double a = (*got)[k].float_at(i);
      const double b = (*want)[k].float_at(i);
      error += (a - b) * (a - b);
      norm += b * b;
    }
    EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm) + 1e-30) << "output " << k;
  }
}

HostTensor normal(Dims dims, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.5F, 2.0F);
  HostTensor t = *HostTensor::zeros(DType::kF32, std::move(dims));
  for (int64_t i = 0; i < t.count(); ++i) t.set_float(i, distribution(random));
  return t;
}

std::vector<Extent> extents(const Dims& dims) {
  std::vector<Extent> result;
  for (int64_t d : dims) result.push_back({d, -1});
  return result;
}

One input_of(const Dims& dims) {
  One one;
  one.inputs.push_back(normal(dims, 1));
  one.program.inputs = {{DType::kF32, extents(dims)}};
  return one;
}

TEST(BlockedProgram, EveryFunctionIsAccurate) {
  One one = input_of({1000});
  one.program.domain = extents({1000});
  ExprBuilder b(one.program);
  const Expr at[] = {b.index(0)};
  const Expr x = b.load(0, at);
  const Expr small = b.mul(b.unary(ExprOp::kTanh, x), b.constant(Scalar::kF32, 0.9));
  const Expr positive = b.add(b.unary(ExprOp::kAbs, x), b.constant(Scalar::kF32, 1));
  for (int o = 0; o <= static_cast<int>(ExprOp::kErf); ++o) {
    const auto op = static_cast<ExprOp>(o);
    if (!is_unary(op) || op < ExprOp::kSqrt) continue;
    const bool limited = op == ExprOp::kAsin || op == ExprOp::kAcos || op == ExprOp::kAtanh;
    const bool bounded =
        op == ExprOp::kAcosh || op == ExprOp::kLog || op == ExprOp::kSqrt || op == ExprOp::kLog1p;
    const Expr arg = limited ? small : bounded ? positive : x;
    one.program.outputs.push_back({b.unary(op, arg), DType::kF32});
    one.program.outputs.push_back({b.unary(op, b.cast(arg, Scalar::kF64)), DType::kF64});
  }
  one.program.outputs.push_back({b.binary(ExprOp::kPow, positive, small), DType::kF32});
  ASSERT_TRUE(b.check().has_value());
  expect_close(one, 1e-6);
}

// Softmax along `axis`, written as reductions inside the element's expression.
One softmax(const Dims& dims, size_t axis) {
  One one = input_of(dims);
  one.program.domain = extents(dims);
  ExprBuilder b(one.program);
  const auto x = [&](Expr along) {
    std::vector<Expr> at;
    for (uint32_t a = 0; a < dims.size(); ++a) at.push_back(a == axis ? along : b.index(a));
    return b.load(0, at);
  };
  const Expr l = b.loop();
  const Expr m = b.loop();
  const Expr extent = b.i32(dims[axis]);
  const Expr most = b.reduce(ExprOp::kReduceMax, l, extent, x(l));
  const Expr sum =
      b.reduce(ExprOp::kReduceSum, m, extent, b.unary(ExprOp::kExp, b.sub(x(m), most)));
  const Expr here = b.unary(ExprOp::kExp, b.sub(x(b.index(static_cast<uint32_t>(axis))), most));
  one.program.outputs = {{b.div(here, sum), DType::kF32}};
  return one;
}

TEST(BlockedProgram, SoftmaxAlongAnyAxis) {
  expect_close(softmax({40, 300}, 1), 1e-6);
  expect_close(softmax({300, 40}, 0), 1e-6);
  expect_close(softmax({6, 50, 17}, 1), 1e-6);
  expect_close(softmax({900}, 0), 1e-6);
}

// Each row's statistics are computed once, not once an element: else this would take minutes.
TEST(BlockedProgram, RowReductionsAreComputedOncePerRow) {
  const One one = softmax({32, 20000}, 1);
  Pieces parallel(1);
  const auto got = run(one.program, one.pointers(), parallel);
  ASSERT_TRUE(got.has_value());
  double sum = 0;
  for (int64_t i = 0; i < 20000; ++i) sum += (*got)[0].float_at(i);
  EXPECT_NEAR(sum, 1, 1e-5);
}

One sum_over(const Dims& dims, uint64_t reduced, ExprOp op) {
  One one = input_of(dims);
  for (size_t a = 0; a < dims.size(); ++a) {
    if ((reduced >> a & 1) == 0) one.program.domain.push_back({dims[a], -1});
  }
  ExprBuilder b(one.program);
  std::vector<Expr> at;
  std::vector<Expr> loops;
  uint32_t axis = 0;
  for (size_t a = 0; a < dims.size(); ++a) {
    const bool is_reduced = (reduced >> a & 1) != 0;
    at.push_back(is_reduced ? b.loop() : b.index(axis++));
    if (is_reduced) loops.push_back(at.back());
  }
  Expr value = b.load(0, at);
  for (size_t a = dims.size(); a-- > 0;) {
    if ((reduced >> a & 1) == 0) continue;
    value = b.reduce(op, loops.back(), b.i32(dims[a]), value);
    loops.pop_back();
  }
  one.program.outputs = {{value, DType::kF32}};
  return one;
}

TEST(BlockedProgram, SumsOverAnyAxesAreAccurate) {
  for (uint64_t reduced = 0; reduced < 8; ++reduced) {
    expect_close(sum_over({13, 17, 70}, reduced, ExprOp::kReduceSum), 1e-6);
  }
  expect_close(sum_over({100000}, 1, ExprOp::kReduceSum), 1e-6);
  expect_close(sum_over({20000, 3}, 1, ExprOp::kReduceSum), 1e-6);
  expect_close(sum_over({4, 1000}, 2, ExprOp::kReduceSum), 1e-6);
  expect_close(sum_over({30, 20}, 2, ExprOp::kReduceProd), 1e-6);
  expect_close(sum_over({30, 20}, 1, ExprOp::kReduceProd), 1e-6);
}

TEST(BlockedProgram, AMatrixProduct) {
  One one;
  one.inputs = {normal({33, 70}, 1), normal({70, 45}, 2)};
  one.program.inputs = {{DType::kF32, extents({33, 70})}, {DType::kF32, extents({70, 45})}};
  one.program.domain = extents({33, 45});
  ExprBuilder b(one.program);
  const Expr k = b.loop();
  const Expr left[] = {b.index(0), k};
  const Expr right[] = {k, b.index(1)};
  const Expr product = b.mul(b.load(0, left), b.load(1, right));
  one.program.outputs = {{b.reduce(ExprOp::kReduceSum, k, b.i32(70), product), DType::kF32}};
  expect_close(one, 1e-6);
}

// Rows of a table, by an index input.
One gather(const std::vector<int64_t>& where, int64_t rows) {
  One one = input_of({rows, 40});
  const auto count = static_cast<int64_t>(where.size());
  one.inputs.push_back(HostTensor::of_ints(DType::kI64, {count}, where));
  one.program.inputs.push_back({DType::kI64, extents({count})});
  one.program.domain = extents({count, 40});
  ExprBuilder b(one.program);
  const Expr row[] = {b.index(0)};
  const Expr at[] = {b.cast(b.load(1, row), Scalar::kI32), b.index(1)};
  one.program.outputs = {{b.load(0, at), DType::kF32}};
  return one;
}

TEST(BlockedProgram, IndicesOutOfRangeAreErrors) {
  Pieces parallel(2);
  const One good = gather({3, 0, 6, 6, 1}, 7);
  const auto want = evaluate(good.program, good.pointers());
  const auto got = run(good.program, good.pointers(), parallel);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(first_difference((*got)[0], (*want)[0]), "");
  for (int64_t bad : {int64_t{-1}, int64_t{7}, int64_t{1} << 31, int64_t{INT32_MIN}}) {
    const One one = gather({3, 0, bad, 6, 1}, 7);
    const auto result = run(one.program, one.pointers(), parallel);
    ASSERT_FALSE(result.has_value()) << bad;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(result.error().message.find("outside the extent 7"), std::string::npos)
        << result.error().message;
  }
  const One empty = gather({0}, 0);
  EXPECT_FALSE(run(empty.program, empty.pointers(), parallel).has_value());
}

// Padding by a select whose other side reads out of range, also from an empty input.
TEST(BlockedProgram, UnusedLoadsMayBeOutOfRange) {
  for (int64_t count : {0, 1, 600}) {
    One one = input_of({count});
    one.program.domain = extents({count + 20});
    ExprBuilder b(one.program);
    const Expr at[] = {b.sub(b.index(0), b.i32(10))};
    const Expr inside =
        b.logical_and(b.binary(ExprOp::kGe, at[0], b.i32(0)), b.lt(at[0], b.i32(count)));
    one.program.outputs = {
        {b.select(inside, b.load(0, at), b.constant(Scalar::kF32, -1)), DType::kF32}};
    expect_close(one, 0);
  }
}

// A window that is cut at the edges: extents that differ from lane to lane.
TEST(BlockedProgram, MovingAverage) {
  One one = input_of({500});
  one.program.domain = extents({500});
  ExprBuilder b(one.program);
  const Expr start = b.max(b.sub(b.index(0), b.i32(3)), b.i32(0));
  const Expr end = b.min(b.add(b.index(0), b.i32(4)), b.i32(500));
  const Expr l = b.loop();
  const Expr at[] = {b.add(start, l)};
  const Expr x = b.load(0, at);
  const Expr n = b.sub(end, start);
  for (ExprOp op : {ExprOp::kReduceSum, ExprOp::kReduceProd, ExprOp::kReduceMax,
                    ExprOp::kArgMinFirst, ExprOp::kArgMaxLast}) {
    const Expr y = b.reduce(op, l, n, x);
    one.program.outputs.push_back({y, storage_type(b.type_of(y))});
  }
  expect_close(one, 1e-6);
}

TEST(BlockedProgram, InPlace) {
  One one = input_of({1000});
  one.program.domain = extents({1000});
  ExprBuilder b(one.program);
  const Expr at[] = {b.index(0)};
  const Expr x = b.load(0, at);
  one.program.outputs = {{b.mul(x, x), DType::kF32}};
  const auto blocked = BlockedProgram::compile(one.program);
  ASSERT_TRUE(blocked.has_value());
  HostTensor data = one.inputs[0];
  const uint8_t* inputs[] = {data.bytes.data()};
  uint8_t* outputs[] = {data.bytes.data()};
  Pieces parallel(3);
  ASSERT_TRUE(blocked->run(inputs, outputs, parallel).has_value());
  EXPECT_EQ(first_difference(data, (*evaluate(one.program, one.pointers()))[0]), "");
}

TEST(BlockedProgram, ARangeAlone) {
  One one = input_of({1000});
  one.program.domain = extents({1000});
  ExprBuilder b(one.program);
  const Expr at[] = {b.index(0)};
  one.program.outputs = {{b.unary(ExprOp::kNeg, b.load(0, at)), DType::kF32}};
  const auto blocked = BlockedProgram::compile(one.program);
  ASSERT_TRUE(blocked.has_value());
  EXPECT_EQ(blocked->count(), 1000);
  HostTensor out = *HostTensor::zeros(DType::kF32, {1000});
  const uint8_t* inputs[] = {one.inputs[0].bytes.data()};
  uint8_t* outputs[] = {out.bytes.data()};
  ASSERT_TRUE(blocked->run_range(inputs, outputs, 100, 777).has_value());
  for (int64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(out.float_at(i), i >= 100 && i < 777 ? -one.inputs[0].float_at(i) : 0);
  }
}

// Pieces of packed outputs never share a byte.
TEST(BlockedProgram, PackedOutputsOnThreads) {
  for (DType dtype : {DType::kI4, DType::kU4, DType::kU2, DType::kI2}) {
    std::mt19937 random(7);
    One one;
    one.inputs.push_back(random_tensor(DType::kI32, {5001}, random));
    one.program.inputs = {{DType::kI32, extents({5001})}};
    one.program.domain = extents({5001});
    ExprBuilder b(one.program);
    const Expr at[] = {b.index(0)};
    one.program.outputs = {{b.cast(b.load(0, at), compute_type(dtype)), dtype}};
    const auto want = evaluate(one.program, one.pointers());
    for (int round = 0; round < 20; ++round) {
      Pieces parallel(4, true);
      const auto got = run(one.program, one.pointers(), parallel);
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(first_difference((*got)[0], (*want)[0]), "");
    }
  }
}

// Every element type in and out, over blocks and their ends.
TEST(BlockedProgram, EveryElementType) {
  for (uint32_t d = 1; d <= static_cast<uint32_t>(DType::kI2); ++d) {
    const auto dtype = static_cast<DType>(d);
    if (dtype == DType::kString || dtype == DType::kC64 || dtype == DType::kC128) continue;
    for (int64_t count : {1, 255, 256, 257, 1000}) {
      std::mt19937 random(d);
      One one;
      one.inputs.push_back(random_tensor(dtype, {count}, random));
      one.program.inputs = {{dtype, extents({count})}};
      one.program.domain = extents({count});
      ExprBuilder b(one.program);
      const Expr at[] = {b.index(0)};
      const Expr back[] = {b.sub(b.i32(count - 1), b.index(0))};
      one.program.outputs = {{b.load(0, at), dtype}, {b.load(0, back), dtype}};
      Pieces parallel(2);
      const auto want = evaluate(one.program, one.pointers());
      const auto got = run(one.program, one.pointers(), parallel);
      ASSERT_TRUE(want.has_value() && got.has_value());
      for (size_t k = 0; k < 2; ++k) {
        ASSERT_EQ(first_difference((*got)[k], (*want)[k]), "") << name_of(dtype) << " " << count;
      }
    }
  }
}

// Blocks become tiles where a load goes down the columns: all sizes of edges, also with reductions,
// indices and out-of-range loads in the tiles.
TEST(BlockedProgram, Transposes) {
  for (const Dims& dims :
       {Dims{16, 32}, Dims{17, 33}, Dims{100, 70}, Dims{8, 600}, Dims{600, 16}}) {
    One one = input_of({3, dims[1], dims[0]});
    const int64_t count = dims[0] * dims[1];
    std::vector<int64_t> where;
    for (int64_t i = 0; i < count; ++i) where.push_back(i * 7 % 5);
    one.inputs.push_back(HostTensor::of_ints(DType::kI32, {dims[0], dims[1]}, where));
    one.inputs.push_back(normal({5}, 3));
    one.program.inputs.push_back({DType::kI32, extents(dims)});
    one.program.inputs.push_back({DType::kF32, extents({5})});
    one.program.domain = extents({3, dims[0], dims[1]});
    ExprBuilder b(one.program);
    const Expr at[] = {b.index(0), b.index(2), b.index(1)};
    const Expr x = b.load(0, at);
    const Expr element[] = {b.index(1), b.index(2)};
    const Expr place[] = {b.load(1, element)};
    const Expr l = b.loop();
    const Expr along[] = {b.index(0), b.index(2), l};
    const Expr sum = b.reduce(ExprOp::kReduceSum, l, b.add(b.index(1), b.i32(1)), b.load(0, along));
    const Expr beyond[] = {b.add(b.index(1), b.i32(2))};
    const Expr maybe = b.select(b.lt(beyond[0], b.i32(5)), b.load(2, beyond), x);
    one.program.outputs = {{x, DType::kF32},
                           {b.add(b.load(2, place), x), DType::kF64},
                           {sum, DType::kF32},
                           {b.add(b.index(2), place[0]), DType::kI16},
                           {b.add(maybe, x), DType::kF32}};
    one.program.outputs[1].value = b.cast(one.program.outputs[1].value, Scalar::kF64);
    expect_close(one, 1e-6);
  }
}

TEST(BlockedProgram, ShortPeriods) {
  for (int64_t period : {2, 3, 7, 500, 511, 513, 1100}) {
    One one = input_of({1200 / period + 3, period});
    one.inputs.push_back(normal({period}, 4));
    one.program.inputs.push_back({DType::kF32, extents({period})});
    one.program.domain = one.program.inputs[0].dims;
    ExprBuilder b(one.program);
    const Expr at[] = {b.index(0), b.index(1)};
    const Expr bias[] = {b.index(1)};
    const Expr reversed[] = {b.sub(b.i32(period - 1), b.index(1))};
    one.program.outputs = {
        {b.add(b.load(0, at), b.sub(b.load(1, bias), b.load(1, reversed))), DType::kF32}};
    expect_close(one, 1e-6);
  }
}

TEST(BlockedProgram, BrokenProgramsAreRefused) {
  ExprProgram p;
  p.outputs = {{{3}, DType::kF32}};
  EXPECT_FALSE(BlockedProgram::compile(p).has_value());
}

}  // namespace
}  // namespace quern
