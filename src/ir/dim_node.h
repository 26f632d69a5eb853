// The inside of Dim: nodes and polynomials. Only for dim*.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/dim.h"

namespace quern {

using DimAtom = std::shared_ptr<const DimNode>;

/// coefficient * product of the factors, which are sorted and not sums.
struct DimTerm {
  int64_t coefficient;
  std::vector<DimAtom> factors;
};

/// One node of a canonical expression. Constants have none.
struct DimNode {
  enum class Kind : uint8_t {
    kSymbol,
    kOpaque,
    kFloorDiv,
    kFloorMod,
    kMin,
    kMax,
    kBroadcast,
    kSum,
  };
  // Hostile models could make expressions of any size, and destroying, comparing or printing one
  // recurses into it. Sums add no level of their own, as they hold no sums.
  static constexpr uint32_t kMaxSize = 256;
  static constexpr uint32_t kMaxDepth = 32;

  Kind kind = Kind::kSymbol;
  uint32_t depth = 0;
  uint32_t size = 1;
  int64_t lower = INT64_MIN;
  int64_t upper = INT64_MAX;
  std::string name;            ///< of a symbol
  std::vector<Dim> args;       ///< of a function; min, max and broadcast have two or more, sorted
  std::vector<DimTerm> terms;  ///< of a sum, sorted, of distinct factors
  int64_t constant = 0;        ///< of a sum
};

/// What Dim lets only its own implementation do.
struct DimFactory {
  static const DimAtom& node(const Dim& dim) { return dim.node_; }
  static Dim make(DimAtom node) { return Dim(std::move(node)); }
  /// A new symbol of which nothing is known.
  static Dim opaque();
  /// The opaque symbol "?id" of a text.
  static Dim opaque_named(uint32_t id);
};

/// Deterministic order: words by name, then functions by kind and arguments, constants last.
int compare(const DimNode& a, const DimNode& b);
int compare(const Dim& a, const Dim& b);

/// A polynomial over atoms. Operations that overflow or grow past all bounds set `failed`.
struct DimPoly {
  std::vector<DimTerm> terms;  ///< by descending degree, then by factors; no zero coefficients
  int64_t constant = 0;
  bool failed = false;

  DimPoly() = default;
  explicit DimPoly(const Dim& dim);
  /// this += scale * other.
  void add(const DimPoly& other, int64_t scale);
  void add_term(DimTerm term);
  [[nodiscard]] DimPoly times(const DimPoly& other) const;
  /// The exact quotient by a divisor that is no constant, if there is one.
  [[nodiscard]] std::optional<DimPoly> divided_by(const DimPoly& divisor) const;
  [[nodiscard]] bool is_const() const { return terms.empty(); }
  [[nodiscard]] bool is_monomial() const { return terms.size() == 1 && constant == 0; }
  /// The only term where that is one atom with coefficient 1; the constant may be anything.
  [[nodiscard]] const DimNode* single_atom() const;
  /// Proven bounds.
  [[nodiscard]] int64_t lower() const;
  [[nodiscard]] int64_t upper() const;
  /// As a Dim; an opaque symbol where failed or too large.
  [[nodiscard]] Dim dim() &&;
};

/// a / b where b's factors are among a's and its coefficient divides a's.
std::optional<DimTerm> divide_terms(const DimTerm& a, const DimTerm& b);

/// Bounds as extended integers: INT64_MIN and INT64_MAX are the infinities.
int64_t add_bounds(int64_t a, int64_t b);
int64_t multiply_bounds(int64_t a, int64_t b);
int64_t floor_div_bound(int64_t a, int64_t b);  // b > 0, or INT64_MAX

}  // namespace quern
