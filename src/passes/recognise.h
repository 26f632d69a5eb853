// The families of patterns that `recognise` looks for. Each function searches one graph, without
// its bodies, whose shapes are inferred and whose constants are folded; it gives the number of
// hits. Patterns whose inner values are graph outputs or have other uses are left alone.
#pragma once

#include "ir/graph.h"

namespace quern {

/// softmax(q k^T * scale + mask) v -> quern.Attention.
int find_attention(Graph& graph);
/// (x - mean) / sqrt(variance + epsilon), over the last axes -> LayerNormalization.
int find_layer_norm(Graph& graph);
/// x / sqrt(mean of squares + epsilon), over the last axes -> RMSNormalization.
int find_rms_norm(Graph& graph);
/// Reshape, InstanceNormalization, Reshape, scale and bias -> GroupNormalization.
int find_group_norm(Graph& graph);
/// By erf and by tanh -> Gelu.
int find_gelu(Graph& graph);
/// x * sigmoid(alpha * x) -> Swish.
int find_swish(Graph& graph);
/// x * clip(x + 3, 0, 6) / 6 -> HardSwish.
int find_hard_swish(Graph& graph);

}  // namespace quern
