// Fewer programs: layers that differ in numbers alone share one.
#pragma once

#include <string>
#include <unordered_map>

#include "ir/expr.h"
#include "shader/target.h"

namespace quern {

/// Of all programs for one target.
class Generalizer {
 public:
  explicit Generalizer(const Target& target) : target_(target) {}

  /// Makes parameters of numbers that a kernel has no use of knowing. Equal ones become one
  /// parameter; nodes stay where they are.
  ///  - Baked extents, in a domain of one axis and beside extents that are parameters anyway, where
  ///    which elements an invocation takes, and by what loads, stays the same.
  ///  - f32 constants of many digits (learned scales, mostly) in plain arithmetic.
  ///  - All extents of a small domain: there divisions by numbers that are not known are hidden
  ///    behind loads.
  void run(ExprProgram& program);

  /// Likewise of an epilogue, of any size, since its anchor's kernel does much for each element:
  /// the extents that places of its loads are computed with.
  static void run_epilogue(ExprProgram& program);

 private:
  Target target_;
  /// By a program's key: how many extents of its domain become parameters. It takes a third of the
  /// time of a plan to find that anew.
  std::unordered_map<std::string, size_t> axes_;
};

}  // namespace quern
