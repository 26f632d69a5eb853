// Unique of com.microsoft: the different elements of a list in the order of their first occurrence,
// which one each is, and how often it occurs.
#include "ops/common/microsoft.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(0, 1));
  const Shape* x = c.shape(0);
  const Dim all = x != nullptr ? (*x)[0] : c.fresh_dim(1, 0);
  const Dim found = c.fresh_dim(0, 0, 0, std::max<int64_t>(all.upper(), 0));
  c.set(0, c.dtype(0), Shape{found});
  c.set(1, DType::kI64, Shape{all});
  c.set(2, DType::kI64, Shape{found});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const std::vector<Value*> unique =
      e.add_many("Unique", {node.input(0)}, 4, {{"sorted", int64_t{0}}});
  constexpr size_t kPlaces[] = {0, 2, 3};
  for (size_t i = 0; i < 3; ++i) e.replace(i, unique[kPlaces[i]]);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_microsoft_unique;
const OpDef op_microsoft_unique = {
    .name = "Unique",
    .domain = "com.microsoft",
    .min_outputs = 3,
    .max_outputs = 3,
    .types = kScalarTypes | type_bit(DType::kString),
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
