#include "import/tensorflow/mutate.h"
#ifndef __EMSCRIPTEN__

#include "import/scan/mutate_protobuf.h"

namespace quern {
namespace {

/// kRoot is a SavedModel or a GraphDef.
enum Kind : uint8_t {
  kRoot,
  kGraph,
  kNode,
  kAttributeEntry,
  kAttribute,
  kList,
  kFunctionName,
  kTensor,
  kShape,
  kDim,
  kLibrary,
  kFunction,
  kSignature,
  kArgument,
  kTextEntry,
  kMeta,
  kInfo,
  kPorts,
  kPortsEntry,
  kPort,
  kPortEntry,
  kObjects,
  kObject,
  kChild,
  kVariable,
  kBoundEntry,
  kBound,
};

constexpr FieldRule kRules[] = {
    {kGraph, 1, kNode},
    {kGraph, 2, kLibrary},
    {kNode, 1, kLeafText},
    {kNode, 2, kLeafText},
    {kNode, 3, kLeafText},
    {kNode, 5, kAttributeEntry},
    {kAttributeEntry, 1, kLeafText},
    {kAttributeEntry, 2, kAttribute},
    {kAttribute, 1, kList},
    {kAttribute, 2, kLeafText},
    {kAttribute, 7, kShape},
    {kAttribute, 8, kTensor},
    {kAttribute, 10, kFunctionName},
    {kList, 2, kLeafText},
    {kList, 3, kLeafInts},
    {kList, 4, kLeafFloats},
    {kList, 6, kLeafInts},
    {kList, 9, kFunctionName},
    {kFunctionName, 1, kLeafText},
    {kTensor, 2, kShape},
    {kTensor, 4, kLeafData},
    {kTensor, 5, kLeafFloats},
    {kTensor, 7, kLeafInts},
    {kTensor, 8, kLeafText},
    {kTensor, 10, kLeafInts},
    {kTensor, 13, kLeafInts},
    {kShape, 2, kDim},
    {kLibrary, 1, kFunction},
    {kFunction, 1, kSignature},
    {kFunction, 3, kNode},
    {kFunction, 4, kTextEntry},
    {kSignature, 1, kLeafText},
    {kSignature, 2, kArgument},
    {kSignature, 3, kArgument},
    {kArgument, 1, kLeafText},
    {kTextEntry, 1, kLeafText},
    {kTextEntry, 2, kLeafText},
    {kMeta, 1, kInfo},
    {kMeta, 2, kGraph},
    {kMeta, 5, kPortsEntry},
    {kMeta, 7, kObjects},
    {kInfo, 4, kLeafText},
    {kPortsEntry, 1, kLeafText},
    {kPortsEntry, 2, kPorts},
    {kPorts, 1, kPortEntry},
    {kPorts, 2, kPortEntry},
    {kPortEntry, 1, kLeafText},
    {kPortEntry, 2, kPort},
    {kPort, 1, kLeafText},
    {kPort, 3, kShape},
    {kObjects, 1, kObject},
    {kObjects, 2, kBoundEntry},
    {kObject, 1, kChild},
    {kObject, 7, kVariable},
    {kChild, 2, kLeafText},
    {kVariable, 6, kLeafText},
    {kBoundEntry, 1, kLeafText},
    {kBoundEntry, 2, kBound},
    {kBound, 2, kLeafInts},
};

std::vector<FieldRule> rules_of(bool is_saved_model) {
  std::vector<FieldRule> rules(std::begin(kRules), std::end(kRules));
  if (is_saved_model) {
    rules.push_back({kRoot, 2, kMeta});
  } else {
    rules.push_back({kRoot, 1, kNode});
    rules.push_back({kRoot, 2, kLibrary});
  }
  return rules;
}

}  // namespace

std::vector<uint8_t> mutant_of_tensorflow(std::span<const uint8_t> file, uint64_t seed,
                                          uint64_t number) {
  // A SavedModel begins with its version, a varint.
  const bool is_saved_model = !file.empty() && file[0] == 8;
  return mutate_protobuf(file, rules_of(is_saved_model), seed * 0x9e3779b97f4a7c15 + number);
}

}  // namespace quern

#endif
