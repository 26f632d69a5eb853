// Sorted tables of strings as LevelDB writes them (doc/table_format.md there; in TensorFlow
// tensorflow/core/lib/io/table.cc): the index of a checkpoint is one.
#pragma once

#include <string>
#include <vector>

#include "import/scan/protobuf.h"

namespace quern {

struct TableEntry {
  std::string key;
  Bytes value;  ///< a view into the file
};

/// All entries of a table file, ascending by key. kInvalidModel where it is damaged: checksums of
/// blocks are verified; kUnsupported for compressed blocks; kLimit past a million entries or 64 MB
/// of keys.
Result<std::vector<TableEntry>> read_table(Bytes file);

/// CRC-32C (Castagnoli) of all parts together, masked as LevelDB stores it.
uint32_t masked_crc32c(std::initializer_list<Bytes> parts);

}  // namespace quern
