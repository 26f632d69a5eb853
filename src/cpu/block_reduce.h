// Reductions over blocks: lane by lane from one iteration to the next, and of one block to a
// number.
#pragma once

#include <cstdint>

#include "cpu/block_ops.h"

namespace quern {

/// What reductions accumulate in: f64 for float sums and products, so that they are as exact as
/// their arguments; else the type itself.
constexpr Scalar accumulator_type(ExprOp op, Scalar type) {
  const bool wide = op == ExprOp::kReduceSum || op == ExprOp::kReduceProd;
  return wide && type == Scalar::kF32 ? Scalar::kF64 : type;
}

/// acc[i] = acc[i] op value[i], where acc is of accumulator_type. Not for kArg*.
BlockKernel accumulate_kernel(ExprOp op, Scalar type);
/// acc[i] += value[i] and value[i] = 0: for f32 sums that are kept in f32 over a few iterations.
void flush_sums(double* acc, float* values, int count);
/// Keeps the best value of each lane in `best` and its iteration in `where`. `active` (or null)
/// says which lanes take part.
void accumulate_arg(ExprOp op, Scalar type, void* best, int32_t* where, const void* value,
                    int32_t iteration, const uint8_t* active, int count);

/// A reduction of one element as it goes over blocks of the loop.
struct Folded {
  union {
    double number = 0;  ///< floats
    int64_t bits;       ///< others
  };
  int64_t where = 0;  ///< kArg*: the best iteration
  bool any = false;   ///< kArg*: is there one yet?
};
Folded start_fold(ExprOp op, Scalar type);
/// Takes in values[0, count), of iterations first, first + 1, ...
void fold_block(ExprOp op, Scalar type, const void* values, int64_t first, int count,
                Folded& folded);
/// Writes the result as element `i` of a register of result_type(op, type).
void finish_fold(ExprOp op, Scalar type, const Folded& folded, void* out, int i);

}  // namespace quern
