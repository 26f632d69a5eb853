// Any text parses to a graph that verifies and prints to a text that reads back, or to an error.
#include <cstdlib>

#include "ir/print.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto graph =
      quern::parse_graph(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!graph) return 0;
  const std::string text = quern::print(**graph);
  const auto again = quern::parse_graph(text);
  if (!quern::verify(**graph) || !again || quern::print(**again) != text) std::abort();
  return 0;
}
