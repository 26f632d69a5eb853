#include "base/text.h"

#include <cmath>

namespace quern {
namespace {

template <class T>
void append_float(std::string& out, T value) {
  if (std::isnan(value)) {
    out += "nan";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
  } else {
    char buffer[40];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
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
