// An expression kernel that an OpDef::lower dispatches between hand-written ones: keys for a sort,
// the elements that a list of indices names.
#pragma once

#include <utility>
#include <vector>

#include "ir/expr.h"
#include "shader/lower.h"

namespace quern {

/// Inputs and outputs first, then expressions by `builder()`, then `dispatch`. No number of it is
/// baked, so one program serves all dims.
class DeviceProgram {
 public:
  explicit DeviceProgram(const Dims& domain) { program_.domain = extents(domain); }

  /// An input tensor; its number in loads.
  uint32_t input(DType dtype, const Dims& dims, Storage storage) {
    program_.inputs.push_back({dtype, extents(dims), false});
    inputs_.push_back(storage);
    return static_cast<uint32_t>(program_.inputs.size() - 1);
  }
  [[nodiscard]] ExprBuilder builder() { return ExprBuilder(program_); }
  /// Extent `axis` of the domain or of an input.
  static Expr domain_extent(ExprBuilder& b, size_t axis) {
    return b.extent(b.program().domain[axis]);
  }
  static Expr extent(ExprBuilder& b, uint32_t input, size_t axis) {
    return b.extent(b.program().inputs[input].dims[axis]);
  }
  void output(Expr value, DType dtype, Storage storage) {
    program_.outputs.push_back({value, dtype});
    outputs_.push_back(storage);
  }
  Result<void> dispatch(LowerContext& ctx) {
    if (program_.domain_count() == 0) return {};
    QUERN_TRY(verify(program_));
    return ctx.dispatch(std::move(program_), std::move(inputs_), std::move(outputs_));
  }

 private:
  std::vector<Extent> extents(const Dims& dims) {
    std::vector<Extent> out;
    for (const int64_t d : dims) {
      out.push_back({d, static_cast<int32_t>(program_.params.size())});
      program_.params.push_back(d);
    }
    return out;
  }

  ExprProgram program_;
  std::vector<Storage> inputs_;
  std::vector<Storage> outputs_;
};

/// An element type whose elements have the same bytes and that kernels move exactly: f64 as u64
/// (devices compute it in f32), others as they are.
constexpr DType moved_as(DType type) { return type == DType::kF64 ? DType::kU64 : type; }

}  // namespace quern
