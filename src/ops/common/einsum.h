// The equations of Einsum.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern {

/// Labels of the axes of each operand and of the output. Letters are their codes; the axes of an
/// ellipsis count down from kEllipsis at the last of them, as they are aligned there.
struct EinsumEquation {
  static constexpr int64_t kEllipsis = 1000;
  std::vector<std::vector<int64_t>> operands;
  std::vector<int64_t> output;
};

/// Reads "ij,jk->ik", "...i->...", "ij,jk" for operands of these ranks; without an output it is
/// the ellipsis and the letters that occur once, in order.
Result<EinsumEquation> parse_einsum(std::string_view equation, const std::vector<size_t>& ranks);

/// As one list of integers, for an attribute: operands and output, each behind its length.
std::vector<int64_t> encode_einsum(const EinsumEquation& equation);
Result<EinsumEquation> decode_einsum(const std::vector<int64_t>& code);

}  // namespace quern
