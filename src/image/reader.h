// Numbers in a file's bytes. Reads past the end give 0 and are remembered.
#pragma once

#include <cstdint>

#include "image/image.h"

namespace quern::image {

class Reader {
 public:
  explicit Reader(Bytes file, bool big_endian = false) : file_(file), big_(big_endian) {}

  [[nodiscard]] size_t at() const { return at_; }
  [[nodiscard]] bool ended() const { return ended_; }
  void seek(size_t at) { at_ = at; }
  void skip(size_t count) { at_ = count > file_.size() ? file_.size() + 1 : at_ + count; }
  /// The next bytes; fewer at the end of the file.
  Bytes take(size_t count) {
    if (at_ > file_.size() || count > file_.size() - at_) ended_ = true;
    const size_t from = at_ < file_.size() ? at_ : file_.size();
    const size_t n = count < file_.size() - from ? count : file_.size() - from;
    at_ = from + n;
    return file_.subspan(from, n);
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return number(4); }

 private:
  uint32_t number(size_t count) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t byte = at_ < file_.size() ? file_[at_] : 0;
      if (at_ >= file_.size()) ended_ = true;
      ++at_;
      value |= byte << (big_ ? 8 * (count - 1 - i) : 8 * i);
    }
    return value;
  }

  Bytes file_;
  bool big_;
  size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace quern::image
