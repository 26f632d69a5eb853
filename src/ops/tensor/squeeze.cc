// Squeeze: without axes of extent 1: those given (an attribute before operator set 13), or all.
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axes", AttributeKind::kInts}};

Result<void> infer_squeeze(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  const IntList list = int_list(c, "axes", 1, 13);
  if (shape == nullptr || (list.present && !list.known)) return {};
  Shape result;
  if (list.present) {
    QUERN_ASSIGN(std::vector<size_t> axes, resolve_axes(c.node(), list.values, shape->size()));
    for (size_t a = 0; a < shape->size(); ++a) {
      if (std::ranges::find(axes, a) == axes.end()) {
        result.push_back((*shape)[a]);
      } else if (proven_equal((*shape)[a], 1) == false) {
        return c.error(cat("axis ", a, " of ", *shape, " is not of extent 1"));
      }
    }
  } else {
    for (const Dim& extent : *shape) {
      const std::optional<bool> is_one = proven_equal(extent, 1);
      if (!is_one) return {};  // the rank differs from binding to binding
      if (!*is_one) result.push_back(extent);
    }
  }
  c.set(0, c.dtype(0), std::move(result));
  pass_contents(c);
  return {};
}

}  // namespace

extern const OpDef op_squeeze;
const OpDef op_squeeze = {
    .name = "Squeeze",
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .is_view = true,
    .infer = infer_squeeze,
};

}  // namespace quern
