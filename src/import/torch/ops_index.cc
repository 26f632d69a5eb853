// Operators that read and write by indices, and those that give them.
#include <algorithm>

#include "import/torch/operators.h"

namespace quern::torch {
namespace {

void gather(Call& c, std::string_view) {
  Tensor x = c.tensor("self");
  const Tensor index = c.b.cast(c.tensor("index"), DType::kI64);
  const size_t axis = c.axis("dim", x.rank);
  if (x.rank == 0 && index.rank == 0) return c.set(c.b.op("Identity", {x}));
  if (index.rank != x.rank) return c.invalid("index and self differ in rank");
  // The index may be smaller along the other axes.
  for (size_t i = 0; i < x.rank; ++i) {
    const auto own = x.dim(i);
    const auto wanted = index.dim(i);
    if (i != axis && !(own && wanted && *own == *wanted)) {
      x = c.b.slice(x, i, c.b.number(0), c.b.size(index, i));
    }
  }
  c.set(c.b.op("GatherElements", {x, index}, {{"axis", static_cast<int64_t>(axis)}}, x.dtype,
               x.rank));
}

void index_select(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const size_t axis = c.axis("dim", x.rank);
  Tensor index = c.tensor("index");
  if (index.rank == 0) index = c.b.unsqueeze(index, {0});
  c.set(c.b.op("Gather", {x, index}, {{"axis", static_cast<int64_t>(axis)}}, x.dtype, x.rank));
}

void embedding(Call& c, std::string_view) {
  const Tensor weight = c.tensor("weight");
  const Tensor indices = c.tensor("indices");
  c.set(c.b.op("Gather", {weight, indices}, {}, weight.dtype, indices.rank + weight.rank - 1));
}

/// What an index expression x[i, :, mask] comes to: integer tensors of one shape, and the axes that
/// they index.
struct Places {
  std::vector<size_t> axes;
  std::vector<Tensor> tensors;
  size_t rank = 0;  ///< of the tensors
};

Places read_places(Call& c, const Tensor& x) {
  Places places;
  size_t axis = 0;
  for (const Tensor& index : c.tensors("indices")) {
    if (!index) {
      ++axis;
      continue;
    }
    if (index.dtype == DType::kBool || index.dtype == DType::kU8) {
      // A mask of k axes stands for k lists of places.
      const size_t count = std::max<size_t>(index.rank, 1);
      const Tensor lists = c.b.op("NonZero", {c.b.cast(index, DType::kBool)}, {}, DType::kI64, 2);
      for (size_t i = 0; i < count; ++i) {
        places.axes.push_back(axis++);
        places.tensors.push_back(c.b.select(lists, 0, c.b.number(static_cast<int64_t>(i))));
      }
      if (index.rank == 0) c.unsupported("an index that is one bool");
      continue;
    }
    places.axes.push_back(axis++);
    places.tensors.push_back(c.b.cast(index, DType::kI64));
  }
  if (axis > x.rank) c.invalid(cat(axis, " indices of a tensor of rank ", x.rank));
  for (const Tensor& index : places.tensors) places.rank = std::max(places.rank, index.rank);
  return places;
}

/// All of them in one tensor, for GatherND: [shape of the places..., axes].
Tensor joined(Builder& b, const Places& places) {
  Tensor zeros;
  if (places.tensors.size() > 1) {
    for (const Tensor& index : places.tensors) {
      const Tensor zero = b.op("Mul", {index, b.integer(0)});
      zeros = zeros ? b.op("Add", {zeros, zero}) : zero;
    }
  }
  std::vector<Tensor> parts;
  for (const Tensor& index : places.tensors) {
    const Tensor wide = zeros ? b.op("Add", {index, zeros}) : index;
    parts.push_back(b.unsqueeze(wide, {static_cast<int64_t>(places.rank)}));
  }
  return b.concat(parts, places.rank);
}

/// The indexed axes first.
Ints axes_first(const Places& places, size_t rank) {
  Ints perm;
  for (const size_t axis : places.axes) perm.push_back(static_cast<int64_t>(axis));
  for (size_t i = 0; i < rank; ++i) {
    if (std::ranges::find(places.axes, i) == places.axes.end()) {
      perm.push_back(static_cast<int64_t>(i));
    }
  }
  return perm;
}

bool is_identity(const Ints& perm) { return std::ranges::is_sorted(perm); }

/// Where the places' axes are in the result: where the first indexed axis was if those lie
/// together, else in front.
size_t place_of(const Places& places) {
  for (size_t i = 1; i < places.axes.size(); ++i) {
    if (places.axes[i] != places.axes[i - 1] + 1) return 0;
  }
  return places.axes[0];
}

void index(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Places places = read_places(c, x);
  if (c.failed()) return;
  if (places.axes.empty()) return c.set(c.b.op("Identity", {x}));
  const size_t rank = x.rank - places.axes.size() + places.rank;
  if (places.axes.size() == 1) {
    return c.set(c.b.op("Gather", {x, places.tensors[0]},
                        {{"axis", static_cast<int64_t>(places.axes[0])}}, x.dtype, rank));
  }
  const Ints perm = axes_first(places, x.rank);
  const Tensor moved = is_identity(perm) ? x : c.b.permute(x, perm);
  Tensor result = c.b.op("GatherND", {moved, joined(c.b, places)}, {}, x.dtype, rank);
  const size_t at = place_of(places);
  if (at > 0) {
    // [places, before, after] to [before, places, after].
    Ints back;
    for (size_t i = 0; i < at; ++i) back.push_back(static_cast<int64_t>(places.rank + i));
    for (size_t i = 0; i < places.rank; ++i) back.push_back(static_cast<int64_t>(i));
    for (size_t i = places.rank + at; i < rank; ++i) back.push_back(static_cast<int64_t>(i));
    result = c.b.permute(result, back);
  }
  c.set(result);
}

Ints inverse_of(const Ints& perm) {
  Ints inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return inverse;
}

void index_put(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor values = c.b.cast(c.tensor("values"), x.dtype);
  const bool accumulate = c.flag("accumulate", false);
  const std::vector<Tensor> given = c.tensors("indices");
  if (c.failed()) return;
  // One mask and one value.
  if (given.size() == 1 && given[0].dtype == DType::kBool && values.rank == 0 && !accumulate) {
    Tensor mask = given[0];
    Ints axes;
    for (size_t i = mask.rank; i < x.rank; ++i) axes.push_back(static_cast<int64_t>(i));
    if (!axes.empty()) mask = c.b.unsqueeze(mask, axes);
    return c.set(c.b.op("Where", {mask, values, x}, {}, x.dtype));
  }
  const Places places = read_places(c, x);
  if (c.failed()) return;
  if (places.axes.empty()) return c.unsupported("no index at all");
  const Ints perm = axes_first(places, x.rank);
  const size_t at = place_of(places);
  const Tensor moved = is_identity(perm) ? x : c.b.permute(x, perm);
  const Tensor where = joined(c.b, places);
  const size_t rest = x.rank - places.axes.size();
  Tensor updates = values;
  if (at > 0 && updates.rank > rest - std::min(rest, at)) {
    // Values have the places where indexing would have put them.
    while (updates.rank < rest + places.rank) updates = c.b.unsqueeze(updates, {0});
    Ints forward;
    for (size_t i = 0; i < places.rank; ++i) forward.push_back(static_cast<int64_t>(at + i));
    for (size_t i = 0; i < at; ++i) forward.push_back(static_cast<int64_t>(i));
    for (size_t i = at + places.rank; i < updates.rank; ++i) {
      forward.push_back(static_cast<int64_t>(i));
    }
    if (forward.size() != updates.rank) return c.invalid("values of another rank");
    updates = c.b.permute(updates, forward);
  }
  std::vector<Size> sizes;
  for (size_t i = 0; i < places.rank; ++i) sizes.push_back(c.b.size(where, i));
  for (size_t i = places.axes.size(); i < x.rank; ++i) {
    sizes.push_back(c.b.size(x, static_cast<size_t>(perm[i])));
  }
  updates = c.b.expand(updates, sizes);
  const Tensor result =
      c.b.op("ScatterND", {moved, where, updates},
             {{"reduction", std::string(accumulate ? "add" : "none")}}, x.dtype, x.rank);
  c.set(is_identity(perm) ? result : c.b.permute(result, inverse_of(perm)));
}

std::string reduction_of(std::string_view name) {
  if (name == "sum" || name == "add") return "add";
  if (name == "prod" || name == "multiply") return "mul";
  if (name == "amax") return "max";
  return name == "amin" ? "min" : "none";
}

void scatter(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor index = c.b.cast(c.tensor("index"), DType::kI64);
  const size_t axis = c.axis("dim", x.rank);
  std::string_view reduce = c.text("reduce", "");
  if (c.target().starts_with("aten.scatter_add")) reduce = "sum";
  if (reduce == "mean" || !c.flag("include_self", true)) {
    return c.unsupported("reduce 'mean', or without self");
  }
  if (c.failed()) return;
  if (index.rank != x.rank || x.rank == 0) return c.unsupported("index and self of other ranks");
  Tensor source;
  if (c.has("src")) {
    source = c.b.cast(c.tensor("src"), x.dtype);
    for (size_t i = 0; i < x.rank && i < source.rank; ++i) {
      const auto own = source.dim(i);
      const auto wanted = index.dim(i);
      if (!(own && wanted && *own == *wanted)) {
        source = c.b.slice(source, i, c.b.number(0), c.b.size(index, i));
      }
    }
  } else {
    source = c.b.expand_like(c.operand("value", x.dtype), index);
  }
  c.set(c.b.op("ScatterElements", {x, index, source},
               {{"axis", static_cast<int64_t>(axis)}, {"reduction", reduction_of(reduce)}}, x.dtype,
               x.rank));
}

/// Whole slices along an axis: index_add, index_copy, index_fill.
void index_write(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  Tensor index = c.b.cast(c.tensor("index"), DType::kI64);
  const size_t axis = c.axis("dim", x.rank);
  if (c.failed() || x.rank == 0) return c.unsupported("a tensor of rank 0");
  if (index.rank == 0) index = c.b.unsqueeze(index, {0});
  const Tensor moved = c.b.swap(x, 0, axis);
  const bool add = c.target().starts_with("aten.index_add");
  Tensor updates;
  if (c.has("source")) {
    updates = c.b.swap(c.b.cast(c.tensor("source"), x.dtype), 0, axis);
    if (add && c.number("alpha", 1) != 1) {
      updates = c.b.op("Mul", {updates, c.operand("alpha", x.dtype)});
    }
  } else {
    std::vector<Size> sizes = c.b.sizes(moved);
    sizes[0] = c.b.size(index, 0);
    updates = c.b.expand(c.operand("value", x.dtype), sizes);
  }
  const Tensor result = c.b.op("ScatterND", {moved, c.b.unsqueeze(index, {1}), updates},
                               {{"reduction", std::string(add ? "add" : "none")}}, x.dtype, x.rank);
  c.set(c.b.swap(result, 0, axis));
}

void nonzero(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor lists = c.b.op("NonZero", {x}, {}, DType::kI64, 2);
  if (c.target() == "aten.nonzero_numpy.default") {
    for (size_t i = 0; i < c.outputs(); ++i) {
      c.set(c.b.select(lists, 0, c.b.number(static_cast<int64_t>(i))), i);
    }
    return;
  }
  c.set(c.b.permute(lists, {1, 0}));
}

void masked_select(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor mask = c.b.cast(c.tensor("mask"), DType::kBool);
  // Both take the shape of both.
  const Tensor shape = c.b.op("And", {mask, c.b.op("Equal", {x, x}, {}, DType::kBool)});
  const Tensor everywhere = c.b.op("Or", {mask, shape});
  const Tensor wide = c.b.op("Where", {everywhere, x, x}, {}, x.dtype);
  const Tensor lists = c.b.op("NonZero", {everywhere}, {}, DType::kI64, 2);
  c.set(c.b.op("GatherND", {wide, c.b.permute(lists, {1, 0})}, {}, x.dtype, 1));
}

void set_sorted(Call& c, const Size& count, size_t axis, bool largest, size_t values,
                size_t indices) {
  const Tensor x = c.tensor("self");
  if (c.failed()) return;
  const auto results = c.b.ops(
      "TopK", {x, c.b.list(count)}, 2,
      {{"axis", static_cast<int64_t>(axis)}, {"largest", int64_t{largest}}}, x.dtype, x.rank);
  if (c.failed()) return;
  Tensor places = results[1];
  places.dtype = DType::kI64;
  places.value->type.dtype = DType::kI64;
  if (values != SIZE_MAX) c.set(results[0], values);
  c.set(places, indices);
}

void topk(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  if (x.rank == 0) return c.unsupported("a tensor of rank 0");
  set_sorted(c, c.size("k"), c.axis("dim", x.rank, -1), c.flag("largest", true), 0, 1);
}

void sort(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  if (x.rank == 0) return c.unsupported("a tensor of rank 0");
  const size_t axis = c.axis("dim", x.rank, -1);
  const bool only_places = c.target().starts_with("aten.argsort");
  set_sorted(c, c.b.size(x, axis), axis, c.flag("descending", false), only_places ? SIZE_MAX : 0,
             only_places ? 0 : 1);
}

/// How many boundaries lie before a value.
void bucketize(Call& c, std::string_view) {
  const Tensor x = c.tensor("self");
  const Tensor bounds = c.b.cast(c.tensor("boundaries"), x.dtype);
  const Tensor before = c.b.op(c.flag("right", false) ? "LessOrEqual" : "Less",
                               {bounds, c.b.unsqueeze(x, {static_cast<int64_t>(x.rank)})}, {},
                               DType::kBool, x.rank + 1);
  c.set(c.b.reduce("ReduceSum", c.b.cast(before, DType::kI64), {static_cast<int64_t>(x.rank)},
                   false));
}

constexpr Operator kOperators[] = {
    {"aten.gather", "default", "GatherElements", gather},
    {"aten.index_select", "default", "Gather", index_select},
    {"aten.embedding", "default", "Gather", embedding},
    {"aten.index", "Tensor", "Gather, GatherND", index},
    {"aten._unsafe_index", "Tensor", "Gather, GatherND", index},
    {"aten.index_put", "default", "ScatterND", index_put},
    {"aten._unsafe_index_put", "default", "ScatterND", index_put},
    {"aten.scatter", "src value reduce value_reduce", "ScatterElements", scatter},
    {"aten.scatter_add", "default", "ScatterElements", scatter},
    {"aten.scatter_reduce", "two", "ScatterElements", scatter},
    {"aten.index_add", "default", "ScatterND", index_write},
    {"aten.index_copy", "default", "ScatterND", index_write},
    {"aten.index_fill", "int_Scalar int_Tensor", "ScatterND", index_write},
    {"aten.nonzero", "default", "NonZero", nonzero},
    {"aten.nonzero_numpy", "default", "NonZero", nonzero},
    {"aten.masked_select", "default", "NonZero, GatherND", masked_select},
    {"aten.topk", "default", "TopK", topk},
    {"aten.sort", "default stable", "TopK", sort},
    {"aten.argsort", "default stable", "TopK", sort},
    {"aten.bucketize", "Tensor", "Less, ReduceSum", bucketize},
};

}  // namespace

std::span<const Operator> index_operators() { return kOperators; }

}  // namespace quern::torch
