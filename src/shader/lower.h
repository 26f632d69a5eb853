// From an operator to dispatches: what OpDef::lower sees, and how a .wgsl file becomes a program.
//
// A hand-written kernel is a valid WGSL file. Directives are comments:
//   const TM = 8u; //@config          the number after `=` is replaced by Config field TM
//   alias Acc = f32; //@config        likewise the type
//   override WG = 64u;                pipeline override; values come as Config fields too
//   @group(0) @binding(0) var<storage, read> a: array<f32>;   bindings, in order; renumbered,
//                                     `read` becomes `read_write` where the tensor is in the
//                                     arena; a binding whose range another one already binds is
//                                     merged into it
//   struct Params { m: u32, ... }     one u32 (or i32, f32) word a field; bound as uniform, last
//   @group(0) @binding(3) var<uniform> params: Params;
//   fn load_a(i: u32) -> f32 { return a[i]; } //@load a    element i of `a` in the compute type:
//                                     rewritten for narrower or wider element types, and where a
//                                     fused prologue computes it
//   fn store_y(i: u32, v: f32) { y[i] = v; } //@store y    likewise, with the fused epilogue
//   //#if BIAS ... //#else ... //#endif   kept where Config field BIAS is not 0 (optional
//   bindings);
//                                     //#if !BIAS likewise where it is 0
//   //@use name                       the shared snippet src/shader/snippets/name.wgsl: those of
//   its
//                                     declarations that the program needs and does not have. The
//                                     library's (floats, math, pow, trig, arc, ints, i64...) come
//                                     without.
//   for (var i = 0u; i < TM; i++) { //@unroll   written out, so that arrays indexed by `i` stay in
//                                     registers: see unroll.h
//   //@words                          stores to sub-word types are safe: all elements of a word are
//                                     stored by one invocation, one after another
// Only load_/store_ functions touch a binding whose element type may vary; a vec4 form
// (//@load4 a, //@store4 y: `i` counts fours) may stand beside them. Then the binding is an array
// of vectors: its size must be rounded up to 16 bytes, as expression kernels want it too.
// A config value that nothing in the file takes is an error, so is a count of params that is not
// that of the fields of Params.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"
#include "ir/op_context.h"
#include "shader/target.h"

namespace quern {

/// A range of device memory in the present binding; views share one.
struct Storage {
  uint32_t id = UINT32_MAX;
  friend bool operator==(Storage, Storage) = default;
};

struct ConfigEntry {
  std::string_view name;
  std::string value;
};

/// The entries of a Config struct, from its one field list
/// (`template <class F> void fields(F&& f) const { f("TM", tm); }`). Key and code see the same.
template <class Config>
std::vector<ConfigEntry> config_of(const Config& config) {
  std::vector<ConfigEntry> entries;
  config.fields([&](std::string_view name, const auto& value) {
    std::string text;
    append(text, value);
    entries.push_back({name, std::move(text)});
  });
  return entries;
}

struct KernelBinding {
  std::string_view name;  ///< of the variable in the .wgsl file
  Storage storage;
  DType dtype = DType::kUndefined;
  uint64_t count = 0;  ///< elements
};

/// One dispatch of a hand-written kernel.
struct KernelCall {
  std::string_view kernel;  ///< base name of the .wgsl file
  std::vector<ConfigEntry> config;
  std::vector<KernelBinding> bindings;             ///< optional ones left out with their //#if
  std::vector<uint32_t> params;                    ///< words of Params
  std::array<uint64_t, 3> workgroups = {1, 1, 1};  ///< x may pass the limit: see split_workgroups
  /// The variable whose store takes the node's fused epilogue; its flat index is that of the
  /// node's first output.
  std::string_view epilogue_at = {};
  /// Outputs are stored by fours only: types of 8 bits and more need no detour over f32.
  bool stores_fours = false;
  /// Gives a part of the output's sums elsewhere; where shares_parts() by the whole's own program,
  /// whose epilogue then changes nothing at this variable.
  std::string_view part_at = {};
  /// Binds what is only read for writing too: some drivers make other code of that.
  bool writable = false;
};

/// Folds a count of workgroups past the limit into x and y; the kernel's workgroup number is
/// then `wid.x + wid.y * num_workgroups.x`, and it must ignore numbers past the end.
std::array<uint64_t, 3> split_workgroups(uint64_t count, const Target& target);

/// Numbers as words of KernelCall::params.
inline uint32_t word(int64_t value) { return static_cast<uint32_t>(value); }
inline uint32_t word_of(float value) { return __builtin_bit_cast(uint32_t, value); }

/// For OpDef::lower.
class LowerContext : public OpContext {
 public:
  LowerContext(const OpFrame& frame, const Target& target) : OpContext(frame), target_(target) {}
  virtual ~LowerContext() = default;

  [[nodiscard]] const Target& target() const { return target_; }
  [[nodiscard]] virtual Storage in(size_t input) = 0;
  [[nodiscard]] virtual Storage out(size_t output) = 0;
  /// Device memory that lives for this node only.
  virtual Result<Storage> scratch(uint64_t bytes) = 0;
  /// A range of device memory; the offset is a multiple of 256. Equal ranges are equal storages.
  virtual Storage window(Storage whole, uint64_t offset, uint64_t bytes) = 0;
  /// A small constant table made on the host, the same in every binding or not.
  virtual Result<Storage> table(std::vector<uint8_t> bytes) = 0;
  virtual Result<void> dispatch(KernelCall call) = 0;
  /// Makes the program of a call without dispatching it: the variant that another binding of the
  /// dims may take.
  virtual Result<void> prepare(KernelCall call) = 0;
  /// Does the node's epilogue have a form that changes nothing, for parts of its sums?
  [[nodiscard]] virtual bool shares_parts() const { return false; }
  /// May choose() have another answer than 0?
  [[nodiscard]] virtual bool is_tuned() const { return false; }
  /// Which of several forms of a kernel the node's next dispatches are to have. All compute the
  /// same; the first is the tables' choice, others are for devices that were found to be faster
  /// with them. `problem` says what that depends on. `whole`: of how all of the node is done, in
  /// which there may be other choices.
  virtual size_t choose(const std::string& /*problem*/, const std::vector<std::string>& /*forms*/,
                        bool /*whole*/) {
    return 0;
  }
  /// A generated kernel over expressions; inputs[i] and outputs[i] are those of the program.
  virtual Result<void> dispatch(ExprProgram program, std::vector<Storage> inputs,
                                std::vector<Storage> outputs) = 0;
  /// A binding for input or output i under the given variable name.
  [[nodiscard]] KernelBinding bind_in(std::string_view name, size_t i) {
    return {name, in(i), input(i).dtype, static_cast<uint64_t>(input(i).count())};
  }
  [[nodiscard]] KernelBinding bind_out(std::string_view name, size_t i) {
    return {name, out(i), output(i).dtype, static_cast<uint64_t>(output(i).count())};
  }

 private:
  const Target& target_;
};

/// How a program binds one buffer.
enum class Access : uint8_t { kRead, kReadWrite, kUniform };

/// A compute program, complete: what the runtime makes a pipeline of.
struct ShaderText {
  std::string wgsl;
  std::vector<Access> bindings;  ///< @binding(i) of group 0
  std::vector<std::pair<std::string, double>> overrides;
  uint32_t param_words = 0;  ///< size of the uniform, in words
};

/// How each tensor of a call is bound: in the arena (read_write) or read-only, and which earlier
/// binding it coincides with.
struct BindingPlan {
  Access access = Access::kRead;
  int32_t same_as = -1;
};

/// Options of expression kernels, part of their identity.
struct ExprSchedule {
  uint32_t workgroup_size = 64;
  bool workgroup_reduce = false;  ///< one workgroup an output element, tree reduction
};

/// The schedule that `program` gets on `target`: depends on what is baked and, for the rest, on
/// a few size classes only, so that new dims make no endless variants.
ExprSchedule schedule_of(const ExprProgram& program, const Target& target);

/// The number of workgroups that an expression kernel wants.
std::array<uint64_t, 3> workgroups_of(const ExprProgram& program, const ExprSchedule& schedule,
                                      const Target& target);

/// WGSL for an expression program. Bindings: inputs then outputs (merged as planned; `same_as`
/// counts through both), then, where it has parameters, the uniform (the slots that it uses, as
/// words: i32, u32, f32, f64 one, i64, u64 two). An output may lie in the place of an input only
/// where the input is read at the same elements and its elements have the same width. f64 is
/// computed in f32. An error (kUnsupported) past target.max_storage_buffers.
Result<ShaderText> write_wgsl(const ExprProgram& program, std::span<const BindingPlan> inputs,
                              std::span<const BindingPlan> outputs, const ExprSchedule& schedule,
                              const Target& target);
/// The words of the uniform for this binding.
std::vector<uint32_t> param_words(const ExprProgram& program);

/// WGSL for a hand-written kernel, its bindings in the call's order. `epilogue` (or null): its
/// input `is_anchor` is the value given to the store of `call.epilogue_at`, its other inputs are
/// bound after the call's bindings (the anchor has an entry in `epilogue_inputs` too, but no
/// binding, and `same_as` counts without it), its parameters follow the call's, its output has the
/// type of that binding. An error (kUnsupported) where a scalar store is to a sub-word type: write
/// f32 to a scratch tensor and cast it.
Result<ShaderText> instantiate(const KernelCall& call, std::span<const BindingPlan> bindings,
                               const ExprProgram* epilogue,
                               std::span<const BindingPlan> epilogue_inputs, const Target& target);

}  // namespace quern
