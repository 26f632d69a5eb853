// What Conv and its integer and fused forms share.
#pragma once

#include <functional>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/conv_shape.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kConvAttributes[] = {
    {"auto_pad", AttributeKind::kString}, {"dilations", AttributeKind::kInts},
    {"group", AttributeKind::kInt},       {"kernel_shape", AttributeKind::kInts},
    {"pads", AttributeKind::kInts},       {"strides", AttributeKind::kInts},
};

/// Output 0: the convolution of input 0, [n, c, positions...], with the weights in input `weights`,
/// of this element type.
Result<void> infer_conv(InferContext& ctx, size_t weights, DType type);

/// The sum for the element ctx.index() of the convolution of inputs 0 and 1, any rank and type:
/// elements taken by `of_x` and `of_w`. Padding adds nothing, whatever `of_x` makes of it.
Result<Expr> conv_sum(ExprContext& ctx, const std::function<Result<Expr>(Expr)>& of_x,
                      const std::function<Result<Expr>(Expr)>& of_w);

}  // namespace quern
