// From a node, or a fusion of nodes, to one scalar expression.
#pragma once

#include <span>
#include <vector>

#include "ir/expr.h"
#include "ir/op_context.h"

namespace quern {

struct Composed {
  ExprProgram program;
  /// Which input of the job each program input is; the anchor has kAnchor.
  std::vector<uint32_t> inputs;
  static constexpr uint32_t kAnchor = UINT32_MAX;
  /// An input that this program does not use: any small storage will do.
  static constexpr uint32_t kUnused = UINT32_MAX - 1;
};

/// The program for these outputs of a node, which must have equal dims. For a fusion, `body` holds
/// the frames of its inner nodes in order, and their expressions are put into each other; `anchor`
/// (or null) is the inner value that a hand-written kernel has computed and that the program takes
/// as its anchor input.
Result<Composed> compose(const OpFrame& frame, std::span<const OpFrame> body,
                         std::span<const uint32_t> outputs, const Value* anchor = nullptr);

/// Is output `i` of type f32, and f16 in memory? Expressions for such bound what they give.
bool is_narrow(const OpFrame& frame, size_t i);
/// For kernels that have computed such a tensor of these dims: their element (the anchor input),
/// bounded to finite f16.
Result<Composed> compose_bound(const TensorInfo& info);

/// The inner node of a fusion that has a hand-written kernel; -1 where all are expressions.
int anchor_of(std::span<const OpFrame> body);

/// Runs a node on the host; all its inputs are known there. A view copies.
Result<std::vector<HostTensor>> evaluate_node(const OpFrame& frame);

}  // namespace quern
