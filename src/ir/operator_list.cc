#include "ir/operator_list.h"

#include <algorithm>

#include "base/text.h"

namespace quern {
namespace {

constexpr size_t kMaxListed = 32;  // operators in one error

}  // namespace

void OperatorList::add(const Node& node, std::string_view of) {
  auto name = cat(node.op, " (domain ", node.domain.empty() ? "ai.onnx" : node.domain, ", opset ",
                  node.version, ")", of.empty() ? "" : " of ", of);
  const auto [entry, added] = entries_.try_emplace(name, Entry{node.name});
  ++entry->second.count;
  if (added) order_.push_back(std::move(name));
}

std::string OperatorList::text() const {
  std::string out;
  for (size_t i = 0; i < std::min(order_.size(), kMaxListed); ++i) {
    const Entry& one = entries_.at(order_[i]);
    if (i > 0) out += "; ";
    out += cat(order_[i], " at node '", one.first, "'");
    if (one.count > 1) out += cat(" and ", one.count - 1, " more");
  }
  if (order_.size() > kMaxListed) out += cat("; and ", order_.size() - kMaxListed, " others");
  return out;
}

}  // namespace quern
