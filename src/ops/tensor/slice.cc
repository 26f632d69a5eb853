// Slice: a range with a step along some axes, counted from the end where negative. The ranges are
// attributes before operator set 10.
#include <algorithm>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"starts", AttributeKind::kInts},
                                          {"ends", AttributeKind::kInts},
                                          {"axes", AttributeKind::kInts}};
constexpr int kInputsSince = 10;

/// A bound counted from the end where negative; a const one past any extent is `low` or `high`.
/// Nothing where its sign is not known.
std::optional<Dim> absolute(const Dim& bound, const Dim& extent, const Dim& low, const Dim& high) {
  if (bound.is_const() && bound.value() >= extent.upper()) return high;
  if (bound.is_const() && bound.value() < -extent.upper()) return low;
  if (bound.lower() >= 0) return bound;
  if (bound.upper() < 0) return bound + extent;
  return std::nullopt;
}

/// The number of elements from `start` to `end` in steps of `step`.
std::optional<Dim> sliced_extent(const Dim& start, const Dim& end, int64_t step,
                                 const Dim& extent) {
  if (step > 0) {
    const std::optional<Dim> first = absolute(start, extent, 0, extent);
    const std::optional<Dim> last = absolute(end, extent, 0, extent);
    if (!first || !last) return std::nullopt;
    // The last few, in the form that shapes are usually compared in.
    const bool is_tail = start.is_const() && start.value() < 0 && *first == extent + start;
    if (is_tail && step == 1 && *last == extent) {
      return min(extent, 0 - start);
    }
    return max(ceil_div(min(*last, extent) - max(*first, 0), step), 0);
  }
  const std::optional<Dim> first = absolute(start, extent, -1, extent - 1);
  const std::optional<Dim> last = absolute(end, extent, -1, extent - 1);
  if (!first || !last) return std::nullopt;
  return max(ceil_div(min(*first, extent - 1) - max(*last, -1), -step), 0);
}

/// Axes, from the front, and steps; those that aren't given are all axes and 1.
struct Layout {
  std::vector<size_t> axes;
  std::vector<int64_t> steps;  // empty where unknown
};
template <class Context>
Result<std::optional<Layout>> layout_of(const Context& c, size_t count, size_t rank) {
  Layout layout;
  const IntList axes = int_list(c, "axes", 3, kInputsSince);
  if (axes.present && !axes.known) return std::nullopt;
  if (axes.present) {
    QUERN_ASSIGN(layout.axes, resolve_axes(c.node(), axes.values, rank));
  } else {
    for (size_t a = 0; a < count; ++a) layout.axes.push_back(a);
  }
  if (layout.axes.size() != count || count > rank) {
    return c.error(cat(count, " ranges do not fit ", layout.axes.size(), " axes of rank ", rank));
  }
  const IntList steps = int_list(c, "steps", 4, 0);
  if (!steps.present) {
    layout.steps.assign(count, 1);
  } else if (steps.known) {
    layout.steps = steps.values;
    if (layout.steps.size() != count) return c.error("steps are not one an axis");
    for (int64_t step : layout.steps) {
      if (step == 0 || step == INT64_MIN) return c.error(cat("step is ", step));
    }
  }
  return layout;
}

/// Starts or ends as symbols.
std::optional<std::vector<Dim>> bounds(InferContext& c, std::string_view name, size_t input) {
  if (c.version() >= kInputsSince) return c.contents(input);
  const std::vector<int64_t>* values = c.node().ints(name);
  if (values == nullptr) return std::nullopt;
  return std::vector<Dim>(values->begin(), values->end());
}

Result<void> infer_slice(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  const std::optional<std::vector<Dim>> starts = bounds(c, "starts", 1);
  const std::optional<std::vector<Dim>> ends = bounds(c, "ends", 2);
  std::optional<size_t> count;
  if (starts) {
    count = starts->size();
  } else if (const Shape* length = c.shape(1);
             length != nullptr && length->size() == 1 && (*length)[0].is_const()) {
    count = static_cast<size_t>((*length)[0].value());
  }
  if (starts && ends && starts->size() != ends->size()) {
    return c.error(cat(starts->size(), " starts but ", ends->size(), " ends"));
  }
  std::optional<Layout> layout;
  if (count) {
    QUERN_ASSIGN(layout, layout_of(c, *count, shape->size()));
  }
  if (!layout) {
    c.set(0, c.dtype(0), fresh_shape(c, 0, shape->size()));
    return {};
  }
  Shape result = *shape;
  for (size_t k = 0; k < *count; ++k) {
    const size_t a = layout->axes[k];
    std::optional<Dim> extent;
    if (starts && ends && !layout->steps.empty()) {
      extent = sliced_extent((*starts)[k], (*ends)[k], layout->steps[k], (*shape)[a]);
    }
    result[a] = extent ? *extent : c.fresh_dim(0, a, 0, std::max<int64_t>((*shape)[a].upper(), 0));
  }
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> sliced(ExprContext& c, size_t) {
  const TensorInfo& in = c.input(0);
  const IntList starts = int_list(c, "starts", 1, kInputsSince);
  QUERN_ASSIGN(std::optional<Layout> layout, layout_of(c, starts.values.size(), in.rank()));
  if (!layout || !starts.known || layout->steps.size() != starts.values.size()) {
    return c.error("ranges are not known");
  }
  std::vector<Expr> index = c.indices();
  for (size_t k = 0; k < starts.values.size(); ++k) {
    const size_t a = layout->axes[k];
    const int64_t extent = in.dims[a];
    const int64_t step = layout->steps[k];
    int64_t start = starts.values[k];
    // Clamping or counting from the end makes the start depend on the extent.
    const bool from_front = step > 0 && start >= 0;
    if (start < 0) start = std::max(start, -extent) + extent;
    start = std::clamp(start, int64_t{0}, std::max<int64_t>(step > 0 ? extent : extent - 1, 0));
    const bool start_baked = host_baked(c, 1) && (from_front || in.is_baked(a));
    const Expr stride = c.derived(step, host_baked(c, 4));
    index[a] = c.b.add(c.b.mul(index[a], stride), c.derived(start, start_baked));
  }
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_slice;
const OpDef op_slice = {
    .name = "Slice",
    .max_inputs = 5,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 0b11110,
    .infer = infer_slice,
    .expr = sliced,
    .eval = eval_moved,
};

}  // namespace quern
