// Window geometry that convolutions and poolings share: strides, dilations, pads, auto_pad.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/dim.h"
#include "ir/op_context.h"

namespace quern {

enum class AutoPad : uint8_t { kNotSet, kSameUpper, kSameLower, kValid };

/// The attributes of a sliding window over `rank` spatial axes, checked.
struct Window {
  std::vector<int64_t> kernel;  ///< empty where the node has no kernel_shape
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil_mode = false;
  bool clips = false;  ///< of pools: a window past the padded input's end takes what is inside
};
Result<Window> read_window(const Node& node, size_t rank);

/// One spatial axis of a window in a tensor.
struct WindowAxis {
  Dim output;  ///< positions of the window
  Dim pad_begin;
  Dim pad_end;
};
/// Positions of a window with `kernel` taps along `axis` over `input` elements. With ceil_mode the
/// last window may not start in the end padding.
WindowAxis window_axis(const Window& window, size_t axis, const Dim& input, const Dim& kernel);

/// The output of a pooling node: [n, c, positions...]; sets outputs 0 (and 1 with `indices`).
Result<void> infer_pool(InferContext& ctx);

/// A convolution in one binding. Spatial axes are as the node's; `groups` >= 1.
struct ConvShape {
  int64_t batch = 0;
  int64_t groups = 1;
  int64_t in_channels = 0;                                               ///< of one group
  int64_t out_channels = 0;                                              ///< of one group
  std::vector<int64_t> input, output, kernel, strides, dilations, pads;  ///< pads: at the begin

  [[nodiscard]] size_t rank() const { return input.size(); }
  [[nodiscard]] int64_t input_count() const { return product(input); }
  [[nodiscard]] int64_t output_count() const { return product(output); }
  [[nodiscard]] int64_t taps() const { return product(kernel); }
  [[nodiscard]] bool is_pointwise() const;  ///< one tap, stride 1, no pads
  [[nodiscard]] static int64_t product(const std::vector<int64_t>& v) {
    int64_t n = 1;
    for (int64_t d : v) n *= d;
    return n;
  }
  /// Adds leading axes of extent 1 until there are two.
  void to_2d();
};
/// Of a Conv node (x, w, b) or, with `transposed`, a ConvTranspose node.
Result<ConvShape> conv_shape(const OpContext& ctx, bool transposed = false);

/// Of a ConvTranspose: output extents and begin pads (pads, output_padding, output_shape and
/// auto_pad applied).
struct TransposedAxis {
  Dim output;
  Dim pad_begin;
};
Result<TransposedAxis> transposed_axis(const Node& node, const Window& window, size_t axis,
                                       size_t rank, const Dim& input, const Dim& kernel);

}  // namespace quern
