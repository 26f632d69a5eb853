// Models in ONNX's format: a scanned skeleton becomes a Model.
//
// What of a model the graph does not keep: documentation, training information, quantization
// annotations, metadata of nodes. Model-local functions are inlined and take precedence over
// operators of the same name; Constant nodes become constants; inputs that an initializer gives a
// value are constants, not inputs of the graph (in IR 4 and later they are defaults that a run may
// replace: Model::inputs).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "import/onnx/scanner.h"
#include "ir/graph.h"

namespace quern {

struct OpDef;

struct ImportOptions {
  /// Bounds what the graph takes in memory, roughly, weights left out: kLimit past it.
  uint64_t memory_limit = uint64_t{512} << 20;
  /// Bytes of a sparse tensor made dense.
  uint64_t sparse_limit = uint64_t{64} << 20;
  /// Of subgraphs in subgraphs and functions in functions, together; at most kMaxGraphDepth.
  int max_depth = kMaxGraphDepth;
};

/// The model in a skeleton that OnnxScanner made, with the weights it found. The weight table
/// begins with those, by their numbers (also those of tensors that nothing uses: their dtype is
/// kUndefined), followed by those in external files. kInvalidModel, kUnsupported or kLimit, naming
/// node, operator and value.
Result<Model> import_onnx(std::span<const uint8_t> skeleton, std::span<const ScannedWeight> weights,
                          const ImportOptions& options = {});

/// An operator's definition, or null: find_op of ops/op_def.h.
using OpLookup = const OpDef* (*)(std::string_view name, std::string_view domain, int version);

/// kUnsupported with all operators that `lookup` does not know: "unsupported operators: Foo
/// (domain x, opset 17) at node 'a' and 3 more; ...".
Result<void> check_supported(const Model& model, OpLookup lookup);

/// kInvalidModel where a node of a known operator has too few or too many inputs or outputs, an
/// attribute of another kind than the operator's, or lacks a required one.
Result<void> check_nodes(const Model& model, OpLookup lookup);

/// Puts a weight's bytes into the graph: every constant that refers to it becomes an inline one.
/// For small tensors that a model keeps in an external file, and that shape inference may need.
Result<void> set_weight_bytes(Model& model, uint32_t weight, std::span<const uint8_t> bytes);

}  // namespace quern
