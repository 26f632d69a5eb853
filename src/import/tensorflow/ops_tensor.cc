// Shapes and layouts: Reshape, Transpose, Pad, Tile, SpaceToDepth and so on.
#include <algorithm>

#include "import/tensorflow/operators.h"
#include "import/tensorflow/window.h"

namespace quern::tensorflow {
namespace {

void reshape(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const Tensor y = c.b.reshape_to(x, c.in(1));
  const auto held = c.b.contents(x);
  c.set(held && y.rank <= 1 ? c.b.holding(y, *held) : y);
}

void shape_of(Call& c, std::string_view) {
  const DType dtype = c.type("out_type", DType::kI32);
  for (size_t i = 0; i < c.count(); ++i) c.set(c.b.cast(c.b.dims_of(c.in(i)), dtype), i);
}

void rank_of(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank) {
    const Tensor count = c.b.op("Size", {c.b.dims_of(x)}, {}, DType::kI64, 0);
    return c.set(c.b.cast(c.b.shaped(count, {}), DType::kI32));
  }
  c.set(c.b.integer(static_cast<int64_t>(x.rank), DType::kI32));
}

void size_of(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  Tensor y = b.shaped(b.op("Size", {x}, {}, DType::kI64, 0), {});
  if (x.rank != kUnknownRank) y = b.holding(y, {element_count(b.shape(x))});
  c.set(b.cast(y, c.type("out_type", DType::kI32)));
}

void expand_dims(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const size_t axis =
      c.count() > 1 ? c.axis_in(1, x.rank + 1) : c.axis(c.integer("dim", 0), x.rank + 1);
  if (!c.failed()) c.set(c.b.unsqueeze(x, {static_cast<int64_t>(axis)}));
}

void squeeze(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  Ints axes = c.ints("squeeze_dims");
  if (axes.empty()) axes = c.ints("axis");
  if (!axes.empty()) return c.set(b.squeeze(x, c.axes(axes, x.rank)));
  if (x.rank == kUnknownRank) {
    // Of what comes out nothing is known but its elements: it is taken for a number.
    return c.set(b.shaped(b.op("Reshape", {x, b.ints({})}, {}, x.dtype, 0), {}));
  }
  for (size_t i = 0; i < x.rank; ++i) {
    const auto extent = x.extent(i);
    if (!extent) return c.unsupported("a squeeze of axes whose extents are not known");
    if (*extent == 1) axes.push_back(static_cast<int64_t>(i));
  }
  c.set(axes.empty() ? x : b.squeeze(x, axes));
}

void transpose(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const Ints perm = c.axes({}, x.rank == kUnknownRank ? 1 : x.rank);
  Ints order = c.ints_in(1);
  for (int64_t& axis : order) axis = static_cast<int64_t>(c.axis(axis, x.rank));
  if (!c.failed()) c.set(c.b.permute(x, order));
}

void tile(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  Tensor y = b.op("Tile", {x, b.as_i64(c.in(1))}, {}, x.dtype, x.rank);
  const auto held = b.contents(c.in(1));
  if (held && held->size() == x.rank) {
    Shape dims = b.shape(x);
    for (size_t i = 0; i < dims.size(); ++i) dims[i] = dims[i] * (*held)[i];
    y = b.shaped(y, dims);
  }
  c.set(y);
}

void broadcast_to(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0), list = c.in(1);
  const auto held = b.contents(list);
  const auto rank = held ? std::optional<int64_t>(held->size()) : list.extent(0);
  if (!rank) return c.unsupported("a shape whose length is not known");
  const Tensor y = b.op("Expand", {x, b.as_i64(list)}, {}, x.dtype, static_cast<size_t>(*rank));
  c.set(held ? b.shaped(y, *held) : y);
}

/// [rank, 2] pads as ONNX has them: starts, then ends.
void pad(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank) return c.unsupported("an operand whose rank is not known");
  const auto numbers = b.known_ints(c.in(1));
  std::string mode = "constant";
  if (c.op() == "MirrorPad") {
    const std::string given = c.text("mode", "REFLECT");
    if (given != "REFLECT" && given != "SYMMETRIC") return c.invalid(cat("mode '", given, "'"));
    mode = given == "REFLECT" ? "reflect" : "symmetric";
  }
  if (numbers && numbers->size() != 2 * x.rank) {
    return c.invalid(cat(numbers->size(), " pads of a tensor of rank ", x.rank));
  }
  Tensor list;
  Shape dims = b.shape(x);
  if (numbers) {
    Ints pads;
    for (size_t side = 0; side < 2; ++side) {
      for (size_t i = 0; i < x.rank; ++i) pads.push_back((*numbers)[2 * i + side]);
    }
    for (const int64_t n : pads) {
      if (n < 0 || n > (1 << 30)) return c.invalid("pads out of range");
    }
    for (size_t i = 0; i < x.rank; ++i) dims[i] = dims[i] + pads[i] + pads[x.rank + i];
    list = b.ints(pads);
  } else {
    list = b.reshape_ints(
        b.permute(b.shaped(b.as_i64(c.in(1)), {static_cast<int64_t>(x.rank), 2}), {1, 0}), {-1});
    for (Dim& dim : dims) dim = b.unknown();
  }
  if (mode == "symmetric") {
    if (!numbers) return c.unsupported("symmetric pads that are no constants");
    // The edge is repeated: parts of x, turned round.
    Tensor y = x;
    for (size_t i = 0; i < x.rank; ++i) {
      const int64_t before = (*numbers)[2 * i], after = (*numbers)[2 * i + 1];
      if (before == 0 && after == 0) continue;
      std::vector<Tensor> parts = {y};
      const auto turned = [&](int64_t from, int64_t to) {
        return b.op(
            "Slice",
            {y, b.ints({from}), b.ints({to}), b.ints({static_cast<int64_t>(i)}), b.ints({-1})}, {},
            {}, y.rank);
      };
      if (before > 0) parts.insert(parts.begin(), turned(before - 1, -INT64_MAX));
      if (after > 0) parts.push_back(turned(-1, -after - 1));
      y = b.Builder::concat(parts, i);
    }
    return c.set(b.shaped(y, dims));
  }
  Tensor value;
  if (c.op() == "PadV2") value = b.cast(c.in(2), x.dtype);
  if (mode == "constant" && !value) value = b.number_like(x, 0);
  if (mode == "constant" && value.rank != 0) value = b.reshape_ints(value, {});
  const Tensor y = mode == "constant" ? b.op("Pad", {x, list, value}, {}, x.dtype, x.rank)
                                      : b.op("Pad", {x, list}, {{"mode", mode}}, x.dtype, x.rank);
  c.set(b.shaped(y, dims));
}

void depth_to_space(Call& c, std::string_view) {
  Emitter& b = c.b;
  const bool last = c.text("data_format", "NHWC") == "NHWC";
  const Tensor x = last ? channels_first(b, c.in(0)) : c.in(0);
  const int64_t block = c.integer("block_size", 1);
  if (x.rank != 4 || block < 1 || block > 4096) return c.invalid("an input of an unexpected rank");
  const Shape dims = b.shape(x);
  const bool to_space = c.op() == "DepthToSpace";
  Tensor y;
  Shape out;
  if (to_space) {
    y = b.op("DepthToSpace", {x}, {{"blocksize", block}, {"mode", std::string("DCR")}});
    out = {dims[0], floor_div(dims[1], block * block), dims[2] * block, dims[3] * block};
  } else {
    y = b.op("SpaceToDepth", {x}, {{"blocksize", block}});
    out = {dims[0], dims[1] * (block * block), floor_div(dims[2], block),
           floor_div(dims[3], block)};
  }
  y = b.shaped(y, out);
  c.set(last ? channels_last(b, y) : y);
}

/// The blocks of SpaceToBatchND and BatchToSpaceND: spatial axes 1 to m.
struct Blocks {
  Ints block;
  Tensor starts, ends;  ///< pads, or crops: i64 lists of m
  bool any = true;
  Ints known;  ///< starts, then ends, where they are known
};

Blocks blocks_of(Call& c, size_t rank) {
  Emitter& b = c.b;
  Blocks out;
  out.block = c.ints_in(1);
  const size_t m = out.block.size();
  if (c.failed()) return out;
  if (rank == kUnknownRank || rank < m + 1 || m == 0) c.invalid("blocks of other axes");
  for (const int64_t n : out.block) {
    if (n < 1 || n > 65536) c.invalid("blocks out of range");
  }
  const auto known = b.known_ints(c.in(2));
  if (!known) {
    const Tensor list = b.shaped(b.as_i64(c.in(2)), {static_cast<int64_t>(m), 2});
    out.starts = b.select(list, 1, b.number(0));
    out.ends = b.select(list, 1, b.number(1));
    return out;
  }
  if (known->size() != 2 * m) {
    c.invalid("pads of other axes");
    return out;
  }
  for (size_t side = 0; side < 2; ++side) {
    for (size_t i = 0; i < m; ++i) {
      const int64_t n = (*known)[2 * i + side];
      if (n < 0 || n > (1 << 30)) c.invalid("pads out of range");
      out.known.push_back(n);
    }
  }
  out.any = std::ranges::any_of(out.known, [](int64_t n) { return n != 0; });
  const auto half = out.known.begin() + static_cast<ptrdiff_t>(m);
  out.starts = b.ints({out.known.begin(), half});
  out.ends = b.ints({half, out.known.end()});
  return out;
}

/// [n, h / bh, bh, w / bw, bw, ..] to [bh, bw, n, h / bh, w / bw, ..], after pads.
void space_to_batch(Call& c, std::string_view) {
  Emitter& b = c.b;
  Tensor x = c.in(0);
  const size_t rank = x.rank;
  const Blocks blocks = blocks_of(c, rank);
  if (c.failed()) return;
  const size_t m = blocks.block.size();
  const auto at = [](size_t i) { return static_cast<int64_t>(i); };
  Shape dims = b.shape(x);
  if (blocks.any) {
    const Tensor rest = b.ints(Ints(rank - m - 1, 0));
    const Tensor none = b.ints({0});
    const Tensor list = b.op("Concat", {none, blocks.starts, rest, none, blocks.ends, rest},
                             {{"axis", int64_t{0}}}, DType::kI64, 1);
    for (size_t i = 0; i < m; ++i) {
      dims[i + 1] =
          blocks.known.empty() ? b.unknown() : dims[i + 1] + blocks.known[i] + blocks.known[m + i];
    }
    x = b.shaped(b.op("Pad", {x, list, b.number_like(x, 0)}, {}, x.dtype, rank), dims);
  }
  int64_t product = 1;
  std::vector<Size> split = {b.size(x, 0)}, merged;
  Ints perm;
  Shape out = dims;
  for (size_t i = 0; i < m; ++i) {
    const int64_t block = blocks.block[i];
    product *= block;
    split.push_back(b.arithmetic("Div", b.size(x, i + 1), b.number(block)));
    split.push_back(b.number(block));
    out[i + 1] = floor_div(dims[i + 1], block);
    perm.push_back(at(2 * i + 2));
  }
  out[0] = dims[0] * product;
  merged.push_back(b.arithmetic("Mul", b.size(x, 0), b.number(product)));
  perm.push_back(0);
  for (size_t i = 0; i < m; ++i) {
    perm.push_back(at(2 * i + 1));
    merged.push_back(split[2 * i + 1]);
  }
  for (size_t i = m + 1; i < rank; ++i) {
    split.push_back(b.size(x, i));
    merged.push_back(split.back());
    perm.push_back(at(m + i));
  }
  const Tensor turned = b.Builder::permute(b.reshape(x, split), perm);
  c.set(b.shaped(b.reshape(turned, merged), out));
}

/// [bh, bw, n, h, w, ..] to [n, h, bh, w, bw, ..], and crops.
void batch_to_space(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const size_t rank = x.rank;
  const Blocks blocks = blocks_of(c, rank);
  if (c.failed()) return;
  const size_t m = blocks.block.size();
  const auto at = [](size_t i) { return static_cast<int64_t>(i); };
  const Shape dims = b.shape(x);
  Shape out = dims;
  int64_t product = 1;
  std::vector<Size> split, merged;
  for (const int64_t block : blocks.block) {
    split.push_back(b.number(block));
    product *= block;
  }
  const Size batch = b.arithmetic("Div", b.size(x, 0), b.number(product));
  split.push_back(batch);
  merged.push_back(batch);
  out[0] = floor_div(dims[0], product);
  Ints perm = {at(m)}, axes;
  for (size_t i = 0; i < m; ++i) {
    split.push_back(b.size(x, i + 1));
    merged.push_back(b.arithmetic("Mul", split.back(), b.number(blocks.block[i])));
    perm.push_back(at(m + 1 + i));
    perm.push_back(at(i));
    out[i + 1] = dims[i + 1] * blocks.block[i];
    axes.push_back(at(i + 1));
  }
  for (size_t i = m + 1; i < rank; ++i) {
    split.push_back(b.size(x, i));
    merged.push_back(split.back());
    perm.push_back(at(m + i));
  }
  const Tensor turned = b.Builder::permute(b.reshape(x, split), perm);
  Tensor y = b.shaped(b.reshape(turned, merged), out);
  if (blocks.any) {
    const std::vector<Size> sizes(merged.begin() + 1,
                                  merged.begin() + 1 + static_cast<ptrdiff_t>(m));
    const Tensor ends = b.op("Sub", {b.list(sizes), blocks.ends}, {}, DType::kI64, 1);
    for (size_t i = 0; i < m; ++i) {
      out[i + 1] =
          blocks.known.empty() ? b.unknown() : out[i + 1] - (blocks.known[i] + blocks.known[m + i]);
    }
    y = b.shaped(b.op("Slice", {y, blocks.starts, ends, b.ints(axes)}, {}, {}, rank), out);
  }
  c.set(y);
}

void broadcast_args(Call& c, std::string_view) {
  Emitter& b = c.b;
  const auto x = b.contents(c.in(0)), y = b.contents(c.in(1));
  if (!x || !y) return c.unsupported("shapes that are not known");
  auto dims = broadcast_shapes(*x, *y);
  if (!dims) return c.invalid(dims.error().message);
  const auto numbers = constant_dims(*dims);
  if (!numbers) return c.unsupported("shapes that are not known");
  c.set(b.constant(
      HostTensor::of_ints(c.in(0).dtype, {static_cast<int64_t>(numbers->size())}, *numbers)));
}

void band_part(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  const int64_t lower = c.int_in(1), upper = c.int_in(2);
  Tensor y = x;
  if (lower >= 0)
    y = b.op("Trilu", {y, b.integer(-lower)}, {{"upper", int64_t{1}}}, x.dtype, x.rank);
  if (upper >= 0)
    y = b.op("Trilu", {y, b.integer(upper)}, {{"upper", int64_t{0}}}, x.dtype, x.rank);
  c.set(x.rank == kUnknownRank ? y : b.shaped(y, b.shape(x)));
}

void diag(Call& c, std::string_view) {
  Emitter& b = c.b;
  const Tensor x = c.in(0);
  if (x.rank == kUnknownRank || x.rank == 0) return c.invalid("an input of rank 0");
  // A vector of n elements times the identity of n.
  const bool is_matrix = c.op() == "MatrixDiag" || c.op() == "MatrixDiagV3";
  const Tensor flat = is_matrix ? x : b.reshape_ints(x, {-1});
  const Size n = b.size(flat, flat.rank - 1);
  const Tensor places = b.range(n);
  const Tensor row = b.op("Unsqueeze", {places, b.ints({0})}, {}, {}, 2);
  const Tensor column = b.op("Unsqueeze", {places, b.ints({1})}, {}, {}, 2);
  const Tensor same = b.op("Equal", {row, column}, {}, DType::kBool, 2);
  const Tensor spread = b.unsqueeze(flat, {static_cast<int64_t>(flat.rank)});
  const Tensor y = b.op("Where", {same, spread, b.number_like(x, 0)}, {}, x.dtype, flat.rank + 1);
  if (is_matrix || x.rank == 1) return c.set(y);
  std::vector<Size> sizes = b.sizes(x);
  const std::vector<Size> again = sizes;
  sizes.insert(sizes.end(), again.begin(), again.end());
  c.set(b.reshape(y, sizes));
}

void bitcast(Call& c, std::string_view) {
  const Tensor x = c.in(0);
  const DType to = c.type("type", x.dtype);
  if (bit_width(to) != bit_width(x.dtype)) return c.unsupported("a bit cast to another width");
  c.set(c.b.shaped(c.b.op("BitCast", {x}, {{"to", static_cast<int64_t>(to)}}, to), c.b.shape(x)));
}

constexpr Operator kOperators[] = {
    {"Reshape", "Reshape", reshape},
    {"Shape", "Shape", shape_of},
    {"ShapeN", "Shape", shape_of, "output"},
    {"VariableShape", "Shape", shape_of},
    {"Rank", "constant", rank_of},
    {"Size", "Size", size_of},
    {"ExpandDims", "Unsqueeze", expand_dims},
    {"Squeeze", "Squeeze", squeeze},
    {"Transpose", "Transpose", transpose},
    {"Tile", "Tile", tile},
    {"BroadcastTo", "Expand", broadcast_to},
    {"BroadcastArgs", "constant", broadcast_args},
    {"Pad", "Pad", pad},
    {"PadV2", "Pad", pad},
    {"MirrorPad", "Pad, Slice, Concat", pad},
    {"DepthToSpace", "DepthToSpace", depth_to_space},
    {"SpaceToDepth", "SpaceToDepth", depth_to_space},
    {"SpaceToBatchND", "Pad, Reshape, Transpose", space_to_batch},
    {"BatchToSpaceND", "Reshape, Transpose, Slice", batch_to_space},
    {"MatrixBandPart", "Trilu", band_part},
    {"Diag", "Equal, Where", diag},
    {"MatrixDiag", "Equal, Where", diag},
    {"Bitcast", "BitCast", bitcast},
};

}  // namespace

std::span<const Operator> tensor_operators() { return kOperators; }

}  // namespace quern::tensorflow
