// ReverseSequence: the first sequence_lens[batch] elements of each sequence, backward.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"batch_axis", AttributeKind::kInt},
                                          {"time_axis", AttributeKind::kInt}};

Result<Expr> reversed(ExprContext& c, size_t) {
  const size_t rank = c.input(0).rank();
  QUERN_ASSIGN(size_t batch, resolve_axis(c.node(), c.node().int_or("batch_axis", 1), rank));
  QUERN_ASSIGN(size_t time, resolve_axis(c.node(), c.node().int_or("time_axis", 0), rank));
  const Expr at[] = {c.index(batch)};
  QUERN_ASSIGN(Expr length, c.load(1, at));
  length = c.b.cast(length, Scalar::kI32);
  std::vector<Expr> index = c.indices();
  const Expr here = index[time];
  const Expr mirrored = c.b.sub(c.b.sub(length, c.b.i32(1)), here);
  index[time] = clamp_index(c.b, c.b.select(c.b.lt(here, length), mirrored, here), c.dim(0, time));
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_reverse_sequence;
const OpDef op_reverse_sequence = {
    .name = "ReverseSequence",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_same,
    .expr = reversed,
    .eval = eval_moved,
};

}  // namespace quern
