// What the operators of the domain com.microsoft share.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/expansion.h"

namespace quern {

/// The version of ONNX's operators that expansions are written in.
inline constexpr int kExpansionOpset = 23;

/// As the operator of the same name, inputs and attributes in ONNX's own domain.
Result<bool> expand_as_onnx(Graph& graph, Node& node);

/// SimplifiedLayerNormalization (RMSNormalization), which models have in ONNX's own domain too.
Result<void> infer_simplified_norm(InferContext& ctx);
Result<bool> expand_simplified_norm(Graph& graph, Node& node);

/// SkipLayerNormalization and SkipSimplifiedLayerNormalization.
Result<void> infer_skip_norm(InferContext& ctx);
/// The normalised sum of input, skip and (input `bias`, where present) bias.
Result<bool> expand_skip_norm(Graph& graph, Node& node, bool simplified);

/// x after the activation of a fused operator (none where its name is empty). `parameters` are
/// those of the ONNX operator of that name in their order; what is missing has its default.
Result<Value*> add_activation(Expansion& e, const Node& node, Value* x, std::string_view name,
                              const std::vector<float>& parameters);

}  // namespace quern
