// Reads FlatBuffers out of a file that is here in parts only: between a model's tables lie its
// weights, which are not wanted. FlatBuffers' own reader and verifier need the whole buffer at one
// address, so this is ours: every offset is checked where it is followed.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "import/convert/importer.h"

namespace quern::tflite {

/// The pages of a file that have been read. Reading others gives nothing, and notes them.
class FileParts {
 public:
  FileParts(uint64_t size, uint64_t limit) : size_(size), limit_(limit), left_(limit) {}

  [[nodiscard]] uint64_t size() const { return size_; }
  /// Copies bytes. False where a page is missing, or where the range leaves the file.
  bool read(uint64_t offset, void* to, size_t length);
  /// Bytes that are read later, or nothing where they are not here yet.
  std::vector<uint8_t> bytes(uint64_t offset, uint64_t length);
  /// Counts bytes that are kept: parts of hostile files may lie over each other. False, and a
  /// failure, past twice the memory limit.
  bool charge(uint64_t bytes);
  /// Notes the pages of a range; false where it leaves the file.
  bool want(uint64_t offset, uint64_t length);
  /// What was missing since the last call, joined.
  std::vector<ByteRange> missing();
  [[nodiscard]] bool is_missing() const { return !missing_.empty(); }
  /// The bytes of a range that missing() gave. kLimit past the memory limit.
  Result<void> add(const ByteRange& range, std::span<const uint8_t> bytes);

  /// The first thing that was wrong, other than missing pages.
  void fail(std::string message) {
    if (!error_) error_ = std::move(message);
  }
  /// Before everything is read anew.
  void restart() {
    error_.reset();
    charged_ = 0;
    looked_up_ = 0;
  }
  [[nodiscard]] const std::optional<std::string>& failure() const { return error_; }

 private:
  static constexpr uint64_t kPage = 8192;

  uint64_t size_;
  uint64_t limit_;
  uint64_t left_;
  uint64_t charged_ = 0;
  uint64_t looked_up_ = 0;  // pages
  std::map<uint64_t, std::vector<uint8_t>> pages_;
  std::map<uint64_t, bool> missing_;
  std::optional<std::string> error_;
};

class Table;

/// A vector of numbers or of offsets. An empty one stands for those that are absent or broken.
class Vector {
 public:
  Vector() = default;
  Vector(FileParts* file, uint64_t at, uint32_t count, size_t width)
      : file_(file), at_(at), count_(count), width_(width) {}

  [[nodiscard]] uint32_t size() const { return count_; }
  /// The place of the first element.
  [[nodiscard]] uint64_t place() const { return at_; }
  [[nodiscard]] Table table(uint32_t i) const;
  /// All elements, of `width` bytes each.
  [[nodiscard]] std::vector<uint8_t> bytes() const;
  template <class T>
  [[nodiscard]] std::vector<T> numbers() const {
    const std::vector<uint8_t> raw = width_ == sizeof(T) ? bytes() : std::vector<uint8_t>();
    std::vector<T> out(raw.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), raw.data(), out.size() * sizeof(T));
    return out;
  }

 private:
  FileParts* file_ = nullptr;
  uint64_t at_ = 0;
  uint32_t count_ = 0;
  size_t width_ = 0;
};

/// A table; fields by their number in the schema. Absent fields have their default.
class Table {
 public:
  Table() = default;
  /// The table at a place of the file.
  Table(FileParts* file, uint64_t at);

  explicit operator bool() const { return file_ != nullptr; }
  template <class T>
  [[nodiscard]] T number(unsigned id, T fallback = {}) const {
    const uint64_t at = place(id, sizeof(T));
    T out = fallback;
    if (at != 0) file_->read(at, &out, sizeof out);
    return out;
  }
  [[nodiscard]] bool flag(unsigned id, bool fallback = false) const {
    return number<uint8_t>(id, fallback ? 1 : 0) != 0;
  }
  [[nodiscard]] Table table(unsigned id) const;
  /// Of elements of that many bytes; 4 for tables.
  [[nodiscard]] Vector vector(unsigned id, size_t width) const;
  [[nodiscard]] std::string text(unsigned id) const;

 private:
  /// Where the field lies, 0 where it is absent.
  [[nodiscard]] uint64_t place(unsigned id, size_t width) const;
  /// Where the field's offset leads, 0 where it is absent.
  [[nodiscard]] uint64_t target(unsigned id) const;

  FileParts* file_ = nullptr;
  uint64_t at_ = 0;
  uint64_t vtable_ = 0;
  uint16_t vtable_size_ = 0;
  uint16_t size_ = 0;
};

/// The root table.
Table root_of(FileParts& file);

}  // namespace quern::tflite
