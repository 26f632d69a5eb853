// Operators whose result is a view of their input: what is changed in one shows in the other.
#include <limits>

#include "import/torch/operators.h"

namespace quern::torch {

View slice_view(Builder& b, size_t axis, Size start, Size end, int64_t step) {
  const auto forward = [=, &b](const Tensor& x) { return b.slice(x, axis, start, end, step); };
  const auto backward = [=, &b](const Tensor& base, const Tensor& updated) {
    if (step == 1) {
      std::vector<Tensor> parts;
      if (!start.is(0)) parts.push_back(b.slice(base, axis, b.number(0), start));
      parts.push_back(updated);
      if (!end.is(INT64_MAX)) parts.push_back(b.slice(base, axis, end, b.number(INT64_MAX)));
      return parts.size() == 1 ? updated : b.concat(parts, axis);
    }
    // Every step-th: scattered along the first axis.
    const Tensor places = b.slice(b.range(b.size(base, axis)), 0, start, end, step);
    const Tensor x = b.swap(base, 0, axis);
    const Tensor y = b.swap(updated, 0, axis);
    return b.swap(b.op("ScatterND", {x, b.unsqueeze(places, {1}), y}, {}, {}, x.rank), 0, axis);
  };
  return {forward, backward};
}

View select_view(Builder& b, size_t axis, Size index) {
  const auto forward = [=, &b](const Tensor& x) { return b.select(x, axis, index); };
  const auto backward = [=, &b](const Tensor& base, const Tensor& updated) {
    Size from = index;
    if (from.value == nullptr && from.number < 0) {
      from = b.arithmetic("Add", from, b.size(base, axis));
    }
    const Size to = b.arithmetic("Add", from, b.number(1));
    const Tensor row = b.unsqueeze(updated, {static_cast<int64_t>(axis)});
    return slice_view(b, axis, from, to, 1).backward(base, row);
  };
  return {forward, backward};
}

namespace {

/// To a shape; back to the base's.
View reshape_view(Builder& b, std::vector<Size> sizes) {
  return {
      [=, &b](const Tensor& x) { return b.reshape(x, sizes); },
      [&b](const Tensor& base, const Tensor& updated) { return b.reshape_like(updated, base); }};
}

/// The dims of result 0: as numbers where the file knows them, else as the arguments say.
std::vector<Size> result_sizes(Call& c, std::vector<Size> given) {
  const TensorMeta* meta = c.meta();
  if (meta == nullptr || meta->sizes.size() != given.size()) return given;
  size_t unknown = 0;
  for (size_t i = 0; i < given.size(); ++i) {
    if (const auto number = meta->sizes[i].constant()) {
      given[i] = {.number = *number};
    } else {
      ++unknown;
    }
  }
  // With one unknown the count of elements tells it.
  bool has_zero = false;
  for (const Size& size : given) has_zero = has_zero || size.is(0);
  if (unknown == 1 && !has_zero) {
    for (size_t i = 0; i < given.size(); ++i) {
      if (!meta->sizes[i].is_const()) given[i] = {.number = -1};
    }
  }
  return given;
}

void set_reshaped(Call& c, std::vector<Size> sizes) {
  if (c.failed()) return;
  sizes = result_sizes(c, std::move(sizes));
  const TensorMeta* from = c.meta_of(c.tensor_name("self"));
  View view = reshape_view(c.b, std::move(sizes));
  // Of a tensor with gaps a reshape makes a copy.
  const bool is_view = from == nullptr || from->contiguous || c.target().starts_with("aten.view") ||
                       c.target().starts_with("aten.unflatten");
  if (is_view) return c.set_view("self", std::move(view));
  c.set(view.forward(c.tensor("self")));
}

void view(Call& c, std::string_view) { set_reshaped(c, c.sizes(c.has("size") ? "size" : "shape")); }

void view_as(Call& c, std::string_view) { set_reshaped(c, c.b.sizes(c.tensor("other"))); }

/// Bits under another type.
void view_dtype(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const DType dtype = c.dtype("dtype").value_or(x.dtype);
  if (dtype == x.dtype) return c.set_alias("self");
  if (bit_width(dtype) != bit_width(x.dtype)) {
    return c.unsupported(cat("a view of ", name_of(x.dtype), " as ", name_of(dtype)));
  }
  c.set(c.b.op("BitCast", {x}, {{"to", static_cast<int64_t>(dtype)}}, dtype));
}

void flatten(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t first = c.axis("start_dim", x.rank, 0);
  const size_t last = c.axis("end_dim", x.rank, -1);
  if (first > last) return c.invalid("start_dim is after end_dim");
  std::vector<Size> sizes;
  for (size_t i = 0; i < first; ++i) sizes.push_back(c.b.size(x, i));
  Size flat = c.b.number(1);
  if (x.rank > 0) {
    for (size_t i = first; i <= last; ++i) flat = c.b.arithmetic("Mul", flat, c.b.size(x, i));
  }
  sizes.push_back(flat);
  for (size_t i = last + 1; i < x.rank; ++i) sizes.push_back(c.b.size(x, i));
  set_reshaped(c, std::move(sizes));
}

void unflatten(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  std::vector<Size> inner = c.sizes("sizes");
  if (c.failed()) return;
  std::vector<Size> sizes;
  for (size_t i = 0; i < x.rank; ++i) {
    if (i != axis) {
      sizes.push_back(c.b.size(x, i));
    } else {
      sizes.insert(sizes.end(), inner.begin(), inner.end());
    }
  }
  set_reshaped(c, std::move(sizes));
}

void unsqueeze(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const auto axis = static_cast<int64_t>(c.axis("dim", x.rank + 1));
  Builder& b = c.b;
  c.set_view("self", {[=, &b](const Tensor& y) { return b.unsqueeze(y, {axis}); },
                      [=, &b](const Tensor&, const Tensor& y) { return b.squeeze(y, {axis}); }});
}

void squeeze(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  Ints axes;
  for (const int64_t axis : c.has("dim") ? c.axes("dim", x.rank) : c.axes("", x.rank)) {
    // Only dims of 1 go away; symbols are taken to be other than 1, as in torch.export.
    if (x.extent(static_cast<size_t>(axis)) == 1) axes.push_back(axis);
  }
  if (c.failed()) return;
  if (axes.size() != x.rank - c.out_rank()) {
    // An intermediate whose dims are not known here: the file knows them.
    return c.set(c.b.reshape(x, result_sizes(c, std::vector<Size>(c.out_rank()))));
  }
  if (axes.empty()) return c.set_alias("self");
  Builder& b = c.b;
  c.set_view("self", {[=, &b](const Tensor& y) { return b.squeeze(y, axes); },
                      [=, &b](const Tensor&, const Tensor& y) { return b.unsqueeze(y, axes); }});
}

void set_permuted(Call& c, const Ints& perm) {
  if (c.failed()) return;
  Ints inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  Builder& b = c.b;
  c.set_view("self", {[=, &b](const Tensor& x) { return b.permute(x, perm); },
                      [=, &b](const Tensor&, const Tensor& y) { return b.permute(y, inverse); }});
}

Ints identity_permutation(size_t rank) {
  Ints perm;
  for (size_t i = 0; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  return perm;
}

void transpose(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const bool named = c.has("dim0");
  const size_t a = c.axis(named ? "dim0" : "axis0", x.rank);
  const size_t b = c.axis(named ? "dim1" : "axis1", x.rank);
  if (c.failed()) return;
  if (x.rank == 0) return c.set_alias("self");
  Ints perm = identity_permutation(x.rank);
  std::swap(perm[a], perm[b]);
  set_permuted(c, perm);
}

/// t, mT, T: the last two axes, or all of them.
void reversed(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  Ints perm = identity_permutation(x.rank);
  if (c.target().starts_with("aten.numpy_T")) {
    std::ranges::reverse(perm);
  } else if (x.rank > 1) {
    std::swap(perm[x.rank - 1], perm[x.rank - 2]);
  }
  set_permuted(c, perm);
}

bool is_permutation(const Ints& perm) {
  std::vector<bool> seen(perm.size());
  for (const int64_t axis : perm) {
    if (seen[static_cast<size_t>(axis)]) return false;
    seen[static_cast<size_t>(axis)] = true;
  }
  return true;
}

void permute(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Ints perm = c.axes("dims", x.rank);
  if (c.failed()) return;
  if (perm.size() != x.rank || !is_permutation(perm)) {
    return c.invalid("dims is no permutation of the axes");
  }
  set_permuted(c, perm);
}

void move_axes(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Ints from = c.axes("source", x.rank);
  const Ints to = c.axes("destination", x.rank);
  if (c.failed() || x.rank == 0) return c.failed() ? void() : c.set_alias("self");
  if (from.size() != to.size() || from.size() > x.rank) return c.invalid("axes don't match");
  Ints perm(x.rank, -1);
  std::vector<bool> moved(x.rank);
  for (size_t i = 0; i < from.size(); ++i) {
    perm[static_cast<size_t>(to[i])] = from[i];
    moved[static_cast<size_t>(from[i])] = true;
  }
  size_t next = 0;
  for (int64_t& axis : perm) {
    if (axis >= 0) continue;
    while (next < x.rank && moved[next]) ++next;
    if (next == x.rank) return c.invalid("an axis is moved twice");
    axis = static_cast<int64_t>(next++);
  }
  if (!is_permutation(perm)) return c.invalid("an axis is moved twice");
  set_permuted(c, perm);
}

void expand(Call& c, std::string_view) {
  std::vector<Size> sizes = c.is_tensor("other") ? c.b.sizes(c.tensor("other")) : c.sizes("size");
  // -1 keeps the dim; so does 1, by broadcasting.
  for (Size& size : sizes) {
    if (size.is(-1)) size.number = 1;
  }
  Builder& b = c.b;
  c.set_view("self", {[=, &b](const Tensor& x) { return b.expand(x, sizes); }, {}});
}

void slice(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  const Size start = c.size("start", 0);
  const Size end = c.size("end", INT64_MAX);
  const int64_t step = c.integer("step", 1);
  if (step < 1) return c.invalid(cat("step ", step));
  if (start.is(0) && end.is(INT64_MAX) && step == 1) return c.set_alias("self");
  c.set_view("self", slice_view(c.b, axis, start, end, step));
}

void narrow(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  Size start = c.size("start");
  if (start.value == nullptr && start.number < 0) {
    start = c.b.arithmetic("Add", start, c.b.size(x, axis));
  }
  const Size end = c.b.arithmetic("Add", start, c.size("length"));
  c.set_view("self", slice_view(c.b, axis, start, end, 1));
}

void select(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  c.set_view("self", select_view(c.b, axis, c.size("index")));
}

void unbind(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  for (size_t i = 0; i < c.outputs(); ++i) {
    c.set_view("self", select_view(c.b, axis, c.b.number(static_cast<int64_t>(i))), i);
  }
}

/// Parts of equal size, but for the last.
void set_parts(Call& c, size_t axis, const Size& part) {
  Size start = c.b.number(0);
  for (size_t i = 0; i < c.outputs(); ++i) {
    const bool last = i + 1 == c.outputs();
    const Size end = last ? c.b.number(INT64_MAX) : c.b.arithmetic("Add", start, part);
    c.set_view("self", slice_view(c.b, axis, start, end, 1), i);
    start = end;
  }
}

void split(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  set_parts(c, axis, c.size("split_size"));
}

void split_sizes(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  const std::vector<Size> sizes = c.sizes(c.has("split_sizes") ? "split_sizes" : "split_size");
  if (sizes.size() != c.outputs()) return c.invalid("it has another number of parts than sizes");
  Size start = c.b.number(0);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const Size end = c.b.arithmetic("Add", start, sizes[i]);
    c.set_view("self", slice_view(c.b, axis, start, end, 1), i);
    start = end;
  }
}

void chunk(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank, 0);
  const int64_t chunks = c.integer("chunks");
  if (chunks < 1) return c.invalid(cat("chunks ", chunks));
  const Size more = c.b.arithmetic("Add", c.b.size(x, axis), c.b.number(chunks - 1));
  set_parts(c, axis, c.b.arithmetic("Div", more, c.b.number(chunks)));
}

constexpr Operator kOperators[] = {
    {"aten.view", "default", "Reshape", view},
    {"aten.view", "dtype", "BitCast", view_dtype},
    {"aten.reshape", "default", "Reshape", view},
    {"aten._unsafe_view", "default", "Reshape", view},
    {"aten.view_copy", "default", "Reshape", view},
    {"aten._reshape_copy", "default", "Reshape", view},
    {"aten.view_as", "default", "Reshape", view_as},
    {"aten.reshape_as", "default", "Reshape", view_as},
    {"aten.flatten", "using_ints", "Reshape", flatten},
    {"aten.ravel", "default", "Reshape", flatten},
    {"aten.unflatten", "int", "Reshape", unflatten},
    {"aten.unsqueeze", "default", "Unsqueeze", unsqueeze},
    {"aten.unsqueeze_copy", "default", "Unsqueeze", unsqueeze},
    {"aten.squeeze", "default dim dims", "Squeeze", squeeze},
    {"aten.squeeze_copy", "default dim dims", "Squeeze", squeeze},
    {"aten.transpose", "int", "Transpose", transpose},
    {"aten.transpose_copy", "int", "Transpose", transpose},
    {"aten.swapaxes", "default", "Transpose", transpose},
    {"aten.swapdims", "default", "Transpose", transpose},
    {"aten.t", "default", "Transpose", reversed},
    {"aten.t_copy", "default", "Transpose", reversed},
    {"aten.mT", "default", "Transpose", reversed},
    {"aten.numpy_T", "default", "Transpose", reversed},
    {"aten.permute", "default", "Transpose", permute},
    {"aten.permute_copy", "default", "Transpose", permute},
    {"aten.movedim", "int intlist", "Transpose", move_axes},
    {"aten.moveaxis", "int intlist", "Transpose", move_axes},
    {"aten.expand", "default", "Expand", expand},
    {"aten.expand_copy", "default", "Expand", expand},
    {"aten.expand_as", "default", "Expand", expand},
    {"aten.broadcast_to", "default", "Expand", expand},
    {"aten.slice", "Tensor", "Slice", slice},
    {"aten.slice_copy", "Tensor", "Slice", slice},
    {"aten.narrow", "default", "Slice", narrow},
    {"aten.narrow_copy", "default", "Slice", narrow},
    {"aten.select", "int", "Gather", select},
    {"aten.select_copy", "int", "Gather", select},
    {"aten.unbind", "int", "Gather", unbind},
    {"aten.unbind_copy", "int", "Gather", unbind},
    {"aten.split", "Tensor", "Slice", split},
    {"aten.split", "sizes", "Slice", split_sizes},
    {"aten.split_copy", "Tensor", "Slice", split},
    {"aten.unsafe_split", "Tensor", "Slice", split},
    {"aten.split_with_sizes", "default", "Slice", split_sizes},
    {"aten.split_with_sizes_copy", "default", "Slice", split_sizes},
    {"aten.unsafe_split_with_sizes", "default", "Slice", split_sizes},
    {"aten.chunk", "default", "Slice", chunk},
    {"aten.unsafe_chunk", "default", "Slice", chunk},
};

}  // namespace

std::span<const Operator> view_operators() { return kOperators; }

}  // namespace quern::torch
