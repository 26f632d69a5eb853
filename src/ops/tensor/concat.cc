// Concat: inputs one after the other along `axis`.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/common/variadic.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt, true}};

/// The extents of `a` and `b` outside the axis, which must agree: the better known of the two.
Result<void> unify(InferContext& c, Shape& a, const Shape& b, size_t axis) {
  if (a.size() != b.size()) return c.error(cat("inputs ", a, " and ", b, " differ in rank"));
  for (size_t i = 0; i < a.size(); ++i) {
    if (i == axis) continue;
    if (proven_equal(a[i], b[i]) == false) {
      return c.error(cat("inputs ", a, " and ", b, " differ along axis ", i));
    }
    if (b[i].is_const()) a[i] = b[i];
  }
  return {};
}

Result<void> infer_concat(InferContext& c) {
  std::optional<Shape> result;
  Dim sum = 0;
  bool all_known = true;
  size_t axis = 0;
  std::vector<Dim> joined;  // the contents of vectors, which are most of shape arithmetic
  bool contents_known = true;
  for (size_t i = 0; i < c.input_count(); ++i) {
    QUERN_TRY(expect_same_type(c, 0, i));
    const Shape* shape = c.shape(i);
    if (shape == nullptr) {
      all_known = contents_known = false;
      continue;
    }
    if (!result) {
      QUERN_ASSIGN(axis, c.axis(c.node().int_or("axis", 1), shape->size()));
      result = *shape;
    } else {
      QUERN_TRY(unify(c, *result, *shape, axis));
    }
    sum = sum + (*shape)[axis];
    std::optional<std::vector<Dim>> contents;
    if (contents_known && shape->size() == 1) contents = c.contents(i);
    contents_known = contents.has_value();
    if (contents) joined.insert(joined.end(), contents->begin(), contents->end());
  }
  const bool is_vector = result && result->size() == 1;
  if (result) (*result)[axis] = all_known ? sum : c.fresh_dim(0, axis);
  c.set(0, c.dtype(0), std::move(result));
  if (contents_known) {
    c.set_contents(0, std::move(joined));
  } else if (!is_vector && all_known) {
    return infer_moved_contents(c, UINT64_MAX);
  }
  return {};
}

/// The input in whose range the index lies: a chain of selections, from the last on.
Result<Expr> concatenated(ExprContext& c, size_t) {
  QUERN_ASSIGN(size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 1), c.output(0).rank()));
  struct Part {
    Expr value;
    Expr end;
  };
  std::vector<Part> parts;
  int64_t offset = 0;
  bool baked = true;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const TensorInfo& info = c.input(i);
    const Expr first = c.derived(offset, baked);
    offset += info.dims[axis];
    baked = baked && info.is_baked(axis);
    if (info.count() == 0) continue;
    std::vector<Expr> index = c.indices();
    // Clamped: the other side of a selection may be evaluated too.
    index[axis] = clamp_index(c.b, c.b.sub(index[axis], first), c.dim(i, axis));
    QUERN_ASSIGN(Expr value, c.load(i, index));
    parts.push_back({value, c.derived(offset, baked)});
  }
  if (parts.empty()) return zero_of(c, 0);
  Expr result = parts.back().value;
  for (size_t k = parts.size() - 1; k-- > 0;) {
    result = c.b.select(c.b.lt(c.index(axis), parts[k].end), parts[k].value, result);
  }
  return result;
}

}  // namespace

extern const OpDef op_concat;
const OpDef op_concat = {
    .name = "Concat",
    .max_inputs = kVariadic,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_concat,
    .expr = concatenated,
    .expand = expand_into_tree,
    .eval = eval_moved,
};

}  // namespace quern
