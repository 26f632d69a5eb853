// Reductions and running sums.
#include <algorithm>

#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

void reduce(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  const bool keep = c.flag(0);
  const auto list = c.numbers(1);
  if (c.failed()) return;
  if (!list) {
    const Tensor axes = c.list(1);
    const TensorInfo* info = c.in_info(1);
    if (!keep && (info == nullptr || info->shape.size() > 1)) return c.unsupported("computed axes");
    const size_t gone = keep ? 0 : info->shape.empty() ? 1 : static_cast<size_t>(info->shape[0]);
    return c.set(c.b.op(ours, {x, axes}, {{"keepdims", int64_t{keep}}}, {},
                        x.rank - std::min(x.rank, gone)));
  }
  Ints axes;
  for (const int64_t axis : *list) axes.push_back(static_cast<int64_t>(c.axis_of(axis, x.rank)));
  std::ranges::sort(axes);
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  if (axes.empty() || x.rank == 0) return c.set(x);
  c.set(c.b.reduce(ours, x, axes, keep));
}

void arg(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  const size_t axis = c.axis(1, x.rank);
  if (c.failed() || x.rank == 0) return c.invalid("an input of rank 0");
  c.set(c.b.op(ours, {x}, {{"axis", static_cast<int64_t>(axis)}, {"keepdims", int64_t{0}}},
               DType::kI64, x.rank - 1));
}

void cumsum(Call& c, std::string_view ours) {
  const Tensor x = c.input(0);
  const size_t axis = c.axis(1, x.rank);
  c.set(c.b.op(ours, {x, c.b.integer(static_cast<int64_t>(axis))},
               {{"exclusive", int64_t{c.flag(0)}}, {"reverse", int64_t{c.flag(1)}}}, x.dtype,
               x.rank));
}

constexpr Operator kOperators[] = {
    {40, "MEAN", "ReduceMean", reduce},        {56, "ARG_MAX", "ArgMax", arg},
    {74, "SUM", "ReduceSum", reduce},          {79, "ARG_MIN", "ArgMin", arg},
    {81, "REDUCE_PROD", "ReduceProd", reduce}, {82, "REDUCE_MAX", "ReduceMax", reduce},
    {89, "REDUCE_MIN", "ReduceMin", reduce},   {91, "REDUCE_ANY", "ReduceMax", reduce},
    {128, "CUMSUM", "CumSum", cumsum},         {140, "REDUCE_ALL", "ReduceMin", reduce},
};

}  // namespace

std::span<const Operator> reduce_operators() { return kOperators; }

}  // namespace quern::tflite
