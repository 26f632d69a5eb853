#include "ops/common/compact.h"

#include "ops/common/device_program.h"

namespace quern {
namespace {

constexpr int64_t kWorkgroup = 256;
constexpr int64_t kBlock = 4 * kWorkgroup;

struct Config {
  bool apply = false, places = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
    if (apply) f("PLACES", places);
  }
};

KernelBinding words(std::string_view name, Storage s, int64_t count) {
  return {name, s, DType::kU32, static_cast<uint64_t>(count)};
}

/// Prefix sums to `to`, or places where `places`.
Result<PrefixSums> scan(LowerContext& ctx, Storage numbers, int64_t count, Storage to,
                        bool places) {
  if (count > INT32_MAX) {
    return limit_exceeded(cat(ctx.node().describe(), ": sums over ", count, " elements"));
  }
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  QUERN_ASSIGN(const Storage sums, ctx.scratch(static_cast<uint64_t>(blocks + 1) * 4));
  KernelCall call;
  call.kernel = "scan_sums";
  call.config = config_of(Config{});
  call.bindings = {words("x", numbers, count), words("sums", sums, blocks + 1)};
  call.params = {static_cast<uint32_t>(count)};
  call.workgroups = split_workgroups(static_cast<uint64_t>(blocks), ctx.target());
  const auto workgroups = call.workgroups;
  if (count > 0) QUERN_TRY(ctx.dispatch(std::move(call)));

  call = {};
  call.kernel = "scan_top";
  call.config = config_of(Config{});
  call.bindings = {words("sums", sums, blocks + 1)};
  call.params = {static_cast<uint32_t>(blocks)};
  QUERN_TRY(ctx.dispatch(std::move(call)));
  if (count == 0) return PrefixSums{to, sums, blocks};

  call = {};
  call.kernel = "scan_apply";
  call.config = config_of(Config{.apply = true, .places = places});
  call.bindings = {words("x", numbers, count), words("sums", sums, blocks + 1),
                   words("y", to, count)};
  call.params = {static_cast<uint32_t>(count)};
  call.workgroups = workgroups;
  QUERN_TRY(ctx.dispatch(std::move(call)));
  return PrefixSums{to, sums, blocks};
}

}  // namespace

Result<PrefixSums> prefix_sums(LowerContext& ctx, Storage numbers, int64_t count) {
  QUERN_ASSIGN(const Storage to, ctx.scratch(static_cast<uint64_t>(count) * 4));
  return scan(ctx, numbers, count, to, false);
}

Result<PrefixSums> set_places(LowerContext& ctx, Storage flags, int64_t count, Storage places) {
  return scan(ctx, flags, count, places, true);
}

Result<void> store_total(LowerContext& ctx, const PrefixSums& sums, Storage out) {
  DeviceProgram program(Dims{1});
  const uint32_t in = program.input(DType::kU32, {sums.total_at + 1}, sums.total);
  ExprBuilder b = program.builder();
  const Expr at[] = {b.param(Scalar::kI32, sums.total_at)};
  program.output(b.cast(b.load(in, at), Scalar::kI64), DType::kI64, out);
  return program.dispatch(ctx);
}

Value* add_first(Graph& graph, Node& node, Value* value, Value* count) {
  Expansion e(graph, node);
  return e.add_in("", kCompactVersion, "Slice", {value, e.ints({0}), count, e.ints({0})});
}

Value* add_nonzero_places(Graph& graph, Node& node, Value* x) {
  Node* places = graph.add_node("NonZeroPlaces", {x}, 2, &node, "quern", 1);
  return add_first(graph, node, places->outputs[0], places->outputs[1]);
}

}  // namespace quern
