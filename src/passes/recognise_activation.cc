// Activations: an inner function of a polynomial in x, within an outer polynomial in both. Every
// order and grouping of the same arithmetic is the same polynomial.

#include <cmath>
#include <numbers>

#include "passes/recognise.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

/// From the result of `inner` on through arithmetic: the first node whose value, as a polynomial,
/// `accept` takes, and that has the type of `x`.
template <class Accept>
Node* find_outer(const Matcher& m, const Node& inner, const Value* x, const Accept& accept) {
  constexpr int kMaxSteps = 6;
  const Value* v = inner.outputs[0];
  for (int step = 0; step < kMaxSteps; ++step) {
    Node* user = m.only_user(v);
    if (user == nullptr || user->outputs.size() != 1) return nullptr;
    if (!user->is("Add") && !user->is("Sub") && !user->is("Mul") && !user->is("Div")) {
      return nullptr;
    }
    v = user->outputs[0];
    if (accept(m.polynomial(v, true))) return same_type(v, x) ? user : nullptr;
  }
  return nullptr;
}

/// What an activation reads, if the argument of `inner` is a polynomial in one value that is an
/// inner value of the pattern otherwise.
struct Argument {
  Polynomial polynomial;
  Value* x = nullptr;
};
std::optional<Argument> argument_of(const Matcher& m, const Node& inner) {
  if (inner.inputs.empty() || inner.inputs[0] == nullptr) return std::nullopt;
  Argument argument{m.polynomial(inner.inputs[0])};
  argument.x = const_cast<Value*>(argument.polynomial.variable());
  if (argument.x == nullptr || argument.x->constant) return std::nullopt;
  return argument;
}

bool match_gelu(Matcher& m, Node& inner) {
  const auto argument = argument_of(m, inner);
  if (!argument) return false;
  Value* x = argument->x;
  const Value* f = inner.outputs[0];
  const DType dtype = f->type.dtype;
  const bool tanh = inner.is("Tanh");
  const double slope = std::sqrt(2 / std::numbers::pi);
  const bool fits =
      tanh ? argument->polynomial.is({{{x}, slope}, {{x, x, x}, slope * 0.044715}}, dtype)
           : argument->polynomial.is({{{x}, std::numbers::sqrt2 / 2}}, dtype);
  if (!fits) return false;
  Node* root = find_outer(
      m, inner, x, [&](const Polynomial& p) { return p.is({{{x}, 0.5}, {{x, f}, 0.5}}, dtype); });
  if (root == nullptr) return false;
  Replacement gelu{.op = "Gelu", .inputs = {x}, .version = 20};
  gelu.attributes["approximate"] = std::string(tanh ? "tanh" : "none");
  m.replace(root, std::move(gelu));
  return true;
}

bool match_swish(Matcher& m, Node& sigmoid) {
  const auto argument = argument_of(m, sigmoid);
  if (!argument) return false;
  Value* x = argument->x;
  const auto& [monomial, alpha] = *argument->polynomial.terms().begin();
  if (argument->polynomial.terms().size() != 1 || monomial.size() != 1) return false;
  const Value* f = sigmoid.outputs[0];
  Node* root = find_outer(m, sigmoid, x,
                          [&](const Polynomial& p) { return p.is({{{x, f}, 1}}, f->type.dtype); });
  if (root == nullptr) return false;
  Replacement swish{.op = "Swish", .inputs = {x}, .version = 24};
  swish.attributes["alpha"] = static_cast<float>(alpha);
  m.replace(root, std::move(swish));
  return true;
}

/// A bound of Clip: an attribute before operator set 11, an input since.
std::optional<double> bound(const Node& clip, std::string_view attribute, size_t input) {
  if (clip.version < 11) {
    const AttributeValue* value = clip.attribute(attribute);
    const auto* number = value == nullptr ? nullptr : std::get_if<float>(value);
    return number == nullptr ? std::nullopt : std::optional<double>(*number);
  }
  return scalar_of(clip.input(input));
}

bool match_hard_swish(Matcher& m, Node& inner) {
  const auto argument = argument_of(m, inner);
  if (!argument) return false;
  Value* x = argument->x;
  const Value* f = inner.outputs[0];
  const DType dtype = f->type.dtype;
  double top = 1;
  if (inner.is("HardSigmoid")) {
    if (!argument->polynomial.is({{{x}, 1}}, dtype) ||
        !is_close(inner.float_or("alpha", 0.2f), 1.0 / 6, dtype) ||
        !is_close(inner.float_or("beta", 0.5f), 0.5, dtype)) {
      return false;
    }
  } else {
    // clip(x + 3, 0, 6) / 6, or with any other top.
    const auto low = bound(inner, "min", 1);
    const auto high = bound(inner, "max", 2);
    if (!low || *low != 0 || !high || *high <= 0) return false;
    top = *high;
    if (!argument->polynomial.is({{{}, top / 2}, {{x}, top / 6}}, dtype)) return false;
  }
  Node* root = find_outer(m, inner, x,
                          [&](const Polynomial& p) { return p.is({{{x, f}, 1 / top}}, dtype); });
  if (root == nullptr) return false;
  m.replace(root, {.op = "HardSwish", .inputs = {x}, .version = 14});
  return true;
}

}  // namespace

int find_gelu(Graph& graph) {
  Matcher m(graph);
  return m.each({"Erf", "Tanh"}, [&](Node& node) { return match_gelu(m, node); });
}

int find_swish(Graph& graph) {
  Matcher m(graph);
  return m.each({"Sigmoid"}, [&](Node& node) { return match_swish(m, node); });
}

int find_hard_swish(Graph& graph) {
  Matcher m(graph);
  return m.each({"Clip", "HardSigmoid"}, [&](Node& node) { return match_hard_swish(m, node); });
}

}  // namespace quern
