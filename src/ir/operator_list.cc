#include "ir/operator_list.h"

#include <algorithm>

#include "base/text.h"

namespace quern {
namespace {

constexpr size_t kMaxListed = 32;  // operators in one error

}  // namespace

void OperatorList::add(const Node& node, std::string_view of) {
  add(cat(node.op, " (domain ", node.domain.empty() ? "ai.onnx" : node.domain, ", opset ",
          node.version, ")", of.empty() ? "" : " of ", of),
      node.name);
}

void OperatorList::add(std::string op, std::string_view place) {
  const auto [entry, added] = entries_.try_emplace(op, Entry{std::string(place)});
  ++entry->second.count;
  if (added) order_.push_back(std::move(op));
}

std::string OperatorList::text(std::string_view kind) const {
  std::string out;
  for (size_t i = 0; i < std::min(order_.size(), kMaxListed); ++i) {
    const Entry& one = entries_.at(order_[i]);
    if (i > 0) out += "; ";
    out += cat(order_[i], " at ", kind, " '", one.first, "'");
    if (one.count > 1) out += cat(" and ", one.count - 1, " more");
  }
  if (order_.size() > kMaxListed) out += cat("; and ", order_.size() - kMaxListed, " others");
  return out;
}

}  // namespace quern
