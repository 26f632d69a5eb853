// Zip archives (APPNOTE 6.3.10): the list of files, and where their bytes lie. The caller reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace quern {

/// An entry of the central directory.
struct ZipEntry {
  std::string name;
  uint64_t header_offset = 0;  ///< of its local header, which comes before its bytes
  uint64_t stored_size = 0;    ///< in the archive
  uint64_t size = 0;           ///< decompressed
  uint32_t crc = 0;
  uint16_t method = 0;  ///< 0 stored, 8 deflate; others are refused where the entry is read
};

/// A local header without its name and extra field.
inline constexpr uint64_t kZipLocalHeader = 30;

/// Where the central directory is, as the end of the archive says it.
struct ZipDirectory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t count = 0;
};

/// Bytes at the end of a file that always hold the end record (22 bytes, a comment of up to 65,535,
/// zip64's locator and record).
inline constexpr uint64_t kZipTail = 65535 + 22 + 20 + 56;

/// Reads the end record, zip64's too. `tail` is the last part of a file of `file_size` bytes, of
/// kZipTail bytes or the whole file.
Result<ZipDirectory> read_zip_end(std::span<const uint8_t> tail, uint64_t file_size);

/// Reads the central directory. kInvalidModel where an entry lies outside of the file, two have one
/// name, or a name leads out of the archive; kUnsupported where one is encrypted.
Result<std::vector<ZipEntry>> read_zip_directory(std::span<const uint8_t> bytes,
                                                 const ZipDirectory& directory);

/// The offset in the file of an entry's bytes, which end before `limit`; `header` begins at
/// entry.header_offset.
Result<uint64_t> zip_data_offset(const ZipEntry& entry, std::span<const uint8_t> header,
                                 uint64_t limit);

/// An entry's contents from its bytes in the archive; kInvalidModel where they are not what the
/// directory says (size, CRC-32), kUnsupported for other methods of compression than deflate.
Result<std::vector<uint8_t>> unzip(const ZipEntry& entry, std::span<const uint8_t> stored);

/// CRC-32 as in zip and PNG.
uint32_t crc32(std::span<const uint8_t> bytes);

}  // namespace quern
