// What operators of ai.onnx.ml share: rows of features, class labels, transforms of scores.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr std::string_view kMlDomain = "ai.onnx.ml";
/// The element types of features.
inline constexpr TypeSet kFeatureTypes =
    types_of(DType::kF32, DType::kF64, DType::kI64, DType::kI32);
/// Operator set version of the operators that those of ai.onnx.ml become.
inline constexpr int kMlVersion = 20;

/// Builds nodes before a node of ai.onnx.ml.
class MlExpansion : public Expansion {
 public:
  MlExpansion(Graph& graph, Node& node) : Expansion(graph, node), graph_(graph) {}

  Value* add(const char* op, std::vector<Value*> inputs, Attributes attributes = {}) {
    return add_in("", kMlVersion, op, std::move(inputs), attributes);
  }
  /// The value itself where it has that type already: devices would round f64.
  Value* cast(Value* v, DType to) {
    const DType have = v->constant ? v->constant->dtype : v->type.dtype;
    return have == to ? v : add("Cast", {v}, {{"to", static_cast<int64_t>(to)}});
  }
  Value* floats(const std::vector<float>& values) { return floats({std::ssize(values)}, values); }
  Value* floats(const Dims& dims, const std::vector<float>& values) {
    return graph_.add_constant("", make_constant(HostTensor::of_floats(dims, values)));
  }

 private:
  Graph& graph_;
};

/// Features of shape [n, c], or [c] for one row: the first dim of the result.
Result<Dim> feature_rows(const InferContext& c, size_t input);
/// A value of features as [n, c] in `type`.
Result<Value*> add_rows(MlExpansion& e, const Node& node, Value* x, DType type);

enum class PostTransform : uint8_t { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };
/// The attribute `post_transform`, a name or (TreeEnsemble) a number.
Result<PostTransform> post_transform_of(const Node& node);
/// Scores [n, count] transformed. A single score is left as it is but by kProbit, as the runtimes
/// in use do.
Value* add_post_transform(MlExpansion& e, Value* scores, int64_t count, PostTransform transform);

/// The names of classes: integers or strings.
struct ClassLabels {
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  [[nodiscard]] bool are_strings() const { return !strings.empty(); }
  [[nodiscard]] int64_t count() const {
    return are_strings() ? std::ssize(strings) : std::ssize(ints);
  }
};
/// From the attribute classlabels_strings, or integers of the name given.
ClassLabels class_labels(const Node& node, std::string_view ints);
/// The labels at integer indices (i64).
Value* add_labels(MlExpansion& e, const ClassLabels& labels, Value* indices);

/// Output 0: the label of the best of scores [n, classes]; where `seen` (or null) is false, a score
/// does not count.
void add_best_class(MlExpansion& e, const ClassLabels& labels, Value* scores,
                    Value* seen = nullptr);
/// Output 0: the second of two labels where a score [n, 1] is greater than a threshold, else the
/// first; 1 and 0 where there are no two labels.
void add_binary_label(MlExpansion& e, ClassLabels labels, Value* score, double threshold);
/// The scores of two classes from that of the second [n, 1], as f32 [n, 2]; just that one where
/// `two` is not set. The first class's is 1 less the score if `complementary`, else its negative.
Value* add_binary_scores(MlExpansion& e, Value* score, PostTransform transform, bool two,
                         bool complementary);

}  // namespace quern
