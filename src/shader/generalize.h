// Fewer programs: layers that differ in numbers alone share one.
#pragma once

#include "ir/expr.h"
#include "shader/target.h"

namespace quern {

/// Makes parameters of numbers that a kernel has no use of knowing. Equal ones become one
/// parameter; nodes stay where they are.
///  - Baked extents, in a domain of one axis and beside extents that are parameters anyway, where
///    which elements an invocation takes, and by what loads, stays the same.
///  - f32 constants of many digits (learned scales, mostly) in plain arithmetic.
void generalize(ExprProgram& program, const Target& target);

}  // namespace quern
