// Any pattern compiles, or gives an error, and a match of any text ends. The first byte is the
// pattern's length.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "ops/common/regex.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string_view pattern = all.substr(0, data[0]);
  const std::string_view text = all.substr(pattern.size()).substr(0, 256);
  const auto regex = quern::Regex::compile(pattern);
  if (!regex) {
    if (regex.error().code == quern::ErrorCode::kInternal) std::abort();
    return 0;
  }
  if (regex->full_match(text) != regex->full_match(std::string(text))) std::abort();
  return 0;
}
