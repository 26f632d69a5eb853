// Lowers nodes to WebGPU dispatches.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "plan/walk.h"
#include "shader/generalize.h"
#include "shader/lower.h"
#include "shader/tuning.h"

namespace quern {

class BindingSet;

/// The programs of a session, each made once: what two nodes share has one number.
class ProgramTable {
 public:
  [[nodiscard]] const uint32_t* find(const std::string& key) const;
  uint32_t add(std::string key, std::string label, ShaderText text);
  [[nodiscard]] const ShaderText& text(uint32_t number) const { return entries_[number].text; }
  [[nodiscard]] size_t size() const { return entries_.size(); }
  /// Entries that have not been taken yet.
  std::vector<ProgramEntry> take_new();

 private:
  std::vector<ProgramEntry> entries_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::unordered_map<size_t, std::vector<uint32_t>> by_text_;  ///< by hash of their WGSL
  size_t taken_ = 0;
};

class GpuBackend final : public Backend {
 public:
  explicit GpuBackend(Target target) : target_(target), generalizer_(target) {}

  Result<void> lower(const LowerJob& job, Walk& walk) override;
  [[nodiscard]] bool lacks(const Node& node, const OpDef& def) const override;
  Tuning* tuning() override { return &tuning_; }
  std::vector<ProgramEntry> take_programs() override { return programs_.take_new(); }
  Result<void> narrow(const Node& node, Storage from, Storage to, int64_t count,
                      Walk& walk) override;
  [[nodiscard]] const ProgramTable& programs() const { return programs_; }
  [[nodiscard]] const Target& target() const { return target_; }

 private:
  class Lowering;

  Result<void> lower_expression(const LowerJob& job, Walk& walk);
  Result<void> lower_expressions(const LowerJob& job, Walk& walk);
  /// A fusion node by node, where one kernel can't bind all it needs.
  Result<void> lower_each(const LowerJob& job, Walk& walk);
  Result<void> lower_anchor(const LowerJob& job, size_t anchor, Walk& walk);
  /// A node by its hand-written kernel.
  Result<void> lower_kernel(const LowerJob& job, Walk& walk);
  /// The same, to f32 first: its output of type f32 is f16 in memory.
  Result<void> lower_kernel_wide(const LowerJob& job, Walk& walk);
  /// The anchor by its expression, and the rest of the fusion as a kernel after it.
  Result<void> lower_anchor_apart(const LowerJob& job, size_t anchor, Walk& walk);
  Result<void> dispatch_expression(const Node& node, ExprProgram program,
                                   const std::vector<Storage>& inputs,
                                   const std::vector<Storage>& outputs, Walk& walk);
  /// The same over tensors that all can be bound.
  Result<void> dispatch_bound(const Node& node, ExprProgram program, std::vector<Storage> inputs,
                              std::vector<Storage> outputs, Walk& walk);
  Result<void> emit(const Node& node, uint32_t program, std::array<uint64_t, 3> workgroups,
                    const BindingSet& bindings, std::span<const uint32_t> params, Walk& walk);
  /// Is a tensor of the job past what a dispatch can bind?
  [[nodiscard]] bool has_large(const LowerJob& job, const Walk& walk) const;

  Target target_;
  Generalizer generalizer_;
  ProgramTable programs_;
  Tuning tuning_;
};

}  // namespace quern
