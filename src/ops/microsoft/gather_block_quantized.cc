// GatherBlockQuantized: Gather from a table quantised in blocks, which stays packed; zeros where an
// index is out of range.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"bits", AttributeKind::kInt},
    {"block_size", AttributeKind::kInt},
    {"gather_axis", AttributeKind::kInt},
    {"quantize_axis", AttributeKind::kInt},
};

enum Input : size_t { kData, kIndices, kScales, kZeroPoints };

/// Elements that one stored element of the table holds.
Result<int64_t> packed_elements(const Node& node, DType type) {
  const int64_t bits = node.int_or("bits", 4);
  if (type != DType::kU8) return 1;
  if (bits != 2 && bits != 4 && bits != 8) {
    return unsupported(cat(node.describe(), ": ", bits, " bits, not 2, 4 or 8"));
  }
  return 8 / bits;
}

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kScales), std::nullopt);
  const Shape* data = c.shape(kData);
  const Shape* indices = c.shape(kIndices);
  if (data == nullptr || indices == nullptr) return {};
  if (data->empty()) return c.error("data is a scalar");
  QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("gather_axis", 0), data->size()));
  QUERN_TRY(c.axis(c.node().int_or("quantize_axis", 1), data->size()));
  QUERN_ASSIGN(const int64_t packed, packed_elements(c.node(), c.dtype(kData)));
  if (packed > 1 && axis + 1 == data->size()) return c.error("gathers along the packed axis");
  if (c.node().int_or("block_size", 128) < 0) return c.error("block_size is negative");
  QUERN_TRY(c.expect_rank(kScales, data->size()));
  if (c.has_input(kZeroPoints)) QUERN_TRY(c.expect_rank(kZeroPoints, data->size()));
  Shape y = *data;
  y.back() = y.back() * packed;
  const auto at = y.erase(y.begin() + static_cast<ptrdiff_t>(axis));
  y.insert(at, indices->begin(), indices->end());
  c.set(0, c.dtype(kScales), std::move(y));
  return {};
}

/// Element `at` (counted in unpacked elements) of a table, as i32 where it holds integers.
Result<Expr> load_packed(ExprContext& c, size_t input, std::vector<Expr> at, int64_t packed) {
  ExprBuilder& b = c.b;
  for (size_t i = 0; i < at.size(); ++i) {
    if (packed > 1 && i + 1 == at.size()) break;
    at[i] = b.min(at[i], b.sub(c.dim(input, i), b.i32(1)));
  }
  if (packed == 1) {
    QUERN_ASSIGN(Expr v, c.load(input, at));
    return is_integer(c.input(input).dtype) ? b.cast(v, Scalar::kI32) : v;
  }
  const auto bits = 8 / packed;
  const Expr last = at.back();
  at.back() = b.div(last, b.i32(packed));
  QUERN_ASSIGN(Expr byte, c.load(input, at));
  const Expr shift = b.mul(b.binary(ExprOp::kRem, last, b.i32(packed)), b.i32(bits));
  return b.binary(ExprOp::kBitAnd, b.binary(ExprOp::kShr, b.cast(byte, Scalar::kI32), shift),
                  b.i32((1 << bits) - 1));
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(kData).rank();
  QUERN_ASSIGN(const size_t axis, resolve_axis(c.node(), c.node().int_or("gather_axis", 0), rank));
  QUERN_ASSIGN(const size_t along,
               resolve_axis(c.node(), c.node().int_or("quantize_axis", 1), rank));
  QUERN_ASSIGN(const int64_t packed, packed_elements(c.node(), c.input(kData).dtype));
  const std::vector<Expr>& out = c.indices();
  const size_t inner = c.input(kIndices).rank();
  QUERN_ASSIGN(Expr which, c.load(kIndices, std::span(out).subspan(axis, inner)));
  which = b.cast(which, Scalar::kI32);
  const Expr extent = c.dim(kData, axis);
  const Expr row = b.select(b.lt(which, b.i32(0)), b.add(which, extent), which);
  const Expr inside = b.logical_and(b.binary(ExprOp::kGe, row, b.i32(0)), b.lt(row, extent));
  std::vector<Expr> at;
  for (size_t a = 0; a < rank; ++a) {
    at.push_back(a == axis ? clamp_index(b, row, extent) : out[a < axis ? a : a + inner - 1]);
  }
  QUERN_ASSIGN(Expr q, load_packed(c, kData, at, packed));
  const int64_t block = c.node().int_or("block_size", 128);
  at[along] = block == 0 ? b.i32(0) : b.div(at[along], b.i32(block));
  QUERN_ASSIGN(Expr scale, load_packed(c, kScales, at, 1));
  if (is_integer(c.input(kData).dtype)) {
    Expr zero = b.i32(c.input(kData).dtype == DType::kU8 ? 1 << (8 / packed - 1) : 0);
    if (c.has_input(kZeroPoints)) {
      QUERN_ASSIGN(zero, load_packed(c, kZeroPoints, at, packed));
    }
    q = b.sub(q, zero);
  }
  const Expr y = b.mul(b.cast(q, b.type_of(scale)), scale);
  return b.select(inside, y, b.number(y, 0));
}

}  // namespace

extern const OpDef op_gather_block_quantized;
const OpDef op_gather_block_quantized = {
    .name = "GatherBlockQuantized",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 4,
    .types = kQuantized,
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
