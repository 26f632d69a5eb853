#include <algorithm>

#include "ops/common/expansion.h"
#include "ops/common/norm_rows.h"

namespace quern {
namespace {

enum class Fit : uint8_t { kFull, kScalar, kOther };

/// Whether a scale or bias has the shape of the axes of `x` from `axis` on, perhaps behind axes of
/// extent 1. An extent that is a number and not 1 is that of `x`.
Fit fit_of(const Shape& x, const Shape& t, size_t axis) {
  if (std::ranges::all_of(t, [](const Dim& d) { return d == Dim(1); })) return Fit::kScalar;
  for (size_t j = 0; j < std::max(t.size(), x.size() - axis); ++j) {
    const Dim own = j < t.size() ? t[t.size() - 1 - j] : Dim(1);
    const Dim wanted = j < x.size() - axis ? x[x.size() - 1 - j] : Dim(1);
    if (own == wanted) continue;
    if (!own.is_const() || wanted.is_const() || own == Dim(1)) return Fit::kOther;
  }
  return Fit::kFull;
}

}  // namespace

Result<bool> expand_broadcast_norm(Graph& graph, Node& node) {
  const Value* x = node.input(0);
  if (!x->type.shape || x->type.shape->empty()) return false;
  const auto rank = static_cast<int64_t>(x->type.shape->size());
  const int64_t given = node.int_or("axis", -1);
  if (given < -rank || given >= rank) return false;
  const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
  size_t scalars = 0;
  size_t present = 0;
  bool other = false;
  for (size_t i = 1; i < 3; ++i) {
    const Value* t = node.input(i);
    if (t == nullptr) continue;
    if (!t->type.shape) return false;
    const Fit fit = fit_of(*x->type.shape, *t->type.shape, axis);
    ++present;
    if (fit == Fit::kScalar) ++scalars;
    other = other || fit == Fit::kOther;
  }
  if (!other && (scalars == 0 || scalars == present)) return false;

  Expansion e(graph, node);
  size_t outputs = 1;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (e.wants(i)) outputs = i + 1;
  }
  Value* scale = node.input(1);
  const std::vector<Value*> made =
      e.add_many(node.op, {node.inputs[0], e.number(scale->type.dtype, 1)}, outputs);
  made[0]->producer->attributes = node.attributes;
  for (size_t i = 1; i < outputs; ++i) e.replace(i, made[i]);
  Value* y = e.add("Mul", {made[0], scale});
  if (Value* bias = node.input(2)) y = e.add("Add", {y, bias});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace quern
