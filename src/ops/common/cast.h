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

/// The attribute `name` as an element type; an error where it is none.
Result<DType> type_attribute(const Node& node, std::string_view name, DType fallback);

}  // namespace quern
