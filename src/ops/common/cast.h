// Conversion between element types (Cast, CastLike).
#pragma once

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kCastAttributes[] = {{"to", AttributeKind::kInt, true},
                                                     {"saturate", AttributeKind::kInt},
                                                     {"round_mode", AttributeKind::kString}};

/// Output 0 has the shape of input 0 and this type; contents are converted.
Result<void> infer_cast(InferContext& c, DType to);
/// Input 0 in the type of output 0, by the attributes `saturate` and `round_mode`.
Result<Expr> cast_expr(ExprContext& c, size_t output);
/// The same on the host, also from and to strings.
Result<void> eval_cast(EvalContext& c);
/// Numbers or strings as f32, i64 or strings; an error about `node` where a string is no number.
Result<HostTensor> cast_host(const Node& node, const HostTensor& in, DType to);

/// A float held or marked as the type (of 8 or 4 bits, not E8M0) says: past its range the largest
/// number, or else (`saturate` false) infinity or NaN. To be stored as that type.
Expr to_small_float(ExprBuilder& b, Expr x, DType type, bool saturate);

/// The attribute `name` as an element type; an error where it is none.
Result<DType> type_attribute(const Node& node, std::string_view name, DType fallback);

}  // namespace quern
