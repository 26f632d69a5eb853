#include "ops/common/ml.h"

namespace quern {

Result<Dim> feature_rows(const InferContext& c, size_t input) {
  const Shape* shape = c.shape(input);
  if (shape == nullptr) return c.fresh_dim(0, 0);
  if (shape->size() == 1) return Dim(1);
  if (shape->size() != 2) return c.error(cat("features ", *shape, " must have rank 1 or 2"));
  return (*shape)[0];
}

Result<Value*> add_rows(MlExpansion& e, const Node& node, Value* x, DType type) {
  if (!x->type.shape) return unsupported(cat(node.describe(), ": features of unknown rank"));
  Value* rows = e.cast(x, type);
  return x->type.shape->size() == 1 ? e.add("Unsqueeze", {rows, e.ints({0})}) : rows;
}

Result<PostTransform> post_transform_of(const Node& node) {
  constexpr std::string_view kNames[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  const AttributeValue* value = node.attribute("post_transform");
  if (value == nullptr) return PostTransform::kNone;
  int64_t number = -1;
  if (const auto* text = std::get_if<std::string>(value)) {
    for (size_t i = 0; i < std::size(kNames); ++i) {
      if (*text == kNames[i]) number = static_cast<int64_t>(i);
    }
  } else {
    number = node.int_or("post_transform", -1);
  }
  if (number < 0 || number >= std::ssize(kNames)) {
    return invalid_model(cat(node.describe(),
                             ": unknown post_transform, expected NONE, SOFTMAX, "
                             "LOGISTIC, SOFTMAX_ZERO or PROBIT"));
  }
  return static_cast<PostTransform>(number);
}

Value* add_post_transform(MlExpansion& e, Value* scores, int64_t count, PostTransform transform) {
  if (transform == PostTransform::kNone) return scores;
  if (count == 1 && transform != PostTransform::kProbit) return scores;
  return e.add_in("quern", 1, "PostTransform", {scores},
                  {{"transform", static_cast<int64_t>(transform)}});
}

ClassLabels class_labels(const Node& node, std::string_view ints) {
  ClassLabels labels;
  if (const AttributeValue* value = node.attribute("classlabels_strings")) {
    if (const auto* strings = std::get_if<std::vector<std::string>>(value)) {
      labels.strings = *strings;
    }
  }
  if (const std::vector<int64_t>* values = node.ints(ints)) labels.ints = *values;
  return labels;
}

Value* add_labels(MlExpansion& e, const ClassLabels& labels, Value* indices) {
  if (labels.are_strings()) {
    return e.add_in("quern", 1, "StringLabels", {indices}, {{"labels", labels.strings}});
  }
  return e.add("Gather", {e.ints(labels.ints), indices});
}

void add_best_class(MlExpansion& e, const ClassLabels& labels, Value* scores, Value* seen) {
  if (seen != nullptr) {
    Value* lowest = e.add("CastLike", {e.number(DType::kF32, -3e38), scores});
    scores = e.add("Where", {seen, scores, lowest});
  }
  Value* best = e.add("ArgMax", {scores}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}});
  e.replace(0, add_labels(e, labels, best));
}

void add_binary_label(MlExpansion& e, ClassLabels labels, Value* score, double threshold) {
  if (labels.count() != 2) {
    if (labels.are_strings()) {
      labels.strings = {"0", "1"};
    } else {
      labels.ints = {0, 1};
    }
  }
  Value* limit = e.add("CastLike", {e.number(DType::kF32, threshold), score});
  Value* above = e.cast(e.add("Greater", {score, limit}), DType::kI64);
  e.replace(0, add_labels(e, labels, e.add("Squeeze", {above, e.ints({1})})));
}

Value* add_binary_scores(MlExpansion& e, Value* score, PostTransform transform, bool two,
                         bool complementary) {
  Value* positive = e.cast(score, DType::kF32);
  Value* negative = nullptr;
  if (transform == PostTransform::kLogistic) {
    negative = e.add("Sigmoid", {e.add("Neg", {positive})});
    positive = e.add("Sigmoid", {positive});
  } else {
    const bool is_probit = transform == PostTransform::kProbit;
    if (is_probit) positive = add_post_transform(e, positive, 1, transform);
    negative = complementary || is_probit ? e.add("Sub", {e.number(DType::kF32, 1), positive})
                                          : e.add("Neg", {positive});
  }
  return two ? e.add("Concat", {negative, positive}, {{"axis", int64_t{1}}}) : positive;
}

}  // namespace quern
