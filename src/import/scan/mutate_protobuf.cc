#include "import/scan/mutate_protobuf.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "import/scan/protobuf.h"

namespace quern {
namespace {

/// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  /// In [0, limit), 0 where limit is 0.
  size_t below(size_t limit) { return limit ? static_cast<size_t>(next() % limit) : 0; }

 private:
  uint64_t state_;
};

uint8_t kind_of(uint8_t message, uint32_t field, std::span<const FieldRule> rules) {
  for (const FieldRule& rule : rules) {
    if (rule.message == message && rule.field == field) return rule.child;
  }
  return kLeafUnknown;
}

/// A field: a message of a known kind with its fields, or a leaf.
struct Field {
  uint32_t key = 0;
  uint8_t kind = kLeafUnknown;
  uint64_t value = 0;           // of a varint or fixed field
  std::string bytes;            // of a leaf
  std::vector<Field> children;  // of a message
};

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

std::vector<Field> parse(Bytes message, uint8_t kind, std::span<const FieldRule> rules) {
  std::vector<Field> fields;
  FieldReader in(message);
  while (in.next()) {
    Field field{.key = in.key(), .kind = kLeafNumber, .value = in.value()};
    if ((in.key() & 7) == 2) {
      field.kind = kind_of(kind, in.number(), rules);
      if (field.kind < kLeafInts) {
        field.children = parse(in.bytes(), field.kind, rules);
      } else {
        field.bytes = in.text();
      }
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

void write(const std::vector<Field>& fields, std::string& out) {
  for (const Field& field : fields) {
    put_varint(out, field.key);
    switch (field.key & 7) {
      case 0:
        put_varint(out, field.value);
        break;
      case 1:
        out.append(reinterpret_cast<const char*>(&field.value), 8);
        break;
      case 5:
        out.append(reinterpret_cast<const char*>(&field.value), 4);
        break;
      default: {
        std::string inner;
        if (field.kind < kLeafInts) write(field.children, inner);
        const std::string& bytes = field.kind < kLeafInts ? inner : field.bytes;
        put_varint(out, bytes.size());
        out += bytes;
      }
    }
  }
}

class Mutator {
 public:
  Mutator(std::span<const FieldRule> rules, uint64_t seed) : rules_(rules), random_(seed) {}

  std::vector<uint8_t> run(std::span<const uint8_t> model) {
    std::string bytes(text_of(model));
    // Most changes go by the structure: other bytes seldom get past the parser.
    if (random_.below(10) < 8) {
      std::vector<Field> fields = parse(model, 0, rules_);
      for (size_t n = 1 + random_.below(2); n-- > 0;) change_structure(fields);
      bytes.clear();
      write(fields, bytes);
    } else {
      for (size_t n = 1 + random_.below(3); n-- > 0;) change_bytes(bytes);
    }
    return {bytes.begin(), bytes.end()};
  }

 private:
  int64_t number(int64_t old) {
    constexpr int64_t kNumbers[] = {
        0,         1,         -1, 2,         3,         7,         16,        255,       65536,
        INT32_MAX, INT32_MIN, -2, INT64_MAX, INT64_MIN, 1LL << 31, 1LL << 32, 1LL << 53, 1LL << 62};
    switch (random_.below(4)) {
      case 0:
        return kNumbers[random_.below(std::size(kNumbers))];
      case 1:
        return static_cast<int64_t>(static_cast<uint64_t>(old) + random_.below(5) - 2);
      case 2:
        return static_cast<int64_t>(random_.below(30));
      default:
        return static_cast<int64_t>(static_cast<uint64_t>(old) ^ uint64_t{1} << random_.below(8));
    }
  }

  uint32_t float_bits() {
    constexpr uint32_t kBits[] = {0,          0x80000000, 0x3f800000, 0x7f800000, 0xff800000,
                                  0x7fc00000, 0x00000001, 0x7149f2ca, 0x3f000000, 0xbf800000};
    return kBits[random_.below(std::size(kBits))];
  }

  void change_structure(std::vector<Field>& root) {
    // The fields of the whole model, with the lists they are in.
    struct Place {
      std::vector<Field>* list;
      size_t index;
    };
    std::vector<Place> places;
    std::vector<std::vector<Field>*> lists{&root};
    for (size_t i = 0; i < lists.size(); ++i) {
      for (size_t k = 0; k < lists[i]->size(); ++k) {
        places.push_back({lists[i], k});
        if (!(*lists[i])[k].children.empty()) lists.push_back(&(*lists[i])[k].children);
      }
    }
    if (places.empty()) return;
    const Place place = places[random_.below(places.size())];
    std::vector<Field>& list = *place.list;
    Field& field = list[place.index];
    const auto at = list.begin() + static_cast<ptrdiff_t>(place.index);
    if (random_.below(10) < 7) {
      change_leaf(field, [&]() -> const Field& {
        const Place other = places[random_.below(places.size())];
        return (*other.list)[other.index];
      });
      return;
    }
    switch (random_.below(4)) {
      case 0:
        list.erase(at);
        break;
      case 1: {
        Field copy = field;
        list.insert(at, std::move(copy));
        break;
      }
      case 2:
        std::swap(field, list[random_.below(list.size())]);
        break;
      default: {
        // A field of the same kind from elsewhere takes its place.
        for (int tries = 0; tries < 20; ++tries) {
          const Place other = places[random_.below(places.size())];
          const Field& from = (*other.list)[other.index];
          if (from.kind != field.kind) continue;
          Field copy = from;
          copy.key = field.key;
          field = std::move(copy);
          break;
        }
      }
    }
  }

  template <class Pick>
  void change_leaf(Field& field, const Pick& other) {
    if (field.kind < kLeafInts) {
      // A message: one of its own leaves.
      if (!field.children.empty()) {
        change_leaf(field.children[random_.below(field.children.size())], other);
      }
      return;
    }
    switch (field.kind) {
      case kLeafNumber:
        if ((field.key & 7) == 0) {
          field.value = static_cast<uint64_t>(number(static_cast<int64_t>(field.value)));
        } else {
          field.value = (field.key & 7) == 5 ? float_bits() : random_.next();
        }
        break;
      case kLeafInts:
        change_packed(field.bytes);
        break;
      case kLeafFloats:
      case kLeafData:
        change_data(field.bytes);
        break;
      case kLeafText: {
        for (int tries = 0; tries < 20 && random_.below(8) > 0; ++tries) {
          const Field& from = other();
          if (from.kind != kLeafText) continue;
          field.bytes = from.bytes;
          return;
        }
        if (random_.below(4) == 0) field.bytes.clear();
        if (!field.bytes.empty()) field.bytes[random_.below(field.bytes.size())] ^= 1;
        break;
      }
      default:
        change_bytes(field.bytes);
    }
  }

  void change_packed(std::string& bytes) {
    std::vector<int64_t> values;
    Bytes rest{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
    for (uint64_t value; !rest.empty() && read_varint(rest, value);) {
      values.push_back(static_cast<int64_t>(value));
    }
    const size_t at = random_.below(values.size());
    const auto where = values.begin() + static_cast<ptrdiff_t>(at);
    switch (values.empty() ? 0 : random_.below(6)) {
      case 0:
        values.insert(where, number(1));
        break;
      case 1:
        values.erase(where);
        break;
      default:
        values[at] = number(values[at]);
    }
    bytes.clear();
    for (const int64_t value : values) put_varint(bytes, static_cast<uint64_t>(value));
  }

  /// Raw data, whose length stays right: another element, as float, int32 or int64.
  void change_data(std::string& bytes) {
    if (bytes.size() < 4) {
      if (!bytes.empty()) bytes[random_.below(bytes.size())] = static_cast<char>(random_.next());
      return;
    }
    const size_t at = random_.below(bytes.size() / 8) * 8;
    if (bytes.size() >= 8 && random_.below(2) == 0) {
      int64_t value;
      std::memcpy(&value, bytes.data() + at, 8);
      value = number(value);
      std::memcpy(bytes.data() + at, &value, 8);
    } else {
      const auto value = random_.below(2) ? float_bits() : static_cast<uint32_t>(number(0));
      std::memcpy(bytes.data() + random_.below(bytes.size() / 4) * 4, &value, 4);
    }
  }

  void change_bytes(std::string& bytes) {
    const size_t at = random_.below(bytes.size());
    const size_t length = std::min(random_.below(random_.below(2) ? 16 : 1024), bytes.size() - at);
    switch (random_.below(8)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random_.below(8));
        break;
      case 2:
        for (size_t i = 0; i < length; ++i) bytes[at + i] = static_cast<char>(random_.next());
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(random_.below(bytes.size() + 1), bytes.substr(at, length));
        break;
      case 5: {
        std::string noise(length, 0);
        for (char& c : noise) c = static_cast<char>(random_.next());
        bytes.insert(at, noise);
        break;
      }
      case 6:
        // Lengths: bytes that look like the one of what follows, made longer or shorter.
        for (size_t i = at; i + 1 < bytes.size(); ++i) {
          const auto size = static_cast<uint8_t>(bytes[i]);
          if ((bytes[i - (i > 0)] & 7) != 2 || size == 0 || i + size >= bytes.size()) continue;
          bytes[i] =
              static_cast<char>(random_.below(4) ? size + random_.below(5) - 2 : random_.next());
          break;
        }
        break;
      default:
        if (random_.below(20) == 0) {
          bytes.assign(random_.below(300), 0);
          for (char& c : bytes) c = static_cast<char>(random_.next());
        } else if (!bytes.empty()) {
          bytes[at] = static_cast<char>(random_.next());
        }
    }
  }

  std::span<const FieldRule> rules_;
  Random random_;
};

}  // namespace

std::vector<uint8_t> mutate_protobuf(std::span<const uint8_t> message,
                                     std::span<const FieldRule> rules, uint64_t seed) {
  return Mutator(rules, seed).run(message);
}

}  // namespace quern

#endif
