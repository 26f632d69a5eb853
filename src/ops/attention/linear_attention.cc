// LinearAttention: attention without softmax, as a recurrence over a state matrix for each head.
#include "ops/common/linear_attention.h"

#include "ops/common/gemm.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

using S = LinearAttentionShape;

constexpr AttributeField kAttributes[] = {
    {"chunk_size", AttributeKind::kInt},        {"kv_num_heads", AttributeKind::kInt, true},
    {"q_num_heads", AttributeKind::kInt, true}, {"scale", AttributeKind::kFloat},
    {"update_rule", AttributeKind::kString},
};

Result<void> infer(InferContext& c) {
  const DType type = c.dtype(S::kQuery);
  const DType state = c.has_input(S::kPast) ? c.dtype(S::kPast) : type;
  c.set(0, type, std::nullopt);
  c.set(1, state, std::nullopt);
  const std::string_view rule = c.node().string_or("update_rule", "gated_delta");
  if (rule != "linear" && rule != "gated" && rule != "delta" && rule != "gated_delta") {
    return c.error(
        cat("update_rule is '", rule, "', expected linear, gated, delta or gated_delta"));
  }
  const int64_t heads = c.node().int_or("kv_num_heads", 0);
  const int64_t query_heads = c.node().int_or("q_num_heads", 0);
  if (heads < 1 || query_heads < 1 || query_heads % heads != 0) {
    return c.error(cat("q_num_heads is ", query_heads, ", kv_num_heads ", heads));
  }
  for (size_t i = 0; i < 3; ++i) QUERN_TRY(c.expect_rank(i, 3));
  const Shape* q = c.shape(S::kQuery);
  const Shape* k = c.shape(S::kKey);
  const Shape* v = c.shape(S::kValue);
  if (q != nullptr && v != nullptr) {
    c.set(0, type, Shape{(*q)[0], (*q)[1], floor_div((*v)[2], heads) * query_heads});
  }
  if (q != nullptr && k != nullptr && v != nullptr) {
    c.set(1, state, Shape{(*q)[0], heads, floor_div((*k)[2], heads), floor_div((*v)[2], heads)});
  }
  return {};
}

struct Config {
  int64_t keys = 0, lanes = 1, workgroup = 64;
  bool past = false, decay = false, beta = false, present = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", workgroup);
    f("LANES", lanes);
    f("KEYS", keys);
    f("ROWS", (keys + lanes - 1) / lanes);
    f("PAST", uint32_t{past});
    f("DECAY", uint32_t{decay});
    f("BETA", uint32_t{beta});
    f("PRESENT", uint32_t{present});
  }
};

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(const S s, linear_attention_shape(ctx));
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_u32(ctx, ctx.input(i).count()));
  }
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  if (s.batch * s.heads * s.values == 0) return {};
  Config config;
  config.keys = s.keys;
  // So that an invocation holds at most some eight elements of the state.
  while (config.lanes < 32 && config.lanes * 8 < s.keys) config.lanes *= 2;
  config.past = ctx.has_input(S::kPast);
  config.decay = s.decays;
  config.beta = s.delta;
  config.present = ctx.output_count() > 1 && ctx.output(1).present;
  KernelCall call;
  call.kernel = "linear_attention";
  call.bindings = {ctx.bind_in("q", S::kQuery), ctx.bind_in("k", S::kKey),
                   ctx.bind_in("v", S::kValue)};
  if (config.past) call.bindings.push_back(ctx.bind_in("past", S::kPast));
  if (config.decay) call.bindings.push_back(ctx.bind_in("decay", S::kDecay));
  if (config.beta) call.bindings.push_back(ctx.bind_in("beta", S::kBeta));
  call.bindings.push_back(ctx.bind_out("y", 0));
  if (config.present) call.bindings.push_back(ctx.bind_out("present", 1));
  call.config = config_of(config);
  const int64_t columns = config.workgroup / config.lanes;
  const int64_t blocks = (s.values + columns - 1) / columns;
  const int64_t units = s.batch * s.heads * blocks;
  call.params = {word(units),       word(s.heads),    word(s.group),     word(s.positions),
                 word(s.values),    word(blocks),     word(s.decay_row), word(s.decay_head),
                 word(s.decay_key), word(s.beta_row), word(s.beta_head), word_of(s.scale)};
  call.workgroups = split_workgroups(static_cast<uint64_t>(units), ctx.target());
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_linear_attention;
const OpDef op_linear_attention = {
    .name = "LinearAttention",
    .since = 27,
    .min_inputs = 3,
    .max_inputs = 6,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .lower = lower,
    .cpu_kernel = "linear_attention",
};

}  // namespace quern
