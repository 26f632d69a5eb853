// What the recogniser's patterns are written with: tests of values, and replacement.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace quern {

/// The node that makes `v`, if it is the ONNX operator `op`; null otherwise.
Node* made_by(const Value* v, std::string_view op);
/// The element of a numeric constant with one element.
std::optional<double> scalar_of(const Value* v);
/// Is `v` a scalar constant, equal to `want` as far as its type can say?
bool is_scalar(const Value* v, double want);
/// Equal up to what constants of `dtype` round to.
bool is_close(double a, double b, DType dtype);
/// The contents of a small constant of integers.
std::optional<std::vector<int64_t>> ints_of(const Value* v);
/// The operand of a node with two inputs that is not `v`; null where both are.
Value* other_operand(const Node& node, const Value* v);
/// The shape of a tensor; null where its rank is unknown.
const Shape* shape_of(const Value* v);
/// Tensors of one element type and provably one shape.
bool same_type(const Value* a, const Value* b);
/// Permutation [0, 2, 1, 3] or whatever; empty where not known.
std::vector<int64_t> permutation_of(const Node& transpose);

/// A sum of products of values: monomials (the values in order of their number, each as often as
/// its power) with their coefficients.
class Polynomial {
 public:
  using Monomial = std::vector<const Value*>;
  struct ById {
    bool operator()(const Monomial& a, const Monomial& b) const;
  };
  using Terms = std::map<Monomial, double, ById>;

  static Polynomial number(double value);
  static Polynomial of(const Value* value);
  [[nodiscard]] const Terms& terms() const { return terms_; }
  /// Its value where it is a number.
  [[nodiscard]] std::optional<double> constant() const;
  /// The one value it depends on; null where there are none or several.
  [[nodiscard]] const Value* variable() const;
  /// Are these its terms, with coefficients equal up to the rounding of `dtype`?
  [[nodiscard]] bool is(std::initializer_list<std::pair<Monomial, double>> terms,
                        DType dtype) const;
  [[nodiscard]] bool is_small() const;

  friend Polynomial operator+(const Polynomial& a, const Polynomial& b);
  friend Polynomial operator*(const Polynomial& a, const Polynomial& b);

 private:
  Terms terms_;
};

/// What stands in the place of a pattern.
struct Replacement {
  std::string_view op;
  std::vector<Value*> inputs;
  std::map<std::string, AttributeValue, std::less<>> attributes;
  std::string_view domain = "";
  int version = 0;
};

/// One graph that is searched and rewritten.
class Matcher {
 public:
  explicit Matcher(Graph& graph);

  [[nodiscard]] Graph& graph() const { return graph_; }
  /// Is it an output of this graph, or given on by a body?
  [[nodiscard]] bool is_output(const Value* v) const { return outputs_.contains(v); }
  /// The one node that uses `v`, perhaps twice; null where there are none or more, or `v` is an
  /// output, or the node is in a body.
  [[nodiscard]] Node* only_user(const Value* v) const;
  /// Do just these nodes use `v`, all of them?
  [[nodiscard]] bool used_only_by(const Value* v, std::initializer_list<const Node*> nodes) const;
  /// `v` in terms of values that this pattern doesn't own: seen through +, -, *, / and powers of
  /// values with one user, and of `v` itself with `root`.
  [[nodiscard]] Polynomial polynomial(const Value* v, bool root = false) const;

  /// Calls `match` for the nodes with one of these operators that are there now and still there
  /// at their turn; the number of times it said true.
  template <class Match>
  int each(std::initializer_list<std::string_view> ops, Match&& match) {
    int hits = 0;
    for (Node* node : nodes_of(ops)) {
      if (!gone_.contains(node)) hits += match(*node) ? 1 : 0;
    }
    graph_.remove_unused_values();
    return hits;
  }

  /// A node before `before`; its output.
  Value* add(std::string_view op, std::vector<Value*> inputs, Node* before, Type type,
             std::map<std::string, AttributeValue, std::less<>> attributes = {});
  Value* constant_ints(std::vector<int64_t> values);
  /// A constant of floats with all elements alike.
  Value* constant_fill(DType dtype, Dims dims, double value);
  /// The constant `v`, under other dims of as many elements.
  Value* with_dims(const Value* v, Dims dims);
  /// Puts a node in the place of `root`, under its names, and removes what is of no use any more.
  Node* replace(Node* root, Replacement by);

 private:
  [[nodiscard]] std::vector<Node*> nodes_of(std::initializer_list<std::string_view> ops) const;
  [[nodiscard]] Polynomial polynomial(const Value* v, bool root, int depth) const;
  /// The result of a node that is arithmetic.
  [[nodiscard]] std::optional<Polynomial> arithmetic(const Node& node, int depth) const;
  void collect_outputs(const Graph& graph);
  void erase_unused(Node* root);

  Graph& graph_;
  std::set<const Value*> outputs_;  // of this graph and its bodies
  std::set<const Node*> gone_;
};

}  // namespace quern
