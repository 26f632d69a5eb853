#include "import/onnx/mutate.h"
#ifndef __EMSCRIPTEN__

#include "import/scan/mutate_protobuf.h"

namespace quern {
namespace {

enum Kind : uint8_t {
  kModel,
  kGraph,
  kNode,
  kAttribute,
  kTensor,
  kSparse,
  kFunction,
  kValueInfo,
  kType,
  kInnerType,
  kShape,
  kDim,
  kEntry,
  kOpset,
};

constexpr FieldRule kRules[] = {
    {kModel, 7, kGraph},        {kModel, 8, kOpset},         {kModel, 25, kFunction},
    {kModel, 14, kEntry},       {kGraph, 1, kNode},          {kGraph, 5, kTensor},
    {kGraph, 11, kValueInfo},   {kGraph, 12, kValueInfo},    {kGraph, 13, kValueInfo},
    {kGraph, 15, kSparse},      {kNode, 1, kLeafText},       {kNode, 2, kLeafText},
    {kNode, 3, kLeafText},      {kNode, 4, kLeafText},       {kNode, 5, kAttribute},
    {kNode, 7, kLeafText},      {kAttribute, 1, kLeafText},  {kAttribute, 4, kLeafText},
    {kAttribute, 5, kTensor},   {kAttribute, 6, kGraph},     {kAttribute, 7, kLeafFloats},
    {kAttribute, 8, kLeafInts}, {kAttribute, 9, kLeafText},  {kAttribute, 11, kGraph},
    {kAttribute, 14, kType},    {kAttribute, 21, kLeafText}, {kAttribute, 22, kSparse},
    {kTensor, 1, kLeafInts},    {kTensor, 4, kLeafFloats},   {kTensor, 5, kLeafInts},
    {kTensor, 6, kLeafText},    {kTensor, 7, kLeafInts},     {kTensor, 8, kLeafText},
    {kTensor, 9, kLeafData},    {kTensor, 10, kLeafData},    {kTensor, 11, kLeafInts},
    {kTensor, 13, kEntry},      {kSparse, 1, kTensor},       {kSparse, 2, kTensor},
    {kSparse, 3, kLeafInts},    {kFunction, 1, kLeafText},   {kFunction, 4, kLeafText},
    {kFunction, 5, kLeafText},  {kFunction, 6, kLeafText},   {kFunction, 7, kNode},
    {kFunction, 9, kOpset},     {kFunction, 10, kLeafText},  {kFunction, 11, kAttribute},
    {kValueInfo, 1, kLeafText}, {kValueInfo, 2, kType},      {kType, 1, kInnerType},
    {kType, 4, kInnerType},     {kType, 5, kInnerType},      {kType, 9, kInnerType},
    {kInnerType, 1, kType},     {kInnerType, 2, kShape},     {kShape, 1, kDim},
    {kDim, 2, kLeafText},       {kEntry, 1, kLeafText},      {kEntry, 2, kLeafText},
    {kOpset, 1, kLeafText},
};

}  // namespace

std::vector<uint8_t> mutant_of(std::span<const uint8_t> model, uint64_t seed, uint64_t number) {
  return mutate_protobuf(model, kRules, seed * 0x9e3779b97f4a7c15 + number);
}

MutateStats mutate_models(const std::vector<std::vector<uint8_t>>& models,
                          const MutateOptions& options, uint64_t first) {
  MutateStats stats;
  for (uint64_t number = first; number < first + options.count && !models.empty(); ++number) {
    const auto make = options.mutant != nullptr ? options.mutant : mutant_of;
    const auto mutant = make(models[number % models.size()], options.seed, number);
    ++stats.mutants;
    if (options.before) options.before(number, mutant);
    auto loaded = options.read != nullptr ? options.read(mutant, options.load)
                                          : load_onnx(mutant, "/nonexistent", options.load);
    const bool imported = loaded.has_value();
    const bool accepted = imported && (!options.check || options.check(*loaded));
    stats.imported += imported;
    stats.accepted += accepted;
    if (options.after) options.after(number, imported, accepted);
  }
  return stats;
}

}  // namespace quern

#endif
