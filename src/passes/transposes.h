// Permutations of axes, and how operators that work along axes follow them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace quern {

/// Axis a of the result is axis perm[a] of what is transposed.
using Permutation = std::vector<int64_t>;

/// Of a Transpose whose input's rank is known; nothing for other nodes, and where it is no
/// permutation of that rank.
std::optional<Permutation> permutation_of_node(const Node* node);
/// The one that undoes it.
Permutation inverse(const Permutation& perm);
/// `second` after `first`.
Permutation after(const Permutation& first, const Permutation& second);
bool is_identity(const Permutation& perm);

/// What becomes of op(Transpose(x)): Transpose(op'(x)).
struct Passage {
  /// Inputs that have the axes of x; all others are left alone.
  std::vector<size_t> inputs;
  /// Attributes and inputs of op' that differ: lists of axes or of numbers for each axis.
  std::vector<std::pair<std::string_view, AttributeValue>> attributes;
  std::vector<std::pair<size_t, std::vector<int64_t>>> lists;
  /// Of the Transpose that follows.
  Permutation perm;
};

/// How a Transpose by `perm` passes the node that it is an input of, if it can.
std::optional<Passage> passage(const Node& node, const Permutation& perm);

}  // namespace quern
