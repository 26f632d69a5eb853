// Rewrites of an expression program before it is compiled for the CPU.
#pragma once

#include <vector>

#include "base/result.h"
#include "ir/expr.h"

namespace quern {

/// The program with parameters and extents as constants, folded, its axes collapsed.
ExprProgram bake(const ExprProgram& program);

/// A program whose outputs are inputs of another one.
struct Stage {
  ExprProgram program;
  uint32_t first_input = 0;  ///< of the main program: where the stage's outputs go
};
struct StagedProgram {
  std::vector<Stage> stages;  ///< each takes the original inputs
  ExprProgram main;           ///< takes the original inputs, then the stages' outputs
};

/// Moves subexpressions that hold a reduction but depend on some of the axes only into programs
/// over those axes, so that each value is computed once. For a baked program of rank at most 64.
StagedProgram split_stages(const ExprProgram& program);

/// Per node: the axes that it depends on, as bits.
std::vector<uint64_t> axes_of_nodes(const ExprProgram& program);
/// Per node: is there a reduction at or below it?
std::vector<bool> nodes_with_reductions(const ExprProgram& program);

}  // namespace quern
