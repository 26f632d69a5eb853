// How an expression kernel shares its elements out among invocations, and which loads are
// contiguous there.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/expr.h"
#include "shader/lower.h"

namespace quern {

/// What is known of a node of an ExprProgram.
struct NodeFacts {
  bool reachable = false;  ///< from the outputs
  bool from_data = false;  ///< its value depends on a load
  uint64_t loops = 0;      ///< bit s: uses loop variable s that is bound outside of it
  uint32_t axes = 0;       ///< bit a: depends on the index along domain axis a
};
std::vector<NodeFacts> facts_of(const ExprProgram& program);

enum class LoadForm : uint8_t {
  kAny,
  kFlat,   ///< element i of the input for element i of the domain
  kRow,    ///< along the last axis one element after another, from a multiple of the lanes on
  kSplat,  ///< the same for all lanes
};

/// The shares: invocation g computes the elements [g * lanes, (g + 1) * lanes), so that it writes
/// whole words, and vectors where loads are contiguous.
struct LanePlan {
  uint32_t lanes = 1;
  /// The last axis is a baked multiple of `lanes`: only its index differs between lanes.
  bool row = false;
  bool has_loops = false;
  std::vector<LoadForm> loads;  ///< per node; kAny for what is no load
};

/// The shares for `program`; depends on its structure only.
LanePlan lanes_of(const ExprProgram& program, const std::vector<NodeFacts>& facts);

/// A load that runs along another axis than the last, along which elements are written: tiles of
/// the two axes pass through workgroup memory, so that both reads and writes are of neighbours.
struct TilePlan {
  uint32_t load = UINT32_MAX;  ///< the node; UINT32_MAX: no tiles
  uint32_t axis = 0;           ///< along which it runs

  [[nodiscard]] bool used() const { return load != UINT32_MAX; }
};
/// A tile has so many elements along each of its axes.
inline constexpr uint32_t kTransposeTile = 32;

/// The tiles for `program` on `target`; depends on its structure only.
TilePlan tile_of(const ExprProgram& program, const std::vector<NodeFacts>& facts,
                 const Target& target);

/// Does a workgroup share the reductions of each element?
bool is_shared(const ExprProgram& program, const std::vector<NodeFacts>& facts,
               const ExprSchedule& schedule);

}  // namespace quern
