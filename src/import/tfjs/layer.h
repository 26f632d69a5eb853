// Layers of TensorFlow.js layers models, which are Keras's: the table, and one layer while it is
// translated. Semantics are those of tfjs-layers.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "import/json/json.h"
#include "import/tensorflow/emitter.h"
#include "import/tfjs/weights.h"

namespace quern::tfjs {

using tensorflow::Emitter;
using tensorflow::Ints;
using tensorflow::Size;
using tensorflow::Tensor;

class Layer;

struct LayerKind {
  std::string_view name;  ///< "Conv2D"
  std::string_view ours;  ///< what becomes of it, for the docs
  void (*translate)(Layer&, std::string_view ours);
};

std::span<const LayerKind> core_layers();
std::span<const LayerKind> convolution_layers();
std::span<const LayerKind> merge_layers();
std::span<const LayerKind> recurrent_layers();
std::vector<std::span<const LayerKind>> all_layers();
const LayerKind* find_layer(std::string_view name);

/// One call of a layer. Failures are the emitter's.
class Layer {
 public:
  /// Applies another layer, one that this one wraps, to inputs.
  using Apply = std::function<std::vector<Tensor>(
      const Json& layer, std::vector<std::string> owners, const std::vector<Tensor>& inputs)>;

  Layer(Emitter& emitter, Weights& weights, const Json& json, std::vector<std::string> owners,
        std::vector<Tensor> inputs, Apply apply)
      : b(emitter),
        kind(text_of(member(json, "class_name"))),
        config(member(json, "config")),
        owners(std::move(owners)),
        inputs(std::move(inputs)),
        apply(std::move(apply)),
        weights_(weights) {}

  Emitter& b;
  std::string_view kind;
  const Json& config;
  /// The names that its weights may be under, the likeliest first.
  std::vector<std::string> owners;
  std::vector<Tensor> inputs;
  Apply apply;
  std::vector<Tensor> outputs;

  /// The first input.
  Tensor x();
  [[nodiscard]] bool has(std::string_view key) const { return !member(config, key).is_null(); }
  [[nodiscard]] std::string_view text(std::string_view key, std::string_view fallback = {}) const;
  [[nodiscard]] double number(std::string_view key, double fallback) const;
  [[nodiscard]] int64_t integer(std::string_view key, int64_t fallback) const;
  [[nodiscard]] bool flag(std::string_view key, bool fallback) const;
  /// A number or a list, as `count` numbers.
  Ints numbers(std::string_view key, size_t count, int64_t fallback);
  [[nodiscard]] bool channels_last() const { return text("data_format") != "channels_first"; }
  /// An axis of a tensor of that rank; negative ones count from the end.
  size_t axis(int64_t value, size_t rank);

  bool has_weight(std::string_view name) const { return !weight_name(name).empty(); }
  Tensor weight(std::string_view name);

  /// The activation that a member names.
  Tensor activated(std::string_view key, const Tensor& y);
  Tensor activation(std::string_view name, const Tensor& y);

  void set(const Tensor& y) { outputs = {y}; }
  void unsupported(std::string_view what) { b.unsupported(std::string(what)); }
  void invalid(std::string_view what) { b.invalid(std::string(what)); }

 private:
  [[nodiscard]] std::string weight_name(std::string_view name) const;

  Weights& weights_;
};

/// The name of an activation, a text or an object with "class_name".
std::string_view activation_name(const Json& json);

}  // namespace quern::tfjs
