// quern.Frame: pieces of a signal [batch, length, parts], `step` apart, each multiplied by a
// window: [batch, frames, frame length, parts]. Past a shorter window frames are zero.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kSignal, kStep, kWindow, kLength };

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(kSignal), std::nullopt);
  QUERN_TRY(c.expect_rank(kSignal, 3));
  QUERN_TRY(c.expect_rank(kWindow, 1));
  const Shape* x = c.shape(kSignal);
  if (x == nullptr) return {};
  const auto number = [&](size_t i) -> std::optional<Dim> {
    const std::optional<std::vector<Dim>> contents = c.contents(i);
    if (!contents || contents->size() != 1) return std::nullopt;
    return (*contents)[0];
  };
  std::optional<Dim> length = (*x)[1];
  if (c.has_input(kLength)) {
    length = number(kLength);
  } else if (c.has_input(kWindow)) {
    const Shape* window = c.shape(kWindow);
    length = window != nullptr ? std::optional<Dim>((*window)[0]) : std::nullopt;
  }
  if (length && length->upper() < 1) return c.error("the frame length is not positive");
  if (length && length->lower() < 0) length.reset();
  const std::optional<Dim> step = number(kStep);
  if (step && step->upper() < 1) return c.error("the frame step is not positive");
  Dim frames = c.fresh_dim(0, 1);
  if (step && length && step->lower() >= 0) {
    const Dim rest = (*x)[1] - *length;
    if (rest.upper() < 0) {
      return c.error(cat("frames of ", *length, " are longer than the signal ", *x));
    }
    frames = floor_div(rest, *step) + 1;
  }
  c.set(0, c.dtype(kSignal), Shape{(*x)[0], frames, length ? *length : c.fresh_dim(0, 2), (*x)[2]});
  return {};
}

Result<Expr> framed(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const Expr start = b.mul(c.index(1), c.host_int(kStep, 0));
  const Expr at[] = {c.index(0), clamp_index(b, b.add(start, c.index(2)), c.dim(kSignal, 1)),
                     c.index(3)};
  QUERN_ASSIGN(Expr x, c.load(kSignal, at));
  if (!c.has_input(kWindow)) return x;
  if (c.input(kWindow).count() == 0) return zero(b, x);
  const size_t inside[] = {0};
  QUERN_ASSIGN(Expr weight, load_or(c, kWindow, {c.index(2)}, inside, zero(b, x)));
  return b.mul(x, weight);
}

}  // namespace

extern const OpDef op_frame;
const OpDef op_frame = {
    .name = "Frame",
    .domain = "quern",
    .min_inputs = 2,
    .max_inputs = 4,
    .types = kFloats,
    .host_inputs = 1 << kStep | 1 << kLength,
    .infer = infer,
    .expr = framed,
};

}  // namespace quern
