// What makes tensors of nothing, and what looks for elements.
#include <algorithm>

#include "import/tensorflow/operators.h"

namespace quern::tensorflow {
namespace {

Tensor filled(Call& c, const Tensor& sizes, const Tensor& value) {
  Emitter& b = c.b;
  const auto held = b.contents(sizes);
  const auto rank = held ? std::optional<int64_t>(held->size()) : sizes.extent(0);
  if (!rank || *rank < 0) {
    c.unsupported("a shape whose length is not known");
    return value;
  }
  const Tensor y =
      b.op("Expand", {value, b.as_i64(sizes)}, {}, value.dtype, static_cast<size_t>(*rank));
  return held ? b.shaped(y, *held) : y;
}

void fill(Call& c, std::string_view) {
  const Tensor y = filled(c, c.in(0), c.in(1));
  const auto value = c.b.contents(c.in(1));
  const auto count = y.extent(0);
  if (value && value->size() == 1 && y.rank == 1 && count && *count >= 0 && *count < 64) {
    return c.set(c.b.holding(y, std::vector<Dim>(static_cast<size_t>(*count), (*value)[0])));
  }
  c.set(y);
}

void zeros(Call& c, std::string_view) {
  const double value = c.op() == "Ones" ? 1 : 0;
  c.set(filled(c, c.in(0), c.b.scalar(c.type("dtype", c.type("T", DType::kF32)), value)));
}

void range(Call& c, std::string_view) {
  Emitter& b = c.b;
  const auto [start, limit] = c.pair();
  const Tensor step = b.cast(c.in(2), start.dtype);
  Tensor y = b.op("Range", {start, limit, step}, {}, start.dtype, 1);
  const auto from = b.known_ints(start), to = b.known_ints(limit), by = b.known_ints(step);
  if (from && to && by && from->size() == 1 && to->size() == 1 && by->size() == 1 &&
      (*by)[0] != 0) {
    const int64_t first = (*from)[0], last = (*to)[0], stride = (*by)[0];
    std::vector<Dim> held;
    for (int64_t i = first; (stride > 0 ? i < last : i > last) && held.size() < 4096; i += stride)
      held.emplace_back(i);
    if (held.size() < 4096)
      return c.set(b.holding(b.shaped(y, {static_cast<int64_t>(held.size())}), held));
  } else if (const auto end = b.contents(limit);
             from && by && end && (*from)[0] == 0 && (*by)[0] == 1 && end->size() == 1) {
    return c.set(b.shaped(y, {(*end)[0]}));
  }
  c.set(b.shaped(y, {b.unknown()}));
}

void linspace(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor start = c.in(0), stop = c.in(1);
  const int64_t count = c.int_in(2);
  if (c.failed()) return;
  if (count < 1 || count > (1 << 24)) return c.invalid(cat(count, " numbers"));
  std::vector<float> places;
  for (int64_t i = 0; i < count; ++i) {
    places.push_back(
        count == 1 ? 0.F
                   : static_cast<float>(static_cast<double>(i) / static_cast<double>(count - 1)));
  }
  const Tensor t = b.cast(b.constant(HostTensor::of_floats({count}, places)), start.dtype);
  c.set(b.shaped(
      b.op("Add", {start, b.op("Mul", {b.op("Sub", {stop, start}), t}, {}, {}, 1)}, {}, {}, 1),
      {count}));
}

void one_hot(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor indices = c.in(0);
  const auto [on, off] = c.pair(2);
  if (indices.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const int64_t axis = c.integer("axis", -1);
  const Tensor values = b.concat({b.reshape_ints(off, {1}), b.reshape_ints(on, {1})}, 0);
  // Indices below zero count from the end in ONNX; in TensorFlow they hit nothing.
  const Tensor depth = b.reshape_ints(c.in(1), {});
  const Tensor negative = b.binary("Less", indices, b.number_like(indices, 0), DType::kBool);
  const Tensor safe = b.where(negative, b.cast(depth, indices.dtype), indices);
  Shape dims = b.shape(indices);
  const auto held = b.contents(c.in(1));
  const auto at = static_cast<size_t>(axis < 0 ? static_cast<int64_t>(dims.size()) : axis);
  if (at > dims.size()) return c.invalid(cat("axis ", axis));
  dims.insert(dims.begin() + static_cast<ptrdiff_t>(at),
              held && held->size() == 1 ? (*held)[0] : b.unknown());
  c.set(b.shaped(b.op("OneHot", {safe, depth, values}, {{"axis", axis}}, on.dtype, dims.size()),
                 dims));
}

void random(Call& c, std::string_view ours) {
  Emitter& b = c.b;
  const DType dtype = c.type("dtype", DType::kF32);
  const Tensor like = filled(c, c.in(0), b.scalar(is_float(dtype) ? dtype : DType::kF32, 0));
  if (c.failed()) return;
  Tensor y = b.unary(ours, like);
  if (c.op() == "TruncatedNormal")
    y = b.shaped(b.op("Clip", {y, b.number_like(y, -2), b.number_like(y, 2)}), b.shape(y));
  if (c.op() == "RandomUniformInt") {
    const Tensor low = c.in(1), high = c.in(2);
    const Tensor width = b.cast(b.binary("Sub", high, low), DType::kF32);
    y = b.binary("Add", b.cast(b.unary("Floor", b.binary("Mul", y, width)), low.dtype), low);
  }
  c.set(y);
}

void multinomial(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const int64_t count = c.int_in(1);
  if (c.failed()) return;
  if (count < 1 || count > (1 << 20)) return c.invalid(cat(count, " samples"));
  const DType dtype = c.type("output_dtype", c.b.shared.index);
  const Tensor y =
      c.b.op("Multinomial", {x}, {{"sample_size", count}, {"dtype", int64_t{6}}}, DType::kI32, 2);
  c.set(c.b.cast(c.b.shaped(y, {c.b.shape(x)[0], count}), dtype));
}

void top_k(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == 0 || x.rank == kUnknownRank) return c.invalid("an input of rank 0");
  const Tensor k =
      c.count() > 1 ? b.reshape_ints(b.as_i64(c.in(1)), {1}) : b.ints({c.integer("k", 1)});
  const int64_t sorted = c.flag("sorted", true) ? 1 : 0;
  const auto out =
      b.ops("TopK", {x, k}, 2, {{"axis", int64_t{-1}}, {"sorted", sorted}}, x.dtype, x.rank);
  if (c.failed()) return;
  Shape dims = b.shape(x);
  const auto held = c.count() > 1 ? b.contents(c.in(1)) : std::nullopt;
  dims.back() = held && held->size() == 1 ? (*held)[0]
                : c.count() > 1           ? b.unknown()
                                          : Dim(c.integer("k", 1));
  c.set(b.shaped(out[0], dims), 0);
  Tensor places = out[1];
  places.dtype = DType::kI64;
  places.value->type.dtype = DType::kI64;
  c.set(b.cast(b.shaped(places, dims), c.type("index_type", DType::kI32)), 1);
}

void in_top_k(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor predictions = c.in(0), targets = c.in(1);
  const Tensor column = b.unsqueeze(b.as_i64(targets), {1});
  const Tensor value =
      b.op("GatherElements", {predictions, column}, {{"axis", int64_t{1}}}, predictions.dtype, 2);
  const Tensor larger = b.cast(b.binary("Greater", predictions, value, DType::kBool), DType::kI32);
  const Tensor count = b.reduce("ReduceSum", larger, {1}, false);
  c.set(b.binary("Less", count, b.cast(c.in(2), DType::kI32), DType::kBool));
}

/// Where a condition holds, [n, rank].
void where(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank || x.rank == 0)
    return c.unsupported("a condition of rank 0 or unknown");
  const Dim count = b.unknown();
  const Tensor places = b.op("NonZero", {x}, {}, DType::kI64, 2);
  const auto rank = static_cast<int64_t>(x.rank);
  c.set(b.cast(b.permute(b.shaped(places, {rank, count}), {1, 0}), b.shared.index));
}

void unique(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const DType dtype = c.type("out_idx", DType::kI32);
  Attributes how = {{"sorted", int64_t{0}}};
  std::optional<size_t> axis;
  if (c.op() == "UniqueV2" && c.count() > 1) {
    const Ints axes = c.ints_in(1);
    if (axes.size() == 1 && x.rank != 1) axis = c.axis(axes[0], x.rank);
  }
  if (c.failed()) return;
  const auto out =
      axis ? b.ops("Unique", {x}, 4,
                   {{"sorted", int64_t{0}}, {"axis", static_cast<int64_t>(*axis)}}, x.dtype, x.rank)
           : b.ops("Unique", {x}, 4, how, x.dtype, 1);
  if (c.failed()) return;
  c.set(out[0], 0);
  const auto integers = [&](Tensor t) {
    t.dtype = DType::kI64;
    t.rank = 1;
    t.value->type.dtype = DType::kI64;
    return b.cast(t, dtype);
  };
  c.set(integers(out[2]), 1);
  c.set(integers(out[3]), 2);
}

/// Elements of x that y lacks, and their places.
void list_diff(Call& c, std::string_view) {
  Emitter& b = c.b;
  const auto [x, y] = c.pair();
  if (x.rank != 1 || y.rank != 1) return c.invalid("lists of an unexpected rank");
  const Tensor column = b.unsqueeze(x, {1}), row = b.unsqueeze(y, {0});
  const Tensor same = b.cast(b.binary("Equal", column, row, DType::kBool), DType::kI32);
  const Tensor hits = b.reduce("ReduceSum", same, {1}, false);
  const Tensor free = b.binary("Equal", hits, b.integer(0, DType::kI32), DType::kBool);
  const Tensor places = b.op("NonZero", {free}, {}, DType::kI64, 2);
  const Tensor flat = b.reshape_ints(places, {-1});
  c.set(b.op("Gather", {x, flat}, {{"axis", int64_t{0}}}, x.dtype, 1), 0);
  c.set(b.cast(flat, c.type("out_idx", DType::kI32)), 1);
}

/// How many of the sorted elements are below each value (LowerBound), or not above it.
void bound(Call& c, std::string_view ours) {
  Emitter& b = c.b;
  const auto [sorted, values] = c.pair();
  if (sorted.rank != 2 || values.rank != 2) return c.invalid("inputs of an unexpected rank");
  const Tensor column = b.unsqueeze(values, {2}), row = b.unsqueeze(sorted, {1});
  const Tensor below = b.cast(b.binary(ours, row, column, DType::kBool), DType::kI32);
  c.set(b.cast(b.reduce("ReduceSum", below, {2}, false), c.type("out_type", DType::kI32)));
}

void non_max_suppression(Call& c, std::string_view) {
  Emitter& b = c.b;
  const int version = c.op().back() >= '2' && c.op().back() <= '5' ? c.op().back() - '0' : 1;
  const Tensor boxes = b.unsqueeze(c.in(0), {0}), scores = b.unsqueeze(c.in(1), {0, 1});
  const Tensor limit = b.reshape_ints(b.as_i64(c.in(2)), {1});
  Tensor overlap = version == 1 ? b.constant(HostTensor::of_floats(
                                      {1}, {static_cast<float>(c.number("iou_threshold", 0.5))}))
                                : b.reshape_ints(c.in(3), {1});
  Tensor least;
  if (version >= 3) least = b.reshape_ints(c.in(4), {1});
  if (version == 5) {
    const ConstantPtr& sigma = c.in(5).value->constant;
    if (!sigma || !sigma->is_inline() || sigma->host.count() != 1 || sigma->host.float_at(0) != 0) {
      return c.unsupported("soft suppression: soft_nms_sigma other than 0");
    }
  }
  const Tensor chosen =
      b.op("NonMaxSuppression", {boxes, scores, limit, overlap, least}, {}, DType::kI64, 2);
  const Dim count = b.unknown();
  Tensor places = b.shaped(b.select(b.shaped(chosen, {count, 3}), 1, b.number(2)), {count});
  const Tensor found = b.dims_of(places);
  Tensor kept = b.op("Gather", {c.in(1), places}, {{"axis", int64_t{0}}}, c.in(1).dtype, 1);
  if (version >= 4 && c.flag("pad_to_max_output_size", false)) {
    const Tensor rest = b.binary("Sub", limit, found);
    const auto padded = [&](const Tensor& x) {
      const Tensor none = b.op("Expand", {b.scalar(x.dtype, 0), rest}, {}, x.dtype, 1);
      return b.op("Concat", {x, none}, {{"axis", int64_t{0}}}, x.dtype, 1);
    };
    places = padded(places);
    kept = padded(kept);
  }
  c.set(b.cast(places, DType::kI32), 0);
  const Tensor valid = b.cast(b.reshape_ints(found, {}), DType::kI32);
  if (version == 4) c.set(valid, 1);
  if (version != 5) return;
  c.set(kept, 1);
  c.set(valid, 2);
}

constexpr Operator kCreation[] = {
    {"Fill", "Expand", fill},
    {"Zeros", "Expand", zeros},
    {"Ones", "Expand", zeros},
    {"Empty", "Expand", zeros},
    {"Range", "Range", range},
    {"LinSpace", "constant", linspace},
    {"OneHot", "OneHot", one_hot},
    {"RandomUniform", "RandomUniformLike", random},
    {"RandomUniformInt", "RandomUniformLike",
     [](Call& c, std::string_view) { random(c, "RandomUniformLike"); }},
    {"RandomStandardNormal", "RandomNormalLike", random},
    {"TruncatedNormal", "RandomNormalLike, Clip",
     [](Call& c, std::string_view) { random(c, "RandomNormalLike"); }},
    {"Multinomial", "Multinomial", multinomial},
};

constexpr Operator kSearch[] = {
    {"TopK", "TopK", top_k, "values indices"},
    {"TopKV2", "TopK", top_k, "values indices"},
    {"InTopK", "Greater, ReduceSum", in_top_k},
    {"InTopKV2", "Greater, ReduceSum", in_top_k},
    {"Where", "NonZero", where},
    {"Unique", "Unique", unique, "y idx"},
    {"UniqueV2", "Unique", unique, "y idx"},
    {"UniqueWithCounts", "Unique", unique, "y idx count"},
    {"ListDiff", "Equal, NonZero", list_diff, "out idx"},
    {"LowerBound", "Less", bound},
    {"UpperBound", "LessOrEqual", bound},
    {"NonMaxSuppression", "NonMaxSuppression", non_max_suppression},
    {"NonMaxSuppressionV2", "NonMaxSuppression", non_max_suppression},
    {"NonMaxSuppressionV3", "NonMaxSuppression", non_max_suppression},
    {"NonMaxSuppressionV4", "NonMaxSuppression", non_max_suppression,
     "selected_indices valid_outputs"},
    {"NonMaxSuppressionV5", "NonMaxSuppression", non_max_suppression,
     "selected_indices selected_scores valid_outputs"},
};

}  // namespace

std::span<const Operator> creation_operators() { return kCreation; }
std::span<const Operator> search_operators() { return kSearch; }

}  // namespace quern::tensorflow
