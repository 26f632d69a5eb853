// Small pictures in files of other programs, for tests and as seeds.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quern::image::testing {

struct Fixture {
  const char* name;
  uint32_t width;
  uint32_t height;
  uint32_t channels;  ///< of `pixels`: grays are repeated
  int tolerance;      ///< decoders of lossy formats may round another way
  const char* file;   ///< base64
  const char* pixels;
};

std::span<const Fixture> fixtures();
std::vector<uint8_t> from_base64(std::string_view text);

}  // namespace quern::image::testing
