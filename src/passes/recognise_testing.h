// For tests of the recogniser: from text to text, and to numbers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace quern {

using FindFunction = int (*)(Graph&);

/// What a find function made of a graph.
struct Recognised {
  std::unique_ptr<Graph> graph;
  int hits = 0;

  /// The operators in order: "Transpose quern.Attention".
  [[nodiscard]] std::string ops() const;
  /// The one node with this operator as text, its output's type left out: "%y = Gelu@20(%x) {...}".
  /// Values without a name are %made.
  [[nodiscard]] std::string node(std::string_view op) const;
};

/// Parses the text, infers shapes, runs `find`, and checks that the graph is valid after and that
/// inferred types are still what they were. Versions of operators are 17 where the text has none.
Recognised recognised(FindFunction find, std::string_view text);

/// Expects `find` to hit `hits` times, and, with numbers in place of the inputs, the outputs to be
/// what they were without it, up to `tolerance` of the largest one. Dims must be numbers.
Recognised expect_same_numbers(FindFunction find, std::string_view text, int hits = 1,
                               double tolerance = 2e-6);

}  // namespace quern
