// Between tensors in memory, of any element type, and block registers.
#pragma once

#include <cstdint>

#include "ir/dtype.h"

namespace quern {

/// Is an element in memory what a register holds?
bool is_register_type(DType dtype);

/// Elements start, start + stride, ... of `data`, widened to compute_type(dtype).
void load_run(DType dtype, const uint8_t* data, int64_t start, int64_t stride, int count,
              void* out);
/// The elements at `offsets`.
void load_gather(DType dtype, const uint8_t* data, const int64_t* offsets, int count, void* out);
/// `count` elements of a register to elements start, start + 1, ..., wrapped or rounded.
void store_run(DType dtype, const void* block, uint8_t* data, int64_t start, int count);

}  // namespace quern
