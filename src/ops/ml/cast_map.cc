// ai.onnx.ml CastMap: the values of a map with whole numbers for keys, in the order of the keys
// (DENSE) or each at its key (SPARSE), as a row. The walk makes it (plan/walk_map.cc).
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"cast_to", AttributeKind::kString},
                                          {"map_form", AttributeKind::kString},
                                          {"max_map", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  if (c.type(0).kind != Type::Kind::kMap && c.dtype(0) != DType::kUndefined) {
    return c.error(cat("its input is ", c.type(0), ", expected a map"));
  }
  const std::string_view to = c.node().string_or("cast_to", "TO_FLOAT");
  const std::string_view form = c.node().string_or("map_form", "DENSE");
  if (to != "TO_FLOAT" && to != "TO_INT64" && to != "TO_STRING") {
    return c.error(cat("cast_to is '", to, "', expected TO_FLOAT, TO_INT64 or TO_STRING"));
  }
  if (form != "DENSE" && form != "SPARSE") {
    return c.error(cat("map_form is '", form, "', expected DENSE or SPARSE"));
  }
  Dim count = c.fresh_dim(0, 1);
  if (form == "SPARSE") {
    const int64_t length = c.node().int_or("max_map", 1);
    if (length < 1) return c.error(cat("max_map is ", length, ", expected a length"));
    count = length;
  }
  const DType type = to == "TO_FLOAT"   ? DType::kF32
                     : to == "TO_INT64" ? DType::kI64
                                        : DType::kString;
  c.set(0, type, Shape{1, count});
  return {};
}

}  // namespace

extern const OpDef op_cast_map;
const OpDef op_cast_map = {
    .name = "CastMap",
    .domain = "ai.onnx.ml",
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = infer,
};

}  // namespace quern
