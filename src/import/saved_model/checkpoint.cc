#include "import/saved_model/checkpoint.h"

#include <algorithm>
#include <tuple>

#include "import/saved_model/sstable.h"
#include "import/tensorflow/graph_def.h"

namespace quern::saved_model {
namespace {

using tensorflow::Emitter;
using tensorflow::Tensor;

constexpr size_t kMostShards = 99'999;  // names have five digits
/// Ranges that are closer than this are read as one.
constexpr uint64_t kGap = 4096;

Result<CheckpointEntry> read_entry(std::string_view key, Bytes message) {
  CheckpointEntry out;
  FieldReader in(message);
  while (in.next()) {
    switch (in.key()) {
      case varint_field(1):
        out.type = in.integer();
        break;
      case bytes_field(2): {
        QUERN_ASSIGN(const auto shape, tensorflow::read_shape(in.bytes()));
        if (!shape) return invalid_model(cat("variable '", key, "' is of unknown rank"));
        out.dims = *shape;
        break;
      }
      case varint_field(3):
        out.shard = static_cast<size_t>(in.value());
        break;
      case varint_field(4):
        out.offset = in.value();
        break;
      case varint_field(5):
        out.size = in.value();
        break;
      case fixed32_field(6):
        out.checksum = static_cast<uint32_t>(in.value());
        break;
      case bytes_field(7):
        out.is_sliced = true;
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  return out;
}

}  // namespace

Result<void> Checkpoint::read_index(Bytes file) {
  QUERN_ASSIGN(const std::vector<TableEntry> table, read_table(file));
  // The header has the empty key, and so comes first.
  if (table.empty() || !table[0].key.empty()) {
    return invalid_model("a checkpoint's index without header");
  }
  FieldReader header(table[0].value);
  shards_ = 0;
  while (header.next()) {
    if (header.key() == varint_field(1)) shards_ = static_cast<size_t>(header.value());
    if (header.key() == varint_field(2) && header.value() != 0) {
      return unsupported("a checkpoint of a big-endian machine");
    }
  }
  QUERN_TRY(header.status());
  if (shards_ == 0 || shards_ > kMostShards) {
    return invalid_model(cat("a checkpoint of ", shards_, " shards"));
  }
  for (size_t i = 1; i < table.size(); ++i) {
    QUERN_ASSIGN(CheckpointEntry entry, read_entry(table[i].key, table[i].value));
    entries_.emplace(table[i].key, std::move(entry));
  }
  return {};
}

std::string Checkpoint::shard_file(size_t shard) const {
  const auto digits = [](size_t number) {
    const std::string text = cat(number);
    return std::string(5 - std::min<size_t>(text.size(), 5), '0') + text;
  };
  return cat("variables/variables.data-", digits(shard), "-of-", digits(shards_));
}

std::vector<ByteRange> Checkpoint::sizes() const {
  std::vector<ByteRange> out;
  for (size_t i = 0; i < shards_; ++i) out.push_back({0, 8, shard_file(i), true});
  return out;
}

Result<void> Checkpoint::take_sizes(std::span<const std::span<const uint8_t>> bytes) {
  if (bytes.size() != shards_) return internal_error("sizes of other shards");
  for (const auto part : bytes) {
    if (part.size() != 8) return internal_error("a size was asked for");
    shard_sizes_.push_back(load_bits(DType::kU64, part.data(), 0));
  }
  return {};
}

const CheckpointEntry* Checkpoint::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<void> Checkpoint::check_place(std::string_view key, const CheckpointEntry& entry) const {
  if (entry.is_sliced) {
    return unsupported(cat("variable '", key, "' is partitioned over several tensors"));
  }
  if (entry.shard >= shard_sizes_.size()) {
    return invalid_model(
        cat("variable '", key, "' lies in shard ", entry.shard, " of ", shard_sizes_.size()));
  }
  const uint64_t end = shard_sizes_[entry.shard];
  if (entry.offset > end || entry.size > end - entry.offset) {
    return invalid_model(cat("variable '", key, "' lies at byte ", entry.offset, " of ",
                             shard_file(entry.shard), ", which has ", end));
  }
  const DType dtype = tensorflow::dtype_of(entry.type);
  if (bit_width(dtype) == 0) return {};
  const auto count = element_count(entry.dims);
  if (!count) return invalid_model(cat("variable '", key, "': ", count.error().message));
  const uint64_t bytes = byte_size(dtype, static_cast<uint64_t>(*count));
  if (bytes == entry.size) return {};
  return invalid_model(cat("variable '", key, "' of ", bytes, " bytes has ", entry.size));
}

Result<std::vector<ByteRange>> Checkpoint::wanted(const std::vector<std::string>& keys,
                                                  uint64_t below, uint64_t memory_limit) {
  wanted_.clear();
  uint64_t total = 0;
  for (const std::string& key : keys) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    CheckpointEntry& entry = found->second;
    // What is wrong with a variable is told where it is loaded.
    if (entry.size >= below || !check_place(key, entry)) continue;
    total += entry.size;
    if (total > memory_limit) {
      return limit_exceeded(cat("variables take more than ", memory_limit, " bytes"));
    }
    wanted_.push_back({&entry, found->first});
  }
  std::ranges::sort(wanted_, {}, [](const Wanted& one) {
    return std::tuple(one.entry->shard, one.entry->offset, one.key);
  });
  const auto repeated = std::ranges::unique(wanted_, {}, &Wanted::key);
  wanted_.erase(repeated.begin(), repeated.end());
  std::vector<ByteRange> out;
  size_t shard = SIZE_MAX;
  for (Wanted& one : wanted_) {
    const CheckpointEntry& entry = *one.entry;
    if (shard != entry.shard || entry.offset > out.back().offset + out.back().length + kGap) {
      shard = entry.shard;
      out.push_back({entry.offset, 0, shard_file(shard)});
    }
    ByteRange& range = out.back();
    one.range = out.size() - 1;
    one.at = entry.offset - range.offset;
    range.length = std::max(range.length, one.at + entry.size);
  }
  return out;
}

Result<void> Checkpoint::take(std::span<const std::span<const uint8_t>> bytes) {
  for (const Wanted& one : wanted_) {
    CheckpointEntry& entry = *one.entry;
    if (one.range >= bytes.size() || one.at + entry.size > bytes[one.range].size()) {
      return internal_error("other ranges were asked for");
    }
    const Bytes content =
        bytes[one.range].subspan(static_cast<size_t>(one.at), static_cast<size_t>(entry.size));
    // That of strings is of their lengths and contents, in another order.
    if (tensorflow::dtype_of(entry.type) != DType::kString &&
        masked_crc32c({content}) != entry.checksum) {
      return invalid_model(cat("variable '", one.key, "' is damaged (CRC-32C)"));
    }
    entry.contents.assign(content.begin(), content.end());
  }
  return {};
}

Result<Bytes> Checkpoint::string_of(std::string_view key) const {
  const CheckpointEntry* entry = find(key);
  const auto broken = [&] {
    return invalid_model(cat("'", key, "' of the checkpoint is damaged"));
  };
  if (entry == nullptr || tensorflow::dtype_of(entry->type) != DType::kString) return broken();
  // Its length, the checksum of lengths, its bytes.
  Bytes rest = entry->contents;
  uint64_t length = 0;
  if (!read_varint(rest, length) || rest.size() < 4 || length != rest.size() - 4) return broken();
  return rest.subspan(4);
}

Tensor Checkpoint::load(Emitter& b, std::string_view key) {
  const auto nothing = [&](ErrorCode code, std::string message) {
    b.fail(code, std::move(message));
    return Tensor{};
  };
  const CheckpointEntry* entry = find(key);
  if (entry == nullptr) {
    return nothing(ErrorCode::kInvalidModel,
                   cat("the checkpoint has no tensor '", key, "' for the variable"));
  }
  const DType dtype = tensorflow::dtype_of(entry->type);
  if (bit_width(dtype) == 0) {
    return nothing(ErrorCode::kUnsupported,
                   cat("variable '", key, "' is of type ",
                       dtype == DType::kString ? "string" : cat("number ", entry->type)));
  }
  if (const auto fits = check_place(key, *entry); !fits) {
    return nothing(fits.error().code, fits.error().message);
  }
  const auto [loaded, is_new] = loaded_.try_emplace(std::string(key));
  if (!is_new) return loaded->second;
  Tensor& out = loaded->second;
  if (entry->contents.size() == entry->size) {
    std::vector<uint8_t> bytes = entry->contents;
    if (dtype == DType::kBool) {
      for (uint8_t& byte : bytes) byte = byte != 0;
    }
    out = b.constant({dtype, entry->dims, std::move(bytes), {}});
  } else {
    out = b.weight({std::string(key), dtype, entry->dims, entry->size, shard_file(entry->shard),
                    entry->offset},
                   table);
  }
  return out;
}

}  // namespace quern::saved_model
