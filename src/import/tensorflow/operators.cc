#include "import/tensorflow/operators.h"

#include <unordered_map>

namespace quern::tensorflow {

std::vector<std::span<const Operator>> all_operators() {
  return {elementwise_operators(), binary_operators(), convolution_operators(),
          image_operators(),       matrix_operators(), norm_operators(),
          reduction_operators(),   tensor_operators(), slice_operators(),
          creation_operators(),    search_operators(), list_operators(),
          control_operators()};
}

const Operator* find_operator(std::string_view name) {
  using Index = std::unordered_map<std::string_view, const Operator*>;
  static const Index kIndex = [] {
    Index index;
    for (const auto& group : all_operators()) {
      for (const Operator& op : group) index.emplace(op.name, &op);
    }
    return index;
  }();
  const auto found = kIndex.find(name);
  return found == kIndex.end() ? nullptr : found->second;
}

size_t output_index(std::string_view op, const InputName& name) {
  const Operator* found = find_operator(op);
  if (found == nullptr || name.output.empty()) return name.index;
  size_t index = 0;
  const std::string_view names = found->outputs;
  for (size_t at = 0; at < names.size(); ++index) {
    const size_t end = std::min(names.find(' ', at), names.size());
    if (names.substr(at, end - at) == name.output) return index + name.index;
    at = end + 1;
  }
  return name.index;
}

}  // namespace quern::tensorflow
