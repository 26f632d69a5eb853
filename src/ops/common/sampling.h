// Elements between elements: an input read at fractional coordinates, by interpolation of its
// neighbours there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// How the axes from `first_axis` on of an input are sampled.
struct Sampling {
  enum class Mode : uint8_t { kNearest, kLinear, kCubic };
  enum class Padding : uint8_t {
    kZeros,
    kBorder,     ///< the nearest element inside
    kReflection  ///< there and back; at the outer elements' centres or (default) outer edges
  };

  size_t input = 0;
  size_t first_axis = 2;
  Mode mode = Mode::kLinear;
  Padding padding = Padding::kZeros;
  bool align_corners = false;
  double cubic_a = -0.75;
};

/// The input at `leading` indices and then the coordinates `at`, one an axis from first_axis on,
/// in elements: 0 is the centre of the first one. Nearest gives the element as it is (ties to the
/// even one), the other modes compute in the type of `at`.
Result<Expr> sample(ExprContext& c, const Sampling& sampling, std::span<const Expr> leading,
                    std::span<const Expr> at);

}  // namespace quern
