// Options of custom operators: a FlexBuffer that is a map of numbers and of lists of numbers.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace quern::tflite {

/// The entries of a map by name; other types than numbers and typed or untyped lists of them are
/// left out.
Result<std::map<std::string, std::vector<double>, std::less<>>> read_flexbuffer_map(
    std::span<const uint8_t> bytes);

}  // namespace quern::tflite
