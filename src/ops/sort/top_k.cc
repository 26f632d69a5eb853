// TopK: the k largest or smallest elements along an axis, in order, and their indices; of equal
// ones the first. k is an attribute before operator set 10.
#include <cstring>

#include "ops/common/device_program.h"
#include "ops/common/infer.h"
#include "ops/common/sort.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"k", AttributeKind::kInt},
                                          {"largest", AttributeKind::kInt},
                                          {"sorted", AttributeKind::kInt}};
constexpr int kInputSince = 10;

Result<void> infer_top_k(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  c.set(1, DType::kI64, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("axis", -1), shape->size()));
  const Dim& extent = (*shape)[axis];
  Dim k;
  if (c.version() < kInputSince) {
    k = c.node().int_or("k", -1);
  } else if (!c.has_input(1)) {
    return c.error("input k is absent");
  } else if (const auto contents = c.contents(1)) {
    if (contents->size() != 1) return c.error(cat("k has ", contents->size(), " elements, not 1"));
    k = (*contents)[0];
  } else {
    k = c.fresh_dim(0, axis, 0, std::max<int64_t>(extent.upper(), 0));
  }
  if (k.upper() < 0 || proven_less(extent, k) == true) {
    return c.error(cat("k is ", k, " along an axis of ", extent, " elements"));
  }
  Shape result = *shape;
  result[axis] = k;
  c.set(0, c.dtype(0), result);
  c.set(1, DType::kI64, std::move(result));
  return {};
}

/// The input as [outer, length, inner], of which k are kept.
struct Layout {
  int64_t outer = 1, length = 0, inner = 1, keep = 0;
  bool largest = true;
};
Result<Layout> layout_of(const OpContext& c) {
  const Dims& dims = c.input(0).dims;
  QUERN_ASSIGN(const size_t axis, resolve_axis(c.node(), c.node().int_or("axis", -1), dims.size()));
  Layout l;
  for (size_t a = 0; a < axis; ++a) l.outer *= dims[a];
  l.length = dims[axis];
  for (size_t a = axis + 1; a < dims.size(); ++a) l.inner *= dims[a];
  l.keep = c.output(0).dims[axis];
  l.largest = c.node().int_or("largest", 1) != 0;
  if (l.keep < 0 || l.keep > l.length) {
    return c.error(cat("k is ", l.keep, " along an axis of ", l.length, " elements"));
  }
  return l;
}

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(const Layout l, layout_of(ctx));
  if (l.outer * l.inner * l.keep == 0) return {};
  const DType type = ctx.input(0).dtype;
  const DType moved = moved_as(type);
  const Dims dims = {l.outer, l.length, l.inner};

  QUERN_ASSIGN(const Storage keys, ctx.scratch(static_cast<uint64_t>(l.outer * l.inner * l.length *
                                                                     (is_wide_key(type) ? 8 : 4))));
  DeviceProgram key({l.outer, l.inner, l.length});
  const uint32_t x = key.input(moved, dims, ctx.in(0));
  {
    ExprBuilder b = key.builder();
    const Expr at[] = {b.index(0), b.index(2), b.index(1)};
    key.output(sort_key(b, b.load(x, at), type, l.largest), key_type(type), keys);
  }
  QUERN_TRY(key.dispatch(ctx));

  QUERN_ASSIGN(
      const SortedRows sorted,
      sort_rows(ctx, keys, {l.outer * l.inner, l.length, l.keep, is_wide_key(type)}, false));
  for (size_t output = 0; output < 2; ++output) {
    if (output >= ctx.output_count() || !ctx.output(output).present) continue;
    DeviceProgram gather({l.outer, l.keep, l.inner});
    const uint32_t from = output == 0 ? gather.input(moved, dims, ctx.in(0)) : 0;
    const uint32_t places =
        gather.input(DType::kU32, {l.outer, l.inner, sorted.stride}, sorted.numbers);
    ExprBuilder b = gather.builder();
    const Expr at[] = {b.index(0), b.index(2), b.index(1)};
    Expr place = b.cast(b.load(places, at), Scalar::kI32);
    if (output == 0) {
      const Expr element[] = {b.index(0), place, b.index(2)};
      gather.output(b.load(from, element), moved, ctx.out(0));
    } else {
      gather.output(b.cast(place, Scalar::kI64), DType::kI64, ctx.out(1));
    }
    QUERN_TRY(gather.dispatch(ctx));
  }
  return {};
}

Result<void> eval(EvalContext& c) {
  QUERN_ASSIGN(const Layout l, layout_of(c));
  std::vector<uint64_t> keys(static_cast<size_t>(l.length));
  for (int64_t row = 0; row < l.outer * l.inner; ++row) {
    const int64_t start = row / l.inner * l.length * l.inner + row % l.inner;
    for (int64_t i = 0; i < l.length; ++i) {
      keys[static_cast<size_t>(i)] = sort_key(c.in(0), start + i * l.inner, l.largest);
    }
    const std::vector<int64_t> places = sorted_places(keys, l.keep);
    const int64_t to = row / l.inner * l.keep * l.inner + row % l.inner;
    for (int64_t k = 0; k < l.keep; ++k) {
      const int64_t place = places[static_cast<size_t>(k)];
      if (c.output(0).present) {
        const DType type = c.in(0).dtype;
        store_bits(type, c.out(0).bytes.data(), to + k * l.inner,
                   load_bits(type, c.in(0).bytes.data(), start + place * l.inner));
      }
      if (c.output_count() > 1 && c.output(1).present) c.out(1).set_int(to + k * l.inner, place);
    }
  }
  return {};
}

}  // namespace

extern const OpDef op_top_k;
const OpDef op_top_k = {
    .name = "TopK",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 2,
    .max_outputs = 2,
    .types = kNumeric,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_top_k,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
