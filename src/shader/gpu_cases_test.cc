// Cases for the GPU (see gpu_cases_testing.h): generated kernels against evaluate().
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "ir/expr_ops.h"
#include "ir/expr_random_testing.h"
#include "shader/gpu_cases_testing.h"

namespace quern {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// WGSL bounds the error of a division by numbers below 2^126 only.
constexpr double kTiny = 4e-38;
constexpr Scalar kNumbers[] = {Scalar::kF32, Scalar::kI32, Scalar::kU32, Scalar::kI64,
                               Scalar::kU64};
constexpr Scalar kAllScalars[] = {Scalar::kF32, Scalar::kI32, Scalar::kU32,
                                  Scalar::kI64, Scalar::kU64, Scalar::kBool};

// The program that a device runs, which computes f64 in f32; nothing where a bit pattern of f64 is
// looked at.
bool as_f32(ExprProgram& program, std::vector<HostTensor>& inputs) {
  for (ExprNode& node : program.nodes) {
    const bool was = node.type == Scalar::kF64;
    if (node.op == ExprOp::kBitcast &&
        (was || program.at(node.args[0]).type == Scalar::kF64 || width_of(node.type) == 64)) {
      return false;
    }
    if (node.op == ExprOp::kNarrow && static_cast<DType>(node.slot) == DType::kF64) return false;
    if (!was) continue;
    node.type = Scalar::kF32;
    if (node.op == ExprOp::kConst) {
      node.bits = from_double(Scalar::kF32, std::bit_cast<double>(node.bits));
    }
    if (node.op == ExprOp::kParam) return false;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (program.inputs[i].dtype != DType::kF64) continue;
    program.inputs[i].dtype = DType::kF32;
    HostTensor t = *HostTensor::zeros(DType::kF32, inputs[i].dims);
    for (int64_t k = 0; k < t.count(); ++k) t.set_float(k, inputs[i].float_at(k));
    inputs[i] = std::move(t);
  }
  for (ExprOutput& output : program.outputs) {
    if (output.dtype == DType::kF64) output.dtype = DType::kF32;
  }
  return true;
}

TEST(GpuCases, RandomPrograms) {
  GpuCases cases("random");
  std::mt19937 random(7);
  const Dims shapes[] = {{},     {1},       {7},          {64},    {1025},     {3, 8},
                         {5, 7}, {2, 3, 4}, {2, 3, 2, 5}, {4, 16}, {6, 1, 12}, {2, 2, 3, 2, 4},
                         {0, 3}, {300}};
  for (uint32_t seed = 0; seed < 400; ++seed) {
    RandomOptions options;
    options.dims = shapes[seed % std::size(shapes)];
    options.operations = 4 + static_cast<int>(seed % 12);
    options.reductions = seed % 3 != 0;
    RandomCase one = random_case(seed, options);
    if (one.inputs.size() + one.program.outputs.size() > 10) continue;
    if (seed % 2 == 0) collapse_axes(one.program);
    ExprProgram oracle = one.program;
    std::vector<HostTensor> oracle_inputs = one.inputs;
    if (!as_f32(oracle, oracle_inputs)) continue;
    GpuCases::Options o;
    o.target.max_storage_buffers = 12;
    o.target.max_workgroups = seed % 5 == 0 ? 3 : 65535;
    o.oracle = &oracle;
    o.oracle_inputs = &oracle_inputs;
    o.tolerance = {1e-6, 0};
    ExprSchedule schedule = schedule_of(one.program, o.target);
    if (seed % 4 == 1) schedule = {32, true};
    if (seed % 4 == 3) schedule = {64, false};
    o.schedule = &schedule;
    for (size_t i = 0; i < one.inputs.size(); ++i) {
      o.inputs.push_back({random() % 2 == 0 ? Access::kRead : Access::kReadWrite, -1});
    }
    cases.add(cat(seed), one.program, one.inputs, o);
    if (HasFailure()) return;
  }
}

// One axis of `count` elements; inputs of it; one output.
struct Flat {
  ExprProgram program;
  std::vector<HostTensor> inputs;
  ExprBuilder b;

  explicit Flat(int64_t count, bool baked = true) : b(setup(count, baked)) {}
  ExprProgram& setup(int64_t count, bool baked) {
    if (!baked) program.params.push_back(count);
    program.domain = {{count, baked ? -1 : 0}};
    return program;
  }
  Expr input(HostTensor t) {
    program.inputs.push_back({t.dtype, program.domain, false});
    inputs.push_back(std::move(t));
    const Expr at[] = {b.index(0)};
    return b.load(static_cast<uint32_t>(inputs.size()) - 1, at);
  }
  void output(Expr e, DType dtype) { program.outputs.push_back({e, dtype}); }
  void output(Expr e) { output(e, storage_type(b.type_of(e))); }
};

std::vector<double> special_floats() {
  std::vector<double> v = {0.0,
                           -0.0,
                           1,
                           -1,
                           0.5,
                           -0.5,
                           1.5,
                           -1.5,
                           2.5,
                           -2.5,
                           0.1,
                           -0.1,
                           3,
                           -3,
                           7,
                           kInf,
                           -kInf,
                           kNan,
                           1e-5,
                           -1e-5,
                           1e-30,
                           1e30,
                           -1e30,
                           3.4e38,
                           -3.4e38,
                           2147483648.0,
                           -2147483648.0,
                           4294967296.0,
                           2147483520.0,
                           9.3e18,
                           -9.3e18,
                           1.9e19,
                           16777217,
                           16777216,
                           0.999999,
                           1.000001,
                           -0.999999,
                           88,
                           89,
                           -88,
                           -104,
                           1e5,
                           1e4,
                           -123.456,
                           99999,
                           65504,
                           65520,
                           1e-8,
                           3.1415927,
                           1.5707964,
                           0.7853982,
                           6.2831855,
                           2,
                           -2,
                           10,
                           -10,
                           0.3333,
                           100};
  return v;
}

HostTensor floats(const std::vector<double>& values, DType dtype = DType::kF32) {
  HostTensor t = *HostTensor::zeros(dtype, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) t.set_float(static_cast<int64_t>(i), values[i]);
  return t;
}

struct UnaryBound {
  ExprOp op;
  double rtol, atol;
};

TEST(GpuCases, FloatFunctions) {
  GpuCases cases("float");
  std::vector<double> values = special_floats();
  for (int i = 0; i < 3000; ++i)
    values.push_back(std::ldexp(1 + (i * 37 % 997) / 997.0, i % 40 - 25) * (i % 2 ? -1 : 1));
  for (int i = -400; i <= 400; ++i) values.push_back(i / 100.0);
  for (int i = 0; i < 500; ++i) values.push_back(i * 199.7 + 0.3);
  // Larger relative errors stand where WGSL's own exp, division and square root enter.
  const UnaryBound ops[] = {
      {ExprOp::kNeg, 0, 0},       {ExprOp::kAbs, 0, 0},         {ExprOp::kSign, 0, 0},
      {ExprOp::kFloor, 0, 0},     {ExprOp::kCeil, 0, 0},        {ExprOp::kRound, 0, 0},
      {ExprOp::kTrunc, 0, 0},     {ExprOp::kSqrt, 3e-7, 0},     {ExprOp::kExp, 1e-5, 0},
      {ExprOp::kExpm1, 1e-5, 0},  {ExprOp::kLog, 3e-7, 1e-7},   {ExprOp::kLog1p, 3e-7, 0},
      {ExprOp::kSin, 0, 3e-7},    {ExprOp::kCos, 0, 3e-7},      {ExprOp::kTan, 2e-6, 3e-7},
      {ExprOp::kAsin, 1e-6, 0},   {ExprOp::kAcos, 1e-6, 2e-7},  {ExprOp::kAtan, 5e-7, 0},
      {ExprOp::kSinh, 1e-5, 0},   {ExprOp::kCosh, 1e-5, 0},     {ExprOp::kTanh, 6e-7, 0},
      {ExprOp::kAsinh, 1e-6, 0},  {ExprOp::kAcosh, 1e-6, 1e-7}, {ExprOp::kAtanh, 1e-6, 0},
      {ExprOp::kErf, 3e-7, 2e-7}, {ExprOp::kIsNan, 0, 0},       {ExprOp::kIsInf, 0, 0}};
  for (const UnaryBound& u : ops) {
    Flat f(static_cast<int64_t>(values.size()), u.op != ExprOp::kTanh);
    f.output(f.b.unary(u.op, f.input(floats(values))));
    cases.add(name_of(u.op), f.program, f.inputs, {.tolerance = {u.rtol, u.atol}});
  }

  // All pairs of special values.
  std::vector<double> left;
  std::vector<double> right;
  for (const double a : special_floats()) {
    for (const double b : special_floats()) {
      left.push_back(a);
      right.push_back(b);
    }
  }
  for (int i = 0; i < 2000; ++i) {
    left.push_back(std::ldexp(1 + (i * 37 % 997) / 997.0, i % 21 - 10) * (i % 3 ? 1 : -1));
    right.push_back((i * 53 % 331) / 16.0 - 10);
  }
  const UnaryBound pairs[] = {{ExprOp::kAdd, 0, 0},    {ExprOp::kSub, 0, 0},
                              {ExprOp::kMul, 0, 0},    {ExprOp::kDiv, 3e-7, kTiny},
                              {ExprOp::kRem, 0, 0},    {ExprOp::kMod, 0, 0},
                              {ExprOp::kPow, 2e-5, 0}, {ExprOp::kMin, 0, 0},
                              {ExprOp::kMax, 0, 0},    {ExprOp::kAtan2, 5e-7, kTiny},
                              {ExprOp::kEq, 0, 0},     {ExprOp::kNe, 0, 0},
                              {ExprOp::kLt, 0, 0},     {ExprOp::kLe, 0, 0},
                              {ExprOp::kGt, 0, 0},     {ExprOp::kGe, 0, 0}};
  for (const UnaryBound& u : pairs) {
    Flat f(static_cast<int64_t>(left.size()));
    const Expr a = f.input(floats(left));
    f.output(f.b.binary(u.op, a, f.input(floats(right))));
    cases.add(name_of(u.op), f.program, f.inputs, {.tolerance = {u.rtol, u.atol}});
  }
}

std::vector<int64_t> special_ints(Scalar type) {
  std::vector<int64_t> v = {0,         1,         -1,           2,   -2,  3,     -3,    5,
                            7,         -7,        10,           31,  32,  33,    63,    64,
                            65,        100,       -100,         255, 256, 65535, 65536, 1000003,
                            INT32_MAX, INT32_MIN, INT32_MIN + 1};
  if (width_of(type) == 64) {
    const int64_t wide[] = {int64_t{UINT32_MAX},
                            int64_t{1} << 32,
                            -(int64_t{1} << 32),
                            (int64_t{1} << 32) + 7,
                            123456789012345,
                            -987654321098765,
                            INT64_MAX,
                            INT64_MIN,
                            INT64_MIN + 1,
                            (int64_t{1} << 40) - 1,
                            int64_t{1} << 62,
                            (int64_t{1} << 53) + 1,
                            0x7fffff8000000001,
                            0x0000008000000000 + 0x8000,
                            0x1000001000000000 >> 4,
                            0x1000003000000000 >> 4};
    v.insert(v.end(), std::begin(wide), std::end(wide));
  }
  return v;
}

HostTensor ints(Scalar type, const std::vector<int64_t>& values) {
  return HostTensor::of_ints(storage_type(type), {static_cast<int64_t>(values.size())}, values);
}

TEST(GpuCases, IntegerOperators) {
  GpuCases cases("int");
  for (const Scalar type : kAllScalars) {
    if (type == Scalar::kF32) continue;
    std::vector<int64_t> left;
    std::vector<int64_t> right;
    for (const int64_t a : special_ints(type)) {
      for (const int64_t b : special_ints(type)) {
        left.push_back(a);
        right.push_back(b);
      }
    }
    for (int k = 0; k <= static_cast<int>(ExprOp::kXor); ++k) {
      const auto op = static_cast<ExprOp>(k);
      const bool one = is_unary(op) && op < ExprOp::kCast;
      if ((!one && !is_binary(op)) || !accepts(op, type)) continue;
      Flat f(static_cast<int64_t>(left.size()));
      const Expr a = f.input(ints(type, left));
      f.output(one ? f.b.unary(op, a) : f.b.binary(op, a, f.input(ints(type, right))));
      cases.add(cat(name_of(op), "_", name_of(type)), f.program, f.inputs);
    }
    // Division by constants.
    if (type == Scalar::kBool) continue;
    for (const ExprOp op : {ExprOp::kDiv, ExprOp::kRem, ExprOp::kMod}) {
      for (const int64_t c : {int64_t{7}, int64_t{-3}, int64_t{-1}, int64_t{1000003}}) {
        Flat f(static_cast<int64_t>(left.size()));
        f.output(f.b.binary(op, f.input(ints(type, left)), f.b.constant_int(type, c)));
        cases.add(cat(name_of(op), "_", name_of(type), "_by_", c), f.program, f.inputs);
      }
    }
  }
}

TEST(GpuCases, Casts) {
  GpuCases cases("cast");
  for (const Scalar from : kAllScalars) {
    HostTensor input;
    if (from == Scalar::kF32) {
      std::vector<double> values = special_floats();
      for (int i = 0; i < 200; ++i)
        values.push_back(std::ldexp(1 + i / 200.0, i % 70) * (i % 2 ? 1 : -1));
      input = floats(values);
    } else {
      std::vector<int64_t> values = special_ints(from);
      for (int i = 0; i < 200; ++i) values.push_back((int64_t{0x7abcdef123456789} >> (i % 60)) + i);
      input = ints(from, values);
    }
    for (const Scalar to : kAllScalars) {
      if (from == to) continue;
      Flat f(input.count());
      f.output(f.b.cast(f.input(input), to));
      cases.add(cat(name_of(from), "_", name_of(to)), f.program, f.inputs);
      if (width_of(from) != width_of(to)) continue;
      Flat g(input.count());
      g.output(g.b.bitcast(g.input(input), to));
      if (from == Scalar::kF32) continue;  // of NaN
      cases.add(cat("bits_", name_of(from), "_", name_of(to)), g.program, g.inputs);
    }
  }
}

constexpr DType kStored[] = {
    DType::kF32,        DType::kF16,    DType::kBF16,     DType::kF64,        DType::kI64,
    DType::kU64,        DType::kI32,    DType::kU32,      DType::kI16,        DType::kU16,
    DType::kI8,         DType::kU8,     DType::kBool,     DType::kI4,         DType::kU4,
    DType::kI2,         DType::kU2,     DType::kF8E4M3FN, DType::kF8E4M3FNUZ, DType::kF8E5M2,
    DType::kF8E5M2FNUZ, DType::kF4E2M1, DType::kF8E8M0};

// Every code (of wide types: many) of an element type, widened; and values rounded or wrapped to
// it.
TEST(GpuCases, ElementTypes) {
  GpuCases cases("element");
  std::vector<double> numbers = special_floats();
  for (int i = 0; i < 4000; ++i) {
    numbers.push_back(std::ldexp(1 + (i * 131 % 4096) / 4096.0, i % 40 - 26) * (i % 2 ? 1 : -1));
  }
  for (int i = 0; i < 600; ++i) numbers.push_back(i / 32.0);  // ties of the small formats
  for (const DType dtype : kStored) {
    const int bits = bit_width(dtype);
    const Scalar type = compute_type(dtype);
    const int64_t count = bits < 16 ? 256 : 65536;
    HostTensor codes = *HostTensor::zeros(dtype, {count});
    for (int64_t i = 0; i < count; ++i) {
      uint64_t code = static_cast<uint64_t>(i);
      if (bits == 32) code = static_cast<uint64_t>(i) * 65537;
      if (bits == 64) code = static_cast<uint64_t>(i) * 0x0001000100010001 ^ 0x3810000000000000;
      if (dtype == DType::kBool) code &= 1;
      store_bits(dtype, codes.bytes.data(), i, code);
    }
    {
      Flat f(count);
      const Expr e = f.input(codes);
      const bool f64 = dtype == DType::kF64;
      f.output(f64 ? f.b.cast(e, Scalar::kF32) : e, f64 ? DType::kF32 : storage_type(type));
      cases.add(cat("load_", name_of(dtype)), f.program, f.inputs, {.tolerance = {0, 0}});
    }
    {  // and not contiguously
      Flat f(count, false);
      f.program.inputs.push_back({dtype, f.program.domain, false});
      f.inputs.push_back(codes);
      const Expr back = f.b.sub(f.b.sub(f.b.extent(f.program.domain[0]), f.b.i32(1)), f.b.index(0));
      const Expr e = f.b.load(0, {{back}});
      const bool f64 = dtype == DType::kF64;
      f.output(f64 ? f.b.cast(e, Scalar::kF32) : e, f64 ? DType::kF32 : storage_type(type));
      cases.add(cat("load_any_", name_of(dtype)), f.program, f.inputs);
    }
    if (is_float(dtype)) {
      Flat f(static_cast<int64_t>(numbers.size()));
      const Expr e = f.input(floats(numbers));
      if (dtype == DType::kF64) {
        f.output(f.b.cast(e, Scalar::kF64), dtype);
      } else {
        f.output(e, dtype);
        f.output(f.b.narrow(e, dtype));
      }
      cases.add(cat("store_", name_of(dtype)), f.program, f.inputs);
    } else {
      const std::vector<int64_t> values = special_ints(type);
      Flat f(static_cast<int64_t>(values.size()));
      const Expr e = f.input(ints(type, values));
      f.output(e, dtype);
      if (type != Scalar::kBool) f.output(f.b.narrow(e, dtype));
      cases.add(cat("store_", name_of(dtype)), f.program, f.inputs);
    }
  }
  // Wrapping wide integers to narrow types.
  for (const Scalar type : kNumbers) {
    if (type == Scalar::kF32) continue;
    const std::vector<int64_t> values = special_ints(type);
    for (const DType dtype : kStored) {
      if (!is_integer(dtype)) continue;
      Flat f(static_cast<int64_t>(values.size()));
      f.output(f.b.narrow(f.input(ints(type, values)), dtype));
      cases.add(cat("narrow_", name_of(type), "_", name_of(dtype)), f.program, f.inputs);
    }
  }
}

}  // namespace
}  // namespace quern
