// What an expression program compiles to: lists of instructions over block registers.
//
// Lanes are what a block's elements stand for. Outside reductions they are consecutive elements of
// the domain. A reduction either loops over its variable with the lanes left as they are, or takes
// its variable as the lanes and goes from element to element around that; the latter is right
// where loads are contiguous along the variable (row sums).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/block_ops.h"
#include "ir/expr.h"

namespace quern {

using Register = uint32_t;

/// How to find the element of a load: base + sum of coefficient times index or loop variable,
/// plus stride times value for the indices that are not of this form.
struct LoadPlan {
  uint32_t input = 0;
  DType dtype = DType::kUndefined;
  int64_t input_count = 0;
  int64_t base = 0;
  std::vector<int64_t> axes;                        ///< coefficient of each domain axis
  std::vector<std::pair<uint32_t, int64_t>> loops;  ///< of loop variables, by number
  struct Index {
    Register value = 0;
    int64_t extent = 0;
    int64_t stride = 0;
    bool in_range = false;  ///< proven at compile time
  };
  std::vector<Index> indices;
  bool fixed = false;        ///< no axis has a coefficient
  bool contiguous = false;   ///< element e of the domain reads base + e
  bool periodic = false;     ///< only the last axis has a coefficient, and there are others
  bool row_indices = false;  ///< the indices don't change along the last axis

  [[nodiscard]] int64_t loop_stride(uint32_t variable) const {
    for (const auto& [v, stride] : loops) {
      if (v == variable) return stride;
    }
    return 0;
  }
};

struct Instruction {
  enum class Kind : uint8_t { kConstant, kIndex, kLoop, kLoad, kReduce, kCompute };
  Kind kind = Kind::kCompute;
  Scalar type = Scalar::kF32;
  bool may_alias = false;  ///< of loads: the register may be the input's own memory
  Register out = 0;
  Register args[3] = {};
  uint32_t detail = 0;  ///< axis, loop variable, number of load or reduction, or node slot
  BlockKernel kernel = nullptr;
  ScalarBits value = 0;  ///< of constants
};

struct Scope {
  std::vector<Instruction> code;
};

struct Reduction {
  ExprOp op = ExprOp::kReduceSum;
  Scalar type = Scalar::kF32;  ///< of the body
  uint32_t variable = 0;
  int64_t fixed_extent = -1;  ///< where known; else `extent` holds one a lane
  Register extent = 0;
  bool across = false;  ///< the variable is the lanes of the body
  Scope body;
  Register value = 0;  ///< of the body
  struct Import {
    Scalar type;
    Register from, to;
  };
  std::vector<Import> imports;  ///< across: values of the lane around, splatted
  // Lanes as they are:
  BlockKernel accumulate = nullptr;
  Register accumulator = 0;  ///< of accumulator_type
  Register partial = 0;      ///< f32 sums
  Register masked = 0;       ///< varying extents: the value, or the identity
  Register identity = 0;
  Register active = 0;
};

struct BlockedOutput {
  Register value = 0;
  DType dtype = DType::kUndefined;
};

/// Where a load goes along another axis than the stores, blocks are tiles of this many rows and
/// columns, so that each cache line is read once.
inline constexpr int kTileRows = 16;
inline constexpr int kTileColumns = kBlock / kTileRows;

/// A compiled program.
struct BlockedPlan {
  std::vector<int64_t> domain;
  std::vector<int64_t> strides;  ///< of the domain, in elements
  int64_t count = 1;
  uint32_t loops = 0;
  std::vector<uint32_t> register_offsets;  ///< in the workspace, in bytes
  uint32_t workspace_bytes = 0;
  std::vector<LoadPlan> loads;
  std::vector<Reduction> reductions;
  Scope once;  ///< neither by element nor by loop: filled at the start
  Scope each;  ///< for each block of elements
  std::vector<BlockedOutput> outputs;
  bool needs_rows = false;  ///< some instruction goes row by row
  int32_t tile_axis = -1;   ///< the rows of tiles; -1: blocks are runs of elements
  bool may_fail = false;    ///< some index is checked when it runs
  float cost = 0;           ///< nanoseconds an element, roughly

  [[nodiscard]] int64_t tile_count() const;
};

/// Compiles a baked program, as split_stages leaves it.
BlockedPlan build_blocked_plan(const ExprProgram& program);

}  // namespace quern
