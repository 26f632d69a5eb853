// quern.TreeLeaves: the number of the leaf that each row of features reaches in each tree. Inputs:
// features [n, c] (f32 or f64), nodes (i32 [m, 6], common/forest.h), thresholds (of the features'
// type, [m] or fewer where the last are leaves), roots (i32 [trees]), members of sets (sorted by
// set). Output i32 [n, trees].
#include <algorithm>
#include <cmath>

#include "ops/common/device_program.h"
#include "ops/common/forest.h"
#include "ops/common/sort.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kX, kNodes, kThresholds, kRoots, kMembers };
constexpr int64_t kWorkgroup = 64;

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(kX, 2));
  c.set(0, DType::kI32, std::nullopt);
  if (c.shape(kX) == nullptr || c.shape(kRoots) == nullptr) return {};
  c.set(0, DType::kI32, Shape{(*c.shape(kX))[0], (*c.shape(kRoots))[0]});
  return {};
}

struct Config {
  bool wide = false, members = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
    f("WIDE", wide);
    f("MEMBERS", members);
  }
};

Result<Storage> keys_of(LowerContext& ctx, size_t input) {
  const DType type = ctx.input(input).dtype;
  const int64_t count = ctx.input(input).count();
  QUERN_ASSIGN(const Storage keys,
               ctx.scratch(static_cast<uint64_t>(count) * (is_wide_key(type) ? 8 : 4)));
  DeviceProgram program({count});
  const uint32_t x = program.input(moved_as(type), {count}, ctx.in(input));
  ExprBuilder b = program.builder();
  const Expr at[] = {b.index(0)};
  program.output(sort_key(b, b.load(x, at), type, false), key_type(type), keys);
  QUERN_TRY(program.dispatch(ctx));
  return keys;
}

Result<void> lower(LowerContext& ctx) {
  const int64_t rows = ctx.input(kX).dims[0];
  const int64_t features = ctx.input(kX).dims[1];
  const int64_t trees = ctx.input(kRoots).count();
  if (rows * trees == 0) return {};
  if (features == 0) return ctx.error("there are no features");
  if (std::max(rows * trees, ctx.input(kX).count() * 2) > INT32_MAX) {
    return limit_exceeded(cat(ctx.node().describe(), ": ", rows, " rows in ", trees, " trees"));
  }
  const bool wide = is_wide_key(ctx.input(kX).dtype);
  const auto words = [&](std::string_view name, Storage s, size_t input) {
    return KernelBinding{name, s, DType::kU32,
                         static_cast<uint64_t>(ctx.input(input).count() * (wide ? 2 : 1))};
  };
  const auto raw = [&](std::string_view name, size_t input) {
    return KernelBinding{name, ctx.in(input), DType::kU32,
                         static_cast<uint64_t>(ctx.input(input).count())};
  };
  QUERN_ASSIGN(const Storage x, keys_of(ctx, kX));
  QUERN_ASSIGN(const Storage thresholds, keys_of(ctx, kThresholds));
  KernelCall call;
  call.kernel = "tree_leaves";
  const bool members = ctx.node().int_or("members", 0) != 0;
  call.config = config_of(Config{wide, members});
  call.bindings = {words("x", x, kX), raw("nodes", kNodes),
                   words("thresholds", thresholds, kThresholds), raw("roots", kRoots)};
  if (members) {
    QUERN_ASSIGN(const Storage sets, keys_of(ctx, kMembers));
    call.bindings.push_back(words("members", sets, kMembers));
  }
  call.bindings.push_back({"leaves", ctx.out(0), DType::kU32, static_cast<uint64_t>(rows * trees)});
  call.params = {word(rows), word(trees), word(features), word(ctx.input(kNodes).dims[0])};
  call.workgroups = split_workgroups(
      static_cast<uint64_t>((rows * trees + kWorkgroup - 1) / kWorkgroup), ctx.target());
  return ctx.dispatch(std::move(call));
}

bool takes_yes(const ForestNode& n, double v, double threshold, const HostTensor& members) {
  if (std::isnan(v) && (n.mode & ForestNode::kMissingIsTrue) != 0) return true;
  switch (static_cast<BranchMode>(n.mode & 255)) {
    case BranchMode::kLessEqual:
      return v <= threshold;
    case BranchMode::kLess:
      return v < threshold;
    case BranchMode::kGreaterEqual:
      return v >= threshold;
    case BranchMode::kGreater:
      return v > threshold;
    case BranchMode::kEqual:
      return v == threshold;
    case BranchMode::kNotEqual:
      return v != threshold;
    case BranchMode::kMember: {
      int32_t low = n.begin;
      int32_t high = n.end;
      while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (members.float_at(middle) < v) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low < n.end && members.float_at(low) == v;
    }
    case BranchMode::kLeaf:
      break;
  }
  return false;
}

Result<void> eval(EvalContext& c) {
  const int64_t rows = c.input(kX).dims[0];
  const int64_t features = c.input(kX).dims[1];
  const int64_t trees = c.input(kRoots).count();
  const int64_t count = c.input(kNodes).dims[0];
  if (features == 0 && rows * trees > 0) return c.error("there are no features");
  std::vector<ForestNode> nodes;
  std::vector<double> thresholds;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = [&](int64_t k) {
      return static_cast<int32_t>(c.in(kNodes).int_at(i * ForestNode::kWords + k));
    };
    nodes.push_back({at(0), at(1), at(2), at(3), at(4), at(5)});
    thresholds.push_back(i < c.input(kThresholds).count() ? c.in(kThresholds).float_at(i) : 0.0);
  }
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t tree = 0; tree < trees; ++tree) {
      auto node = static_cast<size_t>(c.in(kRoots).int_at(tree));
      for (int64_t step = 0; step < count; ++step) {
        const ForestNode& n = nodes[node];
        if ((n.mode & 255) == static_cast<int32_t>(BranchMode::kLeaf)) break;
        const int64_t feature = std::min<int64_t>(n.feature, features - 1);
        const double v = c.in(kX).float_at(row * features + feature);
        node =
            static_cast<size_t>(takes_yes(n, v, thresholds[node], c.in(kMembers)) ? n.yes : n.no);
      }
      c.out(0).set_int(row * trees + tree, nodes[node].begin);
    }
  }
  return {};
}

constexpr AttributeField kAttributes[] = {{"members", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_tree_leaves;
const OpDef op_tree_leaves = {
    .name = "TreeLeaves",
    .domain = "quern",
    .since = 0,
    .min_inputs = 5,
    .max_inputs = 5,
    .types = types_of(DType::kF32, DType::kF64),
    .attributes = kAttributes,
    .infer = infer,
    .lower = lower,
    .eval = eval,
};

}  // namespace quern
