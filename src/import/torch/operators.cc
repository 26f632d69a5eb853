#include "import/torch/operators.h"

#include <unordered_map>

namespace quern::torch {

std::vector<std::span<const Operator>> all_operators() {
  return {elementwise_operators(), binary_operators(), view_operators(),   tensor_operators(),
          creation_operators(),    index_operators(),  matrix_operators(), conv_operators(),
          image_operators(),       norm_operators(),   reduce_operators(), recurrent_operators(),
          size_operators()};
}

namespace {

bool has_word(std::string_view words, std::string_view word) {
  for (size_t at = 0; at <= words.size();) {
    const size_t end = std::min(words.find(' ', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

const Operator* look_up(std::string_view name, std::string_view overload) {
  using Index = std::unordered_multimap<std::string_view, const Operator*>;
  static const Index kIndex = [] {
    Index index;
    for (const auto& group : all_operators()) {
      for (const Operator& op : group) index.emplace(op.name, &op);
    }
    return index;
  }();
  const auto [begin, end] = kIndex.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (has_word(it->second->overloads, overload)) return it->second;
  }
  return nullptr;
}

}  // namespace

Found find_operator(std::string_view target) {
  // "_operator.add" and "math.floor" have no overloads.
  const size_t first = target.find('.');
  if (first == target.npos) return {};
  const size_t second = target.find('.', first + 1);
  const std::string_view name = target.substr(0, second);
  const std::string_view overload =
      second == target.npos ? std::string_view() : target.substr(second + 1);
  if (const Operator* op = look_up(name, overload)) return {op, false};
  // aten.relu_ is aten.relu in place.
  if (name.ends_with('_') && !name.ends_with("__")) {
    return {look_up(name.substr(0, name.size() - 1), overload), true};
  }
  return {};
}

}  // namespace quern::torch
