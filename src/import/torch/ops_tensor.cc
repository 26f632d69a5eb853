// Operators that put tensors together and move elements, in storages of their own.
#include <algorithm>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

/// torch.cat leaves out tensors of shape [0], whatever the rank of the others.
bool is_nothing(const Tensor& x) { return x.rank == 1 && x.extent(0) == 0; }

void concat(Call& c, std::string_view) {
  std::vector<Tensor> parts;
  size_t rank = 0;
  const std::vector<Tensor> given = c.tensors("tensors");
  for (const Tensor& x : given) {
    if (is_nothing(x)) continue;
    parts.push_back(c.b.cast(x, c.out_dtype()));
    rank = x.rank;
  }
  if (parts.empty() && !given.empty()) return c.set(c.b.op("Identity", {given[0]}));
  const size_t axis = c.axis("dim", rank, 0);
  if (c.failed()) return;
  c.set(parts.size() == 1 ? c.b.op("Identity", {parts[0]}) : c.b.concat(parts, axis));
}

void stack(Call& c, std::string_view) {
  std::vector<Tensor> parts = c.tensors("tensors");
  if (c.failed()) return;
  const size_t axis = c.axis("dim", parts[0].rank + 1, 0);
  for (Tensor& x : parts) {
    x = c.b.unsqueeze(c.b.cast(x, c.out_dtype()), {static_cast<int64_t>(axis)});
  }
  c.set(c.b.concat(parts, axis));
}

void repeat(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  std::vector<Size> counts = c.sizes(c.has("repeats") ? "repeats" : "dims");
  if (c.failed()) return;
  while (counts.size() < x.rank) counts.insert(counts.begin(), c.b.number(1));
  std::vector<Size> sizes(counts.size() - x.rank, c.b.number(1));
  const std::vector<Size> own = c.b.sizes(x);
  sizes.insert(sizes.end(), own.begin(), own.end());
  const Tensor wide = sizes.size() == x.rank ? x : c.b.reshape(x, sizes);
  c.set(c.b.op("Tile", {wide, c.b.list(counts)}, {}, {}, counts.size()));
}

/// Every element of an axis several times in a row.
void repeat_interleave(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const Size repeats = c.size("repeats");
  if (!c.has("dim")) x = c.b.reshape(x, Ints{-1});
  const size_t axis = c.axis("dim", x.rank, 0);
  if (c.failed()) return;
  std::vector<Size> sizes = c.b.sizes(x);
  const Tensor apart = c.b.unsqueeze(x, {static_cast<int64_t>(axis) + 1});
  std::vector<Size> wide(apart.rank, c.b.number(1));
  wide[axis + 1] = repeats;
  const Tensor wider = c.b.expand(apart, wide);
  sizes[axis] = c.b.arithmetic("Mul", sizes[axis], repeats);
  c.set(c.b.reshape(wider, sizes));
}

void roll(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const std::vector<Size> shifts = c.has("shifts") && c.argument("shifts").contains("as_int")
                                       ? std::vector{c.size("shifts")}
                                       : c.sizes("shifts");
  Ints axes = c.has("dims") ? c.ints("dims") : Ints{};
  const std::vector<Size> own = c.b.sizes(x);
  const bool flat = axes.empty();
  if (flat) {
    x = c.b.reshape(x, Ints{-1});
    axes = {0};
  }
  if (axes.size() != shifts.size()) return c.invalid("shifts and dims differ in number");
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t count = static_cast<int64_t>(x.rank);
    if (axes[i] < -count || axes[i] >= count) return c.invalid(cat("axis ", axes[i]));
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + count : axes[i]);
    const Size extent = c.b.size(x, axis);
    if (extent.is(0)) continue;
    const Size by = c.b.arithmetic("Mod", shifts[i], extent);
    if (by.is(0)) continue;
    const Size at = c.b.arithmetic("Sub", extent, by);
    x = c.b.concat(
        {c.b.slice(x, axis, at, c.b.number(INT64_MAX)), c.b.slice(x, axis, c.b.number(0), at)},
        axis);
    // The next axis' extent is known as before.
    x.value->type.shape = Shape();
    for (const Size& size : own) {
      if (size.value != nullptr || flat) x.value->type.shape.reset();
      if (!x.value->type.shape) break;
      x.value->type.shape->push_back(size.number);
    }
  }
  c.set(flat ? c.b.reshape(x, own) : c.b.op("Identity", {x}));
}

void flip(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const Ints axes = c.has("dims") ? c.axes("dims", x.rank) : Ints{};
  if (c.failed() || axes.empty()) return c.set(c.b.op("Identity", {x}));
  const size_t count = axes.size();
  c.set(c.b.op("Slice",
               {x, c.b.ints(Ints(count, -1)), c.b.ints(Ints(count, INT64_MIN)), c.b.ints(axes),
                c.b.ints(Ints(count, -1))},
               {}, {}, x.rank));
}

void triangle(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const bool upper = c.target().starts_with("aten.triu");
  c.set(c.b.op("Trilu", {x, c.b.integer(c.integer("diagonal", 0))}, {{"upper", int64_t{upper}}}, {},
               x.rank));
}

/// PyTorch's pads are pairs from the last axis to the first.
void set_padded(Call& c, const Tensor& x, const std::vector<Size>& pads, std::string mode,
                const Tensor& value) {
  if (c.failed()) return;
  if (pads.size() % 2 != 0 || pads.size() / 2 > x.rank) {
    return c.invalid(cat(pads.size(), " pads for a tensor of rank ", x.rank));
  }
  std::vector<Size> begins, ends;
  Ints axes;
  for (size_t i = pads.size() / 2; i-- > 0;) {
    begins.push_back(pads[2 * i]);
    ends.push_back(pads[2 * i + 1]);
    axes.push_back(static_cast<int64_t>(x.rank - 1 - i));
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  c.set(c.b.op("Pad", {x, c.b.list(begins), value, c.b.ints(axes)}, {{"mode", std::move(mode)}}, {},
               x.rank));
}

void pad(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  std::string mode(c.text("mode", "constant"));
  const std::string_view target = c.target();
  if (target.find("reflect") != target.npos) mode = "reflect";
  if (target.find("replication") != target.npos) mode = "replicate";
  if (target.find("circular") != target.npos) mode = "circular";
  if (mode == "replicate") mode = "edge";
  if (mode == "circular") mode = "wrap";
  const std::vector<Size> pads = c.sizes(c.has("padding") ? "padding" : "pad");
  const Tensor value = mode == "constant" && c.has("value") ? c.operand("value", x.dtype)
                       : mode == "constant"                 ? c.b.scalar(x.dtype, 0)
                                                            : Tensor();
  set_padded(c, x, pads, std::move(mode), value);
}

void one_hot(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Size classes = c.size("num_classes", -1);
  if (classes.is(-1)) return c.unsupported("num_classes that depends on the values");
  const Tensor values = c.b.ints({0, 1});
  c.set(c.b.op("OneHot", {x, c.b.scalar_of(classes), values}, {{"axis", int64_t{-1}}}, DType::kI64,
               x.rank + 1));
}

void meshgrid(Call& c, std::string_view) {
  std::vector<Tensor> axes = c.tensors("tensors");
  if (c.failed()) return;
  const bool xy = c.text("indexing", "ij") == "xy" && axes.size() > 1;
  const size_t rank = axes.size();
  std::vector<Size> sizes;
  for (const Tensor& x : axes) {
    sizes.push_back(x.rank == 0 ? c.b.number(1) : c.b.size(x, 0));
  }
  if (xy) std::swap(sizes[0], sizes[1]);
  for (size_t i = 0; i < rank; ++i) {
    const size_t along = xy && i < 2 ? 1 - i : i;
    Ints dims(rank, 1);
    dims[along] = -1;
    c.set(c.b.expand(c.b.reshape(axes[i], dims), sizes), i);
  }
}

/// Windows of an axis, those of a window in a new last axis.
void unfold(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dimension", x.rank);
  const int64_t size = c.integer("size");
  const int64_t step = c.integer("step");
  if (c.failed()) return;
  if (size < 0 || step < 1) return c.invalid(cat("size ", size, ", step ", step));
  const auto extent = static_cast<int64_t>(axis);
  const Size span = c.b.arithmetic("Sub", c.b.size(x, axis), c.b.number(size - step));
  const Size windows = c.b.arithmetic("Div", span, c.b.number(step));
  const Tensor starts = c.b.unsqueeze(c.b.op("Mul", {c.b.range(windows), c.b.integer(step)}), {1});
  const Tensor places = c.b.op("Add", {starts, c.b.range(c.b.number(size))}, {}, DType::kI64, 2);
  const Tensor parts = c.b.op("Gather", {x, places}, {{"axis", extent}}, {}, x.rank + 1);
  Ints perm;
  for (size_t i = 0; i < parts.rank; ++i) {
    if (i != axis + 1) perm.push_back(static_cast<int64_t>(i));
  }
  perm.push_back(static_cast<int64_t>(axis) + 1);
  c.set(c.b.permute(parts, perm));
}

/// The diagonal of two axes, as a new last one.
void diagonal(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const int64_t offset = c.integer("offset", 0);
  const size_t first = c.axis("dim1", x.rank, 0);
  const size_t second = c.axis("dim2", x.rank, 1);
  if (c.failed()) return;
  if (x.rank < 2 || first == second) return c.invalid("two axes are wanted");
  const Size rows = c.b.size(x, first);
  const Size columns = c.b.size(x, second);
  if (rows.value != nullptr || columns.value != nullptr) {
    return c.unsupported("dims that are not known");
  }
  const int64_t down = std::max<int64_t>(-offset, 0);
  const int64_t right = std::max<int64_t>(offset, 0);
  const int64_t count = std::max<int64_t>(std::min(rows.number - down, columns.number - right), 0);
  if (count > (1 << 20)) return c.unsupported(cat("a diagonal of ", count));
  Ints perm;
  for (size_t i = 0; i < x.rank; ++i) {
    if (i != first && i != second) perm.push_back(static_cast<int64_t>(i));
  }
  perm.push_back(static_cast<int64_t>(first));
  perm.push_back(static_cast<int64_t>(second));
  const Tensor moved = c.b.permute(x, perm);
  std::vector<Size> sizes;
  for (size_t i = 0; i + 2 < x.rank; ++i) {
    sizes.push_back(c.b.size(x, static_cast<size_t>(perm[i])));
  }
  sizes.push_back(c.b.number(rows.number * columns.number));
  Ints places;
  for (int64_t i = 0; i < count; ++i) places.push_back((i + down) * columns.number + i + right);
  c.set(c.b.op("Gather", {c.b.reshape(moved, sizes), c.b.ints(places)}, {{"axis", int64_t{-1}}}, {},
               x.rank - 1));
}

/// Any strides over a dense tensor, by the place of each element.
void as_strided(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Ints sizes = c.ints("size");
  const Ints strides = c.ints("stride");
  const int64_t offset = c.integer("storage_offset", 0);
  const TensorMeta* meta = c.meta_of(c.tensor_name("self"));
  if (c.failed()) return;
  if (sizes.size() != strides.size()) return c.invalid("size and stride differ in number");
  if (meta == nullptr || !meta->contiguous || meta->storage_offset.value_or(0) != 0) {
    return c.unsupported("strides over a tensor that is not dense");
  }
  Ints places = {offset};
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] < 0 || static_cast<int64_t>(places.size()) > (1 << 20) / (sizes[axis] + 1)) {
      return c.unsupported("that many elements by strides");
    }
    Ints next;
    for (const int64_t place : places) {
      for (int64_t i = 0; i < sizes[axis]; ++i) {
        int64_t step = 0;
        if (__builtin_mul_overflow(i, strides[axis], &step) ||
            __builtin_add_overflow(step, place, &step)) {
          return c.invalid("strides overflow");
        }
        next.push_back(step);
      }
    }
    places = std::move(next);
  }
  const Tensor flat = c.b.reshape(x, Ints{-1});
  c.set(c.b.reshape(c.b.op("Gather", {flat, c.b.ints(places)}, {}, {}, 1), sizes));
}

void slice_scatter(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  const View view =
      slice_view(c.b, axis, c.size("start", 0), c.size("end", INT64_MAX), c.integer("step", 1));
  c.set(view.backward(x, c.b.cast(c.tensor("src"), x.dtype)));
}

void select_scatter(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  c.set(select_view(c.b, axis, c.size("index")).backward(x, c.b.cast(c.tensor("src"), x.dtype)));
}

constexpr Operator kOperators[] = {
    {"aten.cat", "default", "Concat", concat},
    {"aten.concat", "default", "Concat", concat},
    {"aten.concatenate", "default", "Concat", concat},
    {"aten.stack", "default", "Unsqueeze, Concat", stack},
    {"aten.repeat", "default", "Tile", repeat},
    {"aten.tile", "default", "Tile", repeat},
    {"aten.repeat_interleave", "self_int", "Expand, Reshape", repeat_interleave},
    {"aten.roll", "default", "Slice, Concat", roll},
    {"aten.flip", "default", "Slice", flip},
    {"aten.tril", "default", "Trilu", triangle},
    {"aten.triu", "default", "Trilu", triangle},
    {"aten.pad", "default", "Pad", pad},
    {"aten.constant_pad_nd", "default", "Pad", pad},
    {"aten.reflection_pad1d", "default", "Pad", pad},
    {"aten.reflection_pad2d", "default", "Pad", pad},
    {"aten.reflection_pad3d", "default", "Pad", pad},
    {"aten.replication_pad1d", "default", "Pad", pad},
    {"aten.replication_pad2d", "default", "Pad", pad},
    {"aten.replication_pad3d", "default", "Pad", pad},
    {"aten._pad_circular", "default", "Pad", pad},
    {"aten.one_hot", "default", "OneHot", one_hot},
    {"aten.meshgrid", "default indexing", "Expand", meshgrid},
    {"aten.unfold", "default", "Gather", unfold},
    {"aten.unfold_copy", "default", "Gather", unfold},
    {"aten.diagonal", "default", "Gather", diagonal},
    {"aten.diagonal_copy", "default", "Gather", diagonal},
    {"aten.as_strided", "default", "Gather", as_strided},
    {"aten.as_strided_copy", "default", "Gather", as_strided},
    {"aten.slice_scatter", "default", "Slice, Concat", slice_scatter},
    {"aten.select_scatter", "default", "Slice, Concat", select_scatter},
};

}  // namespace

std::span<const Operator> tensor_operators() { return kOperators; }

}  // namespace quern::torch
