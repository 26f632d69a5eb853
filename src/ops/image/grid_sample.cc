// GridSample: elements of x at the coordinates of a grid, which count from -1 to 1 and name the
// last axis first.
#include "ops/common/exprs.h"
#include "ops/common/movement.h"
#include "ops/common/sampling.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"align_corners", AttributeKind::kInt},
                                          {"mode", AttributeKind::kString},
                                          {"padding_mode", AttributeKind::kString}};

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  const Shape* grid = c.shape(1);
  if (x == nullptr) return {};
  if (x->size() < 3) return c.error(cat("input ", *x, " has no spatial axis"));
  Shape y = {(*x)[0], (*x)[1]};
  if (grid == nullptr) {
    for (size_t a = 2; a < x->size(); ++a) y.push_back(c.fresh_dim(0, a));
    c.set(0, c.dtype(0), std::move(y));
    return {};
  }
  const auto spatial = static_cast<int64_t>(x->size()) - 2;
  if (grid->size() != x->size() || proven_equal(grid->back(), Dim(spatial)) == false ||
      proven_equal((*grid)[0], (*x)[0]) == false) {
    return c.error(cat("a grid of shape ", *grid, " does not fit input ", *x));
  }
  y.insert(y.end(), grid->begin() + 1, grid->end() - 1);
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

Result<Sampling> sampling_of(const Node& node) {
  Sampling s;
  s.align_corners = node.int_or("align_corners", 0) != 0;
  // The names of operator set 16, and those since 20.
  const std::string_view mode = node.string_or("mode", "linear");
  if (mode == "nearest") {
    s.mode = Sampling::Mode::kNearest;
  } else if (mode == "cubic" || mode == "bicubic") {
    s.mode = Sampling::Mode::kCubic;
  } else if (mode != "linear" && mode != "bilinear") {
    return invalid_model(
        cat(node.describe(), ": mode is '", mode, "', expected linear, nearest or cubic"));
  }
  const std::string_view padding = node.string_or("padding_mode", "zeros");
  if (padding == "border") {
    s.padding = Sampling::Padding::kBorder;
  } else if (padding == "reflection") {
    s.padding = Sampling::Padding::kReflection;
  } else if (padding != "zeros") {
    return invalid_model(cat(node.describe(), ": padding_mode is '", padding,
                             "', expected zeros, border or reflection"));
  }
  return s;
}

Result<Expr> sampled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  QUERN_ASSIGN(Sampling sampling, sampling_of(c.node()));
  if (c.input(0).count() == 0) return zero_of(c, 0);
  const size_t spatial = c.input(0).rank() - 2;
  const bool wide = c.input(0).dtype == DType::kF64;
  std::vector<Expr> place = c.indices();
  place.erase(place.begin() + 1);
  place.emplace_back();
  std::vector<Expr> at;
  for (size_t d = 0; d < spatial; ++d) {
    place.back() = b.i32(static_cast<int64_t>(spatial - 1 - d));
    QUERN_ASSIGN(Expr x, c.load(1, place));
    if (wide) x = b.cast(x, Scalar::kF64);
    const Expr size = b.cast(c.dim(0, 2 + d), b.type_of(x));
    const Expr half = b.number(x, 0.5);
    x = b.add(x, one(b, x));
    at.push_back(sampling.align_corners ? b.mul(b.mul(x, half), b.sub(size, one(b, x)))
                                        : b.mul(b.sub(b.mul(x, size), one(b, x)), half));
  }
  const Expr leading[] = {c.index(0), c.index(1)};
  QUERN_ASSIGN(Expr y, sample(c, sampling, leading, at));
  return b.cast(y, compute_type(c.output(0).dtype));
}

}  // namespace

extern const OpDef op_grid_sample;
const OpDef op_grid_sample = {
    .name = "GridSample",
    .since = 16,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expr = sampled,
    .eval = eval_moved,
};

}  // namespace quern
