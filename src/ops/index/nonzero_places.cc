// quern.NonZeroPlaces: the places, in row-major order, of the elements that are not 0, and how
// many there are. Outputs: places (i32, as long as the input; the rest is not defined), count
// (i64 [1]).
#include "ops/common/compact.h"
#include "ops/common/device_program.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  const Shape* shape = c.shape(0);
  std::optional<Shape> places;
  if (shape != nullptr) places = Shape{element_count(*shape)};
  c.set(0, DType::kI32, std::move(places));
  c.set(1, DType::kI64, Shape{1});
  return {};
}

Result<void> lower(LowerContext& ctx) {
  const int64_t count = ctx.input(0).count();
  QUERN_ASSIGN(const Storage flags, ctx.scratch(static_cast<uint64_t>(count) * 4));
  const DType type = ctx.input(0).dtype;
  DeviceProgram program({count});
  const uint32_t x = program.input(moved_as(type), {count}, ctx.in(0));
  ExprBuilder b = program.builder();
  const Expr at[] = {b.index(0)};
  Expr v = b.load(x, at);
  if (type == DType::kF64) {  // its bits but the sign
    v = b.binary(ExprOp::kBitAnd, v, b.constant_int(Scalar::kU64, INT64_MAX));
  }
  if (b.type_of(v) != Scalar::kBool) v = b.binary(ExprOp::kNe, v, b.number(v, 0));
  program.output(b.cast(v, Scalar::kU32), DType::kU32, flags);
  QUERN_TRY(program.dispatch(ctx));
  QUERN_ASSIGN(const PrefixSums sums, set_places(ctx, flags, count, ctx.out(0)));
  return ctx.output(1).present ? store_total(ctx, sums, ctx.out(1)) : Result<void>{};
}

Result<void> eval(EvalContext& c) {
  int64_t found = 0;
  for (int64_t i = 0; i < c.in(0).count(); ++i) {
    if (c.in(0).float_at(i) == 0) continue;
    if (c.output(0).present) c.out(0).set_int(found, i);
    ++found;
  }
  if (c.output_count() > 1 && c.output(1).present) c.out(1).set_int(0, found);
  return {};
}

}  // namespace

extern const OpDef op_nonzero_places;
const OpDef op_nonzero_places = {
    .name = "NonZeroPlaces",
    .domain = "quern",
    .since = 0,
    .max_outputs = 2,
    .types = kScalarTypes,
    .infer = infer,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
