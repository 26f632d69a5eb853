// Operators on quantised tensors that com.microsoft has beside those of ONNX: they dequantise,
// apply an operator, and quantise, which fuse.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/microsoft.h"

namespace quern {

/// Input `at` dequantised with the scale and zero point (perhaps absent) after it.
Value* add_dequantized(Expansion& e, const Node& node, size_t at);
/// `x` quantised with the node's inputs `scale` and the one after it; where that is absent, to the
/// type of output 0 around 0.
Value* add_quantized(Expansion& e, const Node& node, Value* x, size_t scale);

/// Output 0 has the type and shape of input 0.
Result<void> infer_qlinear_same(InferContext& ctx);
/// Inputs a, its scale and zero point, b, likewise, then scale and zero point of `op` of both.
Result<void> infer_qlinear_binary(InferContext& ctx);
Result<bool> expand_qlinear_binary(Graph& graph, Node& node, std::string_view op);
/// Inputs x, its scale and zero point, then those of `op` of it, which takes these attributes.
Result<bool> expand_qlinear_unary(Graph& graph, Node& node, std::string_view op,
                                  std::initializer_list<std::string_view> attributes);
/// The same for pools, where channels may be the last axis.
Result<bool> expand_qlinear_pool(Graph& graph, Node& node, std::string_view op);
Result<void> infer_qlinear_pool(InferContext& ctx, std::string_view op);

}  // namespace quern
