// DepthToSpace: blocks of channels become squares of pixels.
#include "ops/common/blocks.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer_depth_to_space(InferContext& c) {
  QUERN_ASSIGN(int64_t block, block_size(c.node()));
  QUERN_TRY(c.expect_rank(0, 4));
  const Shape* shape = c.shape(0);
  if (shape == nullptr) {
    c.set(0, c.dtype(0), std::nullopt);
    return {};
  }
  const Dim& channels = (*shape)[1];
  if (channels.is_const() && channels.value() % (block * block) != 0) {
    return c.error(cat("channels of ", *shape, " are no multiple of ", block * block));
  }
  c.set(0, c.dtype(0),
        Shape{(*shape)[0], floor_div(channels, block * block), (*shape)[2] * block,
              (*shape)[3] * block});
  return {};
}

}  // namespace

extern const OpDef op_depth_to_space;
const OpDef op_depth_to_space = {
    .name = "DepthToSpace",
    .types = kMovableTypes,
    .attributes = kBlockAttributes,
    .infer = infer_depth_to_space,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(int64_t size, block_size(c.node()));
      ExprBuilder& b = c.b;
      const Expr block = b.i32(size);
      const Expr inner = b.add(b.mul(b.binary(ExprOp::kRem, c.index(2), block), block),
                               b.binary(ExprOp::kRem, c.index(3), block));
      QUERN_ASSIGN(Expr channel,
                   block_channel(c, c.index(1), c.output_dim(0, 1), inner, b.i32(size * size)));
      const Expr index[] = {c.index(0), channel, b.div(c.index(2), block),
                            b.div(c.index(3), block)};
      return c.load(0, index);
    },
    .eval = eval_moved,
};

}  // namespace quern
