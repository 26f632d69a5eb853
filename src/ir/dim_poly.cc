// Polynomials over the atoms of Dim: the canonical form of sums and products.
#include <algorithm>
#include <utility>

#include "ir/dim_node.h"

namespace quern {
namespace {

using Kind = DimNode::Kind;

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

/// Graded lexicographic order, the larger first. It agrees with multiplication, which long
/// division relies on.
int compare(const std::vector<DimAtom>& a, const std::vector<DimAtom>& b) {
  if (a.size() != b.size()) return order(b.size(), a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (const int c = quern::compare(*a[i], *b[i])) return c;
  }
  return 0;
}

struct Bounds {
  int64_t lower;
  int64_t upper;
};

Bounds multiply(Bounds a, Bounds b) {
  const int64_t products[] = {multiply_bounds(a.lower, b.lower), multiply_bounds(a.lower, b.upper),
                              multiply_bounds(a.upper, b.lower), multiply_bounds(a.upper, b.upper)};
  const auto [low, high] = std::minmax_element(std::begin(products), std::end(products));
  return {*low, *high};
}

/// Infinity wins over any finite number: a bound that is not known stays so.
int64_t add_to_bound(int64_t a, int64_t b, int64_t infinity) {
  return a == infinity || b == infinity ? infinity : add_bounds(a, b);
}

Bounds term_bounds(const DimTerm& term) {
  Bounds bounds{term.coefficient, term.coefficient};
  for (const DimAtom& factor : term.factors) {
    bounds = multiply(bounds, {factor->lower, factor->upper});
  }
  return bounds;
}

Bounds plain_bounds(const DimPoly& poly) {
  Bounds sum{poly.constant, poly.constant};
  for (const DimTerm& term : poly.terms) {
    const Bounds bounds = term_bounds(term);
    sum.lower = add_to_bound(sum.lower, bounds.lower, INT64_MIN);
    sum.upper = add_to_bound(sum.upper, bounds.upper, INT64_MAX);
  }
  return sum;
}

/// Bounds of the terms on their own lose that n - min(n, 2) is at least 0. So each minimum and
/// maximum is also replaced by each of its arguments where that can only move the sum one way.
Bounds poly_bounds(const DimPoly& poly) {
  if (poly.failed) return {INT64_MIN, INT64_MAX};
  Bounds best = plain_bounds(poly);
  for (const DimTerm& term : poly.terms) {
    if (term.factors.size() != 1) continue;
    const DimNode& atom = *term.factors[0];
    if (atom.kind != Kind::kMin && atom.kind != Kind::kMax) continue;
    const bool gives_lower = (atom.kind == Kind::kMax) == (term.coefficient > 0);
    for (const Dim& arg : atom.args) {
      DimPoly replaced = poly;
      DimPoly change(arg);
      change.add_term({-1, term.factors});
      replaced.add(change, term.coefficient);
      if (replaced.failed) continue;
      const Bounds bounds = plain_bounds(replaced);
      if (gives_lower) {
        best.lower = std::max(best.lower, bounds.lower);
      } else {
        best.upper = std::min(best.upper, bounds.upper);
      }
    }
  }
  return best;
}

}  // namespace

int64_t add_bounds(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t multiply_bounds(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  int64_t product;
  const bool infinite = a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX;
  if (!infinite && !__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

int64_t floor_div_bound(int64_t a, int64_t b) {
  if (a == INT64_MIN || a == INT64_MAX) return a;
  return a / b - (a % b < 0);
}

int compare(const DimNode& a, const DimNode& b) {
  if (&a == &b) return 0;
  if (a.kind != b.kind) return order(a.kind, b.kind);
  if (const int c = order(a.name, b.name)) return c;
  if (const int c = order(a.args.size(), b.args.size())) return c;
  for (size_t i = 0; i < a.args.size(); ++i) {
    if (const int c = compare(a.args[i], b.args[i])) return c;
  }
  if (const int c = order(a.terms.size(), b.terms.size())) return c;
  for (size_t i = 0; i < a.terms.size(); ++i) {
    if (const int c = compare(a.terms[i].factors, b.terms[i].factors)) return c;
    if (const int c = order(a.terms[i].coefficient, b.terms[i].coefficient)) return c;
  }
  return order(a.constant, b.constant);
}

int compare(const Dim& a, const Dim& b) {
  const DimAtom& x = DimFactory::node(a);
  const DimAtom& y = DimFactory::node(b);
  if (!x || !y) return x ? -1 : y ? 1 : order(a.value(), b.value());
  return compare(*x, *y);
}

DimPoly::DimPoly(const Dim& dim) {
  const DimAtom& node = DimFactory::node(dim);
  if (!node) {
    constant = dim.value();
  } else if (node->kind == Kind::kSum) {
    terms = node->terms;
    constant = node->constant;
  } else {
    terms.push_back({1, {node}});
  }
}

void DimPoly::add(const DimPoly& other, int64_t scale) {
  int64_t scaled;
  failed |= other.failed;
  if (__builtin_mul_overflow(other.constant, scale, &scaled) ||
      __builtin_add_overflow(constant, scaled, &constant)) {
    failed = true;
  }
  std::vector<DimTerm> sum;
  sum.reserve(terms.size() + other.terms.size());
  auto mine = terms.begin();
  for (const DimTerm& term : other.terms) {
    if (__builtin_mul_overflow(term.coefficient, scale, &scaled)) failed = true;
    while (mine != terms.end() && compare(mine->factors, term.factors) < 0) {
      sum.push_back(std::move(*mine++));
    }
    if (mine != terms.end() && compare(mine->factors, term.factors) == 0) {
      if (__builtin_add_overflow(mine->coefficient, scaled, &scaled)) failed = true;
      ++mine;
    }
    if (scaled != 0) sum.push_back({scaled, term.factors});
  }
  std::move(mine, terms.end(), std::back_inserter(sum));
  terms = std::move(sum);
}

void DimPoly::add_term(DimTerm term) {
  DimPoly other;
  other.terms.push_back(std::move(term));
  add(other, 1);
}

DimPoly DimPoly::times(const DimPoly& other) const {
  DimPoly product;
  product.failed =
      failed || other.failed || (terms.size() + 1) * (other.terms.size() + 1) > DimNode::kMaxSize;
  if (product.failed) return product;
  if (__builtin_mul_overflow(constant, other.constant, &product.constant)) product.failed = true;
  for (const DimTerm& a : terms) {
    DimPoly row;
    for (const DimTerm& b : other.terms) {
      DimTerm term{0, {}};
      if (__builtin_mul_overflow(a.coefficient, b.coefficient, &term.coefficient)) {
        product.failed = true;
      }
      term.factors.reserve(a.factors.size() + b.factors.size());
      std::merge(a.factors.begin(), a.factors.end(), b.factors.begin(), b.factors.end(),
                 std::back_inserter(term.factors),
                 [](const DimAtom& x, const DimAtom& y) { return compare(*x, *y) < 0; });
      row.terms.push_back(std::move(term));  // in order, as the order agrees with products
    }
    product.add(row, 1);
    if (other.constant != 0) {
      DimPoly scaled;
      scaled.terms.push_back(a);
      product.add(scaled, other.constant);
    }
  }
  if (constant != 0) {
    DimPoly scaled;
    scaled.terms = other.terms;
    product.add(scaled, constant);
  }
  return product;
}

std::optional<DimTerm> divide_terms(const DimTerm& a, const DimTerm& b) {
  if (b.coefficient == -1 && a.coefficient == INT64_MIN) return std::nullopt;  // would overflow
  if (a.coefficient % b.coefficient != 0) return std::nullopt;
  DimTerm quotient{a.coefficient / b.coefficient, {}};
  size_t matched = 0;
  for (const DimAtom& factor : a.factors) {
    if (matched < b.factors.size() && compare(*factor, *b.factors[matched]) == 0) {
      ++matched;
    } else {
      quotient.factors.push_back(factor);
    }
  }
  if (matched != b.factors.size()) return std::nullopt;
  return quotient;
}

std::optional<DimPoly> DimPoly::divided_by(const DimPoly& divisor) const {
  DimPoly rest = *this;
  DimPoly quotient;
  // Each step removes the leading term; what it adds comes later in the order.
  for (uint32_t step = 0; step < DimNode::kMaxSize && !rest.failed; ++step) {
    if (rest.terms.empty()) {
      if (rest.constant != 0) return std::nullopt;
      return quotient;
    }
    const DimTerm& lead = divisor.terms[0];
    std::optional<DimTerm> term = divide_terms(rest.terms[0], lead);
    if (!term) return std::nullopt;
    DimPoly partial;
    if (term->factors.empty()) {
      partial.constant = term->coefficient;
    } else {
      partial.terms.push_back(*std::move(term));
    }
    rest.add(partial.times(divisor), -1);
    quotient.add(partial, 1);
  }
  return std::nullopt;
}

const DimNode* DimPoly::single_atom() const {
  const bool single =
      terms.size() == 1 && terms[0].coefficient == 1 && terms[0].factors.size() == 1;
  return single ? terms[0].factors[0].get() : nullptr;
}

int64_t DimPoly::lower() const { return poly_bounds(*this).lower; }
int64_t DimPoly::upper() const { return poly_bounds(*this).upper; }

Dim DimPoly::dim() && {
  if (failed) return DimFactory::opaque();
  if (terms.empty()) return constant;
  if (single_atom() && constant == 0) return DimFactory::make(terms[0].factors[0]);
  auto node = std::make_shared<DimNode>();
  node->kind = Kind::kSum;
  for (const DimTerm& term : terms) {
    ++node->size;
    for (const DimAtom& factor : term.factors) {
      node->size += factor->size;
      node->depth = std::max(node->depth, factor->depth);
    }
    if (node->size > DimNode::kMaxSize) return DimFactory::opaque();
  }
  const Bounds bounds = poly_bounds(*this);
  node->lower = bounds.lower;
  node->upper = bounds.upper;
  node->terms = std::move(terms);
  node->constant = constant;
  return DimFactory::make(std::move(node));
}

}  // namespace quern
