// Matrices of 2, 4 or 8 bits an element, quantised in blocks (MatMulNBits).
#pragma once

#include <array>
#include <optional>

#include "base/result.h"
#include "ir/graph.h"
#include "ir/op_context.h"
#include "shader/lower.h"

namespace quern {

namespace nbits {
enum Input : size_t { kA, kB, kScales, kZeroPoints, kGroupIndex, kBias };
}

/// The attributes, checked. b is [n, blocks, bytes of a block]; scales are [n, blocks]; zero points
/// are the same, or packed like b in rows of whole bytes.
struct NBits {
  int64_t n = 0, k = 0, block = 0, bits = 4;
  [[nodiscard]] int64_t blocks() const { return (k + block - 1) / block; }
  [[nodiscard]] int64_t row_bytes() const { return blocks() * block * bits / 8; }
  [[nodiscard]] int64_t zero_row() const { return (blocks() * bits + 7) / 8; }
};
Result<NBits> read_nbits(const Node& node);

/// Where a product's operands are among a node's inputs: a, b, scales, zero points (maybe absent).
using NBitsInputs = std::array<size_t, 4>;
/// Do the last three have as many elements as they must?
Result<void> check_nbits(const InferContext& ctx, const NBits& q, const NBitsInputs& inputs);
/// Element ctx.index() of the product: a sum over K.
Result<Expr> nbits_expr(ExprContext& ctx, const NBits& q, const NBitsInputs& inputs);
/// The product's dispatch: of rows `a` of the first input. `bias` or nothing; with `epilogue` y
/// takes the node's.
Result<void> dispatch_nbits(LowerContext& ctx, const NBits& q, const NBitsInputs& inputs,
                            const KernelBinding& a, const std::optional<KernelBinding>& bias,
                            const KernelBinding& y, bool epilogue);

}  // namespace quern
