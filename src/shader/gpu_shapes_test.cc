// Cases for the GPU: the forms that generated kernels take (vectors, rows, tails, merged bindings,
// dynamic extents, reductions by one invocation and by a workgroup), against evaluate().
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "ir/expr_ops.h"
#include "ir/expr_random_testing.h"
#include "shader/gpu_cases_testing.h"

namespace quern {
namespace {

// A program over `dims`, of which those whose bit is set in `dynamic` are parameters.
struct Kernel {
  ExprProgram program;
  std::vector<HostTensor> inputs;
  std::mt19937 random{1};
  ExprBuilder b;

  explicit Kernel(const Dims& dims, uint32_t dynamic = 0) : b(setup(dims, dynamic)) {}
  ExprProgram& setup(const Dims& dims, uint32_t dynamic) {
    for (size_t a = 0; a < dims.size(); ++a) {
      program.domain.push_back({dims[a], -1});
      if ((dynamic >> a & 1) == 0) continue;
      program.domain.back().param = static_cast<int32_t>(program.params.size());
      program.params.push_back(dims[a]);
    }
    return program;
  }
  uint32_t add_input(DType dtype, std::vector<Extent> extents) {
    Dims dims;
    for (const Extent& e : extents) dims.push_back(e.value);
    inputs.push_back(random_tensor(dtype, dims, random));
    program.inputs.push_back({dtype, std::move(extents), false});
    return static_cast<uint32_t>(inputs.size()) - 1;
  }
  // A load along those axes of the domain; the others are 1.
  Expr load(DType dtype, const std::vector<bool>& along) {
    std::vector<Extent> extents;
    std::vector<Expr> index;
    for (uint32_t a = 0; a < along.size(); ++a) {
      extents.push_back(along[a] ? program.domain[a] : Extent{1, -1});
      index.push_back(along[a] ? b.index(a) : b.i32(0));
    }
    return b.load(add_input(dtype, std::move(extents)), index);
  }
  Expr full(DType dtype) { return load(dtype, std::vector<bool>(program.domain.size(), true)); }
  void output(Expr e, DType dtype) { program.outputs.push_back({e, dtype}); }
};

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kI64, DType::kBool, DType::kI8,
                            DType::kU4,  DType::kU2,  DType::kF64, DType::kBF16, DType::kU32};

// All pairs of input and output types, at counts around the numbers of lanes.
TEST(GpuShapes, FlatTails) {
  GpuCases cases("flat");
  for (const DType in : kTypes) {
    for (const DType out : kTypes) {
      for (const int64_t count : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 257}) {
        const uint32_t dynamic = count % 2 == 0 ? 1 : 0;
        if ((count + static_cast<int>(in)) % 3 != 0 && count > 5) continue;
        Kernel k({count}, dynamic);
        const Scalar type = compute_type(out);
        const Expr x = k.full(in);
        k.output(k.b.cast(x, type), out);
        if (count == 9) k.output(k.b.unary(ExprOp::kNot, k.b.cast(x, Scalar::kBool)), DType::kBool);
        GpuCases::Options o;
        o.target.max_workgroups = 2;
        o.tolerance.rtol = out == DType::kF64 ? 1e-7 : 0;  // computed in f32
        cases.add(cat(name_of(in), "_", name_of(out), "_", count), k.program, k.inputs, o);
      }
    }
  }
}

// x + y where y lacks axes, in every combination of baked and dynamic extents.
TEST(GpuShapes, Broadcast) {
  GpuCases cases("broadcast");
  const Dims shapes[] = {{2, 3, 4}, {3, 2, 8}, {2, 5, 3}, {4, 1, 16}, {1, 7, 1}, {2, 2, 2}};
  const std::vector<bool> forms[] = {
      {false, false, true}, {false, true, false}, {true, false, false}, {false, false, false},
      {true, true, false},  {true, false, true},  {false, true, true}};
  int number = 0;
  for (const Dims& shape : shapes) {
    for (const uint32_t dynamic : {0u, 1u, 4u, 7u}) {
      for (const auto& form : forms) {
        ++number;
        const DType x = kTypes[number % 3];
        const DType out = number % 4 == 0   ? DType::kF16
                          : number % 7 == 0 ? DType::kBool
                                            : DType::kF32;
        Kernel k(shape, dynamic);
        const Expr sum = k.b.add(k.b.cast(k.full(x), Scalar::kF32),
                                 k.b.cast(k.load(kTypes[number % 5], form), Scalar::kF32));
        k.output(k.b.cast(sum, compute_type(out)), out);
        if (number % 2 == 0) collapse_axes(k.program);
        cases.add(cat(number), k.program, k.inputs);
      }
    }
  }
}

TEST(GpuShapes, TransposeAndSlice) {
  GpuCases cases("move");
  for (const DType dtype : kTypes) {
    for (const uint32_t dynamic : {0u, 3u}) {
      Kernel k({6, 20}, dynamic);
      const std::vector<Extent> turned = {k.program.domain[1], k.program.domain[0]};
      const Expr at[] = {k.b.index(1), k.b.index(0)};
      k.output(k.b.load(k.add_input(dtype, turned), at), dtype);
      cases.add(cat("transpose_", name_of(dtype), "_", dynamic), k.program, k.inputs);

      Kernel s({6, 20}, dynamic);  // of the middle of rows of 28
      const std::vector<Extent> wide = {s.program.domain[0], {28, -1}};
      const Expr in[] = {s.b.index(0), s.b.add(s.b.index(1), s.b.i32(4))};
      s.output(s.b.load(s.add_input(dtype, wide), in), dtype);
      cases.add(cat("slice_", name_of(dtype), "_", dynamic), s.program, s.inputs);
    }
    Kernel c({37});  // a constant
    c.output(c.b.constant(compute_type(dtype), 1), dtype);
    cases.add(cat("fill_", name_of(dtype)), c.program, c.inputs);
  }
}

// Tiles through workgroup memory: a load along another axis than the last, beside others.
TEST(GpuShapes, Tiles) {
  GpuCases cases("tiles");
  const Dims shapes[] = {{33, 40}, {3, 70, 9}, {2, 31, 65}, {9, 2, 33}};
  for (const Dims& shape : shapes) {
    for (const uint32_t dynamic : {0u, 7u}) {
      for (const DType dtype : {DType::kF32, DType::kF16, DType::kI64}) {
        Kernel k(shape, dynamic);
        const size_t rank = shape.size();
        std::vector<Extent> turned = k.program.domain;
        std::vector<Expr> at;
        for (uint32_t a = 0; a < rank; ++a) at.push_back(k.b.index(a));
        // The last axis goes to the front, or to the one before it.
        const size_t to = shape[0] == 9 ? 0 : rank - 2;
        std::rotate(turned.begin() + static_cast<std::ptrdiff_t>(to), turned.end() - 1,
                    turned.end());
        std::rotate(at.begin() + static_cast<std::ptrdiff_t>(to), at.end() - 1, at.end());
        const Expr x = k.b.cast(k.b.load(k.add_input(dtype, turned), at), Scalar::kF32);
        std::vector<bool> last(rank, false);
        last.back() = true;
        const Expr bias = k.load(DType::kF32, last);
        const Expr sum = k.b.add(k.b.add(x, bias), k.full(DType::kF32));
        k.output(sum, DType::kF32);
        if (rank == 3) k.output(k.b.cast(x, Scalar::kI32), DType::kI32);
        GpuCases::Options o;
        o.target.max_workgroups = 2;
        cases.add(cat(name_of(dtype), "_", shape, "_", dynamic), k.program, k.inputs, o);
      }
    }
  }
}

// Indices that come from data are held inside: these are not.
TEST(GpuShapes, GatherOutside) {
  GpuCases cases("gather");
  for (const bool dynamic : {false, true}) {
    Kernel k({40}, dynamic ? 1 : 0);
    const Expr where = k.full(DType::kI32);
    const uint32_t table = k.add_input(DType::kF32, {{6, -1}});
    const Expr raw[] = {where};
    k.output(k.b.load(table, raw), DType::kF32);
    ExprProgram held = k.program;
    held.outputs.clear();
    ExprBuilder h(held);
    const Expr inside[] = {h.max(h.min(where, h.i32(5)), h.i32(0))};
    held.outputs.push_back({h.load(table, inside), DType::kF32});
    GpuCases::Options o;
    o.oracle = &held;
    cases.add(cat("clamped_", dynamic), k.program, k.inputs, o);
  }
}

// Two inputs of one range, and outputs in the place of inputs.
TEST(GpuShapes, MergedBindings) {
  GpuCases cases("merged");
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kI64, DType::kI8}) {
    Kernel k({45});
    const Expr x = k.full(dtype);
    const Expr y = k.full(dtype);
    k.inputs[1] = k.inputs[0];
    k.output(k.b.mul(x, y), dtype);
    GpuCases::Options o;
    o.inputs = {{Access::kReadWrite, -1}, {Access::kReadWrite, 0}};
    o.outputs = {{Access::kReadWrite, -1}};
    cases.add(cat("square_", name_of(dtype)), k.program, k.inputs, o);
    o.outputs = {{Access::kReadWrite, 0}};
    cases.add(cat("in_place_", name_of(dtype)), k.program, k.inputs, o);
  }
  // One range as two types of one width, and of two.
  Kernel k({44});
  const Expr x = k.full(DType::kF32);
  const Expr y = k.full(DType::kI32);
  k.inputs[1].bytes = k.inputs[0].bytes;
  k.output(k.b.add(k.b.bitcast(x, Scalar::kI32), y), DType::kI32);
  GpuCases::Options o;
  o.inputs = {{Access::kRead, -1}, {Access::kRead, 0}};
  cases.add("two_types", k.program, k.inputs, o);
  Kernel m({44});
  const Expr a = m.full(DType::kU32);
  const Expr c = m.full(DType::kU8);
  m.inputs[1].bytes.assign(m.inputs[0].bytes.begin(), m.inputs[0].bytes.begin() + 44);
  m.output(m.b.add(a, c), DType::kU16);
  cases.add("two_widths", m.program, m.inputs, o);
}

// y[i, j] = op over k of x[i, k, j] and the like.
TEST(GpuShapes, Reductions) {
  GpuCases cases("reduce");
  constexpr ExprOp ops[] = {ExprOp::kReduceSum,   ExprOp::kReduceProd, ExprOp::kReduceMin,
                            ExprOp::kReduceMax,   ExprOp::kReduceAny,  ExprOp::kReduceAll,
                            ExprOp::kArgMinFirst, ExprOp::kArgMinLast, ExprOp::kArgMaxFirst,
                            ExprOp::kArgMaxLast};
  constexpr DType types[] = {DType::kF32, DType::kI64, DType::kF16, DType::kU8, DType::kBool};
  for (const ExprOp op : ops) {
    for (const DType dtype : types) {
      if (!accepts(op, compute_type(dtype))) continue;
      for (const int64_t length : {1, 5, 100, 1000}) {
        for (const ExprSchedule schedule : {ExprSchedule{64, false}, ExprSchedule{64, true}}) {
          for (const bool dynamic : {false, true}) {
            Kernel k({3, 5}, dynamic ? 2 : 0);
            Extent extent{length, -1};
            if (dynamic) {
              extent.param = static_cast<int32_t>(k.program.params.size());
              k.program.params.push_back(length);
            }
            const uint32_t x =
                k.add_input(dtype, {k.program.domain[0], extent, k.program.domain[1]});
            if (op == ExprOp::kReduceProd) {  // of numbers that stay small
              for (int64_t i = 0; i < k.inputs[x].count(); ++i) {
                k.inputs[x].set_int(i, i % 3 == 0 ? 1 : 0 - (i % 2 != 0 ? 1 : -1));
              }
            }
            if (is_float(dtype) && is_arg_reduction(op)) k.inputs[x].set_float(7, NAN);
            const Expr loop = k.b.loop();
            const Expr at[] = {k.b.index(0), loop, k.b.index(1)};
            const Expr r = k.b.reduce(op, loop, k.b.extent(extent), k.b.load(x, at));
            const bool arg = is_arg_reduction(op);
            k.output(r, arg ? DType::kI32 : dtype);
            GpuCases::Options o;
            o.schedule = &schedule;
            o.target.max_workgroups = 4;
            o.tolerance = {1e-6, 0};
            cases.add(cat(name_of(op), "_", name_of(dtype), "_", length, "_",
                          schedule.workgroup_reduce, dynamic),
                      k.program, k.inputs, o);
          }
        }
      }
    }
  }
}

// Over two axes, with a softmax-like second reduction, and of many rows.
TEST(GpuShapes, NestedReductions) {
  GpuCases cases("nested");
  for (const ExprSchedule schedule : {ExprSchedule{64, false}, ExprSchedule{32, true}}) {
    for (const bool dynamic : {false, true}) {
      Kernel k({7}, dynamic ? 1 : 0);
      Extent outer{6, -1};
      Extent inner{50, -1};
      if (dynamic) {
        inner.param = static_cast<int32_t>(k.program.params.size());
        k.program.params.push_back(50);
      }
      const uint32_t x = k.add_input(DType::kF32, {outer, k.program.domain[0], inner});
      const auto over = [&](ExprOp op, const std::function<Expr(Expr)>& body) {
        const Expr i = k.b.loop();
        const Expr j = k.b.loop();
        const Expr at[] = {i, k.b.index(0), j};
        const Expr value = body(k.b.load(x, at));
        return k.b.reduce(op, i, k.b.extent(outer), k.b.reduce(op, j, k.b.extent(inner), value));
      };
      const Expr top = over(ExprOp::kReduceMax, [](Expr v) { return v; });
      const Expr sum = over(ExprOp::kReduceSum,
                            [&](Expr v) { return k.b.unary(ExprOp::kExp, k.b.sub(v, top)); });
      const Expr squares = over(ExprOp::kReduceSum, [&](Expr v) { return k.b.mul(v, v); });
      k.output(k.b.add(top, k.b.unary(ExprOp::kLog, sum)), DType::kF32);
      k.output(k.b.unary(ExprOp::kSqrt, squares), DType::kF16);
      GpuCases::Options o;
      o.schedule = &schedule;
      o.tolerance = {1e-3, 0};  // f16: one unit
      cases.add(cat("logsumexp_", schedule.workgroup_reduce, dynamic), k.program, k.inputs, o);
    }
  }
}

// Long sums of numbers of one sign keep their accuracy.
TEST(GpuShapes, LongSums) {
  GpuCases cases("sum");
  for (const int64_t length : {1000, 30000, 300000}) {
    for (const ExprSchedule schedule : {ExprSchedule{64, false}, ExprSchedule{128, true}}) {
      Kernel k({2});
      const uint32_t x = k.add_input(DType::kF32, {{2, -1}, {length, -1}});
      for (int64_t i = 0; i < k.inputs[x].count(); ++i) {
        k.inputs[x].set_float(i, 0.7 + 0.1 * std::sin(static_cast<double>(i)));
      }
      const Expr loop = k.b.loop();
      const Expr at[] = {k.b.index(0), loop};
      k.output(k.b.reduce(ExprOp::kReduceSum, loop, k.b.i32(length), k.b.load(x, at)), DType::kF32);
      // In doubles:
      Kernel exact({2});
      exact.inputs = k.inputs;
      exact.program.inputs = k.program.inputs;
      const Expr l = exact.b.loop();
      const Expr where[] = {exact.b.index(0), l};
      exact.output(exact.b.cast(exact.b.reduce(ExprOp::kReduceSum, l, exact.b.i32(length),
                                               exact.b.cast(exact.b.load(x, where), Scalar::kF64)),
                                Scalar::kF32),
                   DType::kF32);
      GpuCases::Options o;
      o.schedule = &schedule;
      o.tolerance = {1e-6, 0};
      o.oracle = &exact.program;
      cases.add(cat(length, "_", schedule.workgroup_reduce), k.program, k.inputs, o);
    }
  }
}

// Parameters of all types.
TEST(GpuShapes, Parameters) {
  GpuCases cases("param");
  Kernel k({9}, 1);
  const Expr f = k.b.param(Scalar::kF32, word_of(2.5f));
  const Expr i = k.b.param(Scalar::kI32, -7);
  const Expr u = k.b.param(Scalar::kU32, 4000000000);
  const Expr w = k.b.param(Scalar::kI64, -1234567890123);
  const Expr z = k.b.param(Scalar::kU64, 1234567890123);
  k.output(k.b.mul(k.full(DType::kF32), f), DType::kF32);
  k.output(k.b.add(k.full(DType::kI32), i), DType::kI16);
  k.output(k.b.add(k.full(DType::kU32), u), DType::kU32);
  k.output(k.b.add(k.full(DType::kI64), w), DType::kI64);
  k.output(k.b.add(k.full(DType::kU64), z), DType::kU64);
  GpuCases::Options o;
  o.target.max_storage_buffers = 10;
  cases.add("all", k.program, k.inputs, o);
}

}  // namespace
}  // namespace quern
