// quern.DeformColumns: what the taps of a DeformConv see, [batch, channels, taps, positions...]:
// input elements between elements, at offsets from the taps' places, times a mask. Channels share
// offsets by groups. Of the weights, an input too, only the extents of the kernel are read.
#include "ops/common/conv_shape.h"
#include "ops/common/exprs.h"
#include "ops/common/sampling.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"dilations", AttributeKind::kInts},
    {"offset_group", AttributeKind::kInt},
    {"pads", AttributeKind::kInts},
    {"strides", AttributeKind::kInts},
};
enum Input : size_t { kX, kWeights, kOffset, kMask };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kX), std::nullopt);
  const Shape* x = c.shape(kX);
  const Shape* weights = c.shape(kWeights);
  if (x == nullptr || weights == nullptr) return {};
  if (weights->size() < 3) return c.error(cat("weights of shape ", *weights));
  const size_t rank = weights->size() - 2;
  QUERN_TRY(c.expect_rank(kX, rank + 2));
  QUERN_TRY(c.expect_rank(kOffset, rank + 2));
  QUERN_TRY(c.expect_rank(kMask, rank + 2));
  QUERN_ASSIGN(Window window, read_window(c.node(), rank));
  Dim taps = 1;
  for (size_t i = 0; i < rank; ++i) taps = taps * (*weights)[i + 2];
  const int64_t groups = c.node().int_or("offset_group", 1);
  if (groups < 1) return c.error(cat("offset_group is ", groups));
  if ((*x)[1].is_const() && (*x)[1].value() % groups != 0) {
    return c.error(cat("offset_group ", groups, " does not divide the channels of ", *x));
  }
  Shape y = {(*x)[0], (*x)[1], taps};
  for (size_t i = 0; i < rank; ++i) {
    y.push_back(window_axis(window, i, (*x)[i + 2], (*weights)[i + 2]).output);
  }
  const auto fits = [&](size_t input, const Dim& channels) -> Result<void> {
    const Shape* shape = c.shape(input);
    if (shape == nullptr) return {};
    bool same =
        proven_equal((*shape)[0], (*x)[0]) != false && proven_equal((*shape)[1], channels) != false;
    for (size_t i = 0; i < rank; ++i) {
      same = same && proven_equal((*shape)[i + 2], y[i + 3]) != false;
    }
    if (same) return {};
    return c.error(cat("input ", input, " of shape ", *shape, " does not fit columns ", y));
  };
  QUERN_TRY(fits(kOffset, taps * Dim(groups * static_cast<int64_t>(rank))));
  QUERN_TRY(fits(kMask, taps * Dim(groups)));
  c.set(0, c.dtype(kX), std::move(y));
  return {};
}

Result<Expr> sampled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(kWeights).rank() - 2;
  QUERN_ASSIGN(Window window, read_window(c.node(), rank));
  if (c.input(kX).count() == 0) return zero_of(c, kX);
  const int64_t groups = c.node().int_or("offset_group", 1);
  const Expr per_group = c.derived(c.input(kX).dims[1] / groups, c.input(kX).is_baked(1));
  const Expr tap = c.index(2);
  const Expr taps = c.output_dim(0, 2);
  const Expr place = b.add(b.mul(b.div(c.index(1), per_group), taps), tap);
  // The tap's place along each axis, the last fastest.
  std::vector<Expr> at(rank);
  Expr rest = tap;
  for (size_t i = rank; i-- > 0;) {
    const Expr extent = c.dim(kWeights, i + 2);
    at[i] = i == 0 ? rest : b.binary(ExprOp::kRem, rest, extent);
    rest = b.div(rest, extent);
  }
  std::vector<Expr> index = {c.index(0), Expr{}};
  for (size_t i = 0; i < rank; ++i) index.push_back(c.index(i + 3));
  for (size_t i = 0; i < rank; ++i) {
    index[1] =
        b.add(b.mul(place, b.i32(static_cast<int64_t>(rank))), b.i32(static_cast<int64_t>(i)));
    QUERN_ASSIGN(Expr offset, c.load(kOffset, index));
    const Expr corner =
        b.sub(b.mul(c.index(i + 3), b.i32(window.strides[i])), b.i32(window.pads_begin[i]));
    const Expr whole = b.add(corner, b.mul(at[i], b.i32(window.dilations[i])));
    at[i] = b.add(b.cast(whole, b.type_of(offset)), offset);
  }
  const Expr leading[] = {c.index(0), c.index(1)};
  QUERN_ASSIGN(Expr y, sample(c, Sampling{.input = kX}, leading, at));
  if (!c.has_input(kMask)) return y;
  index[1] = place;
  QUERN_ASSIGN(Expr mask, c.load(kMask, index));
  return b.mul(y, mask);
}

}  // namespace

extern const OpDef op_deform_columns;
const OpDef op_deform_columns = {
    .name = "DeformColumns",
    .domain = "quern",
    .min_inputs = 3,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = sampled,
};

}  // namespace quern
