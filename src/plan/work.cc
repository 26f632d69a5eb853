#include "plan/work.h"

#include <algorithm>
#include <string_view>

namespace quern {
namespace {

uint64_t count(const TensorInfo& info) { return static_cast<uint64_t>(info.count()); }

bool is_one_of(const Node& node, std::initializer_list<std::string_view> ops) {
  return std::ranges::find(ops, node.op) != ops.end();
}

/// Elements of a convolution's weights that go into one output element, or of a transposed one's
/// that one input element goes into.
uint64_t reach(const TensorInfo& weights) {
  if (weights.rank() == 0 || weights.dims[0] == 0) return 0;
  return count(weights) / static_cast<uint64_t>(weights.dims[0]);
}

uint64_t products_of(const OpFrame& frame) {
  const Node& node = *frame.node;
  if (frame.inputs.size() < 2 || frame.outputs.empty()) return 0;
  const TensorInfo& a = frame.inputs[0];
  const TensorInfo& b = frame.inputs[1];
  const uint64_t out = count(frame.outputs[0]);
  if (is_one_of(node, {"MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "MatMulNBits",
                       "MatMulIntegerToFloat", "DynamicQuantizeMatMul"})) {
    const bool transposed = a.rank() >= 2 && node.int_or("transA", 0) != 0;
    return a.rank() == 0 ? 0 : out * static_cast<uint64_t>(a.dims[a.rank() - (transposed ? 2 : 1)]);
  }
  if (is_one_of(node, {"Gemm", "FusedGemm"})) {
    return a.rank() != 2
               ? 0
               : out * static_cast<uint64_t>(a.dims[node.int_or("transA", 0) != 0 ? 0 : 1]);
  }
  if (is_one_of(node, {"Conv", "FusedConv", "NhwcConv", "ConvInteger"})) return out * reach(b);
  if (node.is("QLinearConv") && frame.inputs.size() > 3) return out * reach(frame.inputs[3]);
  if (node.is("ConvTranspose")) return count(a) * reach(b);
  if (node.is("Attention", "quern")) {
    // Queries by keys for the scores, and as much again for the sums of values.
    if (a.rank() < 2 || b.rank() < 2) return 0;
    return (count(a) + out) * static_cast<uint64_t>(b.dims[b.rank() - 2]);
  }
  if (is_one_of(node, {"LSTM", "GRU", "RNN"}) && frame.inputs.size() > 2 && a.rank() == 3) {
    const auto steps = static_cast<uint64_t>(a.dims[0] * a.dims[1]);
    return steps * (count(b) + count(frame.inputs[2]));
  }
  return 0;
}

/// Does input i count as far as the output reaches into it?
bool is_table(const LowerJob& job, size_t i) {
  const auto looks_up = [](const Node& node) {
    return is_one_of(node, {"Gather", "GatherND", "GatherElements", "Slice"});
  };
  if (job.body.empty()) return i == 0 && looks_up(*job.frame.node);
  const Graph& body = *job.frame.node->subgraph("body");
  return i < body.inputs.size() && std::ranges::any_of(
                                       job.body,
                                       [&](const OpFrame& inner) {
                                         return looks_up(*inner.node) &&
                                                inner.node->inputs[0] == body.inputs[i];
                                       });
}

}  // namespace

uint64_t flops_of(const LowerJob& job) {
  uint64_t products = products_of(job.frame);
  for (const OpFrame& inner : job.body) products += products_of(inner);
  return 2 * products;
}

uint64_t bytes_of(const LowerJob& job) {
  const auto bytes = [](const TensorInfo& info) {
    return info.present ? byte_size(info.dtype, count(info)) : 0;
  };
  uint64_t written = 0;
  for (const TensorInfo& info : job.frame.outputs) written += bytes(info);
  uint64_t read = 0;
  for (size_t i = 0; i < job.frame.inputs.size(); ++i) {
    const uint64_t whole = bytes(job.frame.inputs[i]);
    read += is_table(job, i) ? std::min(whole, written) : whole;
  }
  return read + written;
}

}  // namespace quern
