// Reading JSON of strangers: every look-up of something that is not there, or of another kind,
// gives null, zero or nothing, and never fails.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "nlohmann/json.hpp"

namespace quern {

using Json = nlohmann::json;

/// The document; kInvalidModel with the place of a syntax error. Infinity, -Infinity and NaN, which
/// Python writes, are read as the strings of that name.
Result<Json> parse_json(std::span<const uint8_t> text);

/// The member of an object, or null.
const Json& member(const Json& object, std::string_view key);
/// The contents of a string; empty for anything else.
std::string_view text_of(const Json& value);
/// The value of an integer.
std::optional<int64_t> integer_of(const Json& value);
/// The value of a number, or of "Infinity", "-Infinity" and "NaN".
std::optional<double> number_of(const Json& value);
/// `value`'s elements where it is an array; else none.
const Json::array_t& items_of(const Json& value);

}  // namespace quern
