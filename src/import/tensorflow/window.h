// Convolutions and pooling over images whose channels come last.
#pragma once

#include <string>

#include "import/tensorflow/emitter.h"

namespace quern::tensorflow {

/// Where windows lie: TensorFlow's SAME, VALID, or explicit pads.
struct Window {
  Ints kernel, strides, dilations;  ///< of the spatial axes
  std::string padding = "VALID";    ///< "SAME", "VALID", "EXPLICIT"
  Ints pads;                        ///< of EXPLICIT: starts, then ends
  bool channels_last = true;

  [[nodiscard]] size_t axes() const { return kernel.size(); }
};

/// x with channels second, and back.
Tensor channels_first(Emitter& b, const Tensor& x);
Tensor channels_last(Emitter& b, const Tensor& x);

/// The pads that a window has over x, whose channels are second: numbers where extents are known;
/// else none, and ONNX's auto_pad, which is SAME's rule, has to serve.
std::optional<Ints> known_pads(Emitter& b, const Tensor& x, const Window& window);
/// The spatial extents of the result.
Shape window_dims(Emitter& b, const Tensor& x, const Window& window);

/// A convolution of x, channels as the window says, with a weight in ONNX's layout.
Tensor convolution(Emitter& b, const Tensor& x, const Tensor& weight, int64_t groups,
                   const Window& window, const Tensor& bias = {});
/// MaxPool or AveragePool.
Tensor pool(Emitter& b, std::string_view name, const Tensor& x, const Window& window);

/// The gradient of a convolution for its input, of extents `sizes`, as ONNX's ConvTranspose. The
/// weight is [.., out, in] as TensorFlow has it.
Tensor transposed_convolution(Emitter& b, const Tensor& x, const Tensor& weight,
                              const std::vector<Dim>& sizes, const Window& window,
                              const Tensor& bias = {});

/// A weight [.., in, out] in ONNX's layout.
Tensor conv_weight(Emitter& b, const Tensor& weight);
/// One [.., in, multiplier], for `in` groups.
Tensor depthwise_weight(Emitter& b, const Tensor& weight);

}  // namespace quern::tensorflow
