#include "passes/magnitude.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "ops/op_def.h"

namespace quern {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::infinity();
/// What activations of a trained model are taken to stay within, after a layer with weights or a
/// normalisation; and inputs before one.
constexpr double kUsual = 1024;
/// Of logarithms of positive f32 numbers.
constexpr double kLogarithm = 128;

/// How the result's magnitude follows.
enum class Rule : uint8_t {
  kSame,   ///< of the largest among `data` inputs
  kUnit,   ///< at most 1
  kUsual,  ///< normalised
  kLayer,  ///< sums of products with weights
  kProduct,
  kQuotient,
  kPower,
  kSum,
  kNorm,
  kRoot,
  kExp,
  kLog,
  kClip,
  kCast,
  kPositions,  ///< exact, of unknown size
};

struct Entry {
  std::string_view op;
  Rule rule;
  uint64_t data = 1;       ///< bit i: input i may be f16 and counts for kSame
  uint64_t sensitive = 0;  ///< see OpTraits
  bool ends = false;       ///< errors don't pass: sums over many, normalised
};

constexpr uint64_t kAll = ~uint64_t{0};

// Operators that are not here take f32 and give what is not known. Nodes of the domain
// com.microsoft that have no counterpart here are not either.
constexpr Entry kTable[] = {
    // Where elements go; views.
    {"Identity", Rule::kSame},
    {"Dropout", Rule::kSame},
    {"Reshape", Rule::kSame},
    {"Flatten", Rule::kSame},
    {"Squeeze", Rule::kSame},
    {"Unsqueeze", Rule::kSame},
    {"Transpose", Rule::kSame},
    {"Slice", Rule::kSame},
    {"Split", Rule::kSame},
    {"Expand", Rule::kSame},
    {"Tile", Rule::kSame},
    {"Gather", Rule::kSame},
    {"GatherElements", Rule::kSame},
    {"GatherND", Rule::kSame},
    {"DepthToSpace", Rule::kSame},
    {"SpaceToDepth", Rule::kSame},
    {"Concat", Rule::kSame, kAll},
    {"Pad", Rule::kSame, 0b101},
    {"Where", Rule::kSame, 0b110},
    {"Resize", Rule::kSame},
    {"Upsample", Rule::kSame},
    {"Resample", Rule::kSame},
    // Elementwise.
    {"Neg", Rule::kSame},
    {"Abs", Rule::kSame},
    {"Relu", Rule::kSame},
    {"LeakyRelu", Rule::kSame},
    {"Elu", Rule::kSame},
    {"Celu", Rule::kSame},
    {"Gelu", Rule::kSame},
    {"QuickGelu", Rule::kSame},
    {"Swish", Rule::kSame},
    {"HardSwish", Rule::kSame},
    {"Mish", Rule::kSame},
    {"Softplus", Rule::kSame},
    {"Max", Rule::kSame, kAll},
    {"Min", Rule::kSame, kAll},
    {"Add", Rule::kSame, kAll},
    {"Sub", Rule::kSame, kAll},
    {"Sum", Rule::kSame, kAll},
    {"Mean", Rule::kSame, kAll},
    {"Clip", Rule::kClip},
    {"PRelu", Rule::kProduct, kAll},
    {"Mul", Rule::kProduct, kAll},
    {"Div", Rule::kQuotient, kAll},
    {"Sqrt", Rule::kRoot},
    {"Log", Rule::kLog},
    {"Exp", Rule::kExp, 1, 1},
    {"Pow", Rule::kPower, 1, 0b11},
    {"Sigmoid", Rule::kUnit},
    {"HardSigmoid", Rule::kUnit},
    {"Tanh", Rule::kUnit},
    {"Softsign", Rule::kUnit},
    {"Erf", Rule::kUnit},
    {"Sin", Rule::kUnit, 1, 1},
    {"Cos", Rule::kUnit, 1, 1},
    {"Cast", Rule::kCast},
    {"BatchNormalization", Rule::kUsual},
    // Windows and reductions.
    {"MaxPool", Rule::kSame},
    {"AveragePool", Rule::kSame},
    {"GlobalAveragePool", Rule::kSame, 1, 0, true},
    {"GlobalMaxPool", Rule::kSame},
    {"ReduceMax", Rule::kSame},
    {"ReduceMin", Rule::kSame},
    {"ReduceMean", Rule::kSame, 1, 0, true},
    {"ReduceSum", Rule::kSum, 1, 0, true},
    {"ReduceL1", Rule::kSum, 1, 0, true},
    {"ReduceL2", Rule::kNorm, 1, 0, true},
    // Kernels of their own.
    {"Conv", Rule::kLayer, 0b11, 0, true},
    {"ConvTranspose", Rule::kLayer, 0b11, 0, true},
    {"MatMul", Rule::kLayer, 0b11, 0, true},
    {"Gemm", Rule::kLayer, 0b11, 0, true},
    {"GatedMatMul", Rule::kLayer, 0b111, 0, true},
    {"LayerNormalization", Rule::kUsual, 1, 0, true},
    {"RMSNormalization", Rule::kUsual, 1, 0, true},
    {"InstanceNormalization", Rule::kUsual, 1, 0, true},
    {"GroupNormalization", Rule::kUsual, 1, 0, true},
    {"Softmax", Rule::kUnit, 0, 1},
    {"LSTM", Rule::kUnit, 0b111, 0, true},
    {"GRU", Rule::kUnit, 0b111, 0, true},
    {"RNN", Rule::kUnit, 0b111, 0, true},
    // Counts.
    {"Range", Rule::kPositions, 0, kAll},
    {"CumSum", Rule::kPositions, 0, kAll},
    {"CumProd", Rule::kPositions, 0, kAll},
    {"ConstantOfShape", Rule::kPositions, 0, kAll},
};

/// quern.Attention.
constexpr Entry kAttention = {"Attention", Rule::kUsual, 0b111, 0, true};

const Entry* entry_of(const Node& node) {
  if (node.domain == "quern" && node.op == "Attention") return &kAttention;
  const bool known =
      node.domain.empty() ||
      (node.domain == "quern" && (node.op == "Resample" || node.op == "GatedMatMul")) ||
      (node.domain == "com.microsoft" && node.op == "QuickGelu");
  if (!known) return nullptr;
  const auto* found = std::ranges::find(kTable, std::string_view(node.op), &Entry::op);
  return found == std::end(kTable) ? nullptr : found;
}

bool has(uint64_t mask, size_t i) { return i < 64 && (mask >> i & 1) != 0; }

/// The smallest magnitude in a small constant; 0 where not known.
double least_of(const Value* v) {
  if (v == nullptr || !v->constant || !v->constant->is_inline() || !is_float(v->constant->dtype)) {
    return 0;
  }
  const HostTensor& host = v->constant->host;
  double least = kUnknown;
  for (int64_t i = 0; i < host.count(); ++i) least = std::min(least, std::fabs(host.float_at(i)));
  return std::isfinite(least) ? least : 0;
}

std::optional<double> number(const Value* v) {
  if (v == nullptr || !v->constant || !v->constant->is_inline()) return std::nullopt;
  const HostTensor& host = v->constant->host;
  if (host.count() != 1 || host.dtype == DType::kString) return std::nullopt;
  return host.float_at(0);
}

/// Elements of the input for each of the output.
double reduced(const Node& node) {
  const Type& in = node.inputs[0]->type;
  const Type& out = node.outputs[0]->type;
  if (!in.shape || !out.shape) return kUnknown;
  const Dim from = element_count(*in.shape);
  const Dim to = element_count(*out.shape);
  if (!from.is_const() || !to.is_const() || to.value() <= 0) return kUnknown;
  return static_cast<double>(from.value()) / static_cast<double>(to.value());
}

/// Bounds by attributes, or by inputs; infinite where there are none.
double clip_bound(const Node& node) {
  const auto bound = [&](std::string_view name, size_t input) {
    if (const auto value = number(node.input(input))) return std::fabs(*value);
    if (node.version >= 11 || node.attribute(name) == nullptr) return kUnknown;
    return std::fabs(static_cast<double>(node.float_or(name, 0)));
  };
  return std::max(bound("min", 1), bound("max", 2));
}

double layer_peak(const Node& node, const std::vector<Magnitude>& of) {
  double peak = kUsual;
  double factor = 1;
  for (size_t i = 0; i < 2 && i < of.size(); ++i) {
    const bool is_weight = node.inputs[i] != nullptr && node.inputs[i]->is_constant();
    if (is_weight) {
      factor = of[i].peak;
    } else if (of[i].peak > kLargestF16) {
      peak = std::max(peak, of[i].peak);
    }
  }
  // What a layer was trained to give is taken for usual, whatever came in; weights that are large
  // show that it was not.
  return peak > kUsual ? peak * factor : kUsual * std::max(1.0, factor);
}

double quotient_peak(const Node& node, const std::vector<Magnitude>& of) {
  if (of.size() < 2) return kUnknown;
  if (node.inputs[1] != nullptr && node.inputs[1]->is_constant()) {
    const double least = least_of(node.inputs[1]);
    return least > 0 ? of[0].peak / least : kUnknown;
  }
  // By a deviation, a sum, a norm: what is of its own size.
  if (of[0].peak <= kLargestF16 || of[1].peak > kLargestF16) return kUsual;
  return of[0].peak;
}

}  // namespace

OpTraits traits_of(const Node& node) {
  const Entry* entry = entry_of(node);
  if (entry == nullptr) return {0, kAll, true};
  OpTraits traits{entry->data, entry->sensitive, !entry->ends};
  const OpDef* def = find_op(node);
  if (def == nullptr || def->is_host || def->is_control || def->is_sequence) return {0, kAll, true};
  if (entry->rule == Rule::kCast && !is_float(node.outputs[0]->type.dtype)) traits.sensitive = 1;
  // A square, written as a product.
  if (entry->rule == Rule::kProduct && node.input(0) == node.input(1)) traits.sensitive = 0b11;
  return traits;
}

Magnitude magnitude_of(const Node& node, const std::vector<Magnitude>& of) {
  const Entry* entry = entry_of(node);
  if (entry == nullptr) return {kUnknown, false};
  double largest = 0;
  bool any = false;  // of what varies
  bool exact = true;
  for (size_t i = 0; i < of.size(); ++i) {
    const Value* v = node.inputs[i];
    if (v == nullptr || !has(entry->data, i) || !is_float(v->type.dtype)) continue;
    largest = std::max(largest, of[i].peak);
    if (v->is_constant()) continue;
    any = true;
    exact = exact && of[i].is_exact;
  }
  Magnitude out{largest, any && exact && !entry->ends};
  switch (entry->rule) {
    case Rule::kSame:
      break;
    case Rule::kUnit:
      return {1, false};
    case Rule::kUsual:
      return {of[0].peak > kLargestF16 && !entry->ends ? of[0].peak : kUsual, false};
    case Rule::kLayer:
      out.peak = layer_peak(node, of);
      break;
    case Rule::kProduct:
      out.peak = of.size() > 1 ? of[0].peak * of[1].peak : kUnknown;
      if (node.is("PRelu")) out.peak = of[0].peak * std::max(1.0, of[1].peak);
      break;
    case Rule::kQuotient:
      out.peak = quotient_peak(node, of);
      break;
    case Rule::kPower: {
      const auto exponent = number(node.input(1));
      out.peak = exponent && *exponent > 0 ? std::pow(of[0].peak, *exponent) : kUnknown;
      break;
    }
    case Rule::kSum:
      out.peak = of[0].peak * reduced(node);
      break;
    case Rule::kNorm:
      out.peak = of[0].peak * std::sqrt(reduced(node));
      break;
    case Rule::kRoot:
      out.peak = std::sqrt(of[0].peak);
      break;
    case Rule::kExp:
      out.peak = std::exp(of[0].peak);
      break;
    case Rule::kLog:
      out.peak = kLogarithm;
      break;
    case Rule::kClip:
      out.peak = std::min(largest, clip_bound(node));
      break;
    case Rule::kCast: {
      const DType from = node.inputs[0]->type.dtype;
      if (!is_float(from)) return {from == DType::kBool ? 1 : kUsual, true};
      break;
    }
    case Rule::kPositions:
      return {kUnknown, true};
  }
  if (std::isnan(out.peak)) out.peak = kUnknown;
  return out;
}

bool stores_words_of_f16(const Node& node) {
  const Value* y = node.output(0);
  if (y == nullptr || !y->type.shape || y->type.shape->empty()) return false;
  const Shape& shape = *y->type.shape;
  const auto fours = [](const Dim& d) { return d.is_const() && d.value() % 4 == 0; };
  if (node.is("MatMul") || node.is("Gemm") || node.is("GatedMatMul", "quern"))
    return fours(shape.back());
  if (node.is("Conv")) {
    // Products and tiles store fours of an image; other kernels single elements.
    const Value* w = node.input(1);
    if (w == nullptr || !w->type.shape || w->type.shape->size() != shape.size()) return false;
    const Shape& kernel = *w->type.shape;
    if (!kernel[0].is_const() || kernel[0].value() <= 4) return false;
    const bool depthwise = kernel[1] == Dim(1) && node.int_or("group", 1) > 1;
    const Dim image = element_count(Shape(shape.begin() + 2, shape.end()));
    return !depthwise && fours(image) && image.value() > 16;
  }
  const bool softmax = node.is("Softmax");
  if (softmax || node.is("LayerNormalization") || node.is("RMSNormalization")) {
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != nullptr) return false;
    }
    const int64_t last = static_cast<int64_t>(shape.size()) - 1;
    const int64_t axis = node.int_or("axis", softmax && node.version < 13 ? 1 : -1);
    constexpr int64_t kHeld = 8192;
    return (axis == -1 || axis == last) && fours(shape.back()) && shape.back().value() <= kHeld;
  }
  return false;
}

}  // namespace quern
