#include "import/saved_model/sstable.h"

#include <array>

#include "ir/tensor.h"

namespace quern {
namespace {

constexpr size_t kFooter = 48;
constexpr size_t kTrailer = 5;  // how a block is compressed, and its checksum
constexpr uint64_t kMagic = 0xdb4775248b80fb57;
constexpr size_t kMostEntries = 1'000'000;
constexpr size_t kMostKeyBytes = size_t{64} << 20;

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}();

std::unexpected<Error> broken(std::string_view why) {
  return invalid_model(cat("a checkpoint's index is damaged: ", why));
}

/// Where a block lies.
struct Handle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

bool read_handle(Bytes& rest, Handle& out) {
  return read_varint(rest, out.offset) && read_varint(rest, out.size);
}

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file) {}

  Result<std::vector<TableEntry>> read() {
    if (file_.size() < kFooter) return broken("it has no footer");
    Bytes footer = file_.last(kFooter);
    if (load_bits(DType::kU64, footer.data() + kFooter - 8, 0) != kMagic) {
      return broken("it does not end in a table's footer");
    }
    Handle metaindex, index;
    if (!read_handle(footer, metaindex) || !read_handle(footer, index)) {
      return broken("its footer names no blocks");
    }
    QUERN_ASSIGN(const std::vector<TableEntry> blocks, block(index));
    std::vector<TableEntry> out;
    uint64_t end = 0;
    for (const TableEntry& one : blocks) {
      Bytes value = one.value;
      Handle data;
      // Blocks follow each other: none is read twice.
      if (!read_handle(value, data) || data.offset < end) {
        return broken("its blocks are not in order");
      }
      end = data.offset + data.size;
      QUERN_ASSIGN(std::vector<TableEntry> entries, block(data));
      for (TableEntry& entry : entries) {
        if (!out.empty() && entry.key <= out.back().key) {
          return broken("its keys are not in order");
        }
        out.push_back(std::move(entry));
      }
    }
    return out;
  }

 private:
  Result<std::vector<TableEntry>> block(const Handle& at) {
    if (at.size > file_.size() || at.offset > file_.size() - at.size ||
        file_.size() - at.size - at.offset < kTrailer) {
      return broken("a block lies outside of the file");
    }
    const Bytes content =
        file_.subspan(static_cast<size_t>(at.offset), static_cast<size_t>(at.size));
    const Bytes trailer = file_.subspan(static_cast<size_t>(at.offset + at.size), kTrailer);
    const auto stored = static_cast<uint32_t>(load_bits(DType::kU32, trailer.data() + 1, 0));
    if (masked_crc32c({content, trailer.first(1)}) != stored) {
      return broken("the checksum of a block is another");
    }
    if (trailer[0] != 0) {
      return unsupported(cat("a checkpoint's index that is compressed (",
                             trailer[0] == 1 ? "Snappy" : "unknown", "): TensorFlow writes none"));
    }
    return entries(content);
  }

  /// Keys share their beginning with the one before; at restarts, whose places are at the block's
  /// end, they share nothing.
  Result<std::vector<TableEntry>> entries(Bytes content) {
    std::vector<TableEntry> out;
    if (content.size() < 4) return broken("a block without restarts");
    const uint64_t restarts = load_bits(DType::kU32, content.data() + content.size() - 4, 0);
    if (restarts * 4 + 4 > content.size()) {
      return broken("a block of more restarts than bytes");
    }
    Bytes rest = content.first(content.size() - static_cast<size_t>(restarts) * 4 - 4);
    std::string key;
    while (!rest.empty()) {
      uint64_t shared = 0, own = 0, size = 0;
      if (!read_varint(rest, shared) || !read_varint(rest, own) || !read_varint(rest, size) ||
          shared > key.size() || own > rest.size() || size > rest.size() - own) {
        return broken("an entry is longer than its block");
      }
      key.resize(static_cast<size_t>(shared));
      key += text_of(rest.first(static_cast<size_t>(own)));
      rest = rest.subspan(static_cast<size_t>(own));
      key_bytes_ += key.size();
      if (++entries_ > kMostEntries || key_bytes_ > kMostKeyBytes) {
        return limit_exceeded("a checkpoint's index of too many entries");
      }
      out.push_back({key, rest.first(static_cast<size_t>(size))});
      rest = rest.subspan(static_cast<size_t>(size));
    }
    return out;
  }

  Bytes file_;
  size_t entries_ = 0;
  size_t key_bytes_ = 0;
};

}  // namespace

Result<std::vector<TableEntry>> read_table(Bytes file) { return Reader(file).read(); }

uint32_t masked_crc32c(std::initializer_list<Bytes> parts) {
  uint32_t crc = 0xffffffff;
  for (const Bytes part : parts) {
    for (const uint8_t byte : part) crc = crc >> 8 ^ kCrcTable[(crc ^ byte) & 0xff];
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8;
}

}  // namespace quern
