// Poolings as expressions: the taps of a window, and which of them lie inside.
#pragma once

#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/conv_shape.h"

namespace quern {

/// The window at an output element of a pooling node, one entry a spatial axis.
struct PoolWindow {
  std::vector<int64_t> kernel;
  std::vector<int64_t> dilations;
  std::vector<Expr> origin;  ///< input index of tap 0, may be negative
  std::vector<Expr> first;   ///< the first and last tap inside the input
  std::vector<Expr> last;
  std::vector<Expr> padded;  ///< taps that lie inside the padded input

  [[nodiscard]] size_t rank() const { return kernel.size(); }
  [[nodiscard]] int64_t taps() const { return ConvShape::product(kernel); }
};
Result<PoolWindow> pool_window(ExprContext& ctx);

/// Input 0 at taps `tap`, each moved to the nearest one that is inside.
Result<Expr> load_nearest_tap(ExprContext& ctx, const PoolWindow& window,
                              const std::vector<Expr>& tap, std::vector<Expr>* at = nullptr);
/// The sum over all taps inside of `term(x)`.
Result<Expr> sum_of_taps(ExprContext& ctx, const PoolWindow& window,
                         Expr (*term)(ExprBuilder& b, Expr x, double p), double p);

}  // namespace quern
