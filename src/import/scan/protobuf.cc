// The one file that sees protozero, and so the one that is compiled with exceptions.
#include "import/scan/protobuf.h"

#include <cstring>
#include <protozero/pbf_reader.hpp>

namespace quern {

bool FieldReader::next() {
  if (failed_) return false;
  const char* data = reinterpret_cast<const char*>(rest_.data());
  try {
    protozero::pbf_reader in(data, rest_.size());
    if (!in.next()) return false;
    key_ = in.tag_and_type();
    value_ = 0;
    bytes_ = {};
    switch (in.wire_type()) {
      case protozero::pbf_wire_type::varint:
        value_ = in.get_uint64();
        break;
      case protozero::pbf_wire_type::fixed64:
        value_ = in.get_fixed64();
        break;
      case protozero::pbf_wire_type::fixed32:
        value_ = in.get_fixed32();
        break;
      default: {
        const protozero::data_view view = in.get_view();
        bytes_ = {reinterpret_cast<const uint8_t*>(view.data()), view.size()};
      }
    }
    rest_ = rest_.last(in.length());
    return true;
  } catch (...) {
    failed_ = true;
    return false;
  }
}

Result<void> FieldReader::status() const {
  if (!failed_) return {};
  return invalid_model(cat("malformed protobuf field at byte ", rest_.data() - begin_,
                           " of a message of ", rest_.data() - begin_ + rest_.size(), " bytes"));
}

bool read_varint(Bytes& rest, uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < rest.size() && i < 10; ++i) {
    value |= static_cast<uint64_t>(rest[i] & 0x7f) << (7 * i);
    if (rest[i] < 0x80) {
      rest = rest.subspan(i + 1);
      return true;
    }
  }
  return false;
}

Result<void> append_varints(const FieldReader& field, std::vector<int64_t>& out) {
  if ((field.key() & 7) == 0) {
    out.push_back(field.integer());
    return {};
  }
  uint64_t value;
  for (Bytes rest = field.bytes(); !rest.empty();) {
    if (!read_varint(rest, value)) return invalid_model("malformed packed integers");
    out.push_back(static_cast<int64_t>(value));
  }
  return {};
}

Result<void> append_floats(const FieldReader& field, std::vector<float>& out) {
  if ((field.key() & 7) == 5) {
    out.push_back(field.f32());
    return {};
  }
  const Bytes bytes = field.bytes();
  if (bytes.size() % 4 != 0) return invalid_model("malformed packed floats");
  const size_t at = out.size();
  out.resize(at + bytes.size() / 4);
  if (!bytes.empty()) std::memcpy(out.data() + at, bytes.data(), bytes.size());
  return {};
}

}  // namespace quern
