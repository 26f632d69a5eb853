// Runs a model file of any format on the CPU, for tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace quern::testing {

/// The outputs as text, "f32[2] 1 2", joined by "; ", or the error. Inputs in row-major order, as
/// they are declared; symbolic shapes take the values given by `dims`.
std::string run_file(std::span<const uint8_t> file, const std::vector<std::vector<double>>& inputs,
                     const std::vector<Dims>& dims = {});
/// The same of a file or folder on disk.
std::string run_path(const std::string& path, const std::vector<std::vector<double>>& inputs,
                     const std::vector<Dims>& dims = {});

}  // namespace quern::testing
