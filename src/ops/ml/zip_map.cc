// ai.onnx.ml ZipMap: a map for each row, from class labels to its elements. The walk makes them
// (plan/walk_sequence.cc).
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"classlabels_int64s", AttributeKind::kInts},
                                          {"classlabels_strings", AttributeKind::kStrings}};

}  // namespace

extern const OpDef op_zip_map;
const OpDef op_zip_map = {
    .name = "ZipMap",
    .domain = "ai.onnx.ml",
    .types = type_bit(DType::kF32),
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      const bool strings = c.node().attribute("classlabels_strings") != nullptr;
      if (!strings && c.node().ints("classlabels_int64s") == nullptr) {
        return c.error("has no class labels");
      }
      Type map = Type::container(Type::Kind::kMap, Type::tensor(c.dtype(0), Shape{}),
                                 strings ? DType::kString : DType::kI64);
      c.set(0, Type::container(Type::Kind::kSequence, std::move(map)));
      return {};
    },
};

}  // namespace quern
