// Why a model is planned by the contents of its inputs, in words: it is then no package.
#include <algorithm>

#include "api/session.h"
#include "ops/op_def.h"

namespace quern {

std::string Session::host_reader(uint32_t input) const {
  const auto at = std::ranges::find(main_.inputs, input);
  if (at == main_.inputs.end()) return "the graph is planned by what is in it";
  const Value* value = main_.graph->inputs[static_cast<size_t>(at - main_.inputs.begin())];
  std::string first;
  std::string on_host;
  for_each_node(*main_.graph, [&](Node& node) {
    if (std::ranges::find(node.inputs, value) == node.inputs.end()) return;
    const OpDef* def = find_op(node);
    const bool needs = main_.placement.host_node[node.id] != 0 || has_strings(node) ||
                       (def != nullptr && (def->is_control || def->is_host));
    if (first.empty()) first = node.describe();
    if (needs && on_host.empty()) on_host = node.describe();
  });
  const std::string& reader = on_host.empty() ? first : on_host;
  return reader.empty() ? "the graph is planned by what is in it"
                        : cat(reader, " reads it on the host");
}

}  // namespace quern
