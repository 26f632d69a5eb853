// The graph as text and back: what passes are tested on.
#pragma once
#include "ir/graph.h"
namespace quern {
/// The text of a graph; parse_graph reads it back to an equal graph. Form:
///   graph main(%x: f32[batch, 3]) {
///     %w = constant f32[2] [1, 2.5]
///     %big = weight 0 f32[512, 512]
///     %y: f32[batch, 3] = Add(%x, %w)
///     %a, %b = Split(%y, _) {axis = 1, num_outputs = 2}
///     %c = com.microsoft.Gelu@1(%a)
///     %d = If(%cond) {then_branch = graph () { return %x }, else_branch = graph () {...}}
///     %s: i64[2] = {batch, 3} = Shape(%x) as /m/Shape
///     return %c
///   }
/// `_` is an absent input. Values without a name print as %<id>; a type is printed when known
/// (inline), and `= {1, n}` after the type gives known symbolic contents. `@7` is the
/// operator-set version; `as` gives the node's name. Names with other characters than letters,
/// digits, `_`, `.`, `/`, `:` and `-` are quoted: %"a b"; so are value names of digits only. A
/// value whose name is taken by another one in scope is %name#<id>. A node without outputs is
/// just its operator: `Sink(%x)`. Operators that don't read back so are "domain"::"op".
/// Attributes: 1 | 1.0 | "text" | [1, 2] | [1.0, 2.5] | ["a"] | constant ... | weight ... |
/// graph ... | [graph ...] | type f32[n]; an empty list names its kind: `ints []`, `floats []`,
/// `strings []`, `graphs []`. Numbers print in the shortest form that reads back as the same
/// bits, or as the bits (0x7fc00001) where none does. Comments run from // to the line's end.
/// Constants come first in their graph. Bodies are indented; white space means nothing.
std::string print(const Graph& graph);
Result<std::unique_ptr<Graph>> parse_graph(std::string_view text);
}  // namespace quern
