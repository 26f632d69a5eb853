// SVMClassifier: a score for each pair of classes, whose votes give the label; with prob_a and
// prob_b the classes' probabilities. Without support vectors a linear score for each class.
// Scores and labels of two classes are as in ONNX Runtime, which the specification leaves open.
#include <algorithm>

#include "ops/common/svm.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"classlabels_ints", AttributeKind::kInts},
                                          {"classlabels_strings", AttributeKind::kStrings},
                                          {"coefficients", AttributeKind::kFloats, true},
                                          {"kernel_params", AttributeKind::kFloats},
                                          {"kernel_type", AttributeKind::kString},
                                          {"post_transform", AttributeKind::kString},
                                          {"prob_a", AttributeKind::kFloats},
                                          {"prob_b", AttributeKind::kFloats},
                                          {"rho", AttributeKind::kFloats, true},
                                          {"support_vectors", AttributeKind::kFloats},
                                          {"vectors_per_class", AttributeKind::kInts}};

/// Of the weights of all pairs' scores, at most.
constexpr int64_t kMostWeights = int64_t{1} << 26;

/// The sizes that the attributes have together.
struct Machine {
  ClassLabels labels;
  int64_t classes = 0, pairs = 0;
  std::vector<int64_t> starts;  // of a class's support vectors, and the end
  bool has_probabilities = false;
  [[nodiscard]] int64_t vectors() const { return starts.back(); }
  /// Columns of the second output.
  [[nodiscard]] int64_t scores() const {
    if (vectors() == 0 || has_probabilities) return classes;
    return classes > 2 ? pairs : 2;
  }
};

Result<Machine> machine_of(const Node& node) {
  Machine m;
  m.labels = class_labels(node, "classlabels_ints");
  m.classes = m.labels.count();
  if (m.classes < 1) return invalid_model(cat(node.describe(), ": there are no class labels"));
  m.pairs = m.classes * (m.classes - 1) / 2;
  m.starts = {0};
  const std::vector<int64_t>* counts = node.ints("vectors_per_class");
  for (const int64_t n : counts == nullptr ? std::vector<int64_t>{} : *counts) {
    if (n < 0 || n > kMostWeights - m.starts.back()) {
      return invalid_model(cat(node.describe(), ": ", n, " vectors of a class"));
    }
    m.starts.push_back(m.starts.back() + n);
  }
  if (m.vectors() == 0) return m;
  if (m.classes < 2 || std::ssize(m.starts) != m.classes + 1) {
    return invalid_model(cat(node.describe(), ": vectors_per_class of ", m.starts.size() - 1,
                             " classes, expected ", std::max<int64_t>(m.classes, 2)));
  }
  if (m.vectors() > kMostWeights / m.pairs) {
    return limit_exceeded(cat(node.describe(), ": ", m.vectors(), " support vectors for ", m.pairs,
                              " pairs of classes"));
  }
  const std::vector<float>* prob = node.floats("prob_a");
  m.has_probabilities = prob != nullptr && !prob->empty();
  return m;
}

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  QUERN_TRY(svm_kernel_of(c.node()));
  QUERN_ASSIGN(const Machine m, machine_of(c.node()));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  c.set(0, m.labels.are_strings() ? DType::kString : DType::kI64, Shape{rows});
  c.set(1, DType::kF32, Shape{rows, m.scores()});
  return {};
}

/// What a pair of classes is to each: f(first, second, number).
template <class F>
void for_pairs(int64_t classes, F&& f) {
  int64_t number = 0;
  for (int64_t i = 0; i < classes; ++i) {
    for (int64_t j = i + 1; j < classes; ++j) f(i, j, number++);
  }
}

std::vector<float> first_of(const std::vector<float>& values, int64_t count) {
  return {values.begin(), values.begin() + count};
}

/// The score of each pair, f32 [n, pairs]: greater than 0 is for the first class. Coefficients
/// [classes - 1, vectors] hold, for a vector of class c, those of c against the other classes.
Result<Value*> add_pair_scores(MlExpansion& e, const Node& node, const Machine& m, Value* x) {
  const int64_t vectors = m.vectors();
  QUERN_ASSIGN(const SvmKernel kernel, svm_kernel_of(node));
  QUERN_ASSIGN(const std::vector<float>* support, svm_floats(node, "support_vectors", vectors));
  QUERN_ASSIGN(const std::vector<float>* coefficients,
               svm_floats(node, "coefficients", (m.classes - 1) * vectors));
  QUERN_ASSIGN(const std::vector<float>* rho, svm_floats(node, "rho", m.pairs));
  QUERN_ASSIGN(Value * kernels, add_svm_kernels(e, node, kernel, x, *support, vectors));
  std::vector<float> weights(static_cast<size_t>(vectors * m.pairs), 0.0F);
  const auto copy = [&](int64_t of, int64_t row, int64_t pair) {
    for (int64_t v = m.starts[static_cast<size_t>(of)]; v < m.starts[static_cast<size_t>(of) + 1];
         ++v) {
      weights[static_cast<size_t>(v * m.pairs + pair)] =
          (*coefficients)[static_cast<size_t>(row * vectors + v)];
    }
  };
  for_pairs(m.classes, [&](int64_t i, int64_t j, int64_t pair) {
    copy(i, j - 1, pair);
    copy(j, i, pair);
  });
  return e.add("Gemm",
               {kernels, e.floats({vectors, m.pairs}, weights), e.floats(first_of(*rho, m.pairs))});
}

/// Votes of the pairs for the classes, f32 [n, classes].
Value* add_votes(MlExpansion& e, const Machine& m, Value* scores) {
  std::vector<float> first(static_cast<size_t>(m.pairs * m.classes), 0.0F);
  std::vector<float> base(static_cast<size_t>(m.classes), 0.0F);
  for_pairs(m.classes, [&](int64_t i, int64_t j, int64_t pair) {
    first[static_cast<size_t>(pair * m.classes + i)] = 1;
    first[static_cast<size_t>(pair * m.classes + j)] = -1;
    base[static_cast<size_t>(j)] += 1;
  });
  Value* wins = e.cast(e.add("Greater", {scores, e.number(DType::kF32, 0)}), DType::kF32);
  return e.add("Gemm", {wins, e.floats({m.pairs, m.classes}, first), e.floats(base)});
}

/// Platt's sigmoid for each pair, then one distribution over the classes.
Result<Value*> add_probabilities(MlExpansion& e, const Node& node, const Machine& m,
                                 Value* scores) {
  QUERN_ASSIGN(const std::vector<float>* a, svm_floats(node, "prob_a", m.pairs));
  QUERN_ASSIGN(const std::vector<float>* b, svm_floats(node, "prob_b", m.pairs));
  Value* margin = e.add("Add", {e.add("Mul", {scores, e.floats(first_of(*a, m.pairs))}),
                                e.floats(first_of(*b, m.pairs))});
  Value* sure = e.add("Sigmoid", {e.add("Neg", {margin})});
  Value* pairs =
      e.add("Clip", {sure, e.number(DType::kF32, 1.0e-7F), e.number(DType::kF32, 1 - 1.0e-7F)});
  return e.add_in("quern", 1, "PairwiseCoupling", {pairs}, {{"classes", m.classes}});
}

/// A score for each class. Of two classes the second is chosen where the better score is at least
/// 0.5 (no negative coefficient) or above 0, else the one with the better score.
Result<Value*> expand_linear(MlExpansion& e, const Node& node, const Machine& m, Value* x) {
  QUERN_ASSIGN(const std::vector<float>* weights, svm_floats(node, "coefficients", 1));
  QUERN_ASSIGN(const std::vector<float>* rho, svm_floats(node, "rho", 1));
  if (std::ssize(*weights) % m.classes != 0) {
    return invalid_model(
        cat(node.describe(), ": ", weights->size(), " coefficients for ", m.classes, " classes"));
  }
  Value* vectors = e.floats({m.classes, std::ssize(*weights) / m.classes}, *weights);
  Value* scores = e.add("Gemm", {x, vectors, e.floats({(*rho)[0]})}, {{"transB", int64_t{1}}});
  Value* best = e.add("ArgMax", {scores}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}});
  if (m.classes == 2) {
    const bool positive = std::ranges::all_of(*weights, [](float w) { return w >= 0; });
    Value* top = e.add("ReduceMax", {scores, e.ints({1})}, {{"keepdims", int64_t{0}}});
    Value* second = e.add(positive ? "GreaterOrEqual" : "Greater",
                          {top, e.number(DType::kF32, positive ? 0.5 : 0.0)});
    best = e.add("Where", {second, e.integer(1), best});
  }
  e.replace(0, add_labels(e, m.labels, best));
  return scores;
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  QUERN_ASSIGN(const Machine m, machine_of(node));
  QUERN_ASSIGN(Value * x, add_rows(e, node, node.inputs[0], DType::kF32));
  if (m.vectors() == 0) {
    QUERN_ASSIGN(Value * scores, expand_linear(e, node, m, x));
    e.replace(1, add_post_transform(e, scores, m.classes, transform));
    e.finish();
    return true;
  }
  QUERN_ASSIGN(Value * pairs, add_pair_scores(e, node, m, x));
  add_best_class(e, m.labels, add_votes(e, m, pairs));
  if (m.has_probabilities) {
    QUERN_ASSIGN(Value * shares, add_probabilities(e, node, m, pairs));
    e.replace(1, add_post_transform(e, shares, m.classes, transform));
  } else if (m.pairs > 1) {
    e.replace(1, add_post_transform(e, pairs, m.pairs, transform));
  } else {
    const bool complementary = transform != PostTransform::kNone;
    e.replace(1, add_binary_scores(e, pairs, transform, true, complementary));
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_svm_classifier;
const OpDef op_svm_classifier = {
    .name = "SVMClassifier",
    .domain = kMlDomain,
    .min_outputs = 2,
    .max_outputs = 2,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
