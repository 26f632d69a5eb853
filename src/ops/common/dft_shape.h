// The geometry of DFT nodes.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// A DFT in one binding: input [outer, in_length, inner, in_parts], output [outer, out_length,
/// inner, out_parts]; parts are 1 for real numbers, 2 for complex ones.
struct DftShape {
  int64_t outer = 1;
  int64_t inner = 1;
  int64_t in_length = 0;
  int64_t out_length = 0;
  int64_t in_parts = 1;
  int64_t out_parts = 2;
  int64_t length = 0;  ///< of the transform
  bool inverse = false;
  /// The input is the first half of a spectrum whose rest is its conjugate mirror image.
  bool hermitian = false;

  [[nodiscard]] int64_t transforms() const { return outer * inner; }
};

Result<void> infer_dft(InferContext& c);
Result<DftShape> dft_shape(const OpContext& c);

}  // namespace quern
