// Text building without std::format, which alone would add 100 kB to the shipped module.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

inline void append(std::string& out, std::string_view text) { out += text; }
inline void append(std::string& out, char c) { out += c; }
/// Any integer in decimal; bool, which is matched here so that string literals, which decay to
/// pointers and so convert to bool, don't become "true".
template <std::integral T>
void append(std::string& out, T value) {
  if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else {
    char buffer[24];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }
}
/// The shortest text that reads back as the same number.
void append(std::string& out, double value);
void append(std::string& out, float value);
/// "[1, 2]". Here, as argument-dependent lookup from `cat` would not find it with Dims.
void append(std::string& out, const std::vector<int64_t>& values);

/// All parts as one string: `cat("axis ", 3, " of ", name)`.
template <class... Parts>
[[nodiscard]] std::string cat(const Parts&... parts) {
  std::string out;
  (append(out, parts), ...);
  return out;
}

/// The items joined by `separator`; `items` is any range of things that `append` takes.
template <class Range>
[[nodiscard]] std::string join(const Range& items, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += separator;
    first = false;
    append(out, item);
  }
  return out;
}

}  // namespace quern
