// Finds an operator's definition by name.
#include <string_view>

#include "ops/op_def.h"

namespace quern {
namespace {

/// Slots of the table: a power of two, more than twice the number of operators.
constexpr size_t kSlots = 1024;

size_t slot_of(std::string_view name) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return (hash ^ hash >> 15) % kSlots;
}

/// Open addressing by name alone: definitions of one name (domains, versions) follow each other.
struct Table {
  const OpDef* slots[kSlots] = {};

  Table() {
    for (const OpDef* def : all_ops()) {
      size_t at = slot_of(def->name);
      while (slots[at] != nullptr) at = (at + 1) % kSlots;
      slots[at] = def;
    }
  }
};

}  // namespace

const OpDef* find_op(std::string_view name, std::string_view domain, int version) {
  static const Table table;
  for (size_t at = slot_of(name); table.slots[at] != nullptr; at = (at + 1) % kSlots) {
    const OpDef& def = *table.slots[at];
    if (def.name == name && def.domain == domain && def.since <= version && version <= def.until) {
      return &def;
    }
  }
  return nullptr;
}

}  // namespace quern
