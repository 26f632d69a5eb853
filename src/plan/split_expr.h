// An expression kernel over tensors that are too large to bind, as several dispatches over windows
// (docs/large-tensors.md). Pure: from a program and sizes to programs and ranges.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"
#include "shader/target.h"

namespace quern {

/// A range of a tensor's bytes; `offset` is a multiple of 256.
struct ByteWindow {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  friend bool operator==(const ByteWindow&, const ByteWindow&) = default;
};

/// One dispatch.
struct ExprPart {
  struct Input {
    uint32_t input = 0;  ///< of the whole program
    ByteWindow window;
  };
  ExprProgram program;
  std::vector<Input> inputs;        ///< of this program, in order
  std::vector<ByteWindow> outputs;  ///< of each output
};

/// Splits `program` so that no dispatch binds more than target.max_binding_bytes of a tensor.
/// `storages[i]` tells inputs apart: those that have the same number are one range of memory. An
/// error (kLimit, of few words) where a part would bind too many windows.
Result<std::vector<ExprPart>> split_expression(const ExprProgram& program,
                                               std::span<const uint32_t> storages,
                                               const Target& target);

/// Does the kernel have a tensor above the limit?
bool needs_split(const ExprProgram& program, const Target& target);

}  // namespace quern
