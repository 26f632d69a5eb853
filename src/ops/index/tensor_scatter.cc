// TensorScatter: a sequence of updates written into a cache along `axis`, from each batch's
// write index on; with mode circular it goes on at the front.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"mode", AttributeKind::kString}};
enum Input : size_t { kCache, kUpdate, kStart };

Result<void> infer_tensor_scatter(InferContext& c) {
  c.set(0, c.type(kCache));
  QUERN_TRY(expect_same_type(c, kCache, kUpdate));
  const std::string_view mode = c.node().string_or("mode", "linear");
  if (mode != "linear" && mode != "circular") {
    return c.error(cat("mode is '", mode, "', expected linear or circular"));
  }
  const Shape* cache = c.shape(kCache);
  if (cache == nullptr) return {};
  QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("axis", -2), cache->size()));
  if (axis == 0) return c.error("axis is that of the batch");
  QUERN_TRY(c.expect_rank(kUpdate, cache->size()));
  return c.has_input(kStart) ? c.expect_rank(kStart, 1) : Result<void>{};
}

Result<Expr> scattered(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const TensorInfo& cache = c.input(kCache);
  QUERN_ASSIGN(const size_t axis,
               resolve_axis(c.node(), c.node().int_or("axis", -2), cache.rank()));
  for (size_t a = 0; a < cache.rank(); ++a) {
    if (c.input(kUpdate).dims[a] > cache.dims[a] ||
        (a != axis && c.input(kUpdate).dims[a] != cache.dims[a])) {
      return c.error(cat("update ", c.input(kUpdate).dims, " does not fit cache ", cache.dims));
    }
  }
  Expr place = c.index(axis);
  if (c.has_input(kStart)) {
    if (c.input(kStart).dims[0] != cache.dims[0]) {
      return c.error(cat("write indices ", c.input(kStart).dims, " for cache ", cache.dims));
    }
    const Expr batch[] = {c.index(0)};
    QUERN_ASSIGN(Expr start, c.load(kStart, batch));
    place = b.sub(place, b.cast(start, Scalar::kI32));
  }
  if (c.node().string_or("mode", "linear") == "circular") {
    place = b.binary(ExprOp::kMod, place, c.dim(kCache, axis));
  }
  QUERN_ASSIGN(const Expr kept, c.load(kCache, c.indices()));
  std::vector<Expr> at = c.indices();
  at[axis] = place;
  const size_t axes[] = {axis};
  return load_or(c, kUpdate, std::move(at), axes, kept);
}

}  // namespace

extern const OpDef op_tensor_scatter;
const OpDef op_tensor_scatter = {
    .name = "TensorScatter",
    .since = 24,
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_tensor_scatter,
    .expr = scattered,
    .eval = eval_moved,
};

}  // namespace quern
