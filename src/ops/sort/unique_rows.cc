// quern.UniqueRows: the different rows of a matrix [n, m], sorted (`sorted` 1) or in the order of
// their first occurrence. Outputs, of which the first `count` elements matter: place of the first
// occurrence (i32 [n]), how often (i32 [n]); and which one each row is (i32 [n]), count (i64 [1]).
//
// On the device columns are ranked: each is sorted, and its elements replaced by the number of
// different ones before them. Then two neighbouring columns of ranks become one of pairs, and so
// on, until one column is left, whose order is that of the rows.
#include <algorithm>
#include <numeric>

#include "ops/common/compact.h"
#include "ops/common/device_program.h"
#include "ops/common/sort.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"sorted", AttributeKind::kInt}};
enum Output : size_t { kFirst, kCounts, kInverse, kCount };
constexpr int64_t kWorkgroup = 256;

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(0, 2));
  std::optional<Shape> rows;
  if (c.shape(0) != nullptr) rows = Shape{(*c.shape(0))[0]};
  for (const size_t output : {kFirst, kCounts, kInverse}) c.set(output, DType::kI32, rows);
  c.set(kCount, DType::kI64, Shape{1});
  return {};
}

struct Config {
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
  }
};

KernelBinding words(std::string_view name, Storage s, int64_t count) {
  return {name, s, DType::kU32, static_cast<uint64_t>(count)};
}

/// Columns of keys, sorted.
struct Columns {
  int64_t count = 0, rows = 0;
  bool wide = false;
  SortedRows sorted;
  Storage starts;  ///< u32 [count, rows]: does a key begin here in sorted order?
};

Result<Storage> scratch_words(LowerContext& ctx, int64_t count) {
  return ctx.scratch(static_cast<uint64_t>(count) * 4);
}

Result<void> sort_columns(LowerContext& ctx, Storage keys, Columns& columns) {
  const DType type = columns.wide ? DType::kU64 : DType::kU32;
  const Dims dims = {columns.count, columns.rows};
  QUERN_ASSIGN(
      columns.sorted,
      sort_rows(ctx, keys, {columns.count, columns.rows, columns.rows, columns.wide}, true));
  QUERN_ASSIGN(columns.starts, scratch_words(ctx, columns.count * columns.rows));
  DeviceProgram program(dims);
  const uint32_t key = program.input(type, dims, columns.sorted.keys);
  ExprBuilder b = program.builder();
  const Expr here[] = {b.index(0), b.index(1)};
  const Expr before[] = {b.index(0), b.max(b.sub(b.index(1), b.i32(1)), b.i32(0))};
  const Expr differs = b.binary(ExprOp::kNe, b.load(key, here), b.load(key, before));
  const Expr begins = b.logical_or(differs, b.eq(b.index(1), b.i32(0)));
  program.output(b.cast(begins, Scalar::kU32), DType::kU32, columns.starts);
  return program.dispatch(ctx);
}

/// Ranks of all elements, u32 [count, rows]; `total` is the number of different keys, summed over
/// the columns.
Result<Storage> ranks_of(LowerContext& ctx, const Columns& columns, PrefixSums* total = nullptr) {
  const int64_t count = columns.count * columns.rows;
  QUERN_ASSIGN(const PrefixSums before, prefix_sums(ctx, columns.starts, count));
  if (total != nullptr) *total = before;
  QUERN_ASSIGN(const Storage ranks, scratch_words(ctx, count));
  KernelCall call;
  call.kernel = "scatter_ranks";
  call.config = config_of(Config{});
  call.bindings = {words("numbers", columns.sorted.numbers, count),
                   words("starts", columns.starts, count), words("before", before.sums, count),
                   words("ranks", ranks, count)};
  call.params = {static_cast<uint32_t>(count), static_cast<uint32_t>(columns.rows)};
  call.workgroups =
      split_workgroups(static_cast<uint64_t>((count + kWorkgroup - 1) / kWorkgroup), ctx.target());
  QUERN_TRY(ctx.dispatch(std::move(call)));
  return ranks;
}

/// Sorted keys of a single column in the order of the matrix's rows.
Result<Columns> order_rows(LowerContext& ctx) {
  const Dims& dims = ctx.input(0).dims;
  const DType type = ctx.input(0).dtype;
  Columns columns{
      .count = std::max<int64_t>(dims[1], 1), .rows = dims[0], .wide = is_wide_key(type)};
  QUERN_ASSIGN(
      const Storage first,
      ctx.scratch(static_cast<uint64_t>(columns.count * columns.rows) * (columns.wide ? 8 : 4)));
  {
    DeviceProgram program({columns.count, columns.rows});
    const uint32_t x = program.input(moved_as(type), dims, ctx.in(0));
    ExprBuilder b = program.builder();
    const Expr at[] = {b.index(1), b.index(0)};
    const Expr key = dims[1] == 0 ? b.constant_int(columns.wide ? Scalar::kU64 : Scalar::kU32, 0)
                                  : sort_key(b, b.load(x, at), type, false);
    program.output(key, key_type(type), first);
    QUERN_TRY(program.dispatch(ctx));
  }
  QUERN_TRY(sort_columns(ctx, first, columns));
  while (columns.count > 1) {
    QUERN_ASSIGN(const Storage ranks, ranks_of(ctx, columns));
    Columns pairs{.count = (columns.count + 1) / 2, .rows = columns.rows, .wide = true};
    QUERN_ASSIGN(const Storage keys,
                 ctx.scratch(static_cast<uint64_t>(pairs.count * pairs.rows) * 8));
    DeviceProgram program({pairs.count, pairs.rows});
    const uint32_t rank = program.input(DType::kU32, {columns.count, columns.rows}, ranks);
    ExprBuilder b = program.builder();
    const Expr left = b.mul(b.index(0), b.i32(2));
    const Expr last = b.sub(DeviceProgram::extent(b, rank, 0), b.i32(1));
    const Expr right = b.min(b.add(left, b.i32(1)), last);  // an odd column is paired with itself
    const Expr high[] = {left, b.index(1)};
    const Expr low[] = {right, b.index(1)};
    const Expr shifted = b.binary(ExprOp::kShl, b.cast(b.load(rank, high), Scalar::kU64),
                                  b.constant_int(Scalar::kU64, 32));
    program.output(b.binary(ExprOp::kBitOr, shifted, b.cast(b.load(rank, low), Scalar::kU64)),
                   DType::kU64, keys);
    QUERN_TRY(program.dispatch(ctx));
    QUERN_TRY(sort_columns(ctx, keys, pairs));
    columns = pairs;
  }
  return columns;
}

/// First occurrences and counts of the sorted different rows, u32 [n] each.
struct Runs {
  Storage first, counts;
};
Result<Runs> runs_of(LowerContext& ctx, const Columns& columns, const PrefixSums& total) {
  const int64_t n = columns.rows;
  QUERN_ASSIGN(const Storage places, scratch_words(ctx, n));
  QUERN_TRY(set_places(ctx, columns.starts, n, places));
  Runs runs;
  QUERN_ASSIGN(runs.first, scratch_words(ctx, n));
  QUERN_ASSIGN(runs.counts, scratch_words(ctx, n));
  DeviceProgram program(Dims{n});
  const uint32_t place = program.input(DType::kU32, {n}, places);
  const uint32_t order = program.input(DType::kU32, {n}, columns.sorted.numbers);
  const uint32_t count = program.input(DType::kU32, {total.total_at + 1}, total.total);
  ExprBuilder b = program.builder();
  const Expr extent = DeviceProgram::domain_extent(b, 0);
  const Expr last = b.sub(extent, b.i32(1));
  const auto element = [&](uint32_t input, Expr i) {
    const Expr at[] = {b.max(b.min(i, last), b.i32(0))};
    return b.cast(b.load(input, at), Scalar::kI32);
  };
  const Expr begin = element(place, b.index(0));
  const Expr next = b.add(b.index(0), b.i32(1));
  const Expr count_at[] = {b.param(Scalar::kI32, total.total_at)};
  const Expr is_last = b.binary(ExprOp::kGe, next, b.cast(b.load(count, count_at), Scalar::kI32));
  const Expr end = b.select(is_last, extent, element(place, next));
  program.output(b.cast(element(order, begin), Scalar::kU32), DType::kU32, runs.first);
  program.output(b.cast(b.sub(end, begin), Scalar::kU32), DType::kU32, runs.counts);
  QUERN_TRY(program.dispatch(ctx));
  return runs;
}

/// out[i] = values[at[i]] for i < n, or values[i] where `at` is none; u32 to i32.
Result<void> take(LowerContext& ctx, int64_t n, Storage values, std::optional<Storage> at,
                  size_t output) {
  if (!ctx.output(output).present) return {};
  DeviceProgram program(Dims{n});
  const uint32_t from = program.input(DType::kU32, {n}, values);
  const uint32_t which = at ? program.input(DType::kU32, {n}, *at) : 0;
  ExprBuilder b = program.builder();
  Expr index = b.index(0);
  if (at) {
    const Expr here[] = {index};
    index = b.cast(b.load(which, here), Scalar::kI32);
    index = b.max(b.min(index, b.sub(DeviceProgram::domain_extent(b, 0), b.i32(1))), b.i32(0));
  }
  const Expr place[] = {index};
  program.output(b.cast(b.load(from, place), Scalar::kI32), DType::kI32, ctx.out(output));
  return program.dispatch(ctx);
}

/// The sorted results brought into the order of first occurrences.
Result<void> store_by_occurrence(LowerContext& ctx, int64_t n, const Runs& runs, Storage ranks) {
  QUERN_ASSIGN(const Storage firsts, scratch_words(ctx, n));  // of each row, its first occurrence
  QUERN_ASSIGN(const Storage flags, scratch_words(ctx, n));   // is it that itself?
  {
    DeviceProgram program(Dims{n});
    const uint32_t rank = program.input(DType::kU32, {n}, ranks);
    const uint32_t first = program.input(DType::kU32, {n}, runs.first);
    ExprBuilder b = program.builder();
    const Expr here[] = {b.index(0)};
    const Expr at[] = {b.cast(b.load(rank, here), Scalar::kI32)};
    const Expr value = b.load(first, at);
    program.output(value, DType::kU32, firsts);
    const Expr own = b.eq(b.cast(value, Scalar::kI32), b.index(0));
    program.output(b.cast(own, Scalar::kU32), DType::kU32, flags);
    QUERN_TRY(program.dispatch(ctx));
  }
  QUERN_ASSIGN(const PrefixSums numbers, prefix_sums(ctx, flags, n));
  QUERN_ASSIGN(const Storage places, scratch_words(ctx, n));
  QUERN_TRY(set_places(ctx, flags, n, places));
  QUERN_TRY(take(ctx, n, places, std::nullopt, kFirst));
  QUERN_TRY(take(ctx, n, numbers.sums, firsts, kInverse));
  if (!ctx.output(kCounts).present) return {};
  DeviceProgram program(Dims{n});
  const uint32_t place = program.input(DType::kU32, {n}, places);
  const uint32_t rank = program.input(DType::kU32, {n}, ranks);
  const uint32_t count = program.input(DType::kU32, {n}, runs.counts);
  ExprBuilder b = program.builder();
  const Expr last = b.sub(DeviceProgram::domain_extent(b, 0), b.i32(1));
  Expr index = b.index(0);
  for (const uint32_t input : {place, rank, count}) {
    const Expr at[] = {b.max(b.min(index, last), b.i32(0))};
    index = b.cast(b.load(input, at), Scalar::kI32);
  }
  program.output(index, DType::kI32, ctx.out(kCounts));
  return program.dispatch(ctx);
}

Result<void> lower(LowerContext& ctx) {
  const int64_t n = ctx.input(0).dims[0];
  if (n == 0) {
    DeviceProgram none(Dims{1});
    ExprBuilder b = none.builder();
    none.output(b.constant_int(Scalar::kI64, 0), DType::kI64, ctx.out(kCount));
    return none.dispatch(ctx);
  }
  QUERN_ASSIGN(const Columns columns, order_rows(ctx));
  PrefixSums total;
  QUERN_ASSIGN(const Storage ranks, ranks_of(ctx, columns, &total));
  if (ctx.output(kCount).present) QUERN_TRY(store_total(ctx, total, ctx.out(kCount)));
  QUERN_ASSIGN(const Runs runs, runs_of(ctx, columns, total));
  if (ctx.node().int_or("sorted", 1) == 0) return store_by_occurrence(ctx, n, runs, ranks);
  QUERN_TRY(take(ctx, n, runs.first, std::nullopt, kFirst));
  QUERN_TRY(take(ctx, n, runs.counts, std::nullopt, kCounts));
  return take(ctx, n, ranks, std::nullopt, kInverse);
}

/// Are rows a and b in order? Negative, 0 or positive.
int compare_rows(const HostTensor& x, int64_t a, int64_t b) {
  const int64_t width = x.dims[1];
  for (int64_t k = 0; k < width; ++k) {
    if (x.dtype == DType::kString) {
      const int order = x.strings[static_cast<size_t>(a * width + k)].compare(
          x.strings[static_cast<size_t>(b * width + k)]);
      if (order != 0) return order;
      continue;
    }
    const uint64_t p = sort_key(x, a * width + k, false);
    const uint64_t q = sort_key(x, b * width + k, false);
    if (p != q) return p < q ? -1 : 1;
  }
  return 0;
}

Result<void> eval(EvalContext& c) {
  const HostTensor& x = c.in(0);
  const int64_t n = x.dims[0];
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    const int order_of = compare_rows(x, a, b);
    return order_of < 0 || (order_of == 0 && a < b);
  });
  struct Run {
    int64_t first = 0, count = 0, number = 0;
  };
  std::vector<Run> runs;
  std::vector<int64_t> run_of(static_cast<size_t>(n));
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare_rows(x, order[i - 1], order[i]) != 0) {
      runs.push_back({order[i], 0, std::ssize(runs)});
    }
    ++runs.back().count;
    run_of[static_cast<size_t>(order[i])] = std::ssize(runs) - 1;
  }
  if (c.node().int_or("sorted", 1) == 0) {
    std::vector<size_t> by_first(runs.size());
    std::iota(by_first.begin(), by_first.end(), size_t{0});
    std::ranges::sort(by_first, {}, [&](size_t r) { return runs[r].first; });
    for (size_t i = 0; i < by_first.size(); ++i) {
      runs[by_first[i]].number = static_cast<int64_t>(i);
    }
  }
  const auto wants = [&](size_t output) {
    return output < c.output_count() && c.output(output).present;
  };
  for (const Run& run : runs) {
    if (wants(kFirst)) c.out(kFirst).set_int(run.number, run.first);
    if (wants(kCounts)) c.out(kCounts).set_int(run.number, run.count);
  }
  for (int64_t i = 0; i < n && wants(kInverse); ++i) {
    c.out(kInverse).set_int(i, runs[static_cast<size_t>(run_of[static_cast<size_t>(i)])].number);
  }
  if (wants(kCount)) c.out(kCount).set_int(0, std::ssize(runs));
  return {};
}

}  // namespace

extern const OpDef op_unique_rows;
const OpDef op_unique_rows = {
    .name = "UniqueRows",
    .domain = "quern",
    .since = 0,
    .min_outputs = 4,
    .max_outputs = 4,
    .types = kScalarTypes | type_bit(DType::kString),
    .attributes = kAttributes,
    .infer = infer,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
