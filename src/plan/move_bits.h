// Elements that a kernel only moves are moved as bits: exact where the device has no such type
// (f64, float8), without conversions where it has (f16).
#pragma once

#include <cstdint>
#include <span>

#include "ir/expr.h"

namespace quern {

/// Gives inputs and outputs of float types other than f32 the unsigned type of their width, where
/// all that happens to their elements is loads, choices and stores. `storages[i]` tells inputs
/// apart: those that have the same number keep one type.
void move_bits(ExprProgram& program, std::span<const uint32_t> storages);

}  // namespace quern
