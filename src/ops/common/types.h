// Sets of element types beyond those of op_def.h.
#pragma once

#include "ops/op_def.h"

namespace quern {

inline constexpr TypeSet kFloat8 = types_of(DType::kF8E4M3FN, DType::kF8E4M3FNUZ, DType::kF8E5M2,
                                            DType::kF8E5M2FNUZ, DType::kF8E8M0);
/// Elements of less than a byte.
inline constexpr TypeSet kSubByte =
    types_of(DType::kU4, DType::kI4, DType::kF4E2M1, DType::kU2, DType::kI2);
/// Everything that expressions can load and store.
inline constexpr TypeSet kScalarTypes = kFixedWidth | kFloat8 | kSubByte;
/// What operators that only move elements take: strings and complex numbers by `eval`.
inline constexpr TypeSet kMovableTypes =
    kScalarTypes | types_of(DType::kString, DType::kC64, DType::kC128);

}  // namespace quern
