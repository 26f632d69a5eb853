// quern.PairwiseCoupling: probabilities of classes from those of all pairs (f32 [n, pairs], that
// the first of a pair is right), by the iteration of T.-F. Wu, C.-J. Lin and R. C. Weng,
// "Probability estimates for multi-class classification by pairwise coupling" (2004), algorithm 2,
// with the stopping rule of libsvm. Output f32 [n, classes].
#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"classes", AttributeKind::kInt, true}};
constexpr int64_t kWorkgroup = 64;

int64_t classes_of(const Node& node) { return node.int_or("classes", 1); }
int64_t steps_of(int64_t classes) { return std::max<int64_t>(100, classes); }
float tolerance_of(int64_t classes) { return 0.005F / static_cast<float>(classes); }

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(0, 2));
  const int64_t classes = classes_of(c.node());
  if (classes < 2 || classes > 65535) return c.error(cat(classes, " classes"));
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  if (proven_equal((*x)[1], classes * (classes - 1) / 2) == false) {
    return c.error(cat("pairs ", *x, " for ", classes, " classes"));
  }
  c.set(0, c.dtype(0), Shape{(*x)[0], classes});
  return {};
}

Result<void> lower(LowerContext& ctx) {
  const int64_t rows = ctx.input(0).dims[0];
  const int64_t classes = classes_of(ctx.node());
  if (rows == 0) return {};
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  QUERN_TRY(check_u32(ctx, rows * classes * 2));
  const auto elements = static_cast<uint64_t>(rows * classes * 2);
  QUERN_ASSIGN(const Storage work, ctx.scratch(elements * 4));
  KernelCall call;
  call.kernel = "pairwise_coupling";
  call.bindings = {
      ctx.bind_in("x", 0), {"work", work, DType::kF32, elements}, ctx.bind_out("y", 0)};
  call.params = {word(rows), word(classes), word(steps_of(classes)),
                 std::bit_cast<uint32_t>(tolerance_of(classes))};
  call.workgroups =
      split_workgroups(static_cast<uint64_t>((rows + kWorkgroup - 1) / kWorkgroup), ctx.target());
  return ctx.dispatch(std::move(call));
}

/// One row: `share(i, j)` is the probability of i in the pair of i and j. `p` and `qp` have a
/// number for each class.
template <class Share>
void couple(const Share& share, std::vector<double>& p, std::vector<double>& qp) {
  const auto classes = std::ssize(p);
  const auto q = [&](int64_t t, int64_t j) {
    if (t != j) return -share(j, t) * share(t, j);
    double sum = 0;
    for (int64_t i = 0; i < classes; ++i) {
      if (i != t) sum += share(i, t) * share(i, t);
    }
    return sum;
  };
  std::ranges::fill(p, 1.0 / static_cast<double>(classes));
  for (int64_t step = 0; step < steps_of(classes); ++step) {
    double pqp = 0;
    for (size_t t = 0; t < p.size(); ++t) {
      qp[t] = 0;
      for (size_t j = 0; j < p.size(); ++j) {
        qp[t] += q(static_cast<int64_t>(t), static_cast<int64_t>(j)) * p[j];
      }
      pqp += p[t] * qp[t];
    }
    double error = 0;
    for (const double v : qp) error = std::max(error, std::abs(v - pqp));
    if (error < tolerance_of(classes)) return;
    for (size_t t = 0; t < p.size(); ++t) {
      const double own = q(static_cast<int64_t>(t), static_cast<int64_t>(t));
      const double diff = (pqp - qp[t]) / own;
      p[t] += diff;
      pqp = (pqp + diff * (diff * own + 2 * qp[t])) / (1 + diff) / (1 + diff);
      for (size_t j = 0; j < p.size(); ++j) {
        qp[j] = (qp[j] + diff * q(static_cast<int64_t>(t), static_cast<int64_t>(j))) / (1 + diff);
        p[j] /= 1 + diff;
      }
    }
  }
}

Result<void> eval(EvalContext& c) {
  const int64_t rows = c.input(0).dims[0];
  const int64_t classes = classes_of(c.node());
  const int64_t pairs = c.input(0).dims[1];
  std::vector<double> p(static_cast<size_t>(classes));
  std::vector<double> qp(p.size());
  for (int64_t row = 0; row < rows; ++row) {
    const auto share = [&](int64_t i, int64_t j) {
      const int64_t low = std::min(i, j);
      const int64_t pair = low * (2 * classes - low - 1) / 2 + std::max(i, j) - low - 1;
      const double v = c.in(0).float_at(row * pairs + pair);
      return i < j ? v : 1 - v;
    };
    couple(share, p, qp);
    for (int64_t j = 0; j < classes; ++j) {
      c.out(0).set_float(row * classes + j, p[static_cast<size_t>(j)]);
    }
  }
  return {};
}

}  // namespace

extern const OpDef op_pairwise_coupling;
const OpDef op_pairwise_coupling = {
    .name = "PairwiseCoupling",
    .domain = "quern",
    .since = 0,
    .types = types_of(DType::kF32),
    .attributes = kAttributes,
    .infer = infer,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
