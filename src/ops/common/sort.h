// Sorting: keys whose order as unsigned numbers is that of the elements, and a stable sort of rows
// of keys on the device.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"
#include "ir/tensor.h"
#include "shader/lower.h"

namespace quern {

/// Are keys of this type 64 bits?
constexpr bool is_wide_key(DType type) { return bit_width(type) == 64; }
constexpr DType key_type(DType type) { return is_wide_key(type) ? DType::kU64 : DType::kU32; }

/// The key of an element of `type` loaded by moved_as(type): -0 is 0, NaN the greatest number.
/// With `descending`, greater elements have smaller keys.
Expr sort_key(ExprBuilder& b, Expr element, DType type, bool descending);
/// The same on the host.
uint64_t sort_key(const HostTensor& tensor, int64_t i, bool descending);

/// Rows of `length` keys, of which the first `keep` in order are wanted.
struct RowSort {
  int64_t rows = 0, length = 0, keep = 0;
  bool wide = false;
};
struct SortedRows {
  Storage numbers;     ///< u32 [rows, stride]: places in the row, of equal keys the smaller first
  Storage keys;        ///< u32 or u64 [rows, stride]; only where asked for
  int64_t stride = 0;  ///< at least `keep`
};
/// Sorts rows of keys, which are read only.
Result<SortedRows> sort_rows(LowerContext& ctx, Storage keys, const RowSort& sort, bool want_keys);

/// The first `keep` places of a row of keys in order, on the host.
std::vector<int64_t> sorted_places(const std::vector<uint64_t>& keys, int64_t keep);

}  // namespace quern
