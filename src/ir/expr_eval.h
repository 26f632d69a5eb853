// The element-by-element evaluator behind evaluate(), for callers with raw memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"

namespace quern {

/// The bits of all loop variables that a node depends on and that no reduction below it binds.
/// The program must verify (so loops are numbered below 64).
std::vector<uint64_t> free_loops(const ExprProgram& program);

/// The nodes to compute, in order, each time a scope is entered: those reachable from `roots`
/// whose free loop variables are among `enclosing`, and (where `variable` is not kNoLoop) that
/// depend on `variable`. Nodes that don't are left to the scope around.
inline constexpr uint32_t kNoLoop = UINT32_MAX;
std::vector<uint32_t> nodes_of_scope(const ExprProgram& program, std::span<const uint64_t> free,
                                     std::span<const Expr> roots, uint32_t variable,
                                     uint64_t enclosing);

/// A program ready to run. It refers to `program`, which must live as long and must not change.
class ScalarEvaluator {
 public:
  /// An error where the program does not verify.
  static Result<ScalarEvaluator> compile(const ExprProgram& program);

  /// Computes elements [begin, end) of every output. Inputs and outputs are dense, of the extents
  /// of the program. An element that depends on a load outside its input is an error
  /// (kInvalidArgument); a select depends on its condition and the chosen side only.
  Result<void> run(std::span<const uint8_t* const> inputs, std::span<uint8_t* const> outputs,
                   int64_t begin, int64_t end) const;

 private:
  struct State;
  using Steps = std::vector<uint32_t>;

  explicit ScalarEvaluator(const ExprProgram& program) : program_(&program) {}
  void add_scopes(uint64_t enclosing, const Steps& steps, std::span<const uint64_t> free);
  void run_steps(State& state, const Steps& steps) const;
  void run_load(State& state, uint32_t id) const;
  void run_reduction(State& state, uint32_t id) const;

  const ExprProgram* program_;
  Steps once_;                // depends neither on the element nor on a loop
  Steps each_;                // once an element
  std::vector<Steps> loops_;  // per node: for reductions, once an iteration
};

}  // namespace quern
