// One form for epilogues that do the same: fewer programs to compile.
#pragma once

#include "ops/compose.h"

namespace quern {

/// Of commutative operations the anchor's side comes first, and of the inputs the anchor, then
/// those loaded first.
void order_epilogue(Composed& epilogue);

/// The anchor, or its sum with another element, bounded by constants on either side, both or none,
/// becomes bounded by two parameters: convolutions with Relu, Relu6 and nothing behind them then
/// share a program.
void bound_by_parameters(ExprProgram& program);

}  // namespace quern
