// A loaded model: graph, placement, programs; the dialogue of a run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"
#include "passes/narrow.h"
#include "passes/passes.h"
#include "passes/placement.h"
#include "plan/walk.h"
#include "shader/target.h"
#include "shader/tuning.h"

namespace quern {

struct SessionOptions {
  PassOptions pass_options;
  WalkLimits limits;
  /// Inner values of the main graph to be given out too; names that it lacks are left out.
  std::vector<std::string> more_outputs;
};

/// Inputs of a run are those of `inputs()`; `host` where `host_inputs()` asks for the contents.
class Session {
 public:
  /// Infers shapes, runs the passes, decides what is where. The backend outlives the session.
  static Result<std::unique_ptr<Session>> create(Model model, Backend& backend,
                                                 const SessionOptions& options);

  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const Placement& placement() const { return main_.placement; }
  /// Inputs of a run in order, those that may be left out among them.
  [[nodiscard]] const std::vector<ModelInput>& inputs() const { return model_.inputs; }
  /// Numbers of the inputs whose contents the host needs, ascending.
  [[nodiscard]] const std::vector<uint32_t>& host_inputs() const { return host_inputs_; }
  /// Which node reads the contents of one of them on the host, in words.
  [[nodiscard]] std::string host_reader(uint32_t input) const;
  [[nodiscard]] const PassReport& pass_report() const { return main_.report; }

  /// Before the first run: has f32 tensors in f16 in the device's memory where that is safe
  /// (docs/precision.md). `weight_peaks` as in NarrowOptions. `automatic`: only where nothing
  /// speaks against it in the whole model.
  Result<void> narrow(std::vector<float> weight_peaks, bool automatic);

  /// Checks inputs against the declared types: number, kind, element type, rank, fixed dims, and
  /// that a symbol has one value. The error says which input, what it was and what was expected.
  Result<void> check_inputs(const std::vector<RunInput>& inputs) const;
  /// What a plan for these inputs depends on: dims, numbers of elements, contents that the host
  /// reads.
  [[nodiscard]] std::string key_of(const std::vector<RunInput>& inputs) const;
  /// Begins a run; walks of several runs may be alive at once.
  Result<std::unique_ptr<Walk>> start(std::vector<RunInput> inputs);
  /// Inputs of assumed dims (symbols take `dim`, those first in a shape `batch`), to have programs
  /// made before the first run; an error where the host would need contents that cannot be assumed.
  Result<std::vector<RunInput>> assumed_inputs(int64_t batch, int64_t dim) const;

  /// JSON: inputs, outputs (name, dtype, dims as numbers or text), which inputs the host reads,
  /// weights, nodes with operator, place and precision, passes' hits.
  [[nodiscard]] std::string describe() const;

 private:
  Session(Model model, Backend& backend, const SessionOptions& options)
      : model_(std::move(model)), backend_(backend), options_(options) {}

  /// A graph ready to be walked.
  struct Variant {
    Graph* graph = nullptr;
    std::unique_ptr<Graph> owned;  ///< of a specialisation
    std::vector<uint32_t> inputs;  ///< of the graph, as numbers of the session's
    Placement placement;
    PassReport report;
    LoadedValues loaded;
  };

  Result<void> prepare(Variant& variant, const PassOptions& options);
  /// kUnsupported with all operators in it that the backend lacks.
  [[nodiscard]] Result<void> check_device(const Variant& variant) const;
  /// The graph for these inputs: the main one; where control flow depends on what they say, a copy
  /// in which it is decided; where they replace defaults, one in which those are inputs.
  Result<Variant*> variant_for(const std::vector<RunInput>& inputs);
  /// A copy of the graph as imported, with these inputs in the place of their defaults.
  std::unique_ptr<Variant> copy_with_inputs(std::span<const uint32_t> replaced) const;
  Result<void> find_host_inputs();
  [[nodiscard]] std::string describe_precision() const;

  Model model_;
  Backend& backend_;
  SessionOptions options_;
  SessionMemory memory_;
  Variant main_;
  /// As imported: passes put other values in the place of outputs.
  std::vector<std::string> output_names_;
  std::unique_ptr<Graph> original_;  ///< as imported; only where copies of it may be wanted
  bool specialises_ = false;         ///< control flow is undecided at load
  size_t specialisations_ = 0;
  std::vector<uint32_t> host_inputs_;
  std::map<std::string, std::unique_ptr<Variant>> variants_;
  std::optional<NarrowOptions> narrow_;  ///< for the graphs to come; nothing: all is f32
  std::string precision_reason_;         ///< why it is f32 though f16 was asked for
};

/// May a run leave the input out?
inline bool may_be_absent(const ModelInput& input) {
  return input.has_default || input.type.kind == Type::Kind::kOptional;
}

/// JSON, for a profile: the nodes of the walk's graph that made steps for the device, with what
/// they had to compute and move.
std::string describe_work(const Walk& walk);

/// JSON: what quern_session_choices gives.
std::string describe_choices(std::span<const Choice> choices);

/// Appends a JSON string literal.
void append_json(std::string& out, std::string_view text);

}  // namespace quern
