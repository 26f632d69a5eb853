// Random numbers that are a function of a seed and a counter, so that every device makes the same
// ones in any order: Threefry-2x32 with 20 rounds (Salmon and others, "Parallel random numbers: as
// easy as 1, 2, 3", 2011).
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// The node's key: from the attribute `seed`, else from its name.
uint64_t random_key(const Node& node);

/// Two words of 32 random bits each.
struct RandomWords {
  Expr first, second;
};
/// For a counter of two u32 words.
RandomWords random_words(ExprBuilder& b, uint64_t key, Expr low, Expr high);
/// The same on the host.
std::pair<uint32_t, uint32_t> random_words(uint64_t key, uint32_t low, uint32_t high);

/// The number of the output's element in row-major order, as u32.
Expr element_number(ExprContext& c);

/// Evenly in [0, 1), in steps of 2^-24.
Expr uniform(ExprBuilder& b, Expr word, Scalar type);
/// Of the standard normal distribution, by Box and Muller.
Expr normal(ExprBuilder& b, const RandomWords& words, Scalar type);

/// Output 0 has the attribute `dtype`, else this element type, and this shape.
Result<void> infer_random(InferContext& c, DType fallback, std::optional<Shape> shape);
/// The attribute `shape`.
Result<Shape> shape_attribute(const Node& node);

/// Elements of RandomUniform and RandomNormal, by `low` and `high` or `mean` and `scale`.
Result<Expr> random_uniform_expr(ExprContext& c, size_t output);
Result<Expr> random_normal_expr(ExprContext& c, size_t output);

}  // namespace quern
