// The definition of an operator: one place for names, attributes, shapes and meaning.
//
// src/ops/<group>/<op>.cc defines `const OpDef op_<op>`; the registry is generated from the file
// names. docs/add-an-operator.md works through one.
#pragma once

#include <climits>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "ir/graph.h"
#include "ir/op_context.h"

namespace quern {

class LowerContext;  // shader/lower.h

/// The kind of an attribute.
enum class AttributeKind : uint8_t {
  kInt,
  kFloat,
  kString,
  kInts,
  kFloats,
  kStrings,
  kTensor,
  kGraph,
  kGraphs,
  kType
};

/// An attribute that an operator accepts: drives validation on import, printing and the docs.
struct AttributeField {
  std::string_view name;
  AttributeKind kind;
  bool required = false;
};

/// Sets of element types for OpDef::types: bit n is the DType numbered n.
using TypeSet = uint32_t;
constexpr TypeSet type_bit(DType t) { return TypeSet{1} << static_cast<int>(t); }
template <class... T>
constexpr TypeSet types_of(T... t) {
  return (type_bit(t) | ...);
}
inline constexpr TypeSet kFloats = types_of(DType::kF32, DType::kF16, DType::kBF16, DType::kF64);
inline constexpr TypeSet kInts = types_of(DType::kI8, DType::kI16, DType::kI32, DType::kI64,
                                          DType::kU8, DType::kU16, DType::kU32, DType::kU64);
inline constexpr TypeSet kNumeric = kFloats | kInts;
inline constexpr TypeSet kFixedWidth = kNumeric | type_bit(DType::kBool);  ///< all but strings...
inline constexpr TypeSet kAllTypes = ~TypeSet{0};

struct OpDef {
  std::string_view name;         ///< "Conv"
  std::string_view domain = "";  ///< "" for ONNX's own, else "com.microsoft", "ai.onnx.ml", "quern"
  int since = 1;                 ///< first and last operator-set version with a meaning that this
  int until = INT_MAX;           ///< definition knows (differences inside: ask ctx.version())
  uint8_t min_inputs = 1;
  uint8_t max_inputs = 1;  ///< kVariadic for any number
  uint8_t min_outputs = 1;
  uint8_t max_outputs = 1;
  TypeSet types = kFixedWidth;  ///< element types of input 0 (of output 0 where there is no input)
  std::span<const AttributeField> attributes = {};
  /// Bit i: the contents of input i must be known on the host before the node can be planned
  /// (Reshape's shape, Slice's starts).
  uint32_t host_inputs = 0;
  /// Output 0 has the bytes of input 0, under another shape (Reshape, Squeeze, Identity).
  bool is_view = false;
  /// One element of output from one element of each broadcast input, no other use of indices:
  /// such nodes fuse with anything.
  bool is_elementwise = false;
  /// If, Loop, Scan, ...: executed by the planner's walk, not by kernels.
  bool is_control = false;
  /// Makes, changes or asks about sequences, optionals and maps: the walk moves references to their
  /// elements (plan/walk_sequence.cc, docs/sequences.md).
  bool is_sequence = false;
  /// Numeric work may not run on the host on a GPU device, except as shape arithmetic. String,
  /// sequence and optional operators are host operators: `eval` on every device.
  bool is_host = false;
  /// Its hand-written kernel takes a fused epilogue at output 0 (KernelCall::epilogue_at).
  bool takes_epilogue = false;
  /// Depends on a random generator or other state: never folded or merged.
  bool is_random = false;

  /// Output types, symbolic shapes, and contents of small integer outputs where it can say.
  Result<void> (*infer)(InferContext&) = nullptr;
  /// The element of output `output` at ctx.index(): see ir/op_context.h.
  Result<Expr> (*expr)(ExprContext&, size_t output) = nullptr;
  /// GPU: dispatches of hand-written kernels.
  Result<void> (*lower)(LowerContext&) = nullptr;
  /// Replaces the node by simpler ones (put before it, then ctx.replace): for devices without a
  /// kernel for it. Returns false where this node has to stay whole.
  Result<bool> (*expand)(Graph&, Node&) = nullptr;
  /// Plain C++ on host tensors.
  Result<void> (*eval)(EvalContext&) = nullptr;
  /// Name of the CPU kernel (src/ops/<group>/<name>_cpu.cc), where there is one.
  std::string_view cpu_kernel = "";
};

inline constexpr uint8_t kVariadic = 255;

/// All operators; generated from the file names.
std::span<const OpDef* const> all_ops();
/// The definition for a node's operator, domain and version; null where there is none.
const OpDef* find_op(std::string_view name, std::string_view domain, int version);
inline const OpDef* find_op(const Node& node) {
  return find_op(node.op, node.domain, node.version);
}

}  // namespace quern
