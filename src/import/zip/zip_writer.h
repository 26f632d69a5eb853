// Writes zip archives: for tests and mutations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "import/zip/zip.h"

namespace quern {

/// Of an entry that is written.
struct ZipEntryOptions {
  bool deflate = false;                ///< in one stored block of a deflate stream
  uint16_t flags = 0;                  ///< 1 encrypted, 8 data descriptor
  uint64_t claimed_size = UINT64_MAX;  ///< instead of the real one
  uint32_t crc_error = 0;
};

/// An archive under construction. Entries are stored, with an extra field that aligns them to 64
/// bytes, as PyTorch writes them.
class ZipWriter {
 public:
  ZipWriter& add(std::string_view name, std::string_view contents,
                 const ZipEntryOptions& options = {}) {
    const std::string_view plain = contents;
    std::string packed;
    if (options.deflate) {
      packed += '\x01';
      put(packed, contents.size(), 2);
      put(packed, ~contents.size(), 2);
      packed += contents;
      contents = packed;
    }
    const uint64_t at = file_.size();
    const uint64_t size = options.claimed_size == UINT64_MAX ? plain.size() : options.claimed_size;
    const uint32_t crc =
        crc32({reinterpret_cast<const uint8_t*>(plain.data()), plain.size()}) ^ options.crc_error;
    const size_t extra = (64 - (at + 34 + name.size()) % 64) % 64 + 4;
    put(file_, 0x04034b50, 4);
    header(file_, options, crc, contents.size(), size, name.size(), extra);
    file_ += name;
    put(file_, 0x4246, 2);
    put(file_, extra - 4, 2);
    file_.append(extra - 4, 'Z');
    file_ += contents;
    put(directory_, 0x02014b50, 4);
    put(directory_, 20, 2);
    header(directory_, options, crc, contents.size(), size, name.size(), 0);
    put(directory_, 0, 10);  // comment, disk, attributes
    put(directory_, at, 4);
    directory_ += name;
    ++count_;
    return *this;
  }

  /// `zip64`: the end record refers to zip64's.
  [[nodiscard]] std::vector<uint8_t> finish(bool zip64 = false,
                                            std::string_view comment = "") const {
    std::string out = file_ + directory_;
    if (zip64) {
      const uint64_t record = out.size();
      put(out, 0x06064b50, 4);
      put(out, 44, 8);
      put(out, 45, 2);
      put(out, 45, 2);
      put(out, 0, 8);
      put(out, count_, 8);
      put(out, count_, 8);
      put(out, directory_.size(), 8);
      put(out, file_.size(), 8);
      put(out, 0x07064b50, 4);
      put(out, 0, 4);
      put(out, record, 8);
      put(out, 1, 4);
    }
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, zip64 ? UINT16_MAX : count_, 2);
    put(out, zip64 ? UINT16_MAX : count_, 2);
    put(out, zip64 ? UINT32_MAX : directory_.size(), 4);
    put(out, zip64 ? UINT32_MAX : file_.size(), 4);
    put(out, comment.size(), 2);
    out += comment;
    return {out.begin(), out.end()};
  }

 private:
  static void put(std::string& out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      out += static_cast<char>(i < 8 ? value >> (8 * i) & 255 : 0);
    }
  }
  /// From the version on, what both headers have.
  static void header(std::string& out, const ZipEntryOptions& options, uint32_t crc,
                     uint64_t stored, uint64_t size, uint64_t name, uint64_t extra) {
    put(out, 20, 2);
    put(out, options.flags, 2);
    put(out, options.deflate ? 8 : 0, 2);
    put(out, 0, 4);
    put(out, crc, 4);
    put(out, stored, 4);
    put(out, size, 4);
    put(out, name, 2);
    put(out, extra, 2);
  }

  std::string file_, directory_;
  uint64_t count_ = 0;
};

}  // namespace quern
