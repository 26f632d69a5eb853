// Ensembles of decision trees, as the three operators of ai.onnx.ml describe them, in one form.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/common/ml.h"

namespace quern {

enum class BranchMode : uint8_t {
  kLessEqual,
  kLess,
  kGreaterEqual,
  kGreater,
  kEqual,
  kNotEqual,
  kMember,
  kLeaf
};
enum class LeafAggregate : uint8_t { kAverage, kSum, kMin, kMax };

/// A node as quern.TreeLeaves reads it.
struct ForestNode {
  static constexpr int64_t kWords = 6;
  /// Set in `mode`: NaN goes to `yes`.
  static constexpr int32_t kMissingIsTrue = 256;

  int32_t feature = 0, mode = 0, yes = 0, no = 0;
  int32_t begin = 0;  ///< number of the leaf; or first of the members
  int32_t end = 0;    ///< one past the members
};

struct Forest {
  std::vector<ForestNode> nodes;
  std::vector<int32_t> roots;
  ConstantPtr thresholds;       ///< of the nodes, a float type; leaves need none
  std::vector<double> members;  ///< of the sets, each sorted
  /// Leaf i adds weights [begins[i], begins[i + 1]) to the targets of the same places.
  std::vector<int32_t> begins, targets;
  ConstantPtr weights;
  int64_t target_count = 1;
  LeafAggregate aggregate = LeafAggregate::kSum;
};

/// From the attributes of TreeEnsemble.
Result<Forest> read_forest(const Node& node);
/// From those of TreeEnsembleClassifier and TreeEnsembleRegressor, whose leaves' attributes begin
/// with `leaf`: "class" or "target".
Result<Forest> read_node_lists(const Node& node, std::string_view leaf, int64_t target_count);

/// A float attribute that may be a tensor, as `name` or with "_as_tensor" behind it; null where
/// absent.
ConstantPtr float_attribute(const Node& node, std::string_view name);
LeafAggregate aggregate_named(std::string_view name);

/// The values of a forest in a graph.
struct ForestValues {
  Value* scores = nullptr;  ///< aggregated, [n, targets]
  Value *leaves = nullptr, *begins = nullptr, *targets = nullptr, *weights = nullptr;
};
/// Scores of features [n, c] of `type` (f32 or f64), in which they are summed too.
ForestValues add_forest(MlExpansion& e, Graph& graph, const Forest& forest, Value* x, DType type);
/// Which targets the leaves of a row give weights to, bool [n, targets]; null where to all.
Value* add_seen(MlExpansion& e, const Forest& forest, const ForestValues& values);

}  // namespace quern
