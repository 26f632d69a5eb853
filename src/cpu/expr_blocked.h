// Runs expression programs on the CPU in SIMD blocks of elements.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ir/expr.h"

namespace quern {

/// A program compiled for its present binding: parameters and extents are numbers by now. Cheap to
/// copy; runs may be concurrent.
///
/// Subexpressions with a reduction that does not depend on all axes (the row maximum of a softmax)
/// are computed once each, into memory of their own, before the elements that use them.
class BlockedProgram {
 public:
  static Result<BlockedProgram> compile(const ExprProgram& program);

  /// Computes all elements of all outputs. Inputs and outputs are dense, of the program's extents
  /// and element types; an output may be an input that is loaded at the element's own index only.
  /// An element that depends on a load outside its input is an error (kInvalidArgument), after
  /// which the outputs hold anything.
  Result<void> run(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                   Parallel& parallel) const;
  /// Elements [begin, end) only, on this thread. Where an output is packed below a byte, two
  /// threads must not share one: split at multiples of 8.
  Result<void> run_range(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                         int64_t begin, int64_t end) const;
  /// Elements of each output.
  [[nodiscard]] int64_t count() const;

 private:
  struct Impl;
  explicit BlockedProgram(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  Result<void> run_stages(std::span<const uint8_t* const> inputs, Parallel* parallel,
                          std::vector<const uint8_t*>& all,
                          std::vector<std::vector<uint8_t>>& memory) const;
  Result<void> run_whole(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                         int64_t begin, int64_t end) const;

  std::shared_ptr<const Impl> impl_;
};

}  // namespace quern
