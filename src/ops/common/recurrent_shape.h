// What LSTM, GRU and RNN share: attributes, shapes, and their lowering.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"
#include "shader/lower.h"

namespace quern {

/// Numbered as in src/shader/snippets/recurrent.wgsl.
enum class Activation : uint8_t {
  kSigmoid,
  kTanh,
  kRelu,
  kAffine,
  kLeakyRelu,
  kThresholdedRelu,
  kScaledTanh,
  kHardSigmoid,
  kElu,
  kSoftsign,
  kSoftplus
};
struct ActivationUse {
  Activation kind = Activation::kTanh;
  float alpha = 0, beta = 0;
  friend bool operator==(const ActivationUse&, const ActivationUse&) = default;
};

/// Which operator: gates a unit, and activations a direction with their defaults.
struct RecurrentKind {
  std::string_view kernel;
  int64_t gates;
  std::vector<Activation> activations;
  bool has_cell = false;  ///< initial_c, P and Y_c
};
RecurrentKind lstm_kind();
RecurrentKind gru_kind();
RecurrentKind rnn_kind();

/// A node in one binding.
struct RecurrentShape {
  int64_t steps = 0, batch = 0, input = 0, hidden = 0, directions = 1;
  bool batch_first = false;  ///< layout = 1
  bool reverse = false;
  bool input_forget = false, linear_before_reset = false;
  float clip = 0;  ///< 0: none
  /// [direction][activation]
  std::vector<std::vector<ActivationUse>> activations;

  // Rows (of `hidden` elements) in tensors: of X W, of Y, and of states.
  [[nodiscard]] int64_t x_step() const { return batch_first ? 1 : batch; }
  [[nodiscard]] int64_t x_batch() const { return batch_first ? steps : 1; }
  [[nodiscard]] int64_t y_direction() const { return batch_first ? 1 : batch; }
  [[nodiscard]] int64_t y_step() const { return batch_first ? directions : directions * batch; }
  [[nodiscard]] int64_t y_batch() const { return batch_first ? steps * directions : 1; }
  [[nodiscard]] int64_t state_direction() const { return batch_first ? 1 : batch; }
  [[nodiscard]] int64_t state_batch() const { return batch_first ? directions : 1; }
};
Result<RecurrentShape> recurrent_shape(const OpContext& ctx, const RecurrentKind& kind);

/// Inputs X, W, R, B, sequence_lens, initial_h, initial_c, P; outputs Y, Y_h, Y_c.
Result<void> infer_recurrent(InferContext& ctx, const RecurrentKind& kind);
/// X W for all steps by matmul.wgsl, then the recurrence by the kernel named in `kind`.
Result<void> lower_recurrent(LowerContext& ctx, const RecurrentKind& kind);

inline constexpr AttributeField kRecurrentAttributes[] = {
    {"activation_alpha", AttributeKind::kFloats}, {"activation_beta", AttributeKind::kFloats},
    {"activations", AttributeKind::kStrings},     {"clip", AttributeKind::kFloat},
    {"direction", AttributeKind::kString},        {"hidden_size", AttributeKind::kInt},
    {"input_forget", AttributeKind::kInt},        {"layout", AttributeKind::kInt},
    {"linear_before_reset", AttributeKind::kInt}, {"output_sequence", AttributeKind::kInt},
};

}  // namespace quern
