#include "import/tfjs/mutate.h"
#ifndef __EMSCRIPTEN__

#include <random>
#include <string>

#include "import/json/json.h"
#include "import/json/mutate.h"
#include "import/onnx/mutate.h"

namespace quern {

std::vector<uint8_t> mutant_of_json(std::span<const uint8_t> file, uint64_t seed, uint64_t number) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15 + number);
  if (random() % 8 == 0) return mutant_of(file, seed, number);
  auto json = parse_json(file);
  if (!json) return {};
  mutate_json(*json, random());
  const std::string text = json->dump(-1, ' ', false, Json::error_handler_t::replace);
  return {text.begin(), text.end()};
}

}  // namespace quern

#endif
