// EmbedLayerNormalization: LayerNormalization of the sum of three embeddings (word, position,
// segment). Other outputs: how many of the mask are 1 in each row, and the sum.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"epsilon", AttributeKind::kFloat},
    {"mask_index_type", AttributeKind::kInt},
};

enum Input : size_t { kIds, kSegments, kWords, kPlaces, kKinds, kGamma, kBeta, kMask, kPositions };

Result<void> infer(InferContext& ctx) {
  for (size_t i : {size_t{kWords}, size_t{kPlaces}, size_t{kGamma}, size_t{kBeta}}) {
    if (!ctx.has_input(i)) return ctx.error(cat("required input ", i, " is absent"));
  }
  QUERN_TRY(ctx.expect_rank(kIds, 2));
  QUERN_TRY(ctx.expect_rank(kWords, 2));
  const Shape* ids = ctx.shape(kIds);
  const Shape* words = ctx.shape(kWords);
  std::optional<Shape> y;
  if (ids != nullptr && words != nullptr) y = Shape{(*ids)[0], (*ids)[1], (*words)[1]};
  ctx.set(0, ctx.dtype(kWords), y);
  if (ctx.output_count() > 1) {
    ctx.set(1, DType::kI32, ids != nullptr ? std::optional(Shape{(*ids)[0]}) : std::nullopt);
  }
  if (ctx.output_count() > 2) ctx.set(2, ctx.dtype(kWords), y);
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const auto in = [&](size_t i) { return node.input(i); };
  const auto rows = [&](size_t table, Value* ids) { return e.add("Gather", {in(table), ids}); };
  Value* places =
      in(kPositions) != nullptr
          ? rows(kPlaces, in(kPositions))
          : e.add("Slice", {in(kPlaces), e.ints({0}), e.extent(in(kIds), 1), e.ints({0})});
  Value* sum = e.add("Add", {rows(kWords, in(kIds)), places});
  if (in(kSegments) != nullptr && in(kKinds) != nullptr) {
    sum = e.add("Add", {sum, rows(kKinds, in(kSegments))});
  }
  if (e.wants(1)) {
    const AttributeValue to = int64_t{static_cast<int64_t>(DType::kI32)};
    if (in(kMask) != nullptr) {
      Value* one = graph.add_constant(
          "", make_constant(HostTensor::of_ints(in(kMask)->type.dtype, {}, {1})));
      Value* seen = e.add("Cast", {e.add("Equal", {in(kMask), one})}, {{"to", to}});
      e.replace(1, e.add("ReduceSum", {seen, e.ints({1})}, {{"keepdims", int64_t{0}}}));
    } else {
      Value* zero =
          graph.add_constant("", make_constant(HostTensor::of_ints(DType::kI32, {}, {0})));
      e.replace(1, e.add("Expand", {zero, e.extent(in(kIds), 0)}));
    }
  }
  if (e.wants(2)) e.replace(2, sum);
  e.replace(0, e.add("LayerNormalization", {sum, in(kGamma), in(kBeta)},
                     {{"axis", int64_t{-1}}, {"epsilon", node.float_or("epsilon", 1e-12f)}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_embed_layer_normalization;
const OpDef op_embed_layer_normalization = {
    .name = "EmbedLayerNormalization",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 9,
    .max_outputs = 3,
    .types = kInts,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
