// Kernels with inputs and expected outputs, written as JSON lines for tests/kernels/run-wgsl.mjs,
// which runs them on a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/expr.h"
#include "ir/tensor.h"
#include "shader/lower.h"

namespace quern {

/// How far float outputs may lie from the expected ones: |a - b| <= atol + rtol |b|.
struct CaseTolerance {
  double rtol = 0;
  double atol = 0;
};

/// Collects cases; writes them to the file named by the environment variable QUERN_GPU_CASES when
/// it goes out of scope. Where that is not set, cases are still generated, and dropped.
class GpuCases {
 public:
  explicit GpuCases(std::string_view group) : group_(group) {}
  ~GpuCases();

  struct Options {
    CaseTolerance tolerance;
    const ExprSchedule* schedule = nullptr;  ///< null: schedule_of()
    Target target;
    std::vector<BindingPlan> inputs;  ///< empty: each its own, read
    std::vector<BindingPlan> outputs;
    /// Program for evaluate(), where it is another one.
    const ExprProgram* oracle = nullptr;
    const std::vector<HostTensor>* oracle_inputs = nullptr;
  };
  /// Adds a program on inputs; expects what evaluate() gives. Fails the test where WGSL can't be
  /// written.
  void add(std::string_view name, const ExprProgram& program, const std::vector<HostTensor>& inputs,
           const Options& options);
  void add(std::string_view name, const ExprProgram& program,
           const std::vector<HostTensor>& inputs) {
    add(name, program, inputs, Options{});
  }

  struct Binding {
    const HostTensor* tensor = nullptr;    ///< contents before (null: none)
    const HostTensor* expected = nullptr;  ///< and after (null: not looked at)
    BindingPlan plan;
    /// Memory that a step gives those after it: a number, not 0, and its bytes.
    uint32_t scratch = 0;
    uint64_t scratch_bytes = 0;
  };
  struct Step {
    const ShaderText* shader = nullptr;
    std::vector<Binding> bindings;  ///< its tensors before merging
    std::vector<uint32_t> params;
    std::array<uint64_t, 3> workgroups = {1, 1, 1};
  };
  /// Adds a shader; `bindings` are its tensors before merging.
  void add_shader(std::string_view name, const ShaderText& shader,
                  const std::vector<Binding>& bindings, const std::vector<uint32_t>& params,
                  std::array<uint64_t, 3> workgroups, CaseTolerance tolerance) {
    add_steps(name, {{&shader, bindings, params, workgroups}}, tolerance);
  }
  /// Adds shaders that run one after the other; only what the last one gives is looked at.
  void add_steps(std::string_view name, const std::vector<Step>& steps, CaseTolerance tolerance);

 private:
  std::string group_;
  std::string lines_;
};

}  // namespace quern
