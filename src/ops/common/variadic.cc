#include "ops/common/variadic.h"

#include <algorithm>
#include <utility>

namespace quern {

Result<bool> expand_into_tree(Graph& graph, Node& node) {
  if (node.inputs.size() <= kMaxKernelInputs) return false;
  std::vector<Value*> level = node.inputs;
  while (level.size() > 1) {
    std::vector<Value*> next;
    for (size_t first = 0; first < level.size(); first += kMaxKernelInputs) {
      const size_t last = std::min(first + kMaxKernelInputs, level.size());
      if (last - first == 1) {
        next.push_back(level[first]);
        continue;
      }
      const auto begin = level.begin();
      Node* part = graph.add_node(
          node.op, {begin + static_cast<ptrdiff_t>(first), begin + static_cast<ptrdiff_t>(last)}, 1,
          &node, node.domain, node.version);
      part->attributes = node.attributes;
      part->name = cat(node.name, ".", part->id);
      next.push_back(part->outputs[0]);
    }
    level = std::move(next);
  }
  level[0]->type = node.outputs[0]->type;
  level[0]->contents = node.outputs[0]->contents;
  graph.replace_uses(node.outputs[0], level[0]);
  graph.erase(&node);
  return true;
}

}  // namespace quern
