// CausalConvWithState: a depthwise convolution over time that sees the past, of which it carries
// the last kernel - 1 steps from call to call.
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"activation", AttributeKind::kString}};
enum Input : size_t { kX, kW, kBias, kPast };

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(kX, 3));
  QUERN_TRY(c.expect_rank(kW, 3));
  QUERN_TRY(c.expect_rank(kPast, 3));
  c.set(0, c.type(kX));
  const Shape* x = c.shape(kX);
  const Shape* w = c.shape(kW);
  c.set(1, c.dtype(kX), std::nullopt);
  if (x == nullptr) return {};
  if (w != nullptr &&
      (proven_equal((*w)[0], (*x)[1]) == false || proven_equal((*w)[1], Dim(1)) == false)) {
    return c.error(cat("weights ", *w, " are not depthwise for input ", *x));
  }
  const Dim kept = w != nullptr ? (*w)[2] - 1 : c.fresh_dim(1, 2);
  const Shape* past = c.shape(kPast);
  if (past != nullptr &&
      (proven_equal((*past)[0], (*x)[0]) == false || proven_equal((*past)[1], (*x)[1]) == false ||
       proven_equal((*past)[2], kept) == false)) {
    return c.error(cat("past_state ", *past, " does not fit input ", *x));
  }
  c.set(1, c.dtype(kX), Shape{(*x)[0], (*x)[1], kept});
  return {};
}

/// The number of channels; 0 where it differs from binding to binding.
int64_t channels_of(const Value* x, const Value* w) {
  if (w->type.shape && (*w->type.shape)[0].is_const()) return (*w->type.shape)[0].value();
  if (x->type.shape && (*x->type.shape)[1].is_const()) return (*x->type.shape)[1].value();
  return 0;
}

/// What a convolution of a fixed number of groups is not: sums over windows, [b, c, length, k].
Value* add_windows(Expansion& e, Value* x, Value* padded, Value* w, Value* bias) {
  const auto range = [&](Value* v, int64_t axis) {
    Value* end = e.add("Squeeze", {e.extent(v, axis), e.ints({0})});
    return e.add("Range", {e.integer(0), end, e.integer(1)});
  };
  Value* at = e.add("Add", {e.add("Unsqueeze", {range(x, 2), e.ints({1})}), range(w, 2)});
  Value* windows = e.add("Gather", {padded, at}, {{"axis", int64_t{2}}});
  Value* y =
      e.add("ReduceSum", {e.add("Mul", {windows, w}), e.ints({3})}, {{"keepdims", int64_t{0}}});
  return bias == nullptr ? y : e.add("Add", {y, e.add("Unsqueeze", {bias, e.ints({1})})});
}

Result<bool> expand(Graph& graph, Node& node) {
  Value* x = node.input(kX);
  Value* w = node.input(kW);
  const std::string_view activation = node.string_or("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish") {
    return invalid_model(
        cat(node.describe(), ": activation is '", activation, "', expected none, silu or swish"));
  }
  Expansion e(graph, node);
  Value* padded = nullptr;
  if (Value* past = node.input(kPast)) {
    padded = e.add("Concat", {past, x}, {{"axis", int64_t{2}}});
  } else {
    Value* before = e.add("Sub", {e.extent(w, 2), e.ints({1})});
    padded = e.add("Pad", {x, e.add("Concat", {e.ints({0, 0}), before, e.ints({0, 0, 0})},
                                    {{"axis", int64_t{0}}})});
  }
  if (e.wants(0)) {
    const int64_t channels = channels_of(x, w);
    Value* y = channels > 0 ? e.add("Conv", {padded, w, node.input(kBias)}, {{"group", channels}})
                            : add_windows(e, x, padded, w, node.input(kBias));
    if (activation != "none") y = e.add("Swish", {y});
    e.replace(0, y);
  }
  if (e.wants(1)) {
    e.replace(1, e.add("Slice", {padded, e.extent(x, 2), e.extent(padded, 2), e.ints({2})}));
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_causal_conv_with_state;
const OpDef op_causal_conv_with_state = {
    .name = "CausalConvWithState",
    .since = 27,
    .min_inputs = 2,
    .max_inputs = 4,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
