// Split: into parts along `axis`: of given lengths (an attribute before operator set 13), or
// equal ones, the last of which may be shorter from operator set 18 on.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"split", AttributeKind::kInts},
                                          {"num_outputs", AttributeKind::kInt}};

Result<void> infer_split(InferContext& c) {
  const auto parts = static_cast<int64_t>(c.output_count());
  for (size_t k = 0; k < c.output_count(); ++k) c.set(k, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_ASSIGN(size_t axis, c.axis(c.node().int_or("axis", 0), shape->size()));
  const Dim& extent = (*shape)[axis];
  const bool ragged = c.version() >= 18;
  if (ragged && c.node().int_or("num_outputs", parts) != parts) {
    return c.error(cat("num_outputs is not the number of outputs, ", parts));
  }

  std::optional<std::vector<Dim>> lengths;
  if (c.version() >= 13) {
    lengths = c.contents(1);
  } else if (const std::vector<int64_t>* given = c.node().ints("split")) {
    lengths.emplace(given->begin(), given->end());
  }
  if (lengths) {
    Dim sum = 0;
    for (const Dim& length : *lengths) sum = sum + length;
    if (std::ssize(*lengths) != parts || proven_equal(sum, extent) == false) {
      return c.error(cat("lengths ", Shape(*lengths), " don't split ", extent, " into ", parts));
    }
  }
  const bool given = lengths || (c.version() >= 13 && c.has_input(1));
  if (!given && !ragged && extent.is_const() && extent.value() % parts != 0) {
    return c.error(cat("extent ", extent, " does not split into ", parts, " equal parts"));
  }
  const Dim chunk = ceil_div(extent, parts);
  for (size_t k = 0; k < c.output_count(); ++k) {
    Shape part = *shape;
    if (lengths) {
      part[axis] = (*lengths)[k];
    } else if (given) {
      part[axis] = c.fresh_dim(k, axis);
    } else if (proven_equal(chunk * parts, extent) == true || !ragged) {
      part[axis] = chunk;
    } else {
      part[axis] = max(min(chunk, extent - chunk * static_cast<int64_t>(k)), 0);
    }
    c.set(k, c.dtype(0), std::move(part));
  }
  return infer_moved_contents(c);
}

Result<Expr> part(ExprContext& c, size_t output) {
  QUERN_ASSIGN(size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 0), c.input(0).rank()));
  int64_t first = 0;
  bool baked = host_baked(c, 1);
  for (size_t k = 0; k < output; ++k) {
    first += c.output(k).dims[axis];
    baked = baked && c.output(k).is_baked(axis);
  }
  std::vector<Expr> index = c.indices();
  index[axis] = c.b.add(index[axis], c.derived(first, baked));
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_split;
const OpDef op_split = {
    .name = "Split",
    .max_inputs = 2,
    .max_outputs = kVariadic,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_split,
    .expr = part,
    .eval = eval_moved,
};

}  // namespace quern
