// Why a model is planned by the contents of its inputs, in words: it is then no package.
#include <algorithm>
#include <set>

#include "api/session.h"
#include "ops/op_def.h"

namespace quern {

std::string Session::host_reader(uint32_t input) const {
  const auto at = std::ranges::find(main_.inputs, input);
  if (at == main_.inputs.end()) return "the graph is planned by what is in it";
  const Graph& graph = *main_.graph;
  // The input and what the host computes from it.
  std::set<const Value*> known = {graph.inputs[static_cast<size_t>(at - main_.inputs.begin())]};
  std::string reader;
  for_each_node(*main_.graph, [&](Node& node) {
    const OpDef* def = find_op(node);
    for (size_t i = 0; reader.empty() && i < node.inputs.size(); ++i) {
      if (node.inputs[i] == nullptr || !known.contains(node.inputs[i])) continue;
      const bool decides = def != nullptr && i < 32 && (def->host_inputs >> i & 1) != 0;
      if (decides || has_strings(node) || (def != nullptr && def->is_host)) {
        reader = node.describe();
      } else if (main_.placement.host_node[node.id] != 0) {
        known.insert(node.outputs.begin(), node.outputs.end());
      }
    }
  });
  return reader.empty() ? "the graph is planned by what is in it"
                        : cat(reader, " needs it on the host");
}

}  // namespace quern
