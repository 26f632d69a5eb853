// For tests of operators with hand-written kernels: one node on host tensors.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ir/graph.h"
#include "ir/op_context.h"
#include "ops/op_def.h"
#include "shader/lower.h"

namespace quern {

/// A node with inputs of known contents.
class NodeUnderTest {
 public:
  NodeUnderTest(std::string op, int version, size_t outputs = 1, std::string domain = "");

  NodeUnderTest& input(HostTensor tensor);
  NodeUnderTest& no_input();
  NodeUnderTest& set(std::string name, AttributeValue value);

  /// Shape inference with numbers; fills the frame.
  Result<void> infer();
  /// The generic form (expr or eval), infer included.
  Result<std::vector<HostTensor>> evaluate();
  /// The CPU kernel, infer included, on `threads` pretended threads.
  Result<std::vector<HostTensor>> run_kernel(const CpuKernel& kernel, int threads = 3);
  [[nodiscard]] const OpFrame& frame() const { return frame_; }

 private:
  Graph graph_;
  Node* node_;
  std::vector<std::unique_ptr<HostTensor>> tensors_;
  OpFrame frame_;
};

/// Values in [-1, 1), and small integers.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  HostTensor floats(const Dims& dims, float scale = 1.0f);
  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool chance(int64_t one_in) { return integer(1, one_in) == 1; }

 private:
  std::mt19937 engine_;
};

/// Collects dispatches. Storages are numbered: inputs, outputs, scratch.
class Recorder final : public LowerContext {
 public:
  Recorder(const OpFrame& frame, const Target& target) : LowerContext(frame, target) {}
  Storage in(size_t input) override { return {static_cast<uint32_t>(input)}; }
  Storage out(size_t output) override { return {static_cast<uint32_t>(100 + output)}; }
  Result<Storage> scratch(uint64_t) override { return Storage{next_++}; }
  Storage window(Storage, uint64_t, uint64_t) override { return Storage{next_++}; }
  Result<Storage> table(std::vector<uint8_t>) override { return Storage{next_++}; }
  Result<void> prepare(KernelCall) override { return {}; }
  [[nodiscard]] bool is_tuned() const override { return trial.has_value(); }
  size_t choose(const std::string&, const std::vector<std::string>& names, bool) override {
    forms = names;
    return std::min(*trial, forms.size() - 1);
  }
  Result<void> dispatch(KernelCall call) override {
    calls.push_back(std::move(call));
    return {};
  }
  Result<void> dispatch(ExprProgram program, std::vector<Storage>, std::vector<Storage>) override {
    QUERN_TRY(verify(program));
    ++expressions;
    return {};
  }

  std::vector<KernelCall> calls;
  int expressions = 0;
  std::optional<size_t> trial;     ///< the form to take
  std::vector<std::string> forms;  ///< of the last choice

 private:
  uint32_t next_ = 200;
};

std::vector<float> floats_of(const HostTensor& tensor);
/// Relative L2 difference; NaN where only one of them is.
double difference(const HostTensor& got, const HostTensor& want);

/// The text of the output types of a node with symbolic input types "f32[batch, 3]", or its error.
std::string inferred(const std::string& graph_text);

}  // namespace quern
