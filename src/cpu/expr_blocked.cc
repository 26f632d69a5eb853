#include "cpu/expr_blocked.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "cpu/blocked_run.h"
#include "cpu/blocked_stages.h"
#include "ir/expr_eval.h"

namespace quern {
namespace {

// What a piece of work for one thread should take at least, in nanoseconds.
constexpr float kPiece = 20000;

}  // namespace

struct BlockedProgram::Impl {
  struct CompiledStage {
    BlockedProgram program;
    std::vector<DType> dtypes;  // of its outputs
  };
  ExprProgram whole;  // the program in one piece, for errors
  std::vector<CompiledStage> stages;
  ExprProgram main;                          // the rest, after the stages
  BlockedPlan plan;                          // of it
  std::optional<ScalarEvaluator> evaluator;  // of it, where the plan may fail
  bool is_packed = false;                    // an output has several elements a byte

  // Elements [begin, end) by blocks, or tiles [begin, end).
  Result<void> run_blocks(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                          int64_t begin, int64_t end) const {
    BlockedRun run(plan, inputs, outputs);
    for (int64_t at = begin; at < end; at += kBlock) {
      const int n = static_cast<int>(std::min<int64_t>(end - at, kBlock));
      if (!run.run_block(at, n)) QUERN_TRY(evaluator->run(inputs, outputs, at, at + n));
    }
    return {};
  }
  Result<void> run_tiles(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                         int64_t begin, int64_t end) const {
    BlockedRun run(plan, inputs, outputs);
    for (int64_t tile = begin; tile < end; ++tile) {
      if (run.run_tile(tile)) continue;
      Result<void> ok;
      run.for_each_row([&](int64_t first, int n) {
        if (ok) ok = evaluator->run(inputs, outputs, first, first + n);
      });
      QUERN_TRY(std::move(ok));
    }
    return {};
  }
};

Result<BlockedProgram> BlockedProgram::compile(const ExprProgram& program) {
  QUERN_TRY(verify(program));
  auto impl = std::make_shared<Impl>();
  impl->whole = bake(program);
  if (impl->whole.domain.size() > 64) {
    return limit_exceeded(cat("an expression over ", impl->whole.domain.size(), " axes"));
  }
  QUERN_TRY(verify(impl->whole));
  StagedProgram staged = split_stages(impl->whole);
  for (const Stage& stage : staged.stages) {
    QUERN_ASSIGN(BlockedProgram compiled, compile(stage.program));
    Impl::CompiledStage entry{std::move(compiled), {}};
    for (const ExprOutput& output : stage.program.outputs) entry.dtypes.push_back(output.dtype);
    impl->stages.push_back(std::move(entry));
  }
  impl->main = std::move(staged.main);
  impl->plan = build_blocked_plan(impl->main);
  for (const ExprOutput& output : impl->main.outputs) {
    impl->is_packed = impl->is_packed || bit_width(output.dtype) < 8;
  }
  if (impl->plan.may_fail) {
    QUERN_ASSIGN(ScalarEvaluator evaluator, ScalarEvaluator::compile(impl->main));
    impl->evaluator = std::move(evaluator);
  }
  return BlockedProgram(std::move(impl));
}

int64_t BlockedProgram::count() const { return impl_->plan.count; }

// The outputs of the stages are put behind the inputs; their bytes are kept in `memory`.
Result<void> BlockedProgram::run_stages(std::span<const uint8_t* const> inputs, Parallel* parallel,
                                        std::vector<const uint8_t*>& all,
                                        std::vector<std::vector<uint8_t>>& memory) const {
  all.assign(inputs.begin(), inputs.end());
  for (const Impl::CompiledStage& stage : impl_->stages) {
    std::vector<uint8_t*> outputs;
    const auto count = static_cast<uint64_t>(stage.program.count());
    for (DType dtype : stage.dtypes) {
      memory.emplace_back(byte_size(dtype, count) + 64);
      outputs.push_back(memory.back().data());
      all.push_back(outputs.back());
    }
    QUERN_TRY(parallel != nullptr
                  ? stage.program.run(inputs, outputs, *parallel)
                  : stage.program.run_range(inputs, outputs, 0, stage.program.count()));
  }
  return {};
}

Result<void> BlockedProgram::run(std::span<const uint8_t* const> inputs,
                                 std::span<uint8_t* const> outputs, Parallel& parallel) const {
  const BlockedPlan& plan = impl_->plan;
  if (plan.count == 0) return {};
  std::vector<const uint8_t*> all;
  std::vector<std::vector<uint8_t>> memory;
  if (auto ok = run_stages(inputs, &parallel, all, memory); !ok) {
    // A stage may fail over a value that no element uses.
    if (ok.error().code != ErrorCode::kInvalidArgument) return ok;
    return run_whole(inputs, outputs, 0, plan.count);
  }
  // Pieces of whole blocks where there are enough of them; never two in one byte.
  int64_t unit = impl_->is_packed ? 8 : 1;
  if (plan.count >= int64_t{kBlock} * 8 * parallel.threads()) unit = kBlock;
  const bool tiles = plan.tile_axis >= 0;
  const int64_t pieces = tiles ? plan.tile_count() : (plan.count + unit - 1) / unit;
  const auto elements = static_cast<int64_t>(kPiece / std::max(plan.cost, 0.05F));
  const int64_t grain = std::max<int64_t>(elements / (tiles ? kBlock : unit), 1);
  std::mutex mutex;
  Result<void> result;
  parallel.run(pieces, grain, [&](int64_t begin, int64_t end) {
    Result<void> ok =
        tiles ? impl_->run_tiles(all, outputs, begin, end)
              : impl_->run_blocks(all, outputs, begin * unit, std::min(end * unit, plan.count));
    if (ok) return;
    const std::lock_guard lock(mutex);
    result = std::move(ok);
  });
  return result;
}

Result<void> BlockedProgram::run_range(std::span<const uint8_t* const> inputs,
                                       std::span<uint8_t* const> outputs, int64_t begin,
                                       int64_t end) const {
  begin = std::max<int64_t>(begin, 0);
  end = std::min(end, impl_->plan.count);
  if (begin >= end) return {};
  std::vector<const uint8_t*> all;
  std::vector<std::vector<uint8_t>> memory;
  if (auto ok = run_stages(inputs, nullptr, all, memory); !ok) {
    if (ok.error().code != ErrorCode::kInvalidArgument) return ok;
    return run_whole(inputs, outputs, begin, end);
  }
  if (impl_->plan.tile_axis >= 0 && end - begin == impl_->plan.count) {
    return impl_->run_tiles(all, outputs, 0, impl_->plan.tile_count());
  }
  return impl_->run_blocks(all, outputs, begin, end);
}

Result<void> BlockedProgram::run_whole(std::span<const uint8_t* const> inputs,
                                       std::span<uint8_t* const> outputs, int64_t begin,
                                       int64_t end) const {
  QUERN_ASSIGN(const ScalarEvaluator evaluator, ScalarEvaluator::compile(impl_->whole));
  return evaluator.run(inputs, outputs, begin, end);
}

}  // namespace quern
