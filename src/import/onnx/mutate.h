// Breaks ONNX models in many ways, to see that nothing worse than an error comes of it. Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "import/onnx/file.h"

namespace quern {

/// What a model that was imported goes through: verification, inference, passes, planning.
using ModelCheck = Result<void> (*)(LoadedModel&);

struct MutateOptions {
  uint64_t count = 1000;
  uint64_t seed = 1;
  ModelCheck check = nullptr;
  FileOptions load;
  /// How mutants of a model are made, and read; by default mutant_of and load_onnx.
  std::vector<uint8_t> (*mutant)(std::span<const uint8_t> model, uint64_t seed,
                                 uint64_t number) = nullptr;
  Result<LoadedModel> (*read)(std::span<const uint8_t> mutant, const FileOptions& load) = nullptr;
  /// Told before each mutant is tried, with its number and bytes.
  std::function<void(uint64_t number, std::span<const uint8_t> mutant)> before;
  /// Told what came of it: did it get past the parser, and past the check too?
  std::function<void(uint64_t number, bool imported, bool accepted)> after;
};

struct MutateStats {
  uint64_t mutants = 0;
  uint64_t imported = 0;  ///< got past the parser
  uint64_t accepted = 0;  ///< and past the check
};

/// Mutant number `number` of the run with that seed: truncated, with bits flipped, bytes spliced,
/// lengths changed or, by protobuf's structure, with other numbers, names, types, dims, data, or
/// parts left out, repeated and moved. The same arguments give the same bytes.
std::vector<uint8_t> mutant_of(std::span<const uint8_t> model, uint64_t seed, uint64_t number);

/// Tries mutants [first, first + options.count) of the models in turn.
MutateStats mutate_models(const std::vector<std::vector<uint8_t>>& models,
                          const MutateOptions& options, uint64_t first = 0);

}  // namespace quern

#endif
