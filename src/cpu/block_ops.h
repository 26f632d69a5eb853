// Operators on blocks of elements: the instructions that compiled expressions consist of.
//
// A block register holds up to kBlock elements of one Scalar type; booleans are bytes, 0 or 1.
// Operators that compilers vectorise well are plain loops (block_ops.cc); the transcendentals and
// rounding use Highway (block_math.cc).
#pragma once

#include <cstdint>

#include "ir/expr_ops.h"

namespace quern {

inline constexpr int kBlock = 512;
/// Counts are rounded up to this: what lies past the elements is computed too, from garbage.
inline constexpr int kBlockStep = 16;

/// Bytes of one element of a block register.
constexpr int register_width(Scalar type) { return type == Scalar::kBool ? 1 : width_of(type) / 8; }

struct BlockArgs {
  void* out = nullptr;  ///< not one of the arguments
  const void* args[3] = {};
  int count = 0;      ///< a multiple of kBlockStep
  uint32_t slot = 0;  ///< ExprNode::slot
};
using BlockKernel = void (*)(const BlockArgs&);

/// The kernel of an operator that is neither leaf nor load nor reduction; null where there is none.
BlockKernel block_kernel(ExprOp op, Scalar type, Scalar arg_type);
/// The part of it in block_math.cc.
BlockKernel math_kernel(ExprOp op, Scalar type);
/// Roughly how long a kernel takes, in nanoseconds an element.
float kernel_cost(ExprOp op, Scalar type);

/// `count` times one value.
void fill_block(Scalar type, void* out, ScalarBits value, int count);
/// `count` times element `i` of a block.
void splat_block(Scalar type, void* out, const void* block, int i, int count);

}  // namespace quern
