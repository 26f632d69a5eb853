// Parts of tensors: StridedSlice, Gather, Split, Pack and what belongs to them.
#include <algorithm>

#include "import/tensorflow/operators.h"

namespace quern::tensorflow {
namespace {

constexpr int64_t kEnd = INT64_MAX;

/// What a strided slice does with one entry of its lists.
struct Entry {
  size_t axis = 0;
  size_t index = 0;  ///< in the lists
  bool from_start = false, to_end = false, shrink = false;
};

struct StridedPlan {
  std::vector<Entry> entries;
  std::vector<int> axes;  ///< of the result: an axis of the slice, or -1 for a new one
};

/// Follows tensorflow/core/util/strided_slice_op.cc: one entry an axis, an ellipsis for those that
/// are left over, new axes, and axes that go away.
std::optional<StridedPlan> plan_strided(Call& c, size_t rank, size_t count) {
  const int64_t begin = c.integer("begin_mask", 0), end = c.integer("end_mask", 0);
  const int64_t ellipsis = c.integer("ellipsis_mask", 0), fresh = c.integer("new_axis_mask", 0);
  const int64_t shrink = c.integer("shrink_axis_mask", 0);
  if (count > 31) {
    c.invalid(cat(count, " slices"));
    return {};
  }
  const auto has = [](int64_t mask, size_t i) { return (mask >> i & 1) != 0; };
  StridedPlan plan;
  size_t consumed = 0;
  bool seen = false;
  for (size_t i = 0; i < count; ++i) {
    if (has(ellipsis, i)) {
      if (seen) break;
      seen = true;
    } else if (!has(fresh, i)) {
      ++consumed;
    }
  }
  if (consumed > rank) {
    c.invalid(cat(consumed, " slices of a tensor of rank ", rank));
    return {};
  }
  size_t axis = 0;
  const auto skip = [&](size_t n) {
    for (; n > 0; --n) plan.axes.push_back(static_cast<int>(axis++));
  };
  for (size_t i = 0; i < count; ++i) {
    if (has(ellipsis, i)) {
      skip(rank - consumed);
      consumed = rank;
      continue;
    }
    if (has(fresh, i)) {
      plan.axes.push_back(-1);
      continue;
    }
    const bool goes = has(shrink, i);
    plan.entries.push_back({axis, i, has(begin, i), has(end, i), goes});
    if (!goes) plan.axes.push_back(static_cast<int>(axis));
    ++axis;
  }
  skip(rank - axis);
  return plan;
}

void strided_slice(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const auto steps = b.known_ints(c.in(3));
  if (!steps) return c.unsupported("strides that are no constants");
  const auto plan = plan_strided(c, x.rank, steps->size());
  if (!plan) return;
  const auto begins = b.known_ints(c.in(1)), ends = b.known_ints(c.in(2));
  const Shape dims = b.shape(x);
  Shape sliced = dims;
  Ints axes, numbers;
  std::vector<Tensor> from, to;
  Ints from_numbers, to_numbers;
  const auto element = [&](size_t input, size_t i) {
    return b.pick(b.as_i64(c.in(input)), {static_cast<int64_t>(i)});
  };
  std::optional<std::vector<Dim>> held = x.rank == 1 ? b.contents(x) : std::nullopt;
  for (const Entry& e : plan->entries) {
    const int64_t step = (*steps)[e.index];
    if (step == 0 || (e.shrink && step < 0)) return c.invalid(cat("a slice of step ", step));
    const bool whole = e.from_start && e.to_end && step == 1 && !e.shrink;
    if (whole) continue;
    axes.push_back(static_cast<int64_t>(e.axis));
    numbers.push_back(e.shrink ? 1 : step);
    // The lists may hold too little where only some of their elements matter.
    const auto number = [&](const std::optional<Ints>& list) -> std::optional<int64_t> {
      if (!list || e.index >= list->size()) return {};
      return (*list)[e.index];
    };
    std::optional<int64_t> first = number(begins), last = number(ends);
    if (e.from_start && !e.shrink) first = step > 0 ? 0 : kEnd;
    if (e.to_end && !e.shrink) last = step > 0 ? kEnd : -kEnd;
    if (e.shrink) {
      if (first) {
        last = *first == -1 ? kEnd : *first + 1;
      } else {
        const Tensor begin = element(1, e.index);
        from.push_back(begin);
        // -1 + 1 would be the start.
        const Tensor next = b.binary("Add", begin, b.ints({1}));
        to.push_back(
            b.where(b.binary("Equal", next, b.ints({0}), DType::kBool), b.ints({kEnd}), next));
        sliced[e.axis] = 1;
        held.reset();
        continue;
      }
    }
    from.push_back(first ? b.ints({*first}) : element(1, e.index));
    to.push_back(last ? b.ints({*last}) : element(2, e.index));
    const auto extent = dims[e.axis].constant();
    if (e.shrink) {
      sliced[e.axis] = 1;
    } else if (first && last && extent) {
      int64_t start = *first < 0 ? std::max<int64_t>(*first, -*extent) + *extent : *first;
      int64_t stop =
          *last < 0 && *last != -kEnd ? std::max<int64_t>(*last, -*extent - 1) + *extent : *last;
      if (step > 0) {
        start = std::min(start, *extent);
        stop = std::min(std::max<int64_t>(stop, 0), *extent);
        sliced[e.axis] = std::max<int64_t>((stop - start + step - 1) / step, 0);
      } else {
        start = std::min(start, *extent - 1);
        stop = std::max<int64_t>(stop, -1);
        sliced[e.axis] = step < -(int64_t{1} << 40)
                             ? Dim(1)
                             : std::max<int64_t>((start - stop - step - 1) / -step, 0);
      }
    } else if (first == 0 && step == 1 && last == -1) {
      sliced[e.axis] = dims[e.axis] - 1;
    } else if (last == kEnd && step == 1 && first && *first > 0) {
      sliced[e.axis] = dims[e.axis] - *first;
    } else if (last == kEnd && first == 0 && step > 1 && step < (1 << 30)) {
      sliced[e.axis] = floor_div(dims[e.axis] + (step - 1), step);
    } else if (!(first == kEnd && last == -kEnd && step == -1)) {
      sliced[e.axis] = b.unknown();
    }
    if (held && first && last && sliced[e.axis].is_const()) {
      std::vector<Dim> part;
      const auto n = static_cast<int64_t>(held->size());
      int64_t at = *first == kEnd ? n - 1 : *first < 0 ? *first + n : *first;
      for (int64_t i = 0; i < sliced[e.axis].value() && at >= 0 && at < n;
           ++i, at += e.shrink ? 1 : step) {
        part.push_back((*held)[static_cast<size_t>(at)]);
      }
      if (static_cast<int64_t>(part.size()) == sliced[e.axis].value()) {
        held = part;
      } else {
        held.reset();
      }
    } else if (held) {
      held.reset();
    }
  }
  Tensor y = x;
  if (!axes.empty()) {
    y = b.op("Slice", {x, b.concat(from, 0), b.concat(to, 0), b.ints(axes), b.ints(numbers)}, {},
             {}, x.rank);
    y = b.shaped(y, sliced);
  }
  Ints gone, fresh;
  for (const Entry& e : plan->entries) {
    if (e.shrink) gone.push_back(static_cast<int64_t>(e.axis));
  }
  for (size_t i = 0; i < plan->axes.size(); ++i) {
    if (plan->axes[i] < 0) fresh.push_back(static_cast<int64_t>(i));
  }
  if (!gone.empty()) y = b.squeeze(y, gone);
  if (!fresh.empty()) y = b.unsqueeze(y, fresh);
  c.set(held && y.rank <= 1 ? b.holding(y, *held) : y);
}

void slice(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const auto begins = b.known_ints(c.in(1)), sizes = b.known_ints(c.in(2));
  Ints axes;
  for (size_t i = 0; i < x.rank; ++i) axes.push_back(static_cast<int64_t>(i));
  Shape dims = b.shape(x);
  Tensor start, end;
  if ((begins && begins->size() != x.rank) || (sizes && sizes->size() != x.rank)) {
    return c.invalid(cat("a slice of a tensor of rank ", x.rank));
  }
  if (begins && sizes) {
    Ints ends;
    for (size_t i = 0; i < x.rank; ++i) {
      const int64_t from = (*begins)[i], size = (*sizes)[i];
      if (from < 0 || size < -1 || size > INT64_MAX - from)
        return c.invalid("a slice out of range");
      ends.push_back(size < 0 ? kEnd : from + size);
      dims[i] = size < 0 ? dims[i] - from : Dim(size);
    }
    start = b.ints(*begins);
    end = b.ints(ends);
  } else {
    start = b.as_i64(c.in(1));
    const Tensor size = b.as_i64(c.in(2));
    const Tensor rest = b.binary("Less", size, b.ints({0}), DType::kBool);
    end = b.where(rest, b.ints({kEnd}), b.binary("Add", start, size));
    for (size_t i = 0; i < x.rank; ++i)
      dims[i] = sizes && (*sizes)[i] >= 0 ? Dim((*sizes)[i]) : b.unknown();
  }
  const Tensor y = b.shaped(b.op("Slice", {x, start, end, b.ints(axes)}, {}, {}, x.rank), dims);
  const auto held = x.rank == 1 ? b.contents(x) : std::nullopt;
  if (held && begins && dims[0].is_const() &&
      (*begins)[0] + dims[0].value() <= static_cast<int64_t>(held->size())) {
    const auto from = held->begin() + (*begins)[0];
    return c.set(b.holding(y, {from, from + dims[0].value()}));
  }
  c.set(y);
}

void gather(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  Tensor indices = c.in(1);
  const size_t axis =
      c.op() == "GatherV2" && c.count() > 2 ? c.axis_in(2, x.rank) : c.axis(0, x.rank);
  int64_t batch = c.integer("batch_dims", 0);
  if (batch < 0) batch += static_cast<int64_t>(indices.rank);
  if (c.failed()) return;
  if (indices.dtype != DType::kI32 && indices.dtype != DType::kI64)
    indices = b.cast(indices, DType::kI32);
  const Shape dims = b.shape(x), places = b.shape(indices);
  if (batch == 0) {
    Shape out(dims.begin(), dims.begin() + static_cast<ptrdiff_t>(axis));
    out.insert(out.end(), places.begin(), places.end());
    out.insert(out.end(), dims.begin() + static_cast<ptrdiff_t>(axis) + 1, dims.end());
    Tensor y =
        b.op("Gather", {x, indices}, {{"axis", static_cast<int64_t>(axis)}}, x.dtype, out.size());
    y = b.shaped(y, out);
    const auto held = x.rank == 1 ? b.contents(x) : std::nullopt;
    const auto known = held ? b.known_ints(indices) : std::nullopt;
    if (known) {
      std::vector<Dim> picked;
      for (const int64_t i : *known) {
        if (i >= 0 && i < static_cast<int64_t>(held->size()))
          picked.push_back((*held)[static_cast<size_t>(i)]);
      }
      if (picked.size() == known->size()) y = b.holding(y, picked);
    }
    return c.set(y);
  }
  const auto batches = static_cast<size_t>(batch);
  if (batches > axis || batches > indices.rank) return c.invalid("batch axes past the axis");
  // Batches first, then the axis: GatherND takes the rest as rows.
  if (axis != batches) {
    Ints perm;
    for (size_t i = 0; i < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
    perm.erase(perm.begin() + static_cast<ptrdiff_t>(axis));
    perm.insert(perm.begin() + static_cast<ptrdiff_t>(batches), static_cast<int64_t>(axis));
    const Tensor turned = b.permute(x, perm);
    const Tensor rows = b.unsqueeze(b.as_i64(indices), {static_cast<int64_t>(indices.rank)});
    const size_t rank = x.rank + indices.rank - 1 - batches;
    const Tensor y = b.op("GatherND", {turned, rows}, {{"batch_dims", batch}}, x.dtype, rank);
    // [batches, indices, rest before the axis, rest behind] to [batches, before, indices, behind].
    const size_t picked = indices.rank - batches, before = axis - batches;
    Ints back;
    for (size_t i = 0; i < batches; ++i) back.push_back(static_cast<int64_t>(i));
    for (size_t i = 0; i < before; ++i) back.push_back(static_cast<int64_t>(batches + picked + i));
    for (size_t i = 0; i < picked; ++i) back.push_back(static_cast<int64_t>(batches + i));
    for (size_t i = batches + picked + before; i < rank; ++i)
      back.push_back(static_cast<int64_t>(i));
    return c.set(b.permute(y, back));
  }
  const Tensor rows = b.unsqueeze(b.as_i64(indices), {static_cast<int64_t>(indices.rank)});
  Shape out(places.begin(), places.end());
  out.insert(out.end(), dims.begin() + static_cast<ptrdiff_t>(axis) + 1, dims.end());
  c.set(b.shaped(b.op("GatherND", {x, rows}, {{"batch_dims", batch}}, x.dtype, out.size()), out));
}

void gather_nd(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0), indices = c.in(1);
  if (indices.rank == 0 || indices.rank == kUnknownRank || x.rank == kUnknownRank) {
    return c.invalid("indices of rank 0");
  }
  const auto width = indices.extent(indices.rank - 1);
  if (!width || *width < 0 || *width > static_cast<int64_t>(x.rank)) {
    return c.unsupported("indices whose last extent is not known");
  }
  const Shape dims = b.shape(x), places = b.shape(indices);
  Shape out(places.begin(), places.end() - 1);
  out.insert(out.end(), dims.begin() + *width, dims.end());
  c.set(b.shaped(b.op("GatherND", {x, b.as_i64(indices)}, {}, x.dtype, out.size()), out));
}

/// Parts of an axis, of these sizes.
void set_parts(Call& c, const Tensor& x, size_t axis, const std::vector<Dim>& sizes, Tensor list) {
  Emitter& b = c.b;
  Shape dims = b.shape(x);
  std::vector<Tensor> parts;
  if (list) {
    parts = b.ops("Split", {x, list}, sizes.size(), {{"axis", static_cast<int64_t>(axis)}}, x.dtype,
                  x.rank);
  } else {
    parts = b.ops(
        "Split", {x}, sizes.size(),
        {{"axis", static_cast<int64_t>(axis)}, {"num_outputs", static_cast<int64_t>(sizes.size())}},
        x.dtype, x.rank);
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    dims[axis] = sizes[i];
    c.set(b.shaped(parts[i], dims), i);
  }
}

void split(Call& c, std::string_view) {
  const Tensor x = c.in(1);
  const size_t axis = c.axis_in(0, x.rank);
  const int64_t count = c.integer("num_split", 1);
  if (c.failed()) return;
  if (count < 1 || count > 65536) return c.invalid(cat(count, " parts"));
  if (count == 1) return c.set(x);
  const Dim part = floor_div(c.b.shape(x)[axis], count);
  set_parts(c, x, axis, std::vector<Dim>(static_cast<size_t>(count), part), {});
}

void split_v(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const size_t axis = c.axis_in(2, x.rank);
  if (c.failed()) return;
  const auto numbers = b.known_ints(c.in(1));
  const int64_t count = c.integer("num_split", numbers ? static_cast<int64_t>(numbers->size()) : 0);
  if (count < 1 || count > 65536 || (numbers && static_cast<int64_t>(numbers->size()) != count)) {
    return c.invalid(cat(count, " parts"));
  }
  if (!numbers) {
    std::vector<Dim> sizes;
    for (int64_t i = 0; i < count; ++i) sizes.push_back(b.unknown());
    return set_parts(c, x, axis, sizes, b.as_i64(c.in(1)));
  }
  std::vector<Dim> sizes;
  std::vector<Size> list;
  Dim rest = b.shape(x)[axis];
  int64_t sum = 0;
  for (const int64_t n : *numbers) {
    if (n < -1 || n > (int64_t{1} << 40)) return c.invalid("parts out of range");
    if (n >= 0) sum += n;
  }
  bool has_rest = false;
  for (const int64_t n : *numbers) {
    has_rest = has_rest || n < 0;
    sizes.push_back(n >= 0 ? Dim(n) : rest - sum);
    list.push_back(n >= 0 ? b.number(n) : b.arithmetic("Sub", b.size(x, axis), b.number(sum)));
  }
  if (count == 1) return c.set(x);
  set_parts(c, x, axis, sizes, b.list(list));
}

void pack(Call& c, std::string_view) {
  Emitter& b = c.b;
  std::vector<Tensor> parts = c.inputs_from(0);
  if (parts.empty()) return c.invalid("a stack of nothing");
  const size_t rank = parts[0].rank;
  if (rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const size_t axis = c.axis(c.integer("axis", 0), rank + 1);
  for (Tensor& part : parts) {
    if (part.rank != rank) return c.invalid("a stack of tensors of several ranks");
    part = b.unsqueeze(b.cast(part, parts[0].dtype), {static_cast<int64_t>(axis)});
  }
  c.set(b.concat(parts, axis));
}

void unpack(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const size_t axis = c.axis(c.integer("axis", 0), x.rank);
  if (c.failed()) return;
  const int64_t count = c.integer("num", x.extent(axis).value_or(-1));
  if (count < 0 || count > 65536) return c.unsupported("an axis whose extent is not known");
  Shape dims = b.shape(x);
  dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
  const auto held = x.rank == 1 ? b.contents(x) : std::nullopt;
  for (int64_t i = 0; i < count; ++i) {
    Tensor part = b.shaped(b.select(x, axis, b.number(i)), dims);
    if (held && i < static_cast<int64_t>(held->size()))
      part = b.holding(part, {(*held)[static_cast<size_t>(i)]});
    c.set(part, static_cast<size_t>(i));
  }
}

void concat(Call& c, std::string_view) {
  const size_t count = c.count();
  if (count < 2) return c.invalid("a concatenation of nothing");
  const bool first = c.op() == "Concat";
  std::vector<Tensor> parts = first ? c.inputs_from(1) : c.inputs_from(0, count - 1);
  const size_t axis = c.axis_in(first ? 0 : count - 1, parts[0].rank);
  for (Tensor& part : parts) part = c.b.cast(part, parts[0].dtype);
  if (!c.failed()) c.set(c.b.concat(parts, axis));
}

void reverse(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  Ints axes;
  if (c.op() == "ReverseV2") {
    axes = c.axes(c.ints_in(1), x.rank);
  } else {
    const Ints flags = c.ints_in(1);
    for (size_t i = 0; i < flags.size(); ++i) {
      if (flags[i] != 0) axes.push_back(static_cast<int64_t>(i));
    }
  }
  if (c.failed() || axes.empty()) return c.set(x);
  const size_t n = axes.size();
  c.set(b.shaped(
      b.op("Slice",
           {x, b.ints(Ints(n, -1)), b.ints(Ints(n, -kEnd)), b.ints(axes), b.ints(Ints(n, -1))}, {},
           {}, x.rank),
      b.shape(x)));
}

void roll(Call& c, std::string_view) {
  Emitter& b = c.b;
  Tensor x = c.in(0);
  const Ints shifts = c.ints_in(1);
  const Ints axes = c.axes(c.ints_in(2), x.rank);
  if (c.failed()) return;
  if (shifts.size() != axes.size()) return c.invalid("shifts of other axes");
  const Shape dims = b.shape(x);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const auto extent = x.extent(axis);
    if (!extent) return c.unsupported("an axis whose extent is not known");
    const int64_t shift = *extent == 0 ? 0 : (shifts[i] % *extent + *extent) % *extent;
    if (shift == 0) continue;
    const Size cut = b.number(*extent - shift);
    const Tensor last = b.slice(x, axis, cut, b.number(*extent));
    x = b.shaped(b.op("Concat", {last, b.slice(x, axis, b.number(0), cut)},
                      {{"axis", static_cast<int64_t>(axis)}}),
                 dims);
  }
  c.set(x);
}

/// y[x[i]] = i.
void invert_permutation(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank != 1) return c.invalid("a permutation that is no list");
  if (const auto known = b.known_ints(x)) {
    Ints out(known->size());
    for (size_t i = 0; i < known->size(); ++i) {
      const int64_t at = (*known)[i];
      if (at < 0 || at >= static_cast<int64_t>(out.size())) return c.invalid("no permutation");
      out[static_cast<size_t>(at)] = static_cast<int64_t>(i);
    }
    return c.set(b.cast(b.ints(out), x.dtype));
  }
  const Tensor places = b.cast(b.range(b.size(x, 0)), x.dtype);
  c.set(b.shaped(b.op("ScatterElements", {x, b.as_i64(x), places}, {{"axis", int64_t{0}}}),
                 b.shape(x)));
}

void reverse_sequence(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const size_t time = c.axis(c.integer("seq_dim", 1), x.rank),
               batch = c.axis(c.integer("batch_dim", 0), x.rank);
  if (c.failed()) return;
  if (time > 1 || batch > 1 || time == batch) return c.unsupported("sequences of such axes");
  c.set(b.shaped(b.op("ReverseSequence", {x, b.as_i64(c.in(1))},
                      {{"time_axis", static_cast<int64_t>(time)},
                       {"batch_axis", static_cast<int64_t>(batch)}}),
                 b.shape(x)));
}

/// Rows added to, or put into, a tensor at indices; those of an axis of places.
void scatter_into(Call& c, const Tensor& base, const Tensor& indices, const Tensor& updates,
                  std::string reduction) {
  Emitter& b = c.b;
  c.set(b.shaped(b.op("ScatterND", {base, b.as_i64(indices), b.cast(updates, base.dtype)},
                      {{"reduction", std::move(reduction)}}, base.dtype, base.rank),
                 b.shape(base)));
}

void scatter_nd(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor updates = c.in(1);
  const auto held = b.contents(c.in(2));
  const auto rank = held ? std::optional<int64_t>(held->size()) : c.in(2).extent(0);
  if (!rank) return c.unsupported("a shape whose length is not known");
  Tensor zeros = b.op("Expand", {b.scalar(updates.dtype, 0), b.as_i64(c.in(2))}, {}, updates.dtype,
                      static_cast<size_t>(*rank));
  if (held) zeros = b.shaped(zeros, *held);
  scatter_into(c, zeros, c.in(0), updates, "add");
}

void tensor_scatter(Call& c, std::string_view ours) {
  scatter_into(c, c.in(0), c.in(1), c.in(2), std::string(ours));
}

void sparse_to_dense(Call& c, std::string_view) {
  Emitter& b = c.b;
  Tensor indices = c.in(0);
  const auto held = b.contents(c.in(1));
  const auto rank = held ? std::optional<int64_t>(held->size()) : c.in(1).extent(0);
  if (!rank) return c.unsupported("a shape whose length is not known");
  Tensor values = c.in(2);
  Tensor base = b.op("Expand", {b.cast(c.in(3), values.dtype), b.as_i64(c.in(1))}, {}, values.dtype,
                     static_cast<size_t>(*rank));
  if (held) base = b.shaped(base, *held);
  if (indices.rank == 0) indices = b.unsqueeze(indices, {0});
  if (indices.rank == 1) indices = b.unsqueeze(indices, {1});
  // One value for all places.
  if (values.rank == 0) {
    const Tensor count = b.pick(b.dims_of(indices), {0});
    values = b.op("Expand", {values, count}, {}, values.dtype, 1);
  }
  scatter_into(c, base, indices, values, "none");
}

constexpr Operator kOperators[] = {
    {"StridedSlice", "Slice, Squeeze, Unsqueeze", strided_slice},
    {"Slice", "Slice", slice},
    {"Gather", "Gather", gather},
    {"GatherV2", "Gather, GatherND", gather},
    {"ResourceGather", "Gather", gather},
    {"GatherNd", "GatherND", gather_nd},
    {"ResourceGatherNd", "GatherND", gather_nd},
    {"Split", "Split", split, "output"},
    {"SplitV", "Split", split_v, "output"},
    {"Pack", "Unsqueeze, Concat", pack},
    {"Stack", "Unsqueeze, Concat", pack},
    {"Unpack", "Gather", unpack, "output"},
    {"Unstack", "Gather", unpack, "output"},
    {"Concat", "Concat", concat},
    {"ConcatV2", "Concat", concat},
    {"Reverse", "Slice", reverse},
    {"ReverseV2", "Slice", reverse},
    {"ReverseSequence", "ReverseSequence", reverse_sequence},
    {"ScatterNd", "ScatterND", scatter_nd},
    {"TensorScatterUpdate", "ScatterND",
     [](Call& c, std::string_view) { tensor_scatter(c, "none"); }},
    {"Roll", "Slice, Concat", roll},
    {"InvertPermutation", "ScatterElements", invert_permutation},
    {"TensorScatterSub", "Neg, ScatterND",
     [](Call& c, std::string_view) {
       scatter_into(c, c.in(0), c.in(1), c.b.unary("Neg", c.in(2)), "add");
     }},
    {"TensorScatterAdd", "ScatterND", [](Call& c, std::string_view) { tensor_scatter(c, "add"); }},
    {"TensorScatterMax", "ScatterND", [](Call& c, std::string_view) { tensor_scatter(c, "max"); }},
    {"TensorScatterMin", "ScatterND", [](Call& c, std::string_view) { tensor_scatter(c, "min"); }},
    {"SparseToDense", "ScatterND", sparse_to_dense},
};

}  // namespace

std::span<const Operator> slice_operators() { return kOperators; }

}  // namespace quern::tensorflow
