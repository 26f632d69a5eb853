#include "base/text.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace quern {
namespace {

template <class T>
void append_float(std::string& out, T value) {
  if (std::isnan(value)) {
    out += "nan";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
  } else {
    // std::to_chars would do, but its tables take 114 kB of a WebAssembly module.
    constexpr int kMost = std::numeric_limits<T>::max_digits10;
    char buffer[40];
    for (int digits = 1; digits <= kMost; ++digits) {
      std::snprintf(buffer, sizeof buffer, "%.*g", digits, static_cast<double>(value));
      const T back = sizeof(T) == sizeof(float) ? static_cast<T>(std::strtof(buffer, nullptr))
                                                : static_cast<T>(std::strtod(buffer, nullptr));
      if (back != value) continue;
      // Whole numbers with zeros at their end: 70 rather than 7e+01, but 1e+10.
      char whole[40];
      const int length = std::snprintf(whole, sizeof whole, "%.0f", static_cast<double>(value));
      const bool plain = std::fabs(value) < 1e15 && std::trunc(value) == value;
      out += plain && static_cast<size_t>(length) <= std::strlen(buffer) ? whole : buffer;
      return;
    }
  }
}

}  // namespace

void append(std::string& out, double value) { append_float(out, value); }
void append(std::string& out, float value) { append_float(out, value); }

void append(std::string& out, const std::vector<int64_t>& values) {
  out += '[';
  out += join(values, ", ");
  out += ']';
}

}  // namespace quern
