// Equal: are they the same?
#include <map>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

std::optional<Dim> equal(std::span<const Dim> d) {
  if (std::optional<bool> same = proven_equal(d[0], d[1])) return Dim(*same);
  return std::nullopt;
}

/// Strings are compared by number: each is that of the first equal one.
Result<void> eval_equal(EvalContext& c) {
  if (c.input(0).dtype != DType::kString) return eval_by_expr(c);
  std::map<std::string_view, int64_t> seen;
  OpFrame frame = c.frame();
  HostTensor numbers[2];
  for (size_t i = 0; i < 2; ++i) {
    std::vector<int64_t> values;
    for (const std::string& s : c.in(i).strings) {
      values.push_back(seen.emplace(s, std::ssize(seen)).first->second);
    }
    numbers[i] = HostTensor::of_ints(DType::kI64, c.in(i).dims, values);
    frame.inputs[i].dtype = DType::kI64;
    frame.host[i] = &numbers[i];
  }
  QUERN_ASSIGN(c.out(0), evaluate_output(frame, 0));
  return {};
}

}  // namespace

extern const OpDef op_equal;
const OpDef op_equal = {
    .name = "Equal",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFixedWidth | type_bit(DType::kString),
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_compare(c, equal); },
    .expr = binary_expr<ExprOp::kEq>,
    .eval = eval_equal,
};

}  // namespace quern
