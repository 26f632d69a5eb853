// The operands of attention, as they are before exports scale, transpose, repeat and flatten them.
#pragma once

#include "passes/recognise_match.h"

namespace quern {

/// A value, its axes permuted.
struct Permuted {
  Value* value = nullptr;
  std::vector<int64_t> permutation;  ///< empty: none
};

/// Are they alike in every program that makes sense? Lengths that come in by different inputs have
/// different symbols, as those of cached keys, cached values and their mask; then only one of them
/// being 1, where the other is not, would still be valid. The operator checks when it runs.
bool may_be_same(const Dim& a, const Dim& b);
/// The last two extents of both alike?
bool same_matrices(const Shape& a, const Shape& b);

/// `v` before it was multiplied or divided by a scalar, which goes into `factor`; null where
/// neither made it.
Value* before_scale(const Value* v, double& factor);
/// Sees through products with scalars, which go into `factor`.
Value* without_scale(Value* v, double& factor);
/// k of its transpose: as it is where k^T was made by a transposition, else transposed once more.
Permuted k_of_transpose(Value* transposed, double& factor);
/// The heads [batch, kv heads, keys, size] before each was repeated for a group of q's heads:
/// Unsqueeze, Expand, Reshape, or an Expand of one head. Null where `v` is not such.
Value* unrepeated(const Value* v);
/// Matrices of two axes before, of which a Reshape made one: [batch, heads, ., .] of
/// [batch * heads, ., .]. Null where `v` is not such.
Value* unflattened(const Value* v);

}  // namespace quern
