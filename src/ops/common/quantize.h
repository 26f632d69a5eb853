// Linear quantisation: x is about (q - zero point) * scale, per tensor, axis or block.
#pragma once

#include <optional>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"

namespace quern {

/// Element types that numbers are quantised to.
inline constexpr TypeSet kQuantized =
    types_of(DType::kI8, DType::kU8, DType::kI16, DType::kU16, DType::kI4, DType::kU4, DType::kI2,
             DType::kU2, DType::kF8E4M3FN, DType::kF8E4M3FNUZ, DType::kF8E5M2, DType::kF8E5M2FNUZ,
             DType::kF4E2M1);

/// Does the zero point take part? Float8 and float4 are quantised around 0.
inline bool has_zero_point(DType type) { return is_integer(type); }

/// The scale or zero point (input `input`, which is present) for the element of input 0 at
/// ctx.index(): of one element, along the attribute `axis`, or also in blocks of `block_size`.
Result<Expr> load_quantization(ExprContext& ctx, size_t input);
/// An error where scale or zero point (where their shapes are known) can't belong to input 0.
Result<void> check_quantization(InferContext& ctx, size_t input);

/// The integer nearest to `x`, a float, ties to even, plus `zero_point` (none: 0), held in the
/// range of `to`; in compute_type(to). NaN becomes the zero point.
Expr round_to_integer(ExprBuilder& b, Expr x, std::optional<Expr> zero_point, DType to);
/// q - zero_point (none: 0) as i32, exact.
Expr centred(ExprBuilder& b, Expr q, std::optional<Expr> zero_point);
/// The operators of both domains.
Result<void> infer_quantize(InferContext& ctx);
Result<Expr> quantize_expr(ExprContext& ctx, size_t output);
Result<void> infer_dequantize(InferContext& ctx);
Result<Expr> dequantize_expr(ExprContext& ctx, size_t output);

inline constexpr AttributeField kQuantizeAttributes[] = {
    {"axis", AttributeKind::kInt},      {"block_size", AttributeKind::kInt},
    {"precision", AttributeKind::kInt}, {"output_dtype", AttributeKind::kInt},
    {"saturate", AttributeKind::kInt},
};
inline constexpr AttributeField kDequantizeAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"block_size", AttributeKind::kInt},
    {"output_dtype", AttributeKind::kInt},
};

}  // namespace quern
