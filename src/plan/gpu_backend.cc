#include "plan/gpu_backend.h"

#include <algorithm>
#include <map>

#include "ir/complex.h"
#include "ops/compose.h"
#include "plan/binding_set.h"
#include "plan/epilogue_form.h"
#include "plan/move_bits.h"
#include "plan/split_expr.h"

namespace quern {
namespace {

bool same_program(const ShaderText& a, const ShaderText& b) {
  return a.wgsl == b.wgsl && a.bindings == b.bindings && a.overrides == b.overrides &&
         a.param_words == b.param_words;
}

bool is_convolution(const Node& node) { return node.op == "Conv"; }
/// Of a storage that is bound but not used.
constexpr uint64_t kUnusedBytes = 16;

/// The storages of a fusion that a node of its body takes from outside, input by input.
std::vector<Storage> outer_inputs(const LowerJob& job, const OpFrame& frame) {
  const Graph& body = *job.frame.node->subgraph("body");
  std::vector<Storage> inputs;
  for (const Value* v : frame.node->inputs) {
    const auto at = std::ranges::find(body.inputs, v);
    inputs.push_back(at == body.inputs.end()
                         ? Storage{}
                         : job.inputs[static_cast<size_t>(at - body.inputs.begin())]);
  }
  return inputs;
}

}  // namespace

const uint32_t* ProgramTable::find(const std::string& key) const {
  auto it = numbers_.find(key);
  return it == numbers_.end() ? nullptr : &it->second;
}

uint32_t ProgramTable::add(std::string key, std::string label, ShaderText text) {
  // A key may name what the text does not have: an extent that no index needs, say.
  std::vector<uint32_t>& alike = by_text_[std::hash<std::string>{}(text.wgsl)];
  for (const uint32_t number : alike) {
    if (!same_program(entries_[number].text, text)) continue;
    numbers_.emplace(std::move(key), number);
    return number;
  }
  const auto number = static_cast<uint32_t>(entries_.size());
  alike.push_back(number);
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

  /// The fusion whose anchor is lowered: dispatches are reported as its.
  void set_owner(const Node& owner) { owner_ = &owner; }
  void set_epilogue(Composed epilogue, std::vector<Storage> inputs, Storage output,
                    DType output_dtype) {
    epilogue_ = std::move(epilogue);
    epilogue_inputs_ = std::move(inputs);
    outputs_[0] = output;
    output_dtype_ = output_dtype;
    has_epilogue_ = true;
  }
  /// Of a convolution: the epilogue as all of them have it.
  Result<void> set_bounded_sum(const BoundedSum& sum, const std::vector<Storage>& inputs,
                               Storage output) {
    // Depthwise ones have no time for what is not added.
    const bool may_add = node().int_or("group", 1) == 1;
    Composed composed = compose_bounded_sum(sum, this->output(0).count(), may_add);
    std::vector<Storage> tail;
    for (uint32_t i : composed.inputs) {
      Storage storage;
      if (i == Composed::kUnused) {
        QUERN_ASSIGN(storage, scratch(kUnusedBytes));
      } else if (i != Composed::kAnchor) {
        storage = inputs[i];
      }
      tail.push_back(storage);
    }
    set_epilogue(std::move(composed), std::move(tail), output, DType::kF32);
    is_bounded_sum_ = true;
    return {};
  }
  [[nodiscard]] bool shares_parts() const override { return is_bounded_sum_; }

  /// Has a dispatch taken the epilogue?
  [[nodiscard]] bool epilogue_done() const { return !has_epilogue_ || epilogue_used_; }

  Storage in(size_t input) override { return inputs_[input]; }
  Storage out(size_t output) override { return outputs_[output]; }
  Result<Storage> scratch(uint64_t bytes) override {
    auto made = walk_.temporary(bytes);
    if (!made) return std::unexpected(std::move(made).error().in(node().describe()));
    return made;
  }
  Storage window(Storage whole, uint64_t offset, uint64_t bytes) override {
    return walk_.window(whole, offset, bytes);
  }
  Result<Storage> table(std::vector<uint8_t> bytes) override { return walk_.table(bytes); }

  Result<void> dispatch(ExprProgram program, std::vector<Storage> inputs,
                        std::vector<Storage> outputs) override {
    return backend_.dispatch_expression(owner(), std::move(program), inputs, outputs, walk_);
  }

  Result<void> dispatch(KernelCall call) override {
    for (uint64_t n : call.workgroups) {
      if (n == 0) return {};
    }
    if (!call.part_at.empty() && is_bounded_sum_) return dispatch_part(std::move(call));
    const bool with_epilogue = enter_epilogue(call);
    // Two invocations would write into one word where elements are narrower than a word: such
    // outputs go through f32 and a conversion.
    std::vector<std::pair<KernelBinding, Storage>> narrow;
    for (KernelBinding& b : call.bindings) {
      if (!is_output(b.storage) || !is_narrow(call, b)) continue;
      QUERN_ASSIGN(Storage wide, wide_of(b));
      narrow.emplace_back(b, wide);
      b.storage = wide;
    }
    for (const auto& [binding, wide] : narrow) widen(call, binding.name, with_epilogue);
    QUERN_TRY(dispatch_kernel(call, with_epilogue));
    for (const auto& [binding, wide] : narrow) {
      QUERN_TRY(convert(binding, wide));
    }
    return {};
  }

  Result<void> prepare(KernelCall call) override {
    const bool with_epilogue = enter_epilogue(call);
    for (const KernelBinding& b : std::vector<KernelBinding>(call.bindings)) {
      if (is_output(b.storage) && is_narrow(call, b)) widen(call, b.name, with_epilogue);
    }
    BindingSet set(walk_, call.writable);
    QUERN_TRY(program_of(call, with_epilogue, set));
    return {};
  }

  // What a load program does, it does once.
  [[nodiscard]] bool is_tuned() const override {
    return backend_.tuning_.active() && !walk_.loading();
  }
  size_t choose(const std::string& problem, const std::vector<std::string>& forms,
                bool whole) override {
    return is_tuned() ? backend_.tuning_.choose(owner().id, problem, forms, whole) : 0;
  }

 private:
  [[nodiscard]] const Node& owner() const { return owner_ != nullptr ? *owner_ : node(); }
  [[nodiscard]] bool is_output(Storage s) const {
    const Storage parent = walk_.info(s).parent;
    return std::ranges::any_of(
        outputs_, [&](Storage o) { return o == s || (parent.id != UINT32_MAX && o == parent); });
  }

  /// What a kernel binds it binds whole.
  Result<void> check_bindings(const KernelCall& call, bool with_epilogue) const {
    const uint64_t limit = target().max_binding_bytes;
    const auto check = [&](Storage s) -> Result<void> {
      if (walk_.info(s).bytes <= limit) return {};
      // A tensor of the model says more than what a kernel makes of it.
      for (const auto& list : {inputs_, outputs_}) {
        for (Storage own : list) {
          if (walk_.info(s).value != nullptr) break;
          if (own.id != UINT32_MAX && walk_.info(own).bytes > limit) s = own;
        }
      }
      const uint64_t bytes = walk_.info(s).bytes;
      return limit_exceeded(cat(node().describe(), ": ", walk_.describe(s), " has ", bytes,
                                " bytes, the device can bind ", limit,
                                ", and this operator's kernel can't be split"));
    };
    for (const KernelBinding& b : call.bindings) QUERN_TRY(check(b.storage));
    if (!with_epilogue) return {};
    for (size_t i = 0; i < epilogue_inputs_.size(); ++i) {
      if (epilogue_.inputs[i] != Composed::kAnchor) QUERN_TRY(check(epilogue_inputs_[i]));
    }
    return {};
  }

  /// By the whole's program, whose epilogue neither adds nor bounds.
  Result<void> dispatch_part(KernelCall call) {
    QUERN_ASSIGN(const Storage unused, scratch(kUnusedBytes));
    Composed part = compose_bounded_sum({}, 1, epilogue_.inputs.size() > 1);
    std::vector<Storage> inputs(part.inputs.size(), unused);
    std::swap(part, epilogue_);
    std::swap(inputs, epilogue_inputs_);
    call.epilogue_at = call.part_at;
    const auto done = dispatch_kernel(call, true);
    std::swap(part, epilogue_);
    std::swap(inputs, epilogue_inputs_);
    return done;
  }

  bool enter_epilogue(KernelCall& call) {
    if (!has_epilogue_ || call.epilogue_at.empty()) return false;
    epilogue_used_ = true;
    for (KernelBinding& b : call.bindings) {
      if (b.name == call.epilogue_at) b.dtype = output_dtype_;
    }
    return true;
  }

  static bool is_narrow(const KernelCall& call, const KernelBinding& b) {
    return bit_width(b.dtype) < (call.stores_fours ? 8 : 32);
  }

  static DType wide_type(DType dtype) {
    return is_float(dtype) ? DType::kF32 : is_signed_int(dtype) ? DType::kI32 : DType::kU32;
  }

  /// Where a narrow output is f32 first: one place for all dispatches that write parts of it.
  Result<Storage> wide_of(const KernelBinding& b) {
    for (const auto& [output, wide] : widened_) {
      if (output == b.storage) return wide;
    }
    QUERN_ASSIGN(Storage wide, walk_.temporary(b.count * 4));
    widened_.emplace_back(b.storage, wide);
    return wide;
  }

  void widen(KernelCall& call, std::string_view name, bool with_epilogue) {
    for (KernelBinding& b : call.bindings) {
      if (b.name != name) continue;
      b.dtype = wide_type(b.dtype);
      if (with_epilogue && name == call.epilogue_at) widen_epilogue(b.dtype);
    }
  }

  /// The epilogue gives its value as `wide`, which holds it exactly.
  void widen_epilogue(DType wide) {
    ExprOutput& output = epilogue_.program.outputs[0];
    ExprBuilder b(epilogue_.program);
    if (b.type_of(output.value) == Scalar::kBool) output.value = b.cast(output.value, Scalar::kU32);
    output.dtype = wide;
  }

  /// The number of a call's program, made where it is new; `set` gets its bindings.
  Result<uint32_t> program_of(const KernelCall& call, bool with_epilogue, BindingSet& set) {
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
    if (const uint32_t* found = backend_.programs_.find(key)) return *found;
    auto text =
        instantiate(call, plans, with_epilogue ? &epilogue_.program : nullptr, tail, target());
    if (!text) return std::unexpected(std::move(text).error().in(node().describe()));
    std::string label = cat(node().op, " ", call.kernel);
    for (const ConfigEntry& c : call.config) label += cat(" ", c.name, "=", c.value);
    return backend_.programs_.add(std::move(key), std::move(label), *std::move(text));
  }

  Result<void> dispatch_kernel(const KernelCall& call, bool with_epilogue) {
    QUERN_TRY(check_bindings(call, with_epilogue));
    BindingSet set(walk_, call.writable);
    QUERN_ASSIGN(const uint32_t number, program_of(call, with_epilogue, set));
    std::vector<uint32_t> params = call.params;
    if (with_epilogue) {
      for (uint32_t w : param_words(epilogue_.program)) params.push_back(w);
    }
    auto workgroups = call.workgroups;
    if (workgroups[0] > target().max_workgroups && workgroups[1] == 1) {
      workgroups = split_workgroups(workgroups[0], target());
    }
    return backend_.emit(owner(), number, workgroups, set, params, walk_);
  }

  Result<void> convert(const KernelBinding& to, Storage from) {
    const DType wide = wide_type(to.dtype);
    ExprProgram program;
    program.params.push_back(static_cast<int64_t>(to.count));
    program.domain.push_back({static_cast<int64_t>(to.count), 0});
    program.inputs.push_back({wide, program.domain, false});
    ExprBuilder b(program);
    const Expr at[] = {b.index(0)};
    Expr value = b.load(0, at);
    if (to.dtype == DType::kBool) value = b.cast(value, Scalar::kBool);
    program.outputs.push_back({value, to.dtype});
    return backend_.dispatch_expression(owner(), std::move(program), {from}, {to.storage}, walk_);
  }

  GpuBackend& backend_;
  const Node* owner_ = nullptr;
  std::vector<Storage> inputs_;
  std::vector<Storage> outputs_;
  Walk& walk_;
  bool has_epilogue_ = false;
  std::vector<std::pair<Storage, Storage>> widened_;
  bool epilogue_used_ = false;
  bool is_bounded_sum_ = false;
  Composed epilogue_;
  std::vector<Storage> epilogue_inputs_;
  DType output_dtype_ = DType::kUndefined;
};

bool GpuBackend::lacks(const Node& node, const OpDef&) const { return has_complex(node); }

Result<void> GpuBackend::lower(const LowerJob& job, Walk& walk) {
  if (!job.body.empty()) {
    const int anchor = anchor_of(job.body);
    if (anchor >= 0 && has_large(job, walk)) return lower_each(job, walk);
    if (anchor >= 0) return lower_anchor(job, static_cast<size_t>(anchor), walk);
    return lower_expression(job, walk);
  }
  const OpDef& def = *job.frame.def;
  if (def.lower != nullptr) {
    const Walk::Mark mark = walk.mark();
    auto done = lower_kernel(job, walk);
    // A form that the hand-written kernels lack takes the general one.
    const bool lacking = !done && (done.error().code == ErrorCode::kUnsupported ||
                                   done.error().code == ErrorCode::kLimit);
    if (!lacking || def.expr == nullptr) return done;
    walk.rewind(mark);
  }
  if (def.expr == nullptr) {
    return unsupported(cat(job.frame.node->describe(), ": no WebGPU kernel for version ",
                           job.frame.node->version, " with ",
                           job.frame.inputs.empty() ? std::string_view("no inputs")
                                                    : name_of(job.frame.inputs[0].dtype)));
  }
  return lower_expression(job, walk);
}

Result<void> GpuBackend::lower_kernel(const LowerJob& job, Walk& walk) {
  const OpDef& def = *job.frame.def;
  const bool narrow = is_narrow(job.frame, 0);
  if (narrow && (!def.takes_epilogue || has_large(job, walk))) return lower_kernel_wide(job, walk);
  Lowering lowering(*this, job.frame, job.inputs, job.outputs, walk);
  if (narrow) {
    // What is too large for f16 is bounded as it is stored.
    QUERN_ASSIGN(Composed bound, compose_bound(job.frame.outputs[0]));
    lowering.set_epilogue(std::move(bound), {Storage{}}, job.outputs[0], DType::kF16);
  } else if (is_convolution(*job.frame.node) && def.takes_epilogue && !has_large(job, walk) &&
             job.frame.outputs[0].dtype == DType::kF32) {
    QUERN_TRY(lowering.set_bounded_sum({}, job.inputs, job.outputs[0]));
  }
  const Walk::Mark mark = walk.mark();
  QUERN_TRY(def.lower(lowering));
  if (lowering.epilogue_done() || job.frame.outputs[0].count() == 0) return {};
  walk.rewind(mark);
  if (narrow) return lower_kernel_wide(job, walk);
  Lowering again(*this, job.frame, job.inputs, job.outputs, walk);
  return def.lower(again);
}

Result<void> GpuBackend::lower_kernel_wide(const LowerJob& job, Walk& walk) {
  LowerJob wide = job;
  std::vector<size_t> narrow;
  for (size_t i = 0; i < job.outputs.size(); ++i) {
    if (!is_narrow(job.frame, i)) continue;
    TensorInfo& info = wide.frame.outputs[i];
    info.dtype = DType::kF32;
    QUERN_ASSIGN(wide.outputs[i], walk.temporary(static_cast<uint64_t>(info.count()) * 4));
    narrow.push_back(i);
  }
  Lowering lowering(*this, wide.frame, wide.inputs, wide.outputs, walk);
  QUERN_TRY(job.frame.def->lower(lowering));
  for (size_t i : narrow) {
    QUERN_TRY(this->narrow(*job.frame.node, wide.outputs[i], job.outputs[i],
                           job.frame.outputs[i].count(), walk));
  }
  return {};
}

Result<void> GpuBackend::narrow(const Node& node, Storage from, Storage to, int64_t count,
                                Walk& walk) {
  TensorInfo info;
  info.dims = {count};
  QUERN_ASSIGN(Composed bound, compose_bound(info));
  bound.program.inputs[0].is_anchor = false;
  return dispatch_expression(node, std::move(bound.program), {from}, {to}, walk);
}

Result<void> GpuBackend::lower_expression(const LowerJob& job, Walk& walk) {
  const Walk::Mark mark = walk.mark();
  auto done = lower_expressions(job, walk);
  if (done || done.error().code != ErrorCode::kLimit || job.body.size() < 2) return done;
  walk.rewind(mark);
  return lower_each(job, walk);
}

Result<void> GpuBackend::lower_each(const LowerJob& job, Walk& walk) {
  const Graph& body = *job.frame.node->subgraph("body");
  std::map<const Value*, Storage> made;
  for (size_t i = 0; i < body.inputs.size(); ++i) made[body.inputs[i]] = job.inputs[i];
  for (const OpFrame& frame : job.body) {
    LowerJob inner;
    inner.frame = frame;
    for (const Value* v : frame.node->inputs) {
      Storage s;
      if (const auto found = made.find(v); v != nullptr && found != made.end()) {
        s = found->second;
      } else if (v != nullptr && v->constant) {
        s = made[v] = walk.table(v->constant->host.bytes);
      }
      inner.inputs.push_back(s);
    }
    for (size_t i = 0; i < frame.node->outputs.size(); ++i) {
      const Value* v = frame.node->outputs[i];
      Storage s;
      for (size_t o = 0; v != nullptr && o < body.outputs.size(); ++o) {
        if (body.outputs[o] != v) continue;
        s = job.outputs[o];
        inner.frame.outputs[i].dtype = job.frame.outputs[o].dtype;
      }
      if (v != nullptr && s.id == UINT32_MAX) {
        const TensorInfo& info = frame.outputs[i];
        QUERN_ASSIGN(s, walk.temporary(byte_size(info.dtype, static_cast<uint64_t>(info.count()))));
      }
      if (v != nullptr) made[v] = s;
      inner.outputs.push_back(s);
    }
    QUERN_TRY(lower(inner, walk));
  }
  return {};
}

bool GpuBackend::has_large(const LowerJob& job, const Walk& walk) const {
  const auto large = [&](Storage s) {
    return s.id != UINT32_MAX && walk.info(s).bytes > target_.max_binding_bytes;
  };
  // Kernels over rows count results as f32: they may take such between.
  const auto wide = [&](const TensorInfo& info) {
    return info.dtype == DType::kF16 &&
           static_cast<uint64_t>(info.count()) * 4 > target_.max_binding_bytes;
  };
  return std::ranges::any_of(job.inputs, large) || std::ranges::any_of(job.outputs, large) ||
         std::ranges::any_of(job.frame.outputs, wide);
}

Result<void> GpuBackend::lower_expressions(const LowerJob& job, Walk& walk) {
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
  Lowering lowering(*this, frame, outer_inputs(job, frame), job.outputs, walk);
  lowering.set_owner(*job.frame.node);
  const uint32_t outputs[] = {0};
  QUERN_ASSIGN(Composed epilogue, compose(job.frame, job.body, outputs, frame.node->outputs[0]));
  order_epilogue(epilogue);
  const auto sum = is_convolution(*frame.node) ? bounded_sum_of(epilogue) : std::nullopt;
  if (sum) {
    QUERN_TRY(lowering.set_bounded_sum(*sum, job.inputs, job.outputs[0]));
  } else {
    std::vector<Storage> tail;
    for (uint32_t i : epilogue.inputs) {
      tail.push_back(i == Composed::kAnchor ? Storage{} : job.inputs[i]);
    }
    Generalizer::run_epilogue(epilogue.program);
    lowering.set_epilogue(std::move(epilogue), std::move(tail), job.outputs[0],
                          job.frame.outputs[0].dtype);
  }
  auto done = frame.def->lower(lowering);
  if (!done && done.error().code == ErrorCode::kUnsupported && frame.def->expr != nullptr) {
    return lower_anchor_apart(job, anchor, walk);
  }
  QUERN_TRY(done);
  // Of no elements there is no dispatch.
  if (!lowering.epilogue_done() && job.frame.outputs[0].count() != 0) {
    return internal_error(cat(frame.node->describe(), ": its kernel did not take the epilogue"));
  }
  return {};
}

Result<void> GpuBackend::lower_anchor_apart(const LowerJob& job, size_t anchor, Walk& walk) {
  const OpFrame& frame = job.body[anchor];
  LowerJob inner;
  inner.frame = frame;
  inner.inputs = outer_inputs(job, frame);
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
  std::vector<uint32_t> storages;
  for (Storage s : inputs) storages.push_back(s.id);
  move_bits(program, storages);
  if (!needs_split(program, target_)) return dispatch_bound(node, program, inputs, outputs, walk);
  auto parts = split_expression(program, storages, target_);
  if (!parts) {
    Storage largest = outputs[0];
    for (const auto& list : {inputs, outputs}) {
      for (Storage s : list) {
        if (walk.info(s).bytes > walk.info(largest).bytes) largest = s;
      }
    }
    return std::unexpected(std::move(parts).error().in(
        cat(node.describe(), ": ", walk.describe(largest), " has ", walk.info(largest).bytes,
            " bytes, the device can bind ", target_.max_binding_bytes)));
  }
  for (const ExprPart& part : *parts) {
    std::vector<Storage> in;
    std::vector<Storage> out;
    for (const ExprPart::Input& i : part.inputs) {
      in.push_back(walk.window(inputs[i.input], i.window.offset, i.window.bytes));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      out.push_back(walk.window(outputs[i], part.outputs[i].offset, part.outputs[i].bytes));
    }
    QUERN_TRY(dispatch_bound(node, part.program, std::move(in), std::move(out), walk));
  }
  return {};
}

Result<void> GpuBackend::dispatch_bound(const Node& node, ExprProgram program,
                                        std::vector<Storage> inputs, std::vector<Storage> outputs,
                                        Walk& walk) {
  const ExprSchedule schedule = schedule_of(program, target_);
  generalizer_.run(program);
  // A storage may be larger than what is read of it.
  const auto fit = [&](Storage& s, DType dtype, int64_t count) {
    if (walk.info(s).bytes <= target_.max_binding_bytes) return;
    s = walk.window(s, 0, byte_size(dtype, static_cast<uint64_t>(count)));
  };
  BindingSet set(walk);
  std::vector<BindingPlan> in;
  std::vector<BindingPlan> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ExprInput& input = program.inputs[i];
    int64_t count = 1;
    for (const Extent& e : input.dims) count *= e.value;
    fit(inputs[i], input.dtype, count);
    in.push_back(set.add(inputs[i], input.dtype));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    fit(outputs[i], program.outputs[i].dtype, program.domain_count());
    out.push_back(set.add(outputs[i], program.outputs[i].dtype));
  }
  if (set.mixed()) {
    return unsupported(cat(node.describe(), ": one tensor is read as two element types"));
  }
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
  return emit(node, number, workgroups_of(program, schedule, target_), set, param_words(program),
              walk);
}

Result<void> GpuBackend::emit(const Node& node, uint32_t program,
                              std::array<uint64_t, 3> workgroups, const BindingSet& bindings,
                              std::span<const uint32_t> params, Walk& walk) {
  Step step;
  step.kind = StepKind::kDispatch;
  step.node = node.id;
  step.program = program;
  for (int i = 0; i < 3; ++i) step.workgroups[i] = static_cast<uint32_t>(workgroups[i]);
  if (!walk.loading()) tuning_.count(node.id);
  return walk.emit(std::move(step), bindings.distinct(), params);
}

}  // namespace quern
