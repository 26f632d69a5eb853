// Window functions: HannWindow, HammingWindow, BlackmanWindow.
#pragma once

#include "base/result.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kWindowAttributes[] = {{"output_datatype", AttributeKind::kInt},
                                                       {"periodic", AttributeKind::kInt}};

Result<void> infer_window(InferContext& c);

/// c0 + c1 s + c2 s^2 with s = sin(pi n / N)^2. The cosines of the usual forms are such
/// polynomials: cos(2 pi n / N) is 1 - 2 s. So there is no cancellation near the ends, where a
/// window is almost 0.
Result<Expr> window_expr(ExprContext& c, double c0, double c1, double c2);

}  // namespace quern
