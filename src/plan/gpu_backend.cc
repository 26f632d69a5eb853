#include "plan/gpu_backend.h"

#include <map>

#include "ir/complex.h"
#include "ops/compose.h"

namespace quern {
namespace {

/// Distinct storages in binding order, and how each tensor of a call is bound.
class BindingSet {
 public:
  explicit BindingSet(const Walk& walk) : walk_(walk) {}

  BindingPlan add(Storage s, DType dtype) {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].storage == s && tensors_[i].plan.same_as < 0) {
        if (tensors_[i].dtype != dtype) mixed_ = true;
        tensors_.push_back({s, dtype, {tensors_[i].plan.access, static_cast<int32_t>(i)}});
        return tensors_.back().plan;
      }
    }
    distinct_.push_back(s);
    tensors_.push_back({s, dtype, {access(s), -1}});
    return tensors_.back().plan;
  }
  /// One buffer may not be bound read-only and writable in a dispatch: what the segment writes
  /// is writable everywhere; weights, constants and finished load programs are read-only.
  [[nodiscard]] Access access(Storage s) const {
    switch (walk_.info(s).kind) {
      case StorageKind::kTemporary:
        return Access::kReadWrite;
      case StorageKind::kLoaded:
        return walk_.loading() ? Access::kReadWrite : Access::kRead;
      default:
        return Access::kRead;
    }
  }
  [[nodiscard]] const std::vector<Storage>& distinct() const { return distinct_; }
  [[nodiscard]] bool mixed() const { return mixed_; }
  /// Identifies the pattern in a program's key.
  [[nodiscard]] std::string key() const {
    std::string out;
    for (const Tensor& t : tensors_) {
      out += cat(static_cast<int>(t.plan.access), ".", t.plan.same_as, ".",
                 static_cast<int>(t.dtype), ";");
    }
    return out;
  }

 private:
  struct Tensor {
    Storage storage;
    DType dtype;
    BindingPlan plan;
  };
  const Walk& walk_;
  std::vector<Tensor> tensors_;
  std::vector<Storage> distinct_;
  bool mixed_ = false;
};

Step dispatch_step(const Node& node, uint32_t program, std::array<uint64_t, 3> workgroups) {
  Step step;
  step.kind = StepKind::kDispatch;
  step.node = node.id;
  step.program = program;
  for (int i = 0; i < 3; ++i) step.workgroups[i] = static_cast<uint32_t>(workgroups[i]);
  return step;
}

}  // namespace

const uint32_t* ProgramTable::find(const std::string& key) const {
  auto it = numbers_.find(key);
  return it == numbers_.end() ? nullptr : &it->second;
}

uint32_t ProgramTable::add(std::string key, std::string label, ShaderText text) {
  const auto number = static_cast<uint32_t>(entries_.size());
  entries_.push_back({number, std::move(label), std::move(text)});
  numbers_.emplace(std::move(key), number);
  return number;
}

std::vector<ProgramEntry> ProgramTable::take_new() {
  std::vector<ProgramEntry> out(entries_.begin() + static_cast<std::ptrdiff_t>(taken_),
                                entries_.end());
  taken_ = entries_.size();
  return out;
}

/// The LowerContext of one node; of the anchor where the node is a fusion.
class GpuBackend::Lowering final : public LowerContext {
 public:
  Lowering(GpuBackend& backend, const OpFrame& frame, std::vector<Storage> inputs,
           std::vector<Storage> outputs, Walk& walk)
      : LowerContext(frame, backend.target_),
        backend_(backend),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        walk_(walk) {}

  void set_epilogue(Composed epilogue, std::vector<Storage> inputs, Storage output,
                    DType output_dtype) {
    epilogue_ = std::move(epilogue);
    epilogue_inputs_ = std::move(inputs);
    outputs_[0] = output;
    output_dtype_ = output_dtype;
    has_epilogue_ = true;
  }
  /// Has a dispatch taken the epilogue?
  [[nodiscard]] bool epilogue_done() const { return !has_epilogue_ || epilogue_used_; }

  Storage in(size_t input) override { return inputs_[input]; }
  Storage out(size_t output) override { return outputs_[output]; }
  Result<Storage> scratch(uint64_t bytes) override { return walk_.temporary(bytes); }
  Result<Storage> table(std::vector<uint8_t> bytes) override { return walk_.table(bytes); }

  Result<void> dispatch(ExprProgram program, std::vector<Storage> inputs,
                        std::vector<Storage> outputs) override {
    return backend_.dispatch_expression(node(), std::move(program), inputs, outputs, walk_);
  }

  Result<void> dispatch(KernelCall call) override {
    for (uint64_t n : call.workgroups) {
      if (n == 0) return {};
    }
    const bool with_epilogue = has_epilogue_ && !call.epilogue_at.empty();
    if (with_epilogue) {
      epilogue_used_ = true;
      for (KernelBinding& b : call.bindings) {
        if (b.name == call.epilogue_at) b.dtype = output_dtype_;
      }
    }
    // Two invocations would write into one word where elements are narrower than a word: such
    // outputs go through f32 and a conversion.
    std::vector<std::pair<KernelBinding, Storage>> narrow;
    for (KernelBinding& b : call.bindings) {
      if (!is_output(b.storage) || bit_width(b.dtype) >= 32) continue;
      QUERN_ASSIGN(Storage wide, walk_.temporary(b.count * 4));
      narrow.emplace_back(b, wide);
      b.storage = wide;
      b.dtype = is_float(b.dtype)        ? DType::kF32
                : is_signed_int(b.dtype) ? DType::kI32
                                         : DType::kU32;
      if (with_epilogue && b.name == call.epilogue_at) widen_epilogue(b.dtype);
    }
    QUERN_TRY(dispatch_kernel(call, with_epilogue));
    for (const auto& [binding, wide] : narrow) {
      QUERN_TRY(convert(binding, wide));
    }
    return {};
  }

 private:
  [[nodiscard]] bool is_output(Storage s) const {
    for (Storage o : outputs_) {
      if (o == s) return true;
    }
    return false;
  }

  /// The epilogue gives its value as `wide`, which holds it exactly.
  void widen_epilogue(DType wide) {
    ExprOutput& output = epilogue_.program.outputs[0];
    ExprBuilder b(epilogue_.program);
    if (b.type_of(output.value) == Scalar::kBool) output.value = b.cast(output.value, Scalar::kU32);
    output.dtype = wide;
  }

  Result<void> dispatch_kernel(const KernelCall& call, bool with_epilogue) {
    BindingSet set(walk_);
    std::vector<BindingPlan> plans;
    std::vector<BindingPlan> tail;
    for (const KernelBinding& b : call.bindings) plans.push_back(set.add(b.storage, b.dtype));
    if (with_epilogue) {
      for (size_t i = 0; i < epilogue_inputs_.size(); ++i) {
        if (epilogue_.inputs[i] == Composed::kAnchor) {
          tail.push_back({});
          continue;
        }
        tail.push_back(set.add(epilogue_inputs_[i], epilogue_.program.inputs[i].dtype));
      }
    }
    if (set.mixed()) {
      return unsupported(cat(node().describe(), ": one tensor is read as two element types"));
    }
    std::string key = cat(call.kernel, "|", call.epilogue_at, "|");
    for (const ConfigEntry& c : call.config) key += cat(c.name, "=", c.value, ",");
    for (const KernelBinding& b : call.bindings) key += cat(b.name, ":");
    key += set.key();
    if (with_epilogue) key += epilogue_.program.key();
    uint32_t number = 0;
    if (const uint32_t* found = backend_.programs_.find(key)) {
      number = *found;
    } else {
      auto text =
          instantiate(call, plans, with_epilogue ? &epilogue_.program : nullptr, tail, target());
      if (!text) return std::unexpected(std::move(text).error().in(node().describe()));
      number = backend_.programs_.add(std::move(key), cat(node().op, " ", call.kernel),
                                      *std::move(text));
    }
    std::vector<uint32_t> params = call.params;
    if (with_epilogue) {
      for (uint32_t w : param_words(epilogue_.program)) params.push_back(w);
    }
    auto workgroups = call.workgroups;
    if (workgroups[0] > target().max_workgroups && workgroups[1] == 1) {
      workgroups = split_workgroups(workgroups[0], target());
    }
    return walk_.emit(dispatch_step(node(), number, workgroups), set.distinct(), params);
  }

  Result<void> convert(const KernelBinding& to, Storage from) {
    const DType wide = is_float(to.dtype)        ? DType::kF32
                       : is_signed_int(to.dtype) ? DType::kI32
                                                 : DType::kU32;
    ExprProgram program;
    program.params.push_back(static_cast<int64_t>(to.count));
    program.domain.push_back({static_cast<int64_t>(to.count), 0});
    program.inputs.push_back({wide, program.domain, false});
    ExprBuilder b(program);
    const Expr at[] = {b.index(0)};
    Expr value = b.load(0, at);
    if (to.dtype == DType::kBool) value = b.cast(value, Scalar::kBool);
    program.outputs.push_back({value, to.dtype});
    return backend_.dispatch_expression(node(), std::move(program), {from}, {to.storage}, walk_);
  }

  GpuBackend& backend_;
  std::vector<Storage> inputs_;
  std::vector<Storage> outputs_;
  Walk& walk_;
  bool has_epilogue_ = false;
  bool epilogue_used_ = false;
  Composed epilogue_;
  std::vector<Storage> epilogue_inputs_;
  DType output_dtype_ = DType::kUndefined;
};

bool GpuBackend::lacks(const Node& node, const OpDef&) const { return has_complex(node); }

Result<void> GpuBackend::lower(const LowerJob& job, Walk& walk) {
  if (!job.body.empty()) {
    const int anchor = anchor_of(job.body);
    if (anchor >= 0) return lower_anchor(job, static_cast<size_t>(anchor), walk);
    return lower_expression(job, walk);
  }
  const OpDef& def = *job.frame.def;
  if (def.lower != nullptr) {
    Lowering lowering(*this, job.frame, job.inputs, job.outputs, walk);
    auto done = def.lower(lowering);
    // A form that the hand-written kernels lack takes the general one.
    if (done || done.error().code != ErrorCode::kUnsupported || def.expr == nullptr) return done;
  }
  if (def.expr == nullptr) {
    return unsupported(cat(job.frame.node->describe(), ": no WebGPU kernel for version ",
                           job.frame.node->version, " with ",
                           job.frame.inputs.empty() ? std::string_view("no inputs")
                                                    : name_of(job.frame.inputs[0].dtype)));
  }
  return lower_expression(job, walk);
}

Result<void> GpuBackend::lower_expression(const LowerJob& job, Walk& walk) {
  // Outputs of one shape share a kernel while bindings last; others have one each.
  std::vector<bool> done(job.outputs.size());
  for (uint32_t first = 0; first < job.outputs.size(); ++first) {
    if (done[first] || !job.frame.outputs[first].present) continue;
    std::vector<uint32_t> group;
    for (uint32_t i = first; i < job.outputs.size(); ++i) {
      const bool fits = job.inputs.size() + group.size() + 1 <= target_.max_storage_buffers;
      if (done[i] || !job.frame.outputs[i].present || (i != first && !fits)) continue;
      if (job.frame.outputs[i].dims != job.frame.outputs[first].dims) continue;
      // The same structure in every binding: only outputs of one symbolic shape share.
      if (i != first && job.frame.outputs[i].baked != job.frame.outputs[first].baked) continue;
      if (i != first && job.body.empty()) continue;
      group.push_back(i);
      done[i] = true;
    }
    auto composed = compose(job.frame, job.body, group);
    if (!composed)
      return std::unexpected(std::move(composed).error().in(job.frame.node->describe()));
    std::vector<Storage> inputs;
    for (uint32_t i : composed->inputs) inputs.push_back(job.inputs[i]);
    std::vector<Storage> outputs;
    for (uint32_t i : group) outputs.push_back(job.outputs[i]);
    QUERN_TRY(
        dispatch_expression(*job.frame.node, std::move(composed->program), inputs, outputs, walk));
  }
  return {};
}

Result<void> GpuBackend::lower_anchor(const LowerJob& job, size_t anchor, Walk& walk) {
  const OpFrame& frame = job.body[anchor];
  const Graph& body = *job.frame.node->subgraph("body");
  std::vector<Storage> inputs;
  for (const Value* v : frame.node->inputs) {
    Storage s;
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      if (body.inputs[i] == v) s = job.inputs[i];
    }
    inputs.push_back(s);
  }
  Lowering lowering(*this, frame, std::move(inputs), job.outputs, walk);
  const uint32_t outputs[] = {0};
  QUERN_ASSIGN(Composed epilogue, compose(job.frame, job.body, outputs, frame.node->outputs[0]));
  std::vector<Storage> tail;
  for (uint32_t i : epilogue.inputs) {
    tail.push_back(i == Composed::kAnchor ? Storage{} : job.inputs[i]);
  }
  lowering.set_epilogue(std::move(epilogue), std::move(tail), job.outputs[0],
                        job.frame.outputs[0].dtype);
  auto done = frame.def->lower(lowering);
  if (!done && done.error().code == ErrorCode::kUnsupported && frame.def->expr != nullptr) {
    return lower_anchor_apart(job, anchor, walk);
  }
  QUERN_TRY(done);
  if (!lowering.epilogue_done()) {
    return internal_error(cat(frame.node->describe(), ": its kernel did not take the epilogue"));
  }
  return {};
}

Result<void> GpuBackend::lower_anchor_apart(const LowerJob& job, size_t anchor, Walk& walk) {
  const OpFrame& frame = job.body[anchor];
  const Graph& body = *job.frame.node->subgraph("body");
  LowerJob inner;
  inner.frame = frame;
  for (const Value* v : frame.node->inputs) {
    Storage s;
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      if (body.inputs[i] == v) s = job.inputs[i];
    }
    inner.inputs.push_back(s);
  }
  const TensorInfo& info = frame.outputs[0];
  QUERN_ASSIGN(Storage whole,
               walk.temporary(byte_size(info.dtype, static_cast<uint64_t>(info.count()))));
  inner.outputs = {whole};
  QUERN_TRY(lower_expression(inner, walk));
  const uint32_t outputs[] = {0};
  QUERN_ASSIGN(Composed rest, compose(job.frame, job.body, outputs, frame.node->outputs[0]));
  std::vector<Storage> inputs;
  for (size_t i = 0; i < rest.inputs.size(); ++i) {
    rest.program.inputs[i].is_anchor = false;
    inputs.push_back(rest.inputs[i] == Composed::kAnchor ? whole : job.inputs[rest.inputs[i]]);
  }
  return dispatch_expression(*job.frame.node, std::move(rest.program), inputs, job.outputs, walk);
}

Result<void> GpuBackend::dispatch_expression(const Node& node, ExprProgram program,
                                             const std::vector<Storage>& inputs,
                                             const std::vector<Storage>& outputs, Walk& walk) {
  if (program.domain_count() == 0) return {};
  collapse_axes(program);
  BindingSet set(walk);
  std::vector<BindingPlan> in;
  std::vector<BindingPlan> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(set.add(inputs[i], program.inputs[i].dtype));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    out.push_back(set.add(outputs[i], program.outputs[i].dtype));
  }
  if (set.mixed()) {
    return unsupported(cat(node.describe(), ": one tensor is read as two element types"));
  }
  const ExprSchedule schedule = schedule_of(program, target_);
  const std::string key = cat("expr|", schedule.workgroup_size, "|", schedule.workgroup_reduce, "|",
                              set.key(), program.key());
  uint32_t number = 0;
  if (const uint32_t* found = programs_.find(key)) {
    number = *found;
  } else {
    auto text = write_wgsl(program, in, out, schedule, target_);
    if (!text) return std::unexpected(std::move(text).error().in(node.describe()));
    number = programs_.add(key, cat(node.op, " expr"), *std::move(text));
  }
  return walk.emit(dispatch_step(node, number, workgroups_of(program, schedule, target_)),
                   set.distinct(), param_words(program));
}

}  // namespace quern
