#include "ops/common/recurrent_shape.h"

#include <algorithm>
#include <array>
#include <optional>

#include "ops/common/gemm.h"

namespace quern {
namespace {

struct ActivationName {
  std::string_view name;
  float alpha, beta;  // the specification's defaults
};
constexpr ActivationName kNames[] = {
    {"sigmoid", 0, 0},       {"tanh", 0, 0},
    {"relu", 0, 0},          {"affine", 1, 0},
    {"leakyrelu", 0.01f, 0}, {"thresholdedrelu", 1, 0},
    {"scaledtanh", 1, 1},    {"hardsigmoid", 0.2f, 0.5f},
    {"elu", 1, 0},           {"softsign", 0, 0},
    {"softplus", 0, 0},
};
bool takes_alpha(Activation a) { return a >= Activation::kAffine && a <= Activation::kElu; }
bool takes_beta(Activation a) {
  return a == Activation::kAffine || a == Activation::kScaledTanh || a == Activation::kHardSigmoid;
}

std::optional<Activation> activation_named(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i].name == lower) return static_cast<Activation>(i);
  }
  return std::nullopt;
}

std::string activation_names() {
  std::string names;
  for (const ActivationName& a : kNames) names += cat(names.empty() ? "" : ", ", a.name);
  return names;
}

Result<std::vector<std::vector<ActivationUse>>> read_activations(const Node& node,
                                                                 const RecurrentKind& kind,
                                                                 int64_t directions) {
  const size_t each = kind.activations.size();
  std::vector<Activation> kinds;
  const AttributeValue* given = node.attribute("activations");
  const auto* names = given != nullptr ? std::get_if<std::vector<std::string>>(given) : nullptr;
  if (names != nullptr && !names->empty()) {
    if (names->size() != each * static_cast<size_t>(directions)) {
      return invalid_model(cat(node.describe(), ": ", names->size(), " activations where ",
                               each * static_cast<size_t>(directions), " are expected"));
    }
    for (const std::string& name : *names) {
      const auto a = activation_named(name);
      if (!a) {
        return unsupported(
            cat(node.describe(), ": activations has '", name, "', expected ", activation_names()));
      }
      kinds.push_back(*a);
    }
  } else {
    for (int64_t d = 0; d < directions; ++d) {
      kinds.insert(kinds.end(), kind.activations.begin(), kind.activations.end());
    }
  }
  // The lists hold values for the activations that take one, in their order.
  const std::vector<float>* alphas = node.floats("activation_alpha");
  const std::vector<float>* betas = node.floats("activation_beta");
  size_t next_alpha = 0;
  size_t next_beta = 0;
  std::vector<std::vector<ActivationUse>> out;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (i % each == 0) out.emplace_back();
    ActivationUse use = {kinds[i], kNames[static_cast<size_t>(kinds[i])].alpha,
                         kNames[static_cast<size_t>(kinds[i])].beta};
    if (takes_alpha(use.kind) && alphas != nullptr && next_alpha < alphas->size()) {
      use.alpha = (*alphas)[next_alpha++];
    }
    if (takes_beta(use.kind) && betas != nullptr && next_beta < betas->size()) {
      use.beta = (*betas)[next_beta++];
    }
    out.back().push_back(use);
  }
  return out;
}

Result<int64_t> direction_count(const Node& node) {
  const std::string_view d = node.string_or("direction", "forward");
  if (d == "forward" || d == "reverse") return 1;
  if (d == "bidirectional") return 2;
  return invalid_model(
      cat(node.describe(), ": direction is '", d, "', expected forward, reverse or bidirectional"));
}

struct StepConfig {
  const RecurrentShape& s;
  const RecurrentKind& kind;
  size_t direction;
  int64_t units;
  bool peepholes, lengths, aux, h0, c0, y, yh, yc;
  template <class F>
  void fields(F&& f) const {
    f("HIDDEN", s.hidden);
    f("UNITS", units);
    f("WG", uint32_t{kind.gates * units <= 64 ? 64u : 256u});
    f("LENGTHS", lengths);
    constexpr std::string_view kActs[] = {"ACT_F", "ACT_G", "ACT_H"};
    for (size_t i = 0; i < s.activations[direction].size(); ++i) {
      f(kActs[i], static_cast<uint32_t>(s.activations[direction][i].kind));
    }
    if (kind.has_cell) {
      f("PEEPHOLES", peepholes);
      f("INPUT_FORGET", s.input_forget);
      f("C0", uint32_t{c0});
      f("YC", uint32_t{yc});
    }
    if (kind.gates == 3) f("LINEAR", s.linear_before_reset);
    f("AUX", uint32_t{aux});
    f("H0", uint32_t{h0});
    f("Y", uint32_t{y});
    f("YH", uint32_t{yh});
  }
};

/// Biases, peepholes and lengths in one f32 table, so that bindings stay within eight.
Result<KernelBinding> pack_aux(LowerContext& ctx, const RecurrentShape& s, int64_t gates) {
  struct Part {
    size_t input;
    int64_t count;
  };
  const Part parts[] = {
      {3, s.directions * 2 * gates * s.hidden}, {7, s.directions * 3 * s.hidden}, {4, s.batch}};
  int64_t total = 0;
  for (const Part& part : parts) total += part.count;
  ExprProgram program;
  program.params.push_back(total);
  program.domain.push_back({total, 0});
  ExprBuilder b(program);
  std::vector<Storage> inputs;
  Expr value = b.constant(Scalar::kF32, 0);
  int64_t start = 0;
  for (const Part& part : parts) {
    Expr v = b.constant(Scalar::kF32, 0);
    if (ctx.has_input(part.input) && part.count > 0) {
      const auto slot = static_cast<uint32_t>(program.inputs.size());
      const auto param = static_cast<int32_t>(program.params.size());
      program.params.push_back(part.count);
      program.inputs.push_back({ctx.input(part.input).dtype, {{part.count, param}}, false});
      inputs.push_back(ctx.in(part.input));
      const Expr at = b.sub(b.index(0), b.param(Scalar::kI32, start));
      const Expr last = b.param(Scalar::kI32, part.count - 1);
      v = b.cast(b.load_flat(slot, b.max(b.min(at, last), b.i32(0))), Scalar::kF32);
    }
    value = start == 0 ? v : b.select(b.lt(b.index(0), b.param(Scalar::kI32, start)), value, v);
    start += part.count;
  }
  QUERN_TRY(b.check());
  program.outputs.push_back({value, DType::kF32});
  QUERN_ASSIGN(Storage aux, ctx.scratch(static_cast<uint64_t>(total) * 4));
  QUERN_TRY(ctx.dispatch(std::move(program), std::move(inputs), {aux}));
  return KernelBinding{"aux", aux, DType::kF32, static_cast<uint64_t>(total)};
}

}  // namespace

RecurrentKind lstm_kind() {
  return {"lstm", 4, {Activation::kSigmoid, Activation::kTanh, Activation::kTanh}, true};
}
RecurrentKind gru_kind() { return {"gru", 3, {Activation::kSigmoid, Activation::kTanh}}; }
RecurrentKind rnn_kind() { return {"rnn", 1, {Activation::kTanh}}; }

Result<RecurrentShape> recurrent_shape(const OpContext& ctx, const RecurrentKind& kind) {
  const Node& node = ctx.node();
  const Dims& x = ctx.input(0).dims;
  const Dims& w = ctx.input(1).dims;
  const Dims& r = ctx.input(2).dims;
  RecurrentShape s;
  QUERN_ASSIGN(s.directions, direction_count(node));
  s.batch_first = node.int_or("layout", 0) != 0;
  s.reverse = node.string_or("direction", "forward") == "reverse";
  s.input_forget = node.int_or("input_forget", 0) != 0;
  s.linear_before_reset = node.int_or("linear_before_reset", 0) != 0;
  s.clip = node.float_or("clip", 0.0f);
  s.steps = x[s.batch_first ? 1 : 0];
  s.batch = x[s.batch_first ? 0 : 1];
  s.input = x[2];
  s.hidden = r.size() == 3 ? r[2] : 0;
  const int64_t rows = kind.gates * s.hidden;
  if (w != Dims{s.directions, rows, s.input} || r != Dims{s.directions, rows, s.hidden} ||
      s.hidden == 0 || node.int_or("hidden_size", s.hidden) != s.hidden) {
    return ctx.error(cat("input ", x, ", W ", w, " and R ", r, " don't fit together"));
  }
  const auto fits = [&](size_t i, const Dims& want) {
    return !ctx.has_input(i) || ctx.input(i).dims == want;
  };
  const Dims state =
      s.batch_first ? Dims{s.batch, s.directions, s.hidden} : Dims{s.directions, s.batch, s.hidden};
  if (!fits(3, {s.directions, 2 * rows}) || !fits(4, {s.batch}) || !fits(5, state) ||
      (kind.has_cell && (!fits(6, state) || !fits(7, {s.directions, 3 * s.hidden})))) {
    return ctx.error(
        cat("B, sequence_lens, a state or P has a wrong shape for hidden size ", s.hidden));
  }
  QUERN_ASSIGN(s.activations, read_activations(node, kind, s.directions));
  return s;
}

Result<void> infer_recurrent(InferContext& ctx, const RecurrentKind& kind) {
  QUERN_TRY(ctx.expect_rank(0, 3));
  QUERN_TRY(ctx.expect_rank(1, 3));
  QUERN_TRY(ctx.expect_rank(2, 3));
  QUERN_ASSIGN(const int64_t directions, direction_count(ctx.node()));
  const bool batch_first = ctx.node().int_or("layout", 0) != 0;
  const DType type = ctx.dtype(0);
  const Shape* x = ctx.shape(0);
  const Shape* r = ctx.shape(2);
  Dim hidden = ctx.node().int_or("hidden_size", 0);
  if (r != nullptr) hidden = (*r)[2];
  if (r == nullptr && hidden.value() <= 0) hidden = ctx.fresh_dim(0, 3);
  if (r != nullptr && proven_equal((*r)[1], hidden * kind.gates) == false) {
    return ctx.error(cat("R of shape ", *r, " where [", directions, ", ", kind.gates,
                         " * hidden, hidden] is expected"));
  }
  if (x == nullptr) {
    for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, type, std::nullopt);
    return {};
  }
  const Dim& steps = (*x)[batch_first ? 1 : 0];
  const Dim& batch = (*x)[batch_first ? 0 : 1];
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  for (size_t i = 0; i < ctx.output_count(); ++i) {
    if (i > 0) {
      ctx.set(i, type, state);
    } else {
      ctx.set(0, type,
              batch_first ? Shape{batch, steps, directions, hidden}
                          : Shape{steps, directions, batch, hidden});
    }
  }
  return {};
}

Result<void> lower_recurrent(LowerContext& ctx, const RecurrentKind& kind) {
  QUERN_ASSIGN(RecurrentShape s, recurrent_shape(ctx, kind));
  const auto has_output = [&](size_t i) {
    return i < ctx.output_count() && ctx.output(i).present && ctx.output(i).count() > 0;
  };
  // The attribute, which the extents have been compared with, holds in every binding.
  if (!ctx.input(2).is_baked(2) && ctx.node().int_or("hidden_size", 0) <= 0) {
    return unsupported(cat(ctx.node().describe(), ": a recurrence of unknown hidden size"));
  }
  if (s.batch == 0 || (!has_output(0) && !has_output(1) && !has_output(2))) return {};

  // State in workgroup memory serves small layers; else one dispatch a step, spread over
  // workgroups. A GRU that resets before its product needs all of r * h in one workgroup.
  const int64_t rows = kind.gates * s.hidden;
  const bool whole = s.hidden <= 256 || (kind.gates == 3 && !s.linear_before_reset);
  const int64_t units = whole ? s.hidden : 64;
  const int64_t words =
      s.hidden * (kind.gates == 3 && !s.linear_before_reset ? 2 : 1) + units * (kind.gates + 1);
  if (words * 4 > ctx.target().max_workgroup_storage) {
    return unsupported(cat(ctx.node().describe(), ": a hidden size of ", s.hidden));
  }
  const int64_t gx_count = s.directions * s.steps * s.batch * rows;
  QUERN_TRY(check_u32(ctx, gx_count));
  QUERN_ASSIGN(Storage gx, ctx.scratch(std::max<uint64_t>(4, static_cast<uint64_t>(gx_count) * 4)));
  GemmCall product{.a = ctx.bind_in("a", 0),
                   .b = ctx.bind_in("b", 1),
                   .y = {"y", gx, DType::kF32, static_cast<uint64_t>(gx_count)}};
  product.m = s.steps * s.batch;
  product.n = rows;
  product.k = s.input;
  product.a_row = s.input;
  product.b_row = 1;
  product.b_col = s.input;
  product.batch = {{s.directions, 0, rows * s.input}};
  product.epilogue = false;
  QUERN_TRY(dispatch_gemm(ctx, std::move(product)));

  const bool peepholes = kind.has_cell && ctx.has_input(7);
  const bool lengths = ctx.has_input(4);
  KernelCall call;
  call.kernel = kind.kernel;
  call.bindings = {{"gx", gx, DType::kF32, static_cast<uint64_t>(gx_count)}, ctx.bind_in("r", 2)};
  bool aux = false;
  if (peepholes || lengths) {
    QUERN_ASSIGN(KernelBinding packed, pack_aux(ctx, s, kind.gates));
    call.bindings.push_back(packed);
    aux = true;
  } else if (ctx.has_input(3)) {
    call.bindings.push_back(ctx.bind_in("aux", 3));
    aux = true;
  }
  if (ctx.has_input(5)) call.bindings.push_back(ctx.bind_in("h0", 5));
  const bool c0 = kind.has_cell && ctx.has_input(6);
  if (c0) call.bindings.push_back(ctx.bind_in("c0", 6));
  // Without state in workgroup memory the steps hand it on in y and y_c.
  const auto bind = [&](std::string_view name, size_t i, bool needed,
                        int64_t count) -> Result<bool> {
    if (has_output(i)) {
      call.bindings.push_back(ctx.bind_out(name, i));
      return true;
    }
    if (!needed) return false;
    QUERN_ASSIGN(Storage own, ctx.scratch(static_cast<uint64_t>(count) * 4));
    call.bindings.push_back({name, own, DType::kF32, static_cast<uint64_t>(count)});
    return true;
  };
  const int64_t states = s.directions * s.batch * s.hidden;
  QUERN_ASSIGN(const bool y, bind("y", 0, !whole && s.steps > 1, s.steps * states));
  QUERN_ASSIGN(const bool yh, bind("y_h", 1, false, states));
  bool yc = false;
  if (kind.has_cell) {
    QUERN_ASSIGN(yc, bind("y_c", 2, !whole && s.steps > 1, states));
  }
  const bool alike = s.directions == 1 || s.activations[0] == s.activations[1];
  const int64_t blocks = (s.hidden + units - 1) / units;
  // Without steps one pass past the end copies the initial states.
  const int64_t steps = std::max<int64_t>(s.steps, 1);
  for (int64_t first = 0; first < s.directions; first += alike ? s.directions : 1) {
    const int64_t count = alike ? s.directions : 1;
    const auto& acts = s.activations[static_cast<size_t>(first)];
    call.config = config_of(StepConfig{s, kind, static_cast<size_t>(first), units, peepholes,
                                       lengths, aux, ctx.has_input(5), c0, y, yh, yc});
    call.workgroups =
        split_workgroups(static_cast<uint64_t>(count * s.batch * blocks), ctx.target());
    for (int64_t step = 0; step < steps; step += whole ? steps : 1) {
      const int64_t end = whole ? steps : step + 1;
      call.params = {word(step),
                     word(end),
                     word(s.steps),
                     word(s.batch),
                     word(first),
                     word(count),
                     word(s.reverse),
                     word(s.steps * s.batch),
                     word(s.x_step()),
                     word(s.x_batch()),
                     word(s.y_direction()),
                     word(s.y_step()),
                     word(s.y_batch()),
                     word(s.state_direction()),
                     word(s.state_batch()),
                     word(s.directions * 2 * rows),
                     word(s.directions * (2 * rows + 3 * s.hidden)),
                     word_of(s.clip > 0 ? s.clip : 3.402823466e38f)};
      for (const ActivationUse& use : acts) {
        call.params.push_back(word_of(use.alpha));
        call.params.push_back(word_of(use.beta));
      }
      QUERN_TRY(ctx.dispatch(call));
    }
  }
  return {};
}

}  // namespace quern
