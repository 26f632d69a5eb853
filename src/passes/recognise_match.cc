#include "passes/recognise_match.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

/// How far constants of a type may be off: a few roundings.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 2e-3;
    case DType::kBF16:
      return 1.6e-2;
    default:
      return 2e-6;
  }
}

/// Polynomials grow no further than any pattern needs.
constexpr size_t kMaxTerms = 6;
constexpr size_t kMaxDegree = 4;
constexpr int kMaxDepth = 10;

}  // namespace

Node* made_by(const Value* v, std::string_view op) {
  return v != nullptr && v->producer != nullptr && v->producer->is(op) ? v->producer : nullptr;
}

std::optional<double> scalar_of(const Value* v) {
  if (v == nullptr || !v->constant || !v->constant->is_inline()) return std::nullopt;
  const HostTensor& host = v->constant->host;
  if (host.count() != 1 || bit_width(host.dtype) == 0 || host.dtype == DType::kBool) {
    return std::nullopt;
  }
  return host.float_at(0);
}

bool is_close(double a, double b, DType dtype) {
  return a == b || std::fabs(a - b) <= tolerance(dtype) * std::fabs(b);
}

bool is_scalar(const Value* v, double want) {
  const auto number = scalar_of(v);
  return number && is_close(*number, want, v->constant->dtype);
}

std::optional<std::vector<int64_t>> ints_of(const Value* v) {
  if (v == nullptr || !v->constant || !v->constant->is_inline()) return std::nullopt;
  const HostTensor& host = v->constant->host;
  if (!is_integer(host.dtype) || host.count() > 16) return std::nullopt;
  std::vector<int64_t> values;
  for (int64_t i = 0; i < host.count(); ++i) values.push_back(host.int_at(i));
  return values;
}

Value* other_operand(const Node& node, const Value* v) {
  if (node.inputs.size() != 2) return nullptr;
  if (node.inputs[0] == v) return node.inputs[1] == v ? nullptr : node.inputs[1];
  return node.inputs[1] == v ? node.inputs[0] : nullptr;
}

const Shape* shape_of(const Value* v) {
  if (v == nullptr || v->type.kind != Type::Kind::kTensor || !v->type.shape) return nullptr;
  return &*v->type.shape;
}

bool same_type(const Value* a, const Value* b) {
  const Shape* of_a = shape_of(a);
  const Shape* of_b = shape_of(b);
  return of_a != nullptr && of_b != nullptr && a->type.dtype == b->type.dtype && *of_a == *of_b;
}

std::vector<int64_t> permutation_of(const Node& transpose) {
  const Shape* shape = shape_of(transpose.input(0));
  if (shape == nullptr) return {};
  const auto rank = static_cast<int64_t>(shape->size());
  if (const std::vector<int64_t>* perm = transpose.ints("perm")) {
    if (perm->size() != shape->size()) return {};
    for (const int64_t p : *perm) {
      if (p < 0 || p >= rank) return {};
    }
    return *perm;
  }
  std::vector<int64_t> reversed;
  for (int64_t i = rank; i-- > 0;) reversed.push_back(i);
  return reversed;
}

bool Polynomial::ById::operator()(const Monomial& a, const Monomial& b) const {
  return std::ranges::lexicographical_compare(a, b, {}, &Value::id, &Value::id);
}

Polynomial Polynomial::number(double value) {
  Polynomial p;
  p.terms_[{}] = value;
  return p;
}

Polynomial Polynomial::of(const Value* value) {
  Polynomial p;
  p.terms_[{value}] = 1;
  return p;
}

Polynomial operator+(const Polynomial& a, const Polynomial& b) {
  Polynomial sum = a;
  for (const auto& [monomial, factor] : b.terms_) sum.terms_[monomial] += factor;
  return sum;
}

Polynomial operator*(const Polynomial& a, const Polynomial& b) {
  Polynomial product;
  for (const auto& [of_a, factor_a] : a.terms_) {
    for (const auto& [of_b, factor_b] : b.terms_) {
      Polynomial::Monomial monomial = of_a;
      monomial.insert(monomial.end(), of_b.begin(), of_b.end());
      std::ranges::sort(monomial, {}, &Value::id);
      product.terms_[std::move(monomial)] += factor_a * factor_b;
    }
  }
  return product;
}

std::optional<double> Polynomial::constant() const {
  if (terms_.size() != 1 || !terms_.begin()->first.empty()) return std::nullopt;
  return terms_.begin()->second;
}

const Value* Polynomial::variable() const {
  const Value* found = nullptr;
  for (const auto& [monomial, factor] : terms_) {
    for (const Value* v : monomial) {
      if (found != nullptr && found != v) return nullptr;
      found = v;
    }
  }
  return found;
}

bool Polynomial::is(std::initializer_list<std::pair<Monomial, double>> terms, DType dtype) const {
  if (terms.size() != terms_.size()) return false;
  return std::ranges::all_of(terms, [&](const std::pair<Monomial, double>& term) {
    Monomial monomial = term.first;
    std::ranges::sort(monomial, {}, &Value::id);
    const auto found = terms_.find(monomial);
    return found != terms_.end() && is_close(found->second, term.second, dtype);
  });
}

bool Polynomial::is_small() const {
  return terms_.size() <= kMaxTerms && std::ranges::all_of(terms_, [](const auto& term) {
           return term.first.size() <= kMaxDegree;
         });
}

Matcher::Matcher(Graph& graph) : graph_(graph) { collect_outputs(graph); }

void Matcher::collect_outputs(const Graph& graph) {
  outputs_.insert(graph.outputs.begin(), graph.outputs.end());
  for (const auto& node : graph.nodes()) {
    for (const Graph* body : node->subgraphs()) collect_outputs(*body);
  }
}

Node* Matcher::only_user(const Value* v) const {
  if (v == nullptr || v->uses.empty() || v->graph != &graph_ || is_output(v)) return nullptr;
  Node* user = v->uses[0].node;
  const bool one = std::ranges::all_of(v->uses, [&](const Use& use) { return use.node == user; });
  return one && user->graph == &graph_ ? user : nullptr;
}

bool Matcher::used_only_by(const Value* v, std::initializer_list<const Node*> nodes) const {
  if (v->graph != &graph_ || is_output(v)) return false;
  const auto uses = [&](const Node* node) {
    return std::ranges::any_of(v->uses, [&](const Use& use) { return use.node == node; });
  };
  const auto known = [&](const Use& use) {
    return std::ranges::find(nodes, use.node) != nodes.end();
  };
  return std::ranges::all_of(v->uses, known) && std::ranges::all_of(nodes, uses);
}

Polynomial Matcher::polynomial(const Value* v, bool root) const {
  return polynomial(v, root, kMaxDepth);
}

Polynomial Matcher::polynomial(const Value* v, bool root, int depth) const {
  if (const auto number = scalar_of(v)) return Polynomial::number(*number);
  if (v->producer != nullptr && v->producer->graph == &graph_ && depth > 0 &&
      (root || only_user(v) != nullptr)) {
    std::optional<Polynomial> inner = arithmetic(*v->producer, depth - 1);
    if (inner && inner->is_small()) return *std::move(inner);
  }
  return Polynomial::of(v);
}

std::optional<Polynomial> Matcher::arithmetic(const Node& node, int depth) const {
  const auto operand = [&](size_t i) { return polynomial(node.inputs[i], false, depth); };
  if (node.is("Neg")) return Polynomial::number(-1) * operand(0);
  if (node.is("Add")) return operand(0) + operand(1);
  if (node.is("Sub")) return operand(0) + Polynomial::number(-1) * operand(1);
  if (node.is("Mul")) return operand(0) * operand(1);
  if (node.is("Div")) {
    const auto divisor = scalar_of(node.inputs[1]);
    if (!divisor || *divisor == 0) return std::nullopt;
    return operand(0) * Polynomial::number(1 / *divisor);
  }
  if (node.is("Pow")) {
    const auto power = scalar_of(node.inputs[1]);
    if (power != 2 && power != 3) return std::nullopt;
    const Polynomial base = operand(0);
    return power == 2 ? base * base : base * base * base;
  }
  return std::nullopt;
}

std::vector<Node*> Matcher::nodes_of(std::initializer_list<std::string_view> ops) const {
  std::vector<Node*> found;
  for (const auto& node : graph_.nodes()) {
    if (node->domain.empty() && std::ranges::find(ops, node->op) != ops.end()) {
      found.push_back(node.get());
    }
  }
  return found;
}

Value* Matcher::add(std::string_view op, std::vector<Value*> inputs, Node* before, Type type,
                    std::map<std::string, AttributeValue, std::less<>> attributes) {
  // Version 13 is the first with axes as inputs and all types; these operators mean the same since.
  Node* node = graph_.add_node(std::string(op), std::move(inputs), 1, before, "", 13);
  node->name = cat(before->name, "/", op);
  node->attributes = std::move(attributes);
  node->outputs[0]->type = std::move(type);
  return node->outputs[0];
}

namespace {

Value* add_constant(Graph& graph, ConstantPtr constant) {
  const Constant& c = *constant;
  const Type type = Type::tensor(c.dtype, Shape(c.dims.begin(), c.dims.end()));
  Value* value = graph.add_constant("", std::move(constant));
  value->type = type;
  return value;
}

}  // namespace

Value* Matcher::constant_ints(std::vector<int64_t> values) {
  const Dims dims = {static_cast<int64_t>(values.size())};
  Value* v = add_constant(graph_, make_constant(HostTensor::of_ints(DType::kI64, dims, values)));
  v->contents.emplace(values.begin(), values.end());
  return v;
}

Value* Matcher::constant_fill(DType dtype, Dims dims, double value) {
  HostTensor tensor;
  tensor.dtype = dtype;
  tensor.dims = std::move(dims);
  const int64_t count = tensor.count();
  tensor.bytes.assign(byte_size(dtype, static_cast<uint64_t>(count)), 0);
  for (int64_t i = 0; i < count; ++i) tensor.set_float(i, value);
  return add_constant(graph_, make_constant(std::move(tensor)));
}

Value* Matcher::with_dims(const Value* v, Dims dims) {
  auto view = std::make_shared<Constant>(*v->constant);
  view->dims = dims;
  if (view->is_inline()) view->host.dims = std::move(dims);
  Value* value = add_constant(graph_, std::move(view));
  value->name = v->name;
  return value;
}

Node* Matcher::replace(Node* root, Replacement by) {
  Node* node = graph_.add_node(std::string(by.op), std::move(by.inputs), 1, root,
                               std::string(by.domain), by.version);
  Value* old = root->outputs[0];
  Value* made = node->outputs[0];
  node->name = root->name;
  node->attributes = std::move(by.attributes);
  made->name = old->name;
  made->type = old->type;
  if (outputs_.erase(old) != 0) outputs_.insert(made);
  graph_.replace_uses(old, made);
  erase_unused(root);
  return node;
}

void Matcher::erase_unused(Node* root) {
  std::vector<Node*> dead;
  std::set<const Node*> is_dead;
  const auto visit = [&](Node* node) {
    if (node == nullptr || node->graph != &graph_ || is_dead.contains(node)) return;
    for (const Value* out : node->outputs) {
      if (is_output(out)) return;
      for (const Use& use : out->uses) {
        if (!is_dead.contains(use.node)) return;
      }
    }
    is_dead.insert(node);
    dead.push_back(node);
  };
  visit(root);
  for (size_t i = 0; i < dead.size(); ++i) {
    for (const Value* input : dead[i]->inputs) {
      if (input != nullptr) visit(input->producer);
    }
  }
  gone_.insert(dead.begin(), dead.end());
  graph_.erase(dead);
}

}  // namespace quern
