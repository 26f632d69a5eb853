// Sums or products of all elements up to each one along an axis: CumSum and CumProd.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kScanAttributes[] = {{"exclusive", AttributeKind::kInt},
                                                     {"reverse", AttributeKind::kInt}};
inline constexpr TypeSet kScanTypes =
    kFloats | types_of(DType::kI32, DType::kI64, DType::kU32, DType::kU64);

/// A scan in one binding: [outer, length, inner], along the middle axis.
struct ScanShape {
  int64_t outer = 1;
  int64_t length = 0;
  int64_t inner = 1;
  bool exclusive = false;
  bool reverse = false;

  [[nodiscard]] int64_t lines() const { return outer * inner; }
};
Result<ScanShape> scan_shape(const OpContext& c);

Result<void> infer_scan(InferContext& c);
Result<void> lower_scan(LowerContext& ctx, bool product);
Result<void> eval_scan(EvalContext& c, bool product);

}  // namespace quern
