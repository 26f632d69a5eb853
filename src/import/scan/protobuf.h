// Reading protobuf messages field by field, without allocation.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern {

using Bytes = std::span<const uint8_t>;

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Wire types; the group types 3 and 4 are not read.
enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// A field's number and wire type as one number, for `switch`: a known number under another wire
/// type then falls to the unknown fields, which is protobuf's own rule.
constexpr uint32_t varint_field(uint32_t number) { return number << 3; }
constexpr uint32_t fixed64_field(uint32_t number) { return number << 3 | 1; }
constexpr uint32_t bytes_field(uint32_t number) { return number << 3 | 2; }
constexpr uint32_t fixed32_field(uint32_t number) { return number << 3 | 5; }

/// Walks the fields of one message:
///   FieldReader in(message);
///   while (in.next()) switch (in.key()) { case bytes_field(1): name = in.text(); ... }
///   QUERN_TRY(in.status());
class FieldReader {
 public:
  explicit FieldReader(Bytes message) : begin_(message.data()), rest_(message) {}

  /// Reads the next field; false at the end and at an error.
  bool next();
  /// kInvalidModel where reading stopped at malformed bytes.
  [[nodiscard]] Result<void> status() const;

  [[nodiscard]] uint32_t key() const { return key_; }
  [[nodiscard]] uint32_t number() const { return key_ >> 3; }
  /// The value of a varint or fixed field.
  [[nodiscard]] uint64_t value() const { return value_; }
  [[nodiscard]] int64_t integer() const { return static_cast<int64_t>(value_); }
  [[nodiscard]] float f32() const { return std::bit_cast<float>(static_cast<uint32_t>(value_)); }
  /// The value of a bytes field: a view into the message.
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] std::string_view text() const { return text_of(bytes_); }
  /// What follows the field.
  [[nodiscard]] Bytes rest() const { return rest_; }

 private:
  const uint8_t* begin_;
  Bytes rest_;
  uint32_t key_ = 0;
  uint64_t value_ = 0;
  Bytes bytes_;
  bool failed_ = false;
};

/// Reads one varint from the front of `rest`; false where there is none.
bool read_varint(Bytes& rest, uint64_t& value);
/// Appends a repeated integer field's value: a single varint, or a packed run of them.
Result<void> append_varints(const FieldReader& field, std::vector<int64_t>& out);
/// Likewise for floats: a single one, or a packed run.
Result<void> append_floats(const FieldReader& field, std::vector<float>& out);

}  // namespace quern
