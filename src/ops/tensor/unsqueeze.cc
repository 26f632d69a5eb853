// Unsqueeze: with axes of extent 1 put in (given by an attribute before operator set 13).
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axes", AttributeKind::kInts}};

Result<void> infer_unsqueeze(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  const IntList list = int_list(c, "axes", 1, 13);
  if (!list.present) return c.error("axes are missing");
  if (shape == nullptr || !list.known) return {};
  const size_t rank = shape->size() + list.values.size();
  QUERN_ASSIGN(std::vector<size_t> axes, resolve_axes(c.node(), list.values, rank));
  Shape result;
  auto next = shape->begin();
  for (size_t a = 0; a < rank; ++a) {
    result.push_back(std::ranges::find(axes, a) != axes.end() ? Dim(1) : *next++);
  }
  c.set(0, c.dtype(0), std::move(result));
  pass_contents(c);
  return {};
}

}  // namespace

extern const OpDef op_unsqueeze;
const OpDef op_unsqueeze = {
    .name = "Unsqueeze",
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .is_view = true,
    .infer = infer_unsqueeze,
};

}  // namespace quern
