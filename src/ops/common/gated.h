// Two products of one input of which the first gates the second: silu(gate) * up. Of one row they
// are one dispatch (gated_matvec.wgsl, gated_matvec_nbits.wgsl), of more they come apart.
#pragma once

#include <functional>

#include "base/result.h"
#include "ir/expr.h"
#include "shader/lower.h"

namespace quern {

/// gate * sigmoid(gate) * up.
Expr gated(ExprBuilder& b, Expr gate, Expr up);

/// One of the two products, of some rows of the node's first input: y is f32.
using GateProduct =
    std::function<Result<void>(bool is_gate, const KernelBinding& a, const KernelBinding& y)>;
/// Output 0, [..., n], from products of input 0, [..., k]: of so many rows at a time that what lies
/// between stays small.
Result<void> dispatch_gated(LowerContext& ctx, const GateProduct& product);

}  // namespace quern
