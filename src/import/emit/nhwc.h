// What formats with channels last share: layouts, and TensorFlow's SAME padding.
#pragma once

#include <string>

#include "import/emit/builder.h"

namespace quern::emit {

/// [N, spatial.., C] to [N, C, spatial..], and back.
inline Tensor channels_first(Builder& b, const Tensor& x) {
  Ints perm = {0, static_cast<int64_t>(x.rank) - 1};
  for (size_t i = 1; i + 1 < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
  return x.rank < 3 ? x : b.permute(x, std::move(perm));
}
inline Tensor channels_last(Builder& b, const Tensor& x) {
  Ints perm = {0};
  for (size_t i = 2; i < x.rank; ++i) perm.push_back(static_cast<int64_t>(i));
  perm.push_back(1);
  return x.rank < 3 ? x : b.permute(x, std::move(perm));
}

/// The value of `auto_pad`. TensorFlow's SAME is ONNX's SAME_UPPER: ceil(input / stride) results,
/// the odd pad after the data.
inline std::string auto_pad(bool is_same) { return is_same ? "SAME_UPPER" : "VALID"; }

}  // namespace quern::emit
