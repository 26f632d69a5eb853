#include "import/torch/mutate.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <random>
#include <string>

#include "import/json/json.h"
#include "import/json/mutate.h"
#include "import/onnx/mutate.h"
#include "import/zip/zip.h"
#include "import/zip/zip_writer.h"

namespace quern {
std::vector<uint8_t> mutant_of_archive(std::span<const uint8_t> file, uint64_t seed,
                                       uint64_t number) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15 + number);
  if (random() % 8 == 0) return mutant_of(file, seed, number);
  const auto directory =
      read_zip_end(file.last(std::min<size_t>(file.size(), kZipTail)), file.size());
  if (!directory) return {};
  const auto entries =
      read_zip_directory(file.subspan(directory->offset, directory->size), *directory);
  if (!entries) return {};
  ZipWriter zip;
  for (const ZipEntry& entry : *entries) {
    const auto offset = zip_data_offset(entry, file.subspan(entry.header_offset), file.size());
    if (!offset) return {};
    const auto bytes = file.subspan(*offset, entry.stored_size);
    std::string text(bytes.begin(), bytes.end());
    const bool is_program = entry.name.find("models/") != entry.name.npos;
    const bool is_config = entry.name.ends_with("_config.json") && random() % 8 == 0;
    if (is_program || is_config) {
      auto json = parse_json(bytes);
      if (!json) return {};
      mutate_json(*json, random());
      text = json->dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    zip.add(entry.name, text);
  }
  return zip.finish();
}

}  // namespace quern

#endif
