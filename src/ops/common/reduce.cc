#include "ops/common/reduce.h"

#include <algorithm>

#include "ops/common/infer.h"

namespace quern {
namespace {

/// The axes of the node where known, all of them where it names none.
Result<std::optional<std::vector<size_t>>> axes_of(const Node& node, const IntList& list,
                                                   size_t rank) {
  if (list.present && !list.known) return std::nullopt;
  if (list.values.empty()) {
    std::vector<size_t> all;
    if (node.int_or("noop_with_empty_axes", 0) == 0) {
      for (size_t a = 0; a < rank; ++a) all.push_back(a);
    }
    return all;
  }
  QUERN_ASSIGN(std::vector<size_t> axes, resolve_axes(node, list.values, rank));
  std::ranges::sort(axes);
  return axes;
}

bool keeps_dims(const Node& node) { return node.int_or("keepdims", 1) != 0; }

}  // namespace

Expr reduced_count(ExprContext& c, size_t input, std::span<const size_t> axes) {
  int64_t count = 1;
  bool baked = true;
  for (size_t a : axes) {
    count *= c.input(input).dims[a];
    baked = baked && c.input(input).is_baked(a);
  }
  return c.derived(count, baked);
}

Result<Expr> reduce_axes(ExprContext& c, size_t input, std::vector<Expr> index,
                         std::span<const size_t> axes, ExprOp op, ReduceBody body, Expr extra) {
  const TensorInfo& info = c.input(input);
  std::vector<size_t> loops;  // the axes that are more than one element
  for (size_t a : axes) {
    if (info.is_baked(a) && info.dims[a] == 1) {
      index[a] = c.b.i32(0);
    } else {
      loops.push_back(a);
    }
  }
  if (loops.empty()) {
    QUERN_ASSIGN(Expr x, c.load(input, index));
    return body(c.b, x, extra);
  }
  const Expr variable = c.b.loop();
  Expr rest = variable;
  for (size_t k = loops.size(); k-- > 1;) {
    const Expr extent = c.dim(input, loops[k]);
    index[loops[k]] = c.b.binary(ExprOp::kRem, rest, extent);
    rest = c.b.div(rest, extent);
  }
  index[loops[0]] = rest;
  QUERN_ASSIGN(Expr x, c.load(input, index));
  return c.b.reduce(op, variable, reduced_count(c, input, loops), body(c.b, x, extra));
}

Result<void> infer_reduce(InferContext& c, int axes_input_since, DimFold fold,
                          std::optional<Dim> initial) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  const size_t rank = shape->size();
  const bool keep = keeps_dims(c.node());
  const IntList list = int_list(c, "axes", 1, axes_input_since);
  QUERN_ASSIGN(std::optional<std::vector<size_t>> axes, axes_of(c.node(), list, rank));
  if (!axes) {
    if (keep) c.set(0, c.dtype(0), fresh_shape(c, 0, rank));
    return {};
  }
  Shape result;
  for (size_t a = 0; a < rank; ++a) {
    if (!std::ranges::binary_search(*axes, a)) {
      result.push_back((*shape)[a]);
    } else if (keep) {
      result.emplace_back(1);
    }
  }
  c.set(0, c.dtype(0), std::move(result));
  if (fold == nullptr || rank != 1 || axes->empty()) return {};
  if (const std::optional<std::vector<Dim>> contents = c.contents(0)) {
    if (contents->empty() && !initial) return {};
    Dim folded = initial ? *initial : (*contents)[0];
    for (const Dim& x : *contents) folded = fold(folded, x);
    set_checked_contents(c, 0, {folded});
  }
  return {};
}

Result<Reduction> reduction_of(ExprContext& c, int axes_input_since) {
  const size_t rank = c.input(0).rank();
  const IntList list = int_list(c, "axes", 1, axes_input_since);
  QUERN_ASSIGN(std::optional<std::vector<size_t>> axes, axes_of(c.node(), list, rank));
  if (!axes) return c.error("axes are not known");
  const bool keep = keeps_dims(c.node());
  Reduction reduction;
  size_t next = 0;
  for (size_t a = 0; a < rank; ++a) {
    const bool reduced = std::ranges::binary_search(*axes, a);
    reduction.index.push_back(reduced ? c.b.i32(0) : c.index(next));
    if (!reduced || keep) ++next;
  }
  reduction.axes = *std::move(axes);
  return reduction;
}

Result<Expr> reduce_expr(ExprContext& c, int axes_input_since, ExprOp op, ReduceBody body) {
  QUERN_ASSIGN(Reduction reduction, reduction_of(c, axes_input_since));
  return reduce_axes(c, 0, std::move(reduction.index), reduction.axes, op, body);
}

Scalar float_type_for(Scalar type) {
  switch (type) {
    case Scalar::kF64:
    case Scalar::kI64:
    case Scalar::kU64:
      return Scalar::kF64;
    default:
      return Scalar::kF32;
  }
}

}  // namespace quern
