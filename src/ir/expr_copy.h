// Copies nodes of one program into another, folding on the way: what passes over expressions use.
#pragma once

#include <map>
#include <vector>

#include "ir/expr.h"

namespace quern {

/// The nodes that the outputs depend on.
std::vector<bool> live_nodes(const ExprProgram& program);
/// Drops the others.
void remove_dead_nodes(ExprProgram& program);

/// Nodes are copied in order; a caller sets `mapped` itself for those that become something else.
/// Inputs keep their numbers, loop variables get new ones.
class ExprCopy {
 public:
  ExprCopy(const ExprProgram& from, ExprBuilder& to)
      : mapped(from.nodes.size()), from_(from), to_(to) {}

  /// The copy of each node.
  std::vector<Expr> mapped;

  /// Copies node `id`, whose arguments are mapped.
  void node(size_t id);
  /// The copy of a loop variable, from its first use on.
  Expr loop(uint32_t variable);
  [[nodiscard]] std::vector<Expr> arguments(const ExprNode& node) const;

 private:
  const ExprProgram& from_;
  ExprBuilder& to_;
  std::map<uint32_t, Expr> loops_;
};

}  // namespace quern
