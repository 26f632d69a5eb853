// The JSON of torch.export (torch/_export/serde/schema.py, versions 5 to 8): types, sizes, names.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "import/json/json.h"
#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/graph.h"

namespace quern::torch {

/// schema.ScalarType; kUnsupported where we have no such type.
Result<DType> dtype_of_scalar_type(int64_t number);

/// TensorMeta: the type of a tensor, or where it lies in its storage.
struct TensorMeta {
  DType dtype = DType::kUndefined;
  Shape sizes;
  std::vector<std::optional<int64_t>> strides;  ///< in elements; nothing where symbolic
  std::optional<int64_t> storage_offset;        ///< in elements
  /// Row-major without gaps, so far as is known: sizes may be symbols.
  [[nodiscard]] bool is_contiguous() const { return contiguous; }
  bool contiguous = false;
};

/// Bounds of symbols, by name.
using SymbolBounds = std::map<std::string, std::pair<int64_t, int64_t>, std::less<>>;
SymbolBounds read_symbol_bounds(const Json& range_constraints);

Result<TensorMeta> read_tensor_meta(const Json& meta, const SymbolBounds& bounds);

/// A SymInt of a size: a number, or sympy's text for an expression over symbols ("Symbol('s0',
/// positive=True, integer=True)", "Add(Integer(1), ...)", and "s0" of older files). What is not
/// sums and products of symbols is an opaque symbol.
Dim read_dim(const Json& sym_int, const SymbolBounds& bounds);

/// "aten.add.Tensor" of "torch.ops.aten.add.Tensor".
std::string_view short_target(std::string_view target);

}  // namespace quern::torch
