#include "import/tfjs/layer.h"

#include <algorithm>
#include <unordered_map>

namespace quern::tfjs {

std::vector<std::span<const LayerKind>> all_layers() {
  return {core_layers(), convolution_layers(), merge_layers(), recurrent_layers()};
}

const LayerKind* find_layer(std::string_view name) {
  using Index = std::unordered_map<std::string_view, const LayerKind*>;
  static const Index kIndex = [] {
    Index index;
    for (const auto& group : all_layers()) {
      for (const LayerKind& kind : group) index.emplace(kind.name, &kind);
    }
    return index;
  }();
  const auto found = kIndex.find(name);
  return found == kIndex.end() ? nullptr : found->second;
}

std::string_view activation_name(const Json& json) {
  if (!json.is_object()) return text_of(json);
  const std::string_view name = text_of(member(member(json, "config"), "activation"));
  return name.empty() ? text_of(member(json, "class_name")) : name;
}

Tensor Layer::x() {
  if (!inputs.empty() && inputs[0]) return inputs[0];
  invalid("it has no input");
  return b.scalar(DType::kF32, 0);
}

std::string_view Layer::text(std::string_view key, std::string_view fallback) const {
  const std::string_view found = text_of(member(config, key));
  return found.empty() ? fallback : found;
}

double Layer::number(std::string_view key, double fallback) const {
  return number_of(member(config, key)).value_or(fallback);
}

int64_t Layer::integer(std::string_view key, int64_t fallback) const {
  const Json& value = member(config, key);
  if (const auto list = items_of(value); list.size() == 1)
    return integer_of(list[0]).value_or(fallback);
  return integer_of(value).value_or(fallback);
}

bool Layer::flag(std::string_view key, bool fallback) const {
  const Json& value = member(config, key);
  return value.is_boolean() ? value == true : fallback;
}

Ints Layer::numbers(std::string_view key, size_t count, int64_t fallback) {
  const Json& value = member(config, key);
  if (const auto one = integer_of(value)) return Ints(count, *one);
  const Json::array_t& items = items_of(value);
  if (items.empty()) return Ints(count, fallback);
  Ints out;
  for (const Json& item : items) out.push_back(integer_of(item).value_or(fallback));
  if (out.size() == 1) out.resize(count, out[0]);
  if (out.size() != count) {
    invalid(cat("'", key, "' has ", out.size(), " numbers, ", count, " were expected"));
    out.resize(count, fallback);
  }
  return out;
}

size_t Layer::axis(int64_t value, size_t rank) {
  const auto limit = static_cast<int64_t>(rank);
  if (value < 0) value += limit;
  if (rank != tensorflow::kUnknownRank && value >= 0 && value < limit)
    return static_cast<size_t>(value);
  invalid(cat("axis ", value, " of a tensor of another rank"));
  return 0;
}

/// "owner/name", or "../owner/../name": Keras puts names of models before, and of cells between.
std::string Layer::weight_name(std::string_view name) const {
  for (const std::string& owner : owners) {
    const std::string exact = cat(owner, "/", name);
    if (weights_.find(exact) != nullptr) return exact;
  }
  for (const std::string& owner : owners) {
    const std::string found = weights_.find_below(owner, name);
    if (!found.empty()) return found;
  }
  return "";
}

Tensor Layer::weight(std::string_view name) {
  const std::string found = weight_name(name);
  if (found.empty()) {
    invalid(cat("the manifest has no weight '", owners.empty() ? std::string() : owners[0], "/",
                name, "'"));
    return b.scalar(DType::kF32, 0);
  }
  return weights_.load(b, found);
}

Tensor Layer::activated(std::string_view key, const Tensor& y) {
  return activation(activation_name(member(config, key)), y);
}

Tensor Layer::activation(std::string_view name, const Tensor& y) {
  if (name.empty() || name == "linear") return y;
  struct Pair {
    std::string_view theirs, ours;
  };
  constexpr Pair kSame[] = {
      {"relu", "Relu"},       {"elu", "Elu"},           {"selu", "Selu"},
      {"sigmoid", "Sigmoid"}, {"softplus", "Softplus"}, {"softsign", "Softsign"},
      {"tanh", "Tanh"},       {"mish", "Mish"},         {"exponential", "Exp"},
  };
  for (const Pair& pair : kSame) {
    if (pair.theirs == name) return b.unary(pair.ours, y);
  }
  if (name == "relu6") {
    return b.shaped(b.op("Clip", {y, b.number_like(y, 0), b.number_like(y, 6)}), b.shape(y));
  }
  if (name == "hard_sigmoid") return b.unary("HardSigmoid", y, {{"alpha", 0.2F}, {"beta", 0.5F}});
  if (name == "softmax") return b.unary("Softmax", y, {{"axis", int64_t{-1}}});
  if (name == "log_softmax") return b.unary("LogSoftmax", y, {{"axis", int64_t{-1}}});
  if (name == "swish" || name == "silu") return b.binary("Mul", y, b.unary("Sigmoid", y));
  if (name == "leaky_relu") return b.unary("LeakyRelu", y, {{"alpha", 0.2F}});
  if (name == "gelu") return b.unary("Gelu", y, {{"approximate", std::string("none")}});
  if (name == "gelu_new") return b.unary("Gelu", y, {{"approximate", std::string("tanh")}});
  unsupported(cat("the activation '", name, "'"));
  return y;
}

}  // namespace quern::tfjs
