// Operators that pick, place and order elements.
#include <algorithm>

#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

void gather(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const Tensor indices = c.raw(1);
  const size_t axis = c.axis_of(c.option(0), x.rank);
  const int64_t batches =
      c.option(1) < 0 ? c.option(1) + static_cast<int64_t>(indices.rank) : c.option(1);
  if (c.failed()) return;
  if (batches < 0 || static_cast<size_t>(batches) > std::min(axis, indices.rank) || x.rank == 0) {
    return c.invalid(cat(batches, " batch axes"));
  }
  const size_t rank = x.rank - 1 + indices.rank - static_cast<size_t>(batches);
  if (batches == 0) {
    return c.set(
        c.b.op("Gather", {x, indices}, {{"axis", static_cast<int64_t>(axis)}}, x.dtype, rank));
  }
  // The axis comes right after the batch, and goes back to its place.
  const auto first = static_cast<size_t>(batches);
  Tensor turned = x;
  if (axis != first) {
    Ints perm;
    for (size_t i = 0; i < x.rank; ++i) {
      if (i == first) perm.push_back(static_cast<int64_t>(axis));
      if (i != axis) perm.push_back(static_cast<int64_t>(i));
    }
    turned = c.b.permute(x, perm);
  }
  const Tensor places =
      c.b.unsqueeze(c.b.cast(indices, DType::kI64), {static_cast<int64_t>(indices.rank)});
  Tensor y = c.b.op("GatherND", {turned, places}, {{"batch_dims", batches}}, x.dtype, rank);
  if (axis != first) {
    const size_t picked = indices.rank - first;
    Ints perm;
    for (size_t i = 0; i < first; ++i) perm.push_back(static_cast<int64_t>(i));
    for (size_t i = first; i < axis; ++i) perm.push_back(static_cast<int64_t>(i + picked));
    for (size_t i = 0; i < picked; ++i) perm.push_back(static_cast<int64_t>(first + i));
    for (size_t i = axis + picked; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
    y = c.b.permute(y, perm);
  }
  c.set(y);
}

/// The extent of the last axis of indices.
std::optional<size_t> index_size(Call& c, const Tensor& indices) {
  const auto extent = indices.rank == 0 ? std::nullopt : indices.extent(indices.rank - 1);
  if (!extent || *extent < 0) c.unsupported("indices of unknown size");
  return extent ? std::optional(static_cast<size_t>(*extent)) : std::nullopt;
}

void gather_nd(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  const Tensor indices = c.b.cast(c.raw(1), DType::kI64);
  const auto depth = index_size(c, c.raw(1));
  if (!depth || *depth > x.rank) return c.invalid("indices of more axes than the data has");
  c.set(c.b.op(ours, {x, indices}, {}, x.dtype, indices.rank - 1 + x.rank - *depth));
}

/// Elements placed into a tensor that is filled with `base`.
Tensor scattered(Call& c, const Tensor& base, const Tensor& dims, size_t rank,
                 const Tensor& indices, const Tensor& updates, std::string_view reduction) {
  const Tensor full = c.b.op("Expand", {base, dims}, {}, base.dtype, rank);
  return c.b.op("ScatterND", {full, c.b.cast(indices, DType::kI64), updates},
                {{"reduction", std::string(reduction)}}, base.dtype, rank);
}

void scatter_nd(Call& c, std::string_view) {
  const Tensor updates = c.input(1);
  const Tensor indices = c.raw(0);
  const auto dims = c.sizes(2);
  if (c.failed() || indices.rank == 0) return c.invalid("indices of rank 0");
  c.set(scattered(c, c.b.scalar(updates.dtype, 0), c.b.list(dims), dims.size(), indices, updates,
                  "add"));
}

/// indices: one number, [n], or [n, rank].
void sparse_to_dense(Call& c, std::string_view) {
  Tensor indices = c.raw(0);
  const auto dims = c.sizes(1);
  Tensor values = c.raw(2);
  const Tensor base = c.raw(3);
  const auto rank = static_cast<int64_t>(dims.size());
  if (c.failed()) return;
  if (indices.rank < 2) indices = c.b.reshape(indices, Ints{-1, rank});
  if (values.rank == 0) {
    values = c.b.expand(values, {c.b.size(indices, 0)});
  }
  c.set(scattered(c, base, c.b.list(dims), dims.size(), indices, values, "none"));
}

/// Rows of equal numbers joined by `reduction`; option: whether the number of rows is an input.
void segments(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  const Tensor ids = c.b.cast(c.raw(1), DType::kI64);
  const int code = c.scope.context.file.codes[c.op.code].builtin;
  if (c.failed() || x.rank < ids.rank || ids.rank == 0) return c.invalid("ids of a higher rank");
  std::string_view reduction = "add";
  double base = 0;
  if (code == 153) {
    reduction = "mul";
    base = 1;
  } else if (code == 154 || code == 157) {
    reduction = code == 154 ? "max" : "min";
    base = extreme(x.dtype, code == 157);
    if (is_float(x.dtype)) base = code == 154 ? -3.4028234663852886e38 : 3.4028234663852886e38;
  }
  Size count;
  if (code == 125) {
    const Tensor last = c.b.reduce("ReduceMax", ids, {}, false);
    count = {.value = c.b.reshape(c.b.op("Add", {last, c.b.integer(1)}), Ints{1}).value};
  } else {
    count = c.size(2);
  }
  std::vector<Size> dims = {count};
  for (size_t i = ids.rank; i < x.rank; ++i) dims.push_back(c.b.size(x, i));
  (void)ours;
  c.set(scattered(c, c.b.scalar(x.dtype, base), c.b.list(dims), dims.size(),
                  c.b.unsqueeze(ids, {static_cast<int64_t>(ids.rank)}), x, reduction));
}

void slice(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  const auto begins = c.numbers(1);
  const auto counts = c.numbers(2);
  const Tensor starts = c.list(1);
  Tensor ends;
  if (begins && counts && begins->size() == counts->size()) {
    Ints numbers;
    for (size_t i = 0; i < begins->size(); ++i) {
      numbers.push_back((*counts)[i] < 0 ? INT32_MAX : (*begins)[i] + (*counts)[i]);
    }
    ends = c.b.ints(numbers);
  } else {
    // -1 means to the end.
    const Tensor sizes = c.list(2);
    ends = c.b.op("Where",
                  {c.b.op("Less", {sizes, c.b.integer(0)}, {}, DType::kBool),
                   c.b.integer(INT32_MAX), c.b.op("Add", {starts, sizes})},
                  {}, DType::kI64);
  }
  c.set(c.b.op(ours, {x, starts, ends}, {}, x.dtype, x.rank));
}

void strided_slice(Call& c, std::string_view) {
  Tensor x = c.moved(0);
  const std::vector<Size> begins = c.sizes(1);
  const std::vector<Size> ends = c.sizes(2);
  const Ints strides = c.known(3, "strides");
  const int32_t begin_mask = c.option(0);
  const int32_t end_mask = c.option(1);
  const int32_t ellipsis = c.option(2);
  const int32_t new_axes = c.option(3);
  const int32_t shrink = c.option(4);
  const bool is_offset = c.flag(5);
  const size_t n = strides.size();
  if (c.failed()) return;
  if (begins.size() != n || ends.size() != n || n > 31) return c.invalid("lists of other lengths");
  const auto bit = [](int32_t mask, size_t i) { return (mask >> i & 1) != 0; };
  size_t taken = 0;  // axes of x that the entries name
  for (size_t i = 0; i < n; ++i) taken += bit(ellipsis, i) || bit(new_axes, i) ? 0 : 1;
  if (taken > x.rank) return c.invalid(cat(taken, " entries for ", x.rank, " axes"));
  size_t axis = 0;
  bool had_ellipsis = false;
  Ints added;
  for (size_t i = 0; i < n; ++i) {
    if (bit(ellipsis, i)) {
      if (had_ellipsis) return c.invalid("two ellipses");
      had_ellipsis = true;
      axis += x.rank - taken - added.size();
      // Axes that were added and shrunk count in x.rank already.
      continue;
    }
    if (bit(new_axes, i)) {
      x = c.b.unsqueeze(x, {static_cast<int64_t>(axis)});
      added.push_back(static_cast<int64_t>(axis++));
      continue;
    }
    if (axis >= x.rank) return c.invalid("more entries than axes");
    if (bit(shrink, i)) {
      x = c.b.select(x, axis, begins[i]);
      --taken;
      continue;
    }
    const int64_t step = strides[i];
    if (step == 0) return c.invalid("a stride of 0");
    const Size begin = bit(begin_mask, i) ? c.b.number(step > 0 ? 0 : INT32_MAX) : begins[i];
    Size end = ends[i];
    if (is_offset && !bit(end_mask, i)) end = c.b.arithmetic("Add", begins[i], ends[i]);
    if (bit(end_mask, i)) end = c.b.number(step > 0 ? INT32_MAX : INT64_MIN + 1);
    const bool whole = begin.is(0) && end.is(INT32_MAX) && step == 1;
    if (!whole) x = c.b.slice(x, axis, begin, end, step);
    ++axis;
  }
  c.set(x);
}

void dynamic_update_slice(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const Tensor update = c.moved(1);
  const std::vector<Size> starts = c.sizes(2);
  if (c.failed()) return;
  if (starts.size() != x.rank || update.rank != x.rank) return c.invalid("starts of another rank");
  // Places of the update's elements: an index for each axis, broadcast to its shape.
  const Tensor shape = c.b.shape_of(update);
  std::vector<Tensor> axes;
  for (size_t i = 0; i < x.rank; ++i) {
    // Starts are clamped so that the update fits.
    const Size most = c.b.arithmetic("Sub", c.b.size(x, i), c.b.size(update, i));
    const Size start = c.b.arithmetic("Max", c.b.arithmetic("Min", starts[i], most), c.b.number(0));
    Ints dims(x.rank, 1);
    dims[i] = -1;
    const Tensor along =
        c.b.reshape(c.b.op("Add", {c.b.range(c.b.size(update, i)), c.b.list(start)}), dims);
    const Tensor full = c.b.op("Expand", {along, shape}, {}, DType::kI64, x.rank);
    axes.push_back(c.b.unsqueeze(full, {static_cast<int64_t>(x.rank)}));
  }
  if (axes.empty()) return c.set(update);
  c.set(c.b.op("ScatterND", {x, c.b.concat(axes, x.rank), update}, {}, x.dtype, x.rank));
}

void where(Call& c, std::string_view) {
  const Tensor condition = c.b.cast(c.raw(0), DType::kBool);
  c.set(c.b.permute(c.b.op("NonZero", {condition}, {}, DType::kI64, 2), {1, 0}));
}

void select(Call& c, std::string_view ours) {
  Tensor condition = c.raw(0);
  const Tensor x = c.moved(1);
  const Tensor y = c.moved(2);
  const bool rows =
      c.scope.context.file.codes[c.op.code].builtin == 64 && condition.rank == 1 && x.rank > 1;
  if (rows) {
    // SELECT takes a condition for each row.
    Ints axes;
    for (size_t i = 1; i < x.rank; ++i) axes.push_back(static_cast<int64_t>(i));
    condition = c.b.unsqueeze(condition, axes);
  }
  if (x.dtype != y.dtype) return c.unsupported("operands that are quantised in two ways");
  c.set(c.b.op(ours, {condition, x, y}, {}, x.dtype));
}

void one_hot(Call& c, std::string_view ours) {
  const Tensor indices = c.raw(0);
  const Tensor on = c.raw(2);
  const Tensor off = c.raw(3);
  const Tensor values = c.b.concat({c.b.reshape(off, Ints{1}), c.b.reshape(on, Ints{1})}, 0);
  const Tensor depth = c.b.list(c.size(1));
  c.set(c.b.op(ours, {c.b.cast(indices, DType::kI64), depth, values},
               {{"axis", static_cast<int64_t>(c.option(0))}}, on.dtype, indices.rank + 1));
}

void top_k(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  if (x.rank == 0) return c.invalid("an input of rank 0");
  const auto both =
      c.b.ops(ours, {x, c.b.list(c.size(1))}, 2, {{"axis", int64_t{-1}}}, x.dtype, x.rank);
  if (c.failed()) return;
  c.set(both[0], 0);
  c.set({both[1].value, DType::kI64, x.rank}, 1);
}

void unique(Call& c, std::string_view ours) {
  const Tensor x = c.moved(0);
  const auto all = c.b.ops(ours, {x}, 3, {{"sorted", int64_t{0}}}, x.dtype, 1);
  if (c.failed()) return;
  c.set(all[0], 0);
  c.set({all[2].value, DType::kI64, 1}, 1);
}

/// Numbers 0 to n - 1 down an axis of two.
Tensor counted(Builder& b, const Size& n, bool down) {
  return b.unsqueeze(b.range(n), {down ? 1 : 0});
}

void matrix_diag(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  if (x.rank == 0) return c.invalid("an input of rank 0");
  const Size n = c.b.size(x, x.rank - 1);
  const Tensor eye =
      c.b.op("Equal", {counted(c.b, n, true), counted(c.b, n, false)}, {}, DType::kBool, 2);
  const Tensor wide = c.b.unsqueeze(x, {static_cast<int64_t>(x.rank)});
  c.set(c.b.op("Where", {eye, wide, c.b.scalar(x.dtype, 0)}, {}, x.dtype, x.rank + 1));
}

void matrix_set_diag(Call& c, std::string_view) {
  const Tensor x = c.moved(0);
  const Tensor diagonal = c.moved(1);
  if (x.rank < 2 || diagonal.rank + 1 != x.rank) return c.invalid("a diagonal of another rank");
  const Size rows = c.b.size(x, x.rank - 2);
  const Size columns = c.b.size(x, x.rank - 1);
  if (rows.value != nullptr || columns.value != nullptr) {
    return c.unsupported("matrices of unknown size");
  }
  const Tensor eye = c.b.op("Equal", {counted(c.b, rows, true), counted(c.b, columns, false)}, {},
                            DType::kBool, 2);
  // The diagonal is as long as the shorter side, and repeats along the other.
  const bool wide = columns.number > rows.number;
  const Tensor spread =
      c.b.unsqueeze(diagonal, {static_cast<int64_t>(wide ? x.rank - 1 : x.rank - 2)});
  c.set(c.b.op("Where", {eye, spread, x}, {}, x.dtype, x.rank));
}

void bucketize(Call& c, std::string_view) {
  const Tensor x = c.input(0);
  const auto bounds = c.op.options.vector(0, 4).numbers<float>();
  if (bounds.empty())
    return c.set(c.b.op("Expand", {c.b.integer(0), c.b.shape_of(x)}, {}, {}, x.rank));
  const Tensor edges =
      c.b.constant(HostTensor::of_floats({static_cast<int64_t>(bounds.size())}, bounds));
  const Tensor wide = c.b.unsqueeze(c.b.cast(x, DType::kF32), {static_cast<int64_t>(x.rank)});
  const Tensor past = c.b.op("GreaterOrEqual", {wide, edges}, {}, DType::kBool, x.rank + 1);
  c.set(
      c.b.reduce("ReduceSum", c.b.cast(past, DType::kI32), {static_cast<int64_t>(x.rank)}, false));
}

/// Boxes [n, 4], scores [n], most, overlap, score; V5: and sigma.
void non_max_suppression(Call& c, std::string_view ours) {
  const bool is_soft = c.scope.context.file.codes[c.op.code].builtin == 121;
  if (is_soft) {
    const Tensor sigma = c.raw(5);
    if (c.failed()) return;
    const bool zero = sigma.value->is_constant() && sigma.value->constant->is_inline() &&
                      sigma.value->constant->host.count() == 1 &&
                      sigma.value->constant->host.float_at(0) == 0;
    if (!zero) return c.unsupported("soft suppression");
  }
  const Tensor boxes = c.b.unsqueeze(c.input(0), {0});
  const Tensor scores = c.input(1);
  const Size most = c.size(2);
  const auto number = [&](size_t i) { return c.b.reshape(c.input(i), Ints{1}); };
  const Tensor found =
      c.b.op(ours, {boxes, c.b.unsqueeze(scores, {0, 1}), c.b.list(most), number(3), number(4)}, {},
             DType::kI64, 2);
  const Tensor indices = c.b.select(found, 1, c.b.number(2));
  const Size count = c.b.size(indices, 0);
  // The lists are filled up to their length.
  const Size rest = c.b.arithmetic("Sub", most, count);
  const Tensor pads = c.b.list(std::vector<Size>{c.b.number(0), rest});
  const auto filled = [&](const Tensor& x) {
    return c.b.op("Pad", {x, pads, c.b.scalar(x.dtype, 0)}, {{"mode", std::string("constant")}});
  };
  c.set(filled(indices), 0);
  if (is_soft) {
    c.set(filled(c.b.op("Gather", {scores, indices}, {{"axis", int64_t{0}}}, scores.dtype, 1)), 1);
  }
  c.set(c.b.scalar_of(count), is_soft ? 2 : 1);
}

constexpr Operator kOperators[] = {
    {36, "GATHER", "Gather, GatherND", gather},
    {45, "STRIDED_SLICE", "Slice, Gather, Unsqueeze", strided_slice},
    {48, "TOPK_V2", "TopK", top_k},
    {64, "SELECT", "Where", select},
    {65, "SLICE", "Slice", slice},
    {68, "SPARSE_TO_DENSE", "ScatterND", sparse_to_dense},
    {85, "ONE_HOT", "OneHot", one_hot},
    {103, "UNIQUE", "Unique", unique},
    {107, "GATHER_ND", "GatherND", gather_nd},
    {109, "WHERE", "NonZero, Transpose", where},
    {113, "MATRIX_DIAG", "Equal, Where", matrix_diag},
    {115, "MATRIX_SET_DIAG", "Equal, Where", matrix_set_diag},
    {120, "NON_MAX_SUPPRESSION_V4", "NonMaxSuppression", non_max_suppression},
    {121, "NON_MAX_SUPPRESSION_V5", "NonMaxSuppression", non_max_suppression},
    {122, "SCATTER_ND", "ScatterND", scatter_nd},
    {123, "SELECT_V2", "Where", select},
    {125, "SEGMENT_SUM", "ScatterND", segments},
    {147, "BUCKETIZE", "GreaterOrEqual, ReduceSum", bucketize},
    {151, "DYNAMIC_UPDATE_SLICE", "ScatterND", dynamic_update_slice},
    {153, "UNSORTED_SEGMENT_PROD", "ScatterND", segments},
    {154, "UNSORTED_SEGMENT_MAX", "ScatterND", segments},
    {155, "UNSORTED_SEGMENT_SUM", "ScatterND", segments},
    {157, "UNSORTED_SEGMENT_MIN", "ScatterND", segments},
};

}  // namespace

std::span<const Operator> index_operators() { return kOperators; }

}  // namespace quern::tflite
