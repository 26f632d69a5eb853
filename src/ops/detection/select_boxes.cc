// quern.SelectBoxes: NonMaxSuppression before its result is cut to length. Inputs: boxes
// [batch, n, 4], scores [batch, classes, n], most boxes a class (i64), overlap threshold (f32 [1]),
// score threshold (f32 [1], optional). Outputs: selected (i64 [batch * classes * limit, 3]: batch,
// class, box; as long as it can be), count (i64 [1]).
#include <algorithm>
#include <array>

#include "ops/common/compact.h"
#include "ops/common/device_program.h"
#include "ops/common/sort.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"center_point_box", AttributeKind::kInt}};
enum Input : size_t { kBoxes, kScores, kLimit, kIou, kThreshold };
constexpr int64_t kWorkgroup = 256;

Result<void> infer(InferContext& c) {
  c.set(0, DType::kI64, std::nullopt);
  c.set(1, DType::kI64, Shape{1});
  QUERN_TRY(c.expect_rank(kBoxes, 3));
  QUERN_TRY(c.expect_rank(kScores, 3));
  const Shape* scores = c.shape(kScores);
  if (scores == nullptr) return {};
  const Dim& boxes = (*scores)[2];
  Dim limit = c.fresh_dim(0, 1, 0, std::max<int64_t>(boxes.upper(), 0));
  if (const auto contents = c.contents(kLimit)) {
    if (contents->size() != 1) return c.error("the number of boxes a class is not one number");
    limit = min(max((*contents)[0], 0), boxes);
  }
  c.set(0, DType::kI64, Shape{(*scores)[0] * (*scores)[1] * limit, 3});
  return {};
}

struct Layout {
  int64_t batch = 0, classes = 0, boxes = 0, limit = 0;
  [[nodiscard]] int64_t rows() const { return batch * classes; }
};
Result<Layout> layout_of(const OpContext& c) {
  const Dims& boxes = c.input(kBoxes).dims;
  const Dims& scores = c.input(kScores).dims;
  if (boxes[0] != scores[0] || boxes[1] != scores[2] || boxes[2] != 4) {
    return c.error(cat("boxes ", boxes, " and scores ", scores,
                       ", expected [batch, n, 4] and [batch, classes, n]"));
  }
  const std::vector<int64_t> limit = c.ints(kLimit);
  if (limit.size() != 1) return c.error("the number of boxes a class is not known");
  return Layout{scores[0], scores[1], scores[2], std::clamp<int64_t>(limit[0], 0, scores[2])};
}

struct SelectConfig {
  bool center = false, threshold = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
    f("CENTER", center);
    f("THRESHOLD", uint32_t{threshold});
  }
};
struct ListConfig {
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
  }
};

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(const Layout l, layout_of(ctx));
  const int64_t rows = l.rows();
  if (rows * l.boxes * 6 > INT32_MAX) {
    return limit_exceeded(cat(ctx.node().describe(), ": ", rows, " rows of ", l.boxes, " boxes"));
  }
  if (rows * l.limit == 0) {
    DeviceProgram none(Dims{1});
    ExprBuilder b = none.builder();
    none.output(b.constant_int(Scalar::kI64, 0), DType::kI64, ctx.out(1));
    return none.dispatch(ctx);
  }
  const DType type = ctx.input(kScores).dtype;
  const auto words = [](std::string_view name, Storage s, int64_t count) {
    return KernelBinding{name, s, DType::kU32, static_cast<uint64_t>(count)};
  };

  QUERN_ASSIGN(const Storage keys, ctx.scratch(static_cast<uint64_t>(rows * l.boxes) * 8));
  DeviceProgram key({rows, l.boxes});
  const uint32_t scores = key.input(moved_as(type), {rows, l.boxes}, ctx.in(kScores));
  {
    ExprBuilder b = key.builder();
    const Expr at[] = {b.index(0), b.index(1)};
    key.output(sort_key(b, b.load(scores, at), type, true), key_type(type), keys);
  }
  QUERN_TRY(key.dispatch(ctx));
  QUERN_ASSIGN(const SortedRows order,
               sort_rows(ctx, keys, {rows, l.boxes, l.boxes, is_wide_key(type)}, false));

  QUERN_ASSIGN(const Storage picks, ctx.scratch(static_cast<uint64_t>(rows * l.limit) * 4));
  QUERN_ASSIGN(const Storage counts, ctx.scratch(static_cast<uint64_t>(rows) * 4));
  KernelCall call;
  call.kernel = "select_boxes";
  const bool threshold = ctx.has_input(kThreshold);
  call.config = config_of(SelectConfig{ctx.node().int_or("center_point_box", 0) != 0, threshold});
  call.bindings = {ctx.bind_in("boxes", kBoxes), words("order", order.numbers, rows * order.stride),
                   ctx.bind_in("iou_threshold", kIou)};
  if (threshold) {
    call.bindings.push_back(ctx.bind_in("scores", kScores));
    call.bindings.push_back(ctx.bind_in("score_threshold", kThreshold));
  }
  call.bindings.push_back(words("picks", picks, rows * l.limit));
  call.bindings.push_back(words("counts", counts, rows));
  call.params = {word(rows), word(l.classes), word(l.boxes), word(order.stride), word(l.limit)};
  call.workgroups = split_workgroups(static_cast<uint64_t>(rows), ctx.target());
  QUERN_TRY(ctx.dispatch(std::move(call)));

  QUERN_ASSIGN(const PrefixSums before, prefix_sums(ctx, counts, rows));
  QUERN_TRY(store_total(ctx, before, ctx.out(1)));
  call = {};
  call.kernel = "list_boxes";
  call.config = config_of(ListConfig{});
  call.bindings = {words("picks", picks, rows * l.limit), words("counts", counts, rows),
                   words("before", before.sums, rows), ctx.bind_out("selected", 0)};
  call.params = {word(rows), word(l.classes), word(l.limit)};
  call.workgroups = split_workgroups(
      static_cast<uint64_t>((rows * l.limit + kWorkgroup - 1) / kWorkgroup), ctx.target());
  return ctx.dispatch(std::move(call));
}

using Corners = std::array<float, 4>;

Corners corners_of(const HostTensor& boxes, int64_t box, bool center) {
  Corners v;
  for (size_t i = 0; i < 4; ++i) {
    v[i] = static_cast<float>(boxes.float_at(4 * box + static_cast<int64_t>(i)));
  }
  if (center) return {v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2, v[1] + v[3] / 2};
  return {std::min(v[0], v[2]), std::min(v[1], v[3]), std::max(v[0], v[2]), std::max(v[1], v[3])};
}

bool overlap(const Corners& a, const Corners& b, float threshold) {
  const float w = std::max(std::min(a[2], b[2]) - std::max(a[0], b[0]), 0.0f);
  const float h = std::max(std::min(a[3], b[3]) - std::max(a[1], b[1]), 0.0f);
  const float both = w * h;
  const float first = (a[2] - a[0]) * (a[3] - a[1]);
  const float second = (b[2] - b[0]) * (b[3] - b[1]);
  return both > 0 && first > 0 && second > 0 && both > threshold * (first + second - both);
}

Result<void> eval(EvalContext& c) {
  QUERN_ASSIGN(const Layout l, layout_of(c));
  const bool center = c.node().int_or("center_point_box", 0) != 0;
  const auto iou = static_cast<float>(c.in(kIou).float_at(0));
  int64_t count = 0;
  std::vector<uint64_t> keys(static_cast<size_t>(l.boxes));
  std::vector<Corners> taken;
  for (int64_t row = 0; row < l.rows() && l.limit > 0; ++row) {
    for (int64_t i = 0; i < l.boxes; ++i) {
      keys[static_cast<size_t>(i)] = sort_key(c.in(kScores), row * l.boxes + i, true);
    }
    taken.clear();
    for (const int64_t box : sorted_places(keys, l.boxes)) {
      if (std::ssize(taken) == l.limit) break;
      if (c.has_input(kThreshold) &&
          !(c.in(kScores).float_at(row * l.boxes + box) > c.in(kThreshold).float_at(0))) {
        continue;
      }
      const Corners mine = corners_of(c.in(kBoxes), row / l.classes * l.boxes + box, center);
      if (std::ranges::any_of(taken,
                              [&](const Corners& other) { return overlap(other, mine, iou); })) {
        continue;
      }
      taken.push_back(mine);
      if (c.output(0).present) {
        c.out(0).set_int(3 * count, row / l.classes);
        c.out(0).set_int(3 * count + 1, row % l.classes);
        c.out(0).set_int(3 * count + 2, box);
      }
      ++count;
    }
  }
  if (c.output_count() > 1 && c.output(1).present) c.out(1).set_int(0, count);
  return {};
}

}  // namespace

extern const OpDef op_select_boxes;
const OpDef op_select_boxes = {
    .name = "SelectBoxes",
    .domain = "quern",
    .since = 0,
    .min_inputs = 4,
    .max_inputs = 5,
    .min_outputs = 2,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1 << kLimit,
    .infer = infer,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
