// Exports arrive decomposed: here the operators that they were written with are found again.
#include "passes/recognise.h"

#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

struct Family {
  std::string_view name;
  int (*find)(Graph&);
  // What it makes; it is skipped where a build lacks that.
  std::string_view op, domain;
  int version;
};
/// In order: a LayerNorm holds what looks like an RMSNorm.
constexpr Family kFamilies[] = {
    {"attention", find_attention, "Attention", "quern", 1},
    {"layer norm", find_layer_norm, "LayerNormalization", "", 17},
    {"rms norm", find_rms_norm, "RMSNormalization", "", 23},
    {"group norm", find_group_norm, "GroupNormalization", "", 21},
    {"gelu", find_gelu, "Gelu", "", 20},
    {"swish", find_swish, "Swish", "", 24},
    {"hard swish", find_hard_swish, "HardSwish", "", 14},
};

}  // namespace

Result<void> recognise(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = *graph.nodes()[i];
    if (node.is("Fused", "quern")) continue;
    for (Graph* body : node.subgraphs()) QUERN_TRY(recognise(*body, report));
  }
  for (const Family& family : kFamilies) {
    if (find_op(family.op, family.domain, family.version) == nullptr) continue;
    const int hits = family.find(graph);
    if (hits != 0) report.hits[std::string(family.name)] += hits;
  }
  return {};
}

}  // namespace quern
