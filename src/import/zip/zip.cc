#include "import/zip/zip.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string_view>

#include "image/image.h"

namespace quern {
namespace {

constexpr uint64_t kEnd = 22;
constexpr uint64_t kCentral = 46;
constexpr uint64_t kNoOffset = UINT32_MAX;  // "see the zip64 field"

uint64_t little(std::span<const uint8_t> bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= uint64_t{bytes[at + i]} << (8 * i);
  return value;
}

bool has_signature(std::span<const uint8_t> bytes, size_t at, uint32_t signature) {
  return at + 4 <= bytes.size() && little(bytes, at, 4) == signature;
}

std::unexpected<Error> broken(std::string_view what) {
  return invalid_model(cat("broken zip archive: ", what));
}

/// Puts the 64-bit numbers of an extra field in the place of those that did not fit.
Result<void> read_zip64(std::span<const uint8_t> extra, ZipEntry& entry) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const auto id = little(extra, at, 2);
    const auto size = static_cast<size_t>(little(extra, at + 2, 2));
    at += 4;
    if (size > extra.size() - at) return broken("an extra field is cut off");
    if (id == 1) {
      size_t from = at;
      for (uint64_t* number : {&entry.size, &entry.stored_size, &entry.header_offset}) {
        if (*number != kNoOffset) continue;
        if (from + 8 > at + size) return broken(cat("entry '", entry.name, "' has no 64-bit size"));
        *number = little(extra, from, 8);
        from += 8;
      }
    }
    at += size;
  }
  return {};
}

/// Names are paths below the archive: with none leading elsewhere, nothing that uses them can.
Result<void> check_name(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return broken(cat("entry '", name.substr(0, 200), "' ", why));
  };
  if (name.empty()) return refuse("has no name");
  if (name.find('\0') != name.npos) return refuse("has a zero byte in its name");
  if (name[0] == '/' || name.find('\\') != name.npos || (name.size() > 1 && name[1] == ':')) {
    return refuse("has an absolute path");
  }
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    if (name.substr(at, end - at) == "..") return refuse("lies outside of the archive");
    at = end + 1;
  }
  return {};
}

}  // namespace

Result<ZipDirectory> read_zip_end(std::span<const uint8_t> tail, uint64_t file_size) {
  if (tail.size() < kEnd || tail.size() > file_size) return broken("it has no end record");
  size_t at = tail.size() - kEnd;
  while (!has_signature(tail, at, 0x06054b50) ||
         little(tail, at + 20, 2) != tail.size() - at - kEnd) {
    if (at == 0) return broken("it has no end record, so it is not complete");
    --at;
  }
  const uint64_t end_offset = file_size - tail.size() + at;
  ZipDirectory directory{.offset = little(tail, at + 16, 4),
                         .size = little(tail, at + 12, 4),
                         .count = little(tail, at + 10, 2)};
  const bool is_split = little(tail, at + 4, 2) != 0 && little(tail, at + 4, 2) != UINT16_MAX;
  if (is_split) return unsupported("a zip archive in several parts");
  uint64_t limit = end_offset;
  if (at >= 20 && has_signature(tail, at - 20, 0x07064b50)) {
    const uint64_t record = little(tail, at - 20 + 8, 8);
    const uint64_t tail_offset = file_size - tail.size();
    if (record < tail_offset || record > end_offset || end_offset - record < 56 ||
        !has_signature(tail, static_cast<size_t>(record - tail_offset), 0x06064b50)) {
      return broken("its zip64 end record is not where it should be");
    }
    const auto from = static_cast<size_t>(record - tail_offset);
    directory.count = little(tail, from + 32, 8);
    directory.size = little(tail, from + 40, 8);
    directory.offset = little(tail, from + 48, 8);
    limit = record;
  }
  if (directory.offset > limit || directory.size > limit - directory.offset ||
      directory.count > directory.size / kCentral) {
    return broken(cat("its directory of ", directory.count, " entries, ", directory.size,
                      " bytes at ", directory.offset, ", is not inside the file of ", file_size));
  }
  return directory;
}

Result<std::vector<ZipEntry>> read_zip_directory(std::span<const uint8_t> bytes,
                                                 const ZipDirectory& directory) {
  std::vector<ZipEntry> entries;
  std::set<std::string, std::less<>> names;
  size_t at = 0;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (at + kCentral > bytes.size() || !has_signature(bytes, at, 0x02014b50)) {
      return broken(cat("entry ", i, " of its directory is cut off"));
    }
    const auto name_size = static_cast<size_t>(little(bytes, at + 28, 2));
    const auto extra_size = static_cast<size_t>(little(bytes, at + 30, 2));
    const auto comment_size = static_cast<size_t>(little(bytes, at + 32, 2));
    const uint64_t flags = little(bytes, at + 8, 2);
    ZipEntry entry{.header_offset = little(bytes, at + 42, 4),
                   .stored_size = little(bytes, at + 20, 4),
                   .size = little(bytes, at + 24, 4),
                   .crc = static_cast<uint32_t>(little(bytes, at + 16, 4)),
                   .method = static_cast<uint16_t>(little(bytes, at + 10, 2))};
    at += kCentral;
    if (name_size + extra_size + comment_size > bytes.size() - at) {
      return broken(cat("entry ", i, " of its directory is cut off"));
    }
    entry.name.assign(reinterpret_cast<const char*>(bytes.data() + at), name_size);
    QUERN_TRY(check_name(entry.name));
    QUERN_TRY(read_zip64(bytes.subspan(at + name_size, extra_size), entry));
    at += name_size + extra_size + comment_size;
    if ((flags & 1) != 0) return unsupported(cat("encrypted zip entry '", entry.name, "'"));
    if (entry.header_offset > directory.offset ||
        directory.offset - entry.header_offset < kZipLocalHeader + name_size ||
        entry.stored_size > directory.offset - entry.header_offset - kZipLocalHeader - name_size) {
      return broken(cat("entry '", entry.name, "' of ", entry.stored_size, " bytes at ",
                        entry.header_offset, " is not inside the archive"));
    }
    if (!names.insert(entry.name).second) {
      return broken(cat("it has two entries '", entry.name, "'"));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<uint64_t> zip_data_offset(const ZipEntry& entry, std::span<const uint8_t> header,
                                 uint64_t limit) {
  if (header.size() < kZipLocalHeader || !has_signature(header, 0, 0x04034b50)) {
    return broken(cat("entry '", entry.name, "' has no local header"));
  }
  const uint64_t offset =
      entry.header_offset + kZipLocalHeader + little(header, 26, 2) + little(header, 28, 2);
  if (offset > limit || entry.stored_size > limit - offset) {
    return broken(cat("entry '", entry.name, "' is not inside the archive"));
  }
  return offset;
}

Result<std::vector<uint8_t>> unzip(const ZipEntry& entry, std::span<const uint8_t> stored) {
  std::vector<uint8_t> out;
  if (entry.method == 0) {
    out.assign(stored.begin(), stored.end());
  } else if (entry.method == 8) {
    // The decoder wants zlib's frame around the same data.
    std::vector<uint8_t> stream = {0x78, 0x01};
    stream.insert(stream.end(), stored.begin(), stored.end());
    auto inflated = image::inflate(stream, static_cast<size_t>(entry.size));
    if (!inflated) return broken(cat("entry '", entry.name, "': ", inflated.error().message));
    out = *std::move(inflated);
  } else {
    return unsupported(cat("zip entry '", entry.name, "' is compressed by method ", entry.method,
                           "; stored and deflated ones are read"));
  }
  if (out.size() != entry.size) {
    return broken(cat("entry '", entry.name, "' has ", out.size(), " bytes, not ", entry.size));
  }
  if (crc32(out) != entry.crc) return broken(cat("entry '", entry.name, "' is damaged (CRC)"));
  return out;
}

uint32_t crc32(std::span<const uint8_t> bytes) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t code = i;
      for (int bit = 0; bit < 8; ++bit) code = code >> 1 ^ ((code & 1) != 0 ? 0xedb88320u : 0);
      table[i] = code;
    }
    return table;
  }();
  uint32_t crc = UINT32_MAX;
  for (const uint8_t byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ byte) & 255];
  return ~crc;
}

}  // namespace quern
