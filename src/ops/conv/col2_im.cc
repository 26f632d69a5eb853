// Col2Im: blocks of an image, [batch, channels * block elements, blocks], added up where they
// overlap: an image's element is the sum of the block elements that lie on it.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dilations", AttributeKind::kInts},
                                          {"pads", AttributeKind::kInts},
                                          {"strides", AttributeKind::kInts}};
enum Input : size_t { kColumns, kImage, kBlock };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(c.expect_rank(kColumns, 3));
  const Shape* x = c.shape(kColumns);
  const std::optional<std::vector<Dim>> image = c.contents(kImage);
  const std::optional<std::vector<Dim>> block = c.contents(kBlock);
  std::optional<size_t> spatial;
  for (size_t i : {kImage, kBlock}) {
    const Shape* shape = c.shape(i);
    if (shape != nullptr && shape->size() == 1 && (*shape)[0].is_const()) {
      spatial = static_cast<size_t>((*shape)[0].value());
    }
  }
  if (!spatial || *spatial > 8) return {};
  if (image && block && image->size() != block->size()) {
    return c.error(cat("an image ", Shape(*image), " of blocks ", Shape(*block)));
  }
  Shape y = {x != nullptr ? (*x)[0] : c.fresh_dim(0, 0)};
  if (block && x != nullptr) {
    const Dim elements = element_count(Shape(*block));
    if (elements.upper() < 1) return c.error(cat("blocks of shape ", Shape(*block)));
    y.push_back(floor_div((*x)[1], elements));
  } else {
    y.push_back(c.fresh_dim(0, 1));
  }
  for (size_t a = 0; a < *spatial; ++a) {
    const bool known = image && (*image)[a].lower() >= 0;
    y.push_back(known ? (*image)[a] : c.fresh_dim(0, a + 2));
  }
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

/// An attribute with `count` numbers of at least `least`, or that many of `fallback`.
Result<std::vector<int64_t>> numbers(const OpContext& c, std::string_view name, size_t count,
                                     int64_t fallback, int64_t least) {
  const std::vector<int64_t>* given = c.node().ints(name);
  if (given == nullptr || given->empty()) return std::vector<int64_t>(count, fallback);
  if (given->size() != count) return c.error(cat(name, " has ", given->size(), " numbers"));
  for (int64_t v : *given) {
    if (v < least || v > INT32_MAX) return c.error(cat(name, " has ", v));
  }
  return *given;
}

Result<Expr> summed(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t spatial = c.output(0).rank() - 2;
  const std::vector<int64_t> image = c.ints(kImage);
  const std::vector<int64_t> block = c.ints(kBlock);
  if (image.size() != spatial || block.size() != spatial) return c.error("shapes are not known");
  QUERN_ASSIGN(std::vector<int64_t> strides, numbers(c, "strides", spatial, 1, 1));
  QUERN_ASSIGN(std::vector<int64_t> dilations, numbers(c, "dilations", spatial, 1, 1));
  QUERN_ASSIGN(std::vector<int64_t> pads, numbers(c, "pads", 2 * spatial, 0, 0));
  const bool baked = host_baked(c, kImage) && host_baked(c, kBlock);
  std::vector<Expr> taps;
  Expr channel = c.index(1);
  Expr column = b.i32(0);
  Expr inside = b.boolean(true);
  int64_t columns = 1;
  for (size_t a = 0; a < spatial; ++a) {
    if (block[a] < 1) return c.error(cat("a block with an extent of ", block[a]));
    // Blocks along this axis.
    const int64_t reach = dilations[a] * (block[a] - 1) + 1;
    const int64_t span = image[a] + pads[a] + pads[spatial + a] - reach;
    const int64_t count = span < 0 ? 0 : span / strides[a] + 1;
    columns *= count;
    taps.push_back(b.loop());
    const Expr shifted =
        b.sub(b.add(c.index(2 + a), b.i32(pads[a])), b.mul(taps.back(), b.i32(dilations[a])));
    const Expr stride = b.i32(strides[a]);
    const Expr place = b.div(shifted, stride);
    const Expr extent = c.derived(count, baked);
    inside = b.logical_and(inside, b.logical_not(b.lt(shifted, b.i32(0))));
    inside = b.logical_and(inside, b.eq(b.mul(place, stride), shifted));
    inside = b.logical_and(inside, b.lt(place, extent));
    column = b.add(b.mul(column, extent), place);
    channel = b.add(b.mul(channel, c.host_int(kBlock, static_cast<int64_t>(a))), taps.back());
  }
  if (c.input(kColumns).count() == 0 || columns == 0) return zero_of(c, kColumns);
  if (columns != c.input(kColumns).dims[2]) {
    return c.error(cat(c.input(kColumns).dims[2], " blocks where the image has ", columns));
  }
  const Expr at[] = {c.index(0), clamp_index(b, channel, c.dim(kColumns, 1)),
                     clamp_index(b, column, c.dim(kColumns, 2))};
  QUERN_ASSIGN(Expr sum, c.load(kColumns, at));
  sum = b.select(inside, sum, zero(b, sum));
  for (size_t a = spatial; a-- > 0;) {
    sum = b.reduce(ExprOp::kReduceSum, taps[a], c.host_int(kBlock, static_cast<int64_t>(a)), sum);
  }
  return sum;
}

}  // namespace

extern const OpDef op_col2_im;
const OpDef op_col2_im = {
    .name = "Col2Im",
    .since = 18,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kNumeric,
    .attributes = kAttributes,
    .host_inputs = 0b110,
    .infer = infer,
    .expr = summed,
};

}  // namespace quern
