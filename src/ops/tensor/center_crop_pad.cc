// CenterCropPad: cut or padded with zeros on both sides to the given extents.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axes", AttributeKind::kInts}};

Result<std::vector<size_t>> axes_of(const Node& node, size_t rank) {
  std::vector<int64_t> axes;
  if (const std::vector<int64_t>* given = node.ints("axes")) {
    axes = *given;
  } else {
    for (size_t a = 0; a < rank; ++a) axes.push_back(static_cast<int64_t>(a));
  }
  return resolve_axes(node, axes, rank);
}

Result<void> infer_center_crop_pad(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_ASSIGN(std::vector<size_t> axes, axes_of(c.node(), shape->size()));
  const std::optional<std::vector<Dim>> target = c.contents(1);
  if (target && target->size() != axes.size()) {
    return c.error(cat("shape ", Shape(*target), " is for ", axes.size(), " axes"));
  }
  Shape result = *shape;
  for (size_t k = 0; k < axes.size(); ++k) {
    result[axes[k]] = target && (*target)[k].lower() >= 0 ? (*target)[k] : c.fresh_dim(0, axes[k]);
  }
  c.set(0, c.dtype(0), std::move(result));
  return {};
}

Result<Expr> centered(ExprContext& c, size_t) {
  const TensorInfo& in = c.input(0);
  const TensorInfo& out = c.output(0);
  QUERN_ASSIGN(std::vector<size_t> axes, axes_of(c.node(), in.rank()));
  std::vector<Expr> index = c.indices();
  std::vector<size_t> outside;
  for (size_t a : axes) {
    const int64_t more = in.dims[a] - out.dims[a];
    const bool baked = in.is_baked(a) && out.is_baked(a);
    index[a] = c.b.add(index[a], c.derived(more / 2, baked));
    if (!baked || more < 0) outside.push_back(a);
  }
  return load_or(c, 0, std::move(index), outside, zero_of(c, 0));
}

}  // namespace

extern const OpDef op_center_crop_pad;
const OpDef op_center_crop_pad = {
    .name = "CenterCropPad",
    .since = 18,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_center_crop_pad,
    .expr = centered,
    .eval = eval_moved,
};

}  // namespace quern
