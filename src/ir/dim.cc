#include "ir/dim.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "ir/dim_node.h"

namespace quern {
namespace {

using Kind = DimNode::Kind;

std::atomic<uint32_t> opaque_count{0};

Dim opaque_symbol(uint32_t id) {
  auto node = std::make_shared<DimNode>();
  node->kind = Kind::kOpaque;
  node->name = cat("?", id);
  return DimFactory::make(std::move(node));
}

const DimNode* node_of(const Dim& dim) { return DimFactory::node(dim).get(); }

/// a - b, to prove things by its bounds.
DimPoly difference(const Dim& a, const Dim& b) {
  DimPoly poly(a);
  poly.add(DimPoly(b), -1);
  return poly;
}

bool contains(const Dim& dim, Kind kind, const Dim& arg) {
  const DimNode* node = node_of(dim);
  return node && node->kind == kind && std::ranges::find(node->args, arg) != node->args.end();
}

/// Is a <= b proven?
bool at_most(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return a.value() <= b.value();
  if (a.upper() <= b.lower() && a.upper() != INT64_MAX && b.lower() != INT64_MIN) return true;
  if (contains(a, Kind::kMin, b) || contains(b, Kind::kMax, a)) return true;
  return difference(a, b).upper() <= 0;
}

/// Bounds of floor_div(a, b), floor_mod(a, b), or the others over all arguments.
void set_bounds(DimNode& node) {
  const Dim& a = node.args[0];
  const Dim& b = node.args[1];
  switch (node.kind) {
    case Kind::kFloorDiv:
      // The largest divisor brings the quotient nearest to 0, the least takes it farthest.
      if (b.lower() >= 0) {
        const int64_t least = std::max<int64_t>(1, b.lower());
        const int64_t most = b.upper();
        node.lower = floor_div_bound(a.lower(), a.lower() < 0 ? least : most);
        node.upper = floor_div_bound(a.upper(), a.upper() < 0 ? most : least);
      }
      break;
    case Kind::kFloorMod:
      if (b.lower() >= 0) {
        node.lower = 0;
        node.upper = b.upper() == INT64_MAX ? INT64_MAX : std::max<int64_t>(0, b.upper() - 1);
        if (a.lower() >= 0) node.upper = std::min(node.upper, a.upper());
      }
      break;
    case Kind::kMin:
      node.lower = node.upper = INT64_MAX;
      for (const Dim& arg : node.args) {
        node.lower = std::min(node.lower, arg.lower());
        node.upper = std::min(node.upper, arg.upper());
      }
      break;
    case Kind::kMax:
      node.lower = node.upper = INT64_MIN;
      for (const Dim& arg : node.args) {
        node.lower = std::max(node.lower, arg.lower());
        node.upper = std::max(node.upper, arg.upper());
      }
      break;
    default:  // a broadcast is one of its arguments
      node.lower = INT64_MAX;
      node.upper = INT64_MIN;
      for (const Dim& arg : node.args) {
        node.lower = std::min(node.lower, arg.lower());
        node.upper = std::max(node.upper, arg.upper());
      }
  }
}

/// The function of canonical arguments, none of which simplify.
Dim call(Kind kind, std::vector<Dim> args) {
  auto node = std::make_shared<DimNode>();
  node->kind = kind;
  for (const Dim& arg : args) {
    const DimNode* inner = node_of(arg);
    node->size += inner ? inner->size : 1;
    if (inner) node->depth = std::max(node->depth, inner->depth);
  }
  ++node->depth;
  if (node->size > DimNode::kMaxSize || node->depth > DimNode::kMaxDepth) {
    return DimFactory::opaque();
  }
  node->args = std::move(args);
  set_bounds(*node);
  return DimFactory::make(std::move(node));
}

int64_t floor_div_int(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/// Splits `poly` as quotient * k + rest, with coefficients of the rest below k in magnitude
/// (their signs kept) and its constant in [0, k).
DimPoly split(DimPoly& poly, int64_t k) {
  DimPoly quotient;
  quotient.constant = floor_div_int(poly.constant, k);
  poly.constant %= k;
  if (poly.constant < 0) poly.constant += k;
  for (DimTerm& term : poly.terms) {
    if (const int64_t q = term.coefficient / k) quotient.terms.push_back({q, term.factors});
    term.coefficient %= k;
  }
  std::erase_if(poly.terms, [](const DimTerm& term) { return term.coefficient == 0; });
  return quotient;
}

int64_t coefficient_gcd(const DimPoly& poly, int64_t gcd) {
  for (const DimTerm& term : poly.terms) gcd = std::gcd(gcd, term.coefficient);
  return gcd;
}

/// The value of floor_div(rest, k) where the bounds of `rest` leave one.
std::optional<int64_t> only_quotient(const DimPoly& rest, int64_t k) {
  const int64_t low = rest.lower();
  const int64_t high = rest.upper();
  if (low == INT64_MIN || high == INT64_MAX) return std::nullopt;
  const int64_t q = floor_div_int(low, k);
  return q == floor_div_int(high, k) ? std::optional(q) : std::nullopt;
}

Dim floor_div_by_constant(const Dim& a, int64_t k) {
  DimPoly rest(a);
  DimPoly quotient = split(rest, k);
  if (rest.is_const()) return std::move(quotient).dim();
  if (const std::optional<int64_t> q = only_quotient(rest, k)) {
    return std::move(quotient).dim() + *q;
  }
  const int64_t gcd = coefficient_gcd(rest, k);
  for (DimTerm& term : rest.terms) term.coefficient /= gcd;
  rest.constant /= gcd;
  k /= gcd;
  // floor((floor(x / m) + c) / k) is floor((x + c * m) / (m * k)): strides of layers multiply.
  const DimNode* atom = rest.single_atom();
  if (atom && atom->kind == Kind::kFloorDiv && atom->args[1].lower() >= 0) {
    const Dim& m = atom->args[1];
    return std::move(quotient).dim() + floor_div(atom->args[0] + rest.constant * m, m * k);
  }
  quotient.add(DimPoly(call(Kind::kFloorDiv, {std::move(rest).dim(), k})), 1);
  return std::move(quotient).dim();
}

/// Moves the terms that the monomial `divisor` divides from `rest` to the result.
DimPoly split(DimPoly& rest, const DimPoly& divisor) {
  DimPoly quotient;
  if (!divisor.is_monomial()) return quotient;
  std::erase_if(rest.terms, [&](const DimTerm& term) {
    std::optional<DimTerm> q = divide_terms(term, divisor.terms[0]);
    if (!q) return false;
    if (q->factors.empty()) {
      quotient.constant = q->coefficient;
    } else {
      quotient.terms.push_back(*std::move(q));
    }
    return true;
  });
  return quotient;
}

/// Divides both polynomials by the integer and the factors that all their terms share.
void cancel(DimPoly& a, DimPoly& b) {
  const int64_t constants = std::gcd(a.constant, b.constant);
  const int64_t gcd = coefficient_gcd(b, coefficient_gcd(a, constants));
  for (DimPoly* poly : {&a, &b}) {
    for (DimTerm& term : poly->terms) term.coefficient /= gcd;
    poly->constant /= gcd;
  }
  if (a.constant != 0 || b.constant != 0 || a.terms.empty()) return;
  const std::vector<DimAtom> candidates = b.terms[0].factors;
  for (const DimAtom& atom : candidates) {
    const auto find = [&](DimTerm& term) {
      return std::ranges::find_if(term.factors,
                                  [&](const DimAtom& f) { return compare(*f, *atom) == 0; });
    };
    const auto has = [&](DimTerm& term) { return find(term) != term.factors.end(); };
    if (!std::ranges::all_of(a.terms, has) || !std::ranges::all_of(b.terms, has)) continue;
    for (DimPoly* poly : {&a, &b}) {
      for (DimTerm& term : poly->terms) term.factors.erase(find(term));
      if (poly->terms.back().factors.empty()) {  // was the atom itself, and is a constant now
        poly->constant = poly->terms.back().coefficient;
        poly->terms.pop_back();
      }
    }
    if (a.constant != 0 || b.constant != 0) return;
  }
}

Dim floor_div_symbolic(const Dim& a, const Dim& b) {
  DimPoly rest(a);
  DimPoly divisor(b);
  if (std::optional<DimPoly> exact = rest.divided_by(divisor)) return (*std::move(exact)).dim();
  DimPoly pulled = split(rest, divisor);
  const Dim quotient = std::move(pulled).dim();
  cancel(rest, divisor);
  const Dim r = std::move(rest).dim();
  const Dim d = std::move(divisor).dim();
  if (d.is_const()) return quotient + floor_div(r, d);
  if (d.lower() >= 0) {
    if (r.lower() >= 0 && difference(r, d).upper() < 0) return quotient;
    if (r.upper() < 0 && (r + d).lower() >= 0) return quotient - 1;
    const DimNode* node = node_of(r);
    if (node && node->kind == Kind::kFloorDiv && node->args[1].lower() >= 0) {
      return quotient + floor_div(node->args[0], node->args[1] * d);
    }
  }
  return quotient + call(Kind::kFloorDiv, {r, d});
}

Dim floor_mod_by_constant(const Dim& a, int64_t k) {
  DimPoly rest(a);
  split(rest, k);
  if (rest.is_const()) return rest.constant;
  if (const std::optional<int64_t> q = only_quotient(rest, k)) {
    return std::move(rest).dim() - Dim(*q) * k;
  }
  const int64_t gcd = coefficient_gcd(rest, k);
  const int64_t low = rest.constant % gcd;
  for (DimTerm& term : rest.terms) term.coefficient /= gcd;
  rest.constant /= gcd;
  k /= gcd;
  const DimNode* atom = rest.single_atom();
  if (atom && atom->kind == Kind::kFloorMod && atom->args[1].is_const() &&
      atom->args[1].value() % k == 0) {
    return floor_mod(atom->args[0] + rest.constant, k) * gcd + low;
  }
  return call(Kind::kFloorMod, {std::move(rest).dim(), k}) * gcd + low;
}

/// Adds `arg` at its place among sorted arguments, if it isn't there.
void insert_sorted(std::vector<Dim>& args, const Dim& arg) {
  size_t at = 0;
  int order = 1;
  while (at < args.size() && (order = compare(arg, args[at])) > 0) ++at;
  if (order != 0) args.insert(args.begin() + static_cast<ptrdiff_t>(at), arg);
}

/// Adds `arg` to the arguments of a minimum or maximum unless it is decided already.
void add_extreme(Kind kind, std::vector<Dim>& args, const Dim& arg) {
  const auto loses = [&](const Dim& x, const Dim& y) {
    return kind == Kind::kMax ? at_most(x, y) : at_most(y, x);
  };
  for (const Dim& other : args) {
    if (loses(arg, other)) return;
  }
  std::erase_if(args, [&](const Dim& other) { return loses(other, arg); });
  insert_sorted(args, arg);
}

Dim extreme(Kind kind, const Dim& a, const Dim& b) {
  std::vector<Dim> args;
  for (const Dim* dim : {&a, &b}) {
    const DimNode* node = node_of(*dim);
    if (node && node->kind == kind) {
      for (const Dim& arg : node->args) add_extreme(kind, args, arg);
    } else {
      add_extreme(kind, args, *dim);
    }
  }
  return args.size() == 1 ? args[0] : call(kind, std::move(args));
}

}  // namespace

Dim DimFactory::opaque() { return opaque_symbol(++opaque_count); }

Dim DimFactory::opaque_named(uint32_t id) {
  uint32_t count = opaque_count;
  while (count < id && !opaque_count.compare_exchange_weak(count, id)) {
  }
  return opaque_symbol(id);
}

Dim Dim::symbol(std::string name, int64_t lower, int64_t upper) {
  if (lower == upper) return lower;
  auto node = std::make_shared<DimNode>();
  node->name = std::move(name);
  node->lower = lower;
  node->upper = upper;
  return Dim(std::move(node));
}

int64_t Dim::lower() const { return node_ ? node_->lower : value_; }
int64_t Dim::upper() const { return node_ ? node_->upper : value_; }

Dim add_dims(const Dim& a, const Dim& b) {
  DimPoly sum(a);
  sum.add(DimPoly(b), 1);
  return std::move(sum).dim();
}

Dim subtract_dims(const Dim& a, const Dim& b) { return difference(a, b).dim(); }

Dim multiply_dims(const Dim& a, const Dim& b) { return DimPoly(a).times(DimPoly(b)).dim(); }

Dim floor_div_dims(const Dim& a, const Dim& b) {
  if (b.is_const()) {
    const int64_t k = b.value();
    if (k == 0 || k == INT64_MIN) return DimFactory::opaque();
    if (k < 0) return floor_div(0 - a, -k);
    if (k == 1) return a;
    return floor_div_by_constant(a, k);
  }
  if (a.is_const() && a.value() == 0) return a;
  return floor_div_symbolic(a, b);
}

Dim ceil_div(const Dim& a, const Dim& b) {
  if (b.is_const() && b.value() > 0) return floor_div(a + (b.value() - 1), b);
  return 0 - floor_div(0 - a, b);
}

Dim floor_mod_dims(const Dim& a, const Dim& b) {
  if (b.is_const()) {
    const int64_t k = b.value();
    if (k == 0 || k == INT64_MIN) return DimFactory::opaque();
    if (k < 0) return 0 - floor_mod(0 - a, -k);
    if (k == 1) return 0;
    return floor_mod_by_constant(a, k);
  }
  if (a.is_const() && a.value() == 0) return a;
  DimPoly rest(a);
  const DimPoly divisor(b);
  if (rest.divided_by(divisor)) return 0;
  split(rest, divisor);
  const Dim r = std::move(rest).dim();
  if (r.lower() >= 0 && difference(r, b).upper() < 0) return r;
  return call(Kind::kFloorMod, {r, b});
}

Dim min_dims(const Dim& a, const Dim& b) { return extreme(Kind::kMin, a, b); }
Dim max_dims(const Dim& a, const Dim& b) { return extreme(Kind::kMax, a, b); }

Dim broadcast_dims(const Dim& a, const Dim& b) {
  std::vector<Dim> args;
  for (const Dim* dim : {&a, &b}) {
    const DimNode* node = node_of(*dim);
    if (node && node->kind == Kind::kBroadcast) {
      for (const Dim& arg : node->args) insert_sorted(args, arg);
    } else if (*dim != 1) {
      insert_sorted(args, *dim);
    }
  }
  if (args.empty()) return 1;
  if (args.size() == 1) return args[0];
  // An extent that is not 1 is the result; constants are last and say most.
  const size_t n = args.size();
  if (args[n - 1].is_const()) return args[n - 2].is_const() ? DimFactory::opaque() : args[n - 1];
  for (const Dim& arg : args) {
    if (arg.lower() >= 2) return arg;
  }
  return call(Kind::kBroadcast, std::move(args));
}

bool same_form(const Dim& a, const Dim& b) { return compare(a, b) == 0; }

std::optional<bool> proven_equal(const Dim& a, const Dim& b) {
  if (a == b) return true;
  if (a.is_const() && b.is_const()) return false;
  const DimPoly d = difference(a, b);
  if (a.upper() < b.lower() || b.upper() < a.lower() || d.lower() > 0 || d.upper() < 0) {
    return false;
  }
  return std::nullopt;
}

std::optional<bool> proven_less(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) return a.value() < b.value();
  if (at_most(b, a)) return false;
  if (a.upper() < b.lower() || difference(a, b).upper() < 0) return true;
  return std::nullopt;
}

}  // namespace quern
