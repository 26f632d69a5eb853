// What a node's lowering may ask of the backend.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ops/compose.h"
#include "plan/binding_set.h"
#include "plan/epilogue_form.h"
#include "plan/gpu_backend.h"

namespace quern {

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
  /// Depthwise convolutions have no time for what is not added or bounded.
  [[nodiscard]] bool takes(const CommonEpilogue& epilogue) const {
    return is_whole() || (!epilogue.swish && !epilogue.added_after);
  }
  /// Of a convolution: the epilogue by the program that most of them have.
  Result<void> set_common_epilogue(const CommonEpilogue& epilogue,
                                   const std::vector<Storage>& inputs, Storage output) {
    Composed composed = compose_common(epilogue, this->output(0).count(), is_whole());
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
    has_common_epilogue_ = true;
    return {};
  }
  [[nodiscard]] bool shares_parts() const override { return has_common_epilogue_; }

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
    if (!call.part_at.empty() && has_common_epilogue_) return dispatch_part(std::move(call));
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
  /// Of a storage that is bound but not used.
  static constexpr uint64_t kUnusedBytes = 16;

  [[nodiscard]] bool is_whole() const { return node().int_or("group", 1) == 1; }
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
    Composed part = compose_common({}, 1, is_whole());
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
  bool has_common_epilogue_ = false;
  Composed epilogue_;
  std::vector<Storage> epilogue_inputs_;
  DType output_dtype_ = DType::kUndefined;
};

}  // namespace quern
