// Lowers nodes to CPU jobs and runs segments of them.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "cpu/expr_blocked.h"
#include "ops/compose.h"
#include "plan/walk.h"

namespace quern {

/// One unit of work of a CPU plan; a Step's `program` is its number.
class CpuJob {
 public:
  virtual ~CpuJob() = default;
  /// Buffers are those of the step's slices, in order.
  virtual Result<void> run(std::span<uint8_t* const> buffers, Parallel& parallel) const = 0;
};

/// Jobs are kept until the plan that they belong to releases them.
class CpuBackend final : public Backend {
 public:
  Result<void> lower(const LowerJob& job, Walk& walk) override;
  [[nodiscard]] bool lacks(const Node& node, const OpDef& def) const override;
  [[nodiscard]] const CpuJob& job(uint32_t number) const { return *jobs_[number]; }
  /// Frees the jobs of these steps; their numbers may be given out again.
  void release(const std::vector<Step>& steps);
  /// Jobs that are alive.
  [[nodiscard]] size_t size() const { return jobs_.size() - free_.size(); }

 private:
  Result<void> lower_kernel(const LowerJob& job, const CpuKernel& kernel, Walk& walk);
  Result<void> lower_expression(const LowerJob& job, Walk& walk);
  Result<void> lower_anchor(const LowerJob& job, size_t anchor, Walk& walk);
  Result<void> emit(const Node& node, std::unique_ptr<CpuJob> job, std::vector<Storage> storages,
                    Walk& walk);

  std::vector<std::unique_ptr<CpuJob>> jobs_;
  std::vector<uint32_t> free_;
};

/// Where the bytes of a session are while segments run on the CPU.
class CpuMemory {
 public:
  /// `weights[i]` are the bytes of weight i, padded to 16 bytes; they outlive this object.
  explicit CpuMemory(std::vector<std::span<uint8_t>> weights) : weights_(std::move(weights)) {}

  /// Makes the buffers that a message asks for, and runs its load program.
  Result<void> prepare(const PlanMessage& message, const CpuBackend& backend, Parallel& parallel);
  /// Runs the steps of a segment; `arenas` holds those of the run's segments so far.
  Result<void> run(const Segment& segment, const CpuBackend& backend,
                   std::vector<std::vector<uint8_t>>& arenas, Parallel& parallel);
  /// The bytes of a slice.
  Result<uint8_t*> at(const Slice& slice, std::vector<std::vector<uint8_t>>& arenas);
  /// Frees a plan's own buffers.
  void release(const std::vector<BufferRequest>& requests);

 private:
  Result<void> run_steps(const std::vector<Step>& steps, const CpuBackend& backend,
                         std::vector<std::vector<uint8_t>>& arenas, Parallel& parallel);

  std::vector<std::span<uint8_t>> weights_;
  std::unordered_map<uint64_t, std::vector<uint8_t>> buffers_;  ///< by kind and index
};

/// A pool of `threads` threads, the caller's among them; 1 runs everything inline.
std::unique_ptr<Parallel> make_parallel(int threads);

/// The CPU kernel with that name; null where there is none.
const CpuKernel* find_cpu_kernel(std::string_view name);

}  // namespace quern
