// Pad: elements put before and after along axes (or cut away, where negative): a constant, the
// edge, a reflection, or the other end. Pads and constant are attributes before operator set 11.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"mode", AttributeKind::kString},
                                          {"pads", AttributeKind::kInts},
                                          {"value", AttributeKind::kFloat}};
constexpr int kInputsSince = 11;

/// The padded axes in the order of `pads`: all, or those of the `axes` input. Nothing where
/// unknown.
template <class Context>
Result<std::optional<std::vector<size_t>>> axes_of(const Context& c, size_t rank) {
  const IntList list = int_list(c, "", 3, kInputsSince);
  if (list.present && !list.known) return std::nullopt;
  if (list.present) return resolve_axes(c.node(), list.values, rank);
  std::vector<size_t> all;
  for (size_t a = 0; a < rank; ++a) all.push_back(a);
  return all;
}

Result<void> infer_pad(InferContext& c) {
  QUERN_TRY(expect_same_type(c, 0, 2));
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  std::optional<std::vector<Dim>> pads;
  if (c.version() >= kInputsSince) {
    pads = c.contents(1);
  } else if (const std::vector<int64_t>* given = c.node().ints("pads")) {
    pads.emplace(given->begin(), given->end());
  }
  QUERN_ASSIGN(std::optional<std::vector<size_t>> axes, axes_of(c, shape->size()));
  if (!pads || !axes) {
    c.set(0, c.dtype(0), fresh_shape(c, 0, shape->size()));
    return {};
  }
  const size_t n = axes->size();
  if (pads->size() != 2 * n) {
    return c.error(cat(pads->size(), " pads for ", n, " axes; two an axis were expected"));
  }
  Shape result = *shape;
  for (size_t k = 0; k < n; ++k) {
    Dim& extent = result[(*axes)[k]];
    extent = extent + (*pads)[k] + (*pads)[n + k];
    if (extent.upper() < 0) return c.error(cat("pads cut more than there is of ", *shape));
    if (extent.lower() < 0) extent = max(extent, 0);
  }
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c, 0b101);
}

/// `index` moved into [0, extent) as the mode says.
Result<Expr> source_index(ExprContext& c, std::string_view mode, Expr index, Expr extent) {
  ExprBuilder& b = c.b;
  if (mode == "edge") return clamp_index(b, index, extent);
  if (mode == "wrap") return b.binary(ExprOp::kMod, index, extent);
  if (mode != "reflect")
    return c.error(cat("mode is '", mode, "', expected constant, reflect, edge or wrap"));
  // There and back, without repeating either end.
  const Expr last = b.sub(extent, b.i32(1));
  const Expr period = b.max(b.add(last, last), b.i32(1));
  const Expr phase = b.binary(ExprOp::kMod, index, period);
  return clamp_index(b, b.min(phase, b.sub(period, phase)), extent);
}

Result<Expr> padded(ExprContext& c, size_t) {
  const TensorInfo& in = c.input(0);
  const IntList pads = int_list(c, "pads", 1, kInputsSince);
  QUERN_ASSIGN(std::optional<std::vector<size_t>> axes, axes_of(c, in.rank()));
  if (!axes || !pads.known || pads.values.size() != 2 * axes->size()) {
    return c.error("pads are not known");
  }
  const std::string_view mode = c.node().string_or("mode", "constant");
  const bool baked = host_baked(c, 1);
  std::vector<Expr> index = c.indices();
  std::vector<size_t> outside;
  for (size_t k = 0; k < axes->size(); ++k) {
    const size_t a = (*axes)[k];
    const int64_t before = pads.values[k];
    const int64_t after = pads.values[axes->size() + k];
    if (baked && before == 0 && after == 0) continue;
    if (mode == "constant") {
      index[a] = c.b.sub(index[a], c.derived(before, baked));
      outside.push_back(a);
      continue;
    }
    // What negative pads take away is gone before the rest is repeated.
    const int64_t cut = std::max<int64_t>(-before, 0);
    const Expr extent = c.b.sub(c.dim(0, a), c.derived(cut + std::max<int64_t>(-after, 0), baked));
    const Expr at = c.b.sub(index[a], c.derived(std::max<int64_t>(before, 0), baked));
    QUERN_ASSIGN(const Expr source, source_index(c, mode, at, extent));
    index[a] = c.b.add(source, c.derived(cut, baked));
  }
  if (mode != "constant") return c.load(0, index);
  Expr fill = zero_of(c, 0);
  if (c.version() < kInputsSince) {
    fill = attribute_number(c, "value", 0, fill);
  } else if (c.has_input(2) && c.input(2).count() != 0) {
    QUERN_ASSIGN(fill, scalar_input(c, 2));
  }
  return load_or(c, 0, std::move(index), outside, fill);
}

}  // namespace

extern const OpDef op_pad;
const OpDef op_pad = {
    .name = "Pad",
    .since = 2,
    .max_inputs = 4,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 0b1010,
    .infer = infer_pad,
    .expr = padded,
    .eval = eval_moved,
};

}  // namespace quern
