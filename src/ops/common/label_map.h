// A map from labels to labels: LabelEncoder and CategoryMapper.
#pragma once

#include "base/result.h"
#include "ir/graph.h"
#include "ir/op_context.h"
#include "ir/tensor.h"

namespace quern {

/// Keys and values, one to one, and what all else maps to.
struct LabelMap {
  HostTensor keys;
  HostTensor values;
  HostTensor fallback;     ///< one element
  bool last_wins = false;  ///< of equal keys the last one counts, not the first
};

/// The map of a node whose input is of this type.
using LabelMapOf = Result<LabelMap> (*)(const Node& node, DType input);

Result<void> infer_labels(InferContext& c, LabelMapOf map_of);
/// Numbers to numbers: a search in sorted keys (quern.SortedLookup), and a Gather.
Result<bool> expand_labels(Graph& graph, Node& node, LabelMapOf map_of);
/// From or to strings, on the host.
Result<void> eval_labels(EvalContext& c, LabelMapOf map_of);

HostTensor string_list(std::vector<std::string> strings);

}  // namespace quern
