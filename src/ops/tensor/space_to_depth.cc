// SpaceToDepth: squares of pixels become blocks of channels.
#include "ops/common/blocks.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer_space_to_depth(InferContext& c) {
  QUERN_ASSIGN(int64_t block, block_size(c.node()));
  QUERN_TRY(c.expect_rank(0, 4));
  const Shape* shape = c.shape(0);
  if (shape == nullptr) {
    c.set(0, c.dtype(0), std::nullopt);
    return {};
  }
  for (size_t a : {2, 3}) {
    if ((*shape)[a].is_const() && (*shape)[a].value() % block != 0) {
      return c.error(cat("extents of ", *shape, " are no multiple of ", block));
    }
  }
  c.set(0, c.dtype(0),
        Shape{(*shape)[0], (*shape)[1] * (block * block), floor_div((*shape)[2], block),
              floor_div((*shape)[3], block)});
  return {};
}

}  // namespace

extern const OpDef op_space_to_depth;
const OpDef op_space_to_depth = {
    .name = "SpaceToDepth",
    .types = kMovableTypes,
    .attributes = kBlockAttributes,
    .infer = infer_space_to_depth,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(int64_t size, block_size(c.node()));
      QUERN_ASSIGN(bool depth_first, is_column_row_depth(c.node()));
      ExprBuilder& b = c.b;
      const Expr block = b.i32(size);
      const Expr count = b.i32(size * size);
      const Expr channels = c.dim(0, 1);
      const Expr channel =
          depth_first ? b.div(c.index(1), count) : b.binary(ExprOp::kRem, c.index(1), channels);
      const Expr inner =
          depth_first ? b.binary(ExprOp::kRem, c.index(1), count) : b.div(c.index(1), channels);
      const Expr index[] = {c.index(0), channel,
                            b.add(b.mul(c.index(2), block), b.div(inner, block)),
                            b.add(b.mul(c.index(3), block), b.binary(ExprOp::kRem, inner, block))};
      return c.load(0, index);
    },
    .eval = eval_moved,
};

}  // namespace quern
