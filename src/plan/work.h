// How much a node has to compute and to move at least: what a profile measures times against.
#pragma once

#include <cstdint>

#include "plan/walk.h"

namespace quern {

/// Floating-point operations, two a multiply-add, of operators that are sums of products; 0 for all
/// others, which memory bounds. Of a fusion, its anchor's.
uint64_t flops_of(const LowerJob& job);
/// Bytes of the inputs and outputs, each once; of a table that is looked up, what is read.
uint64_t bytes_of(const LowerJob& job);

}  // namespace quern
