// Symbolic dimensions: integer expressions over named symbols.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern {

struct DimNode;
class Dim;

/// The parts of the arithmetic that are not inline: one operand is symbolic, or the result of
/// two constants overflows.
Dim add_dims(const Dim& a, const Dim& b);
Dim subtract_dims(const Dim& a, const Dim& b);
Dim multiply_dims(const Dim& a, const Dim& b);
Dim floor_div_dims(const Dim& a, const Dim& b);
Dim floor_mod_dims(const Dim& a, const Dim& b);
Dim min_dims(const Dim& a, const Dim& b);
Dim max_dims(const Dim& a, const Dim& b);
Dim broadcast_dims(const Dim& a, const Dim& b);
bool same_form(const Dim& a, const Dim& b);

/// The value bound to each symbol.
using DimBindings = std::map<std::string, int64_t, std::less<>>;

/// An integer: a constant, or an immutable canonical expression over symbols. A symbol is at
/// least 0 unless declared otherwise. Used for shapes and for the contents of small integer
/// tensors, so negative values occur. Cheap to copy. Arithmetic that would overflow int64, or
/// make an expression of more than 256 terms and operations or 32 levels, gives an opaque symbol
/// ("?7", distinct from every other, of unknown value), never a wrong number.
///
/// A divisor is taken to be other than 0, in valid programs it is: so floor_div(x * y, x) is y,
/// and a divisor that is at least 0 is taken to be at least 1.
class Dim {
 public:
  Dim(int64_t value = 0) : value_(value) {}  // NOLINT(google-explicit-constructor)

  /// A symbol in [lower, upper].
  static Dim symbol(std::string name, int64_t lower = 0, int64_t upper = INT32_MAX);

  [[nodiscard]] bool is_const() const { return !node_; }
  /// The value of a constant; 0 for an expression.
  [[nodiscard]] int64_t value() const { return value_; }
  [[nodiscard]] std::optional<int64_t> constant() const {
    return node_ ? std::nullopt : std::optional<int64_t>(value_);
  }
  /// Proven bounds, inclusive (INT64_MIN and INT64_MAX where nothing is known).
  [[nodiscard]] int64_t lower() const;
  [[nodiscard]] int64_t upper() const;

  friend Dim operator+(const Dim& a, const Dim& b) {
    int64_t sum;
    if (a.is_const() && b.is_const() && !__builtin_add_overflow(a.value_, b.value_, &sum)) {
      return sum;
    }
    return add_dims(a, b);
  }
  friend Dim operator-(const Dim& a, const Dim& b) {
    int64_t difference;
    if (a.is_const() && b.is_const() && !__builtin_sub_overflow(a.value_, b.value_, &difference)) {
      return difference;
    }
    return subtract_dims(a, b);
  }
  friend Dim operator*(const Dim& a, const Dim& b) {
    int64_t product;
    if (a.is_const() && b.is_const() && !__builtin_mul_overflow(a.value_, b.value_, &product)) {
      return product;
    }
    return multiply_dims(a, b);
  }
  /// Rounds toward minus infinity. Division by a zero constant gives an opaque symbol.
  friend Dim floor_div(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const() && b.value_ > 0) {
      return a.value_ / b.value_ - (a.value_ % b.value_ < 0);
    }
    return floor_div_dims(a, b);
  }
  friend Dim ceil_div(const Dim& a, const Dim& b);
  /// The remainder of floor_div.
  friend Dim floor_mod(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const() && b.value_ > 0) {
      const int64_t rest = a.value_ % b.value_;
      return rest < 0 ? rest + b.value_ : rest;
    }
    return floor_mod_dims(a, b);
  }
  friend Dim min(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const()) return a.value_ < b.value_ ? a : b;
    return min_dims(a, b);
  }
  friend Dim max(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const()) return a.value_ > b.value_ ? a : b;
    return max_dims(a, b);
  }
  /// The broadcast of two extents by ONNX's rule: equal, or one of them 1. Two constants that
  /// don't broadcast give an opaque symbol.
  friend Dim broadcast(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const()) {
      if (b.value_ == 1 || a.value_ == b.value_) return a;
      if (a.value_ == 1) return b;
    }
    return broadcast_dims(a, b);
  }

  /// The same canonical expression.
  friend bool operator==(const Dim& a, const Dim& b) {
    if (a.is_const() && b.is_const()) return a.value_ == b.value_;
    return a.node_ == b.node_ || same_form(a, b);
  }
  /// True or false where proven by form or bounds, nothing where it depends on the symbols.
  friend std::optional<bool> proven_equal(const Dim& a, const Dim& b);
  friend std::optional<bool> proven_less(const Dim& a, const Dim& b);

  /// Its value under the bindings; an error names an unbound symbol, a value outside a symbol's
  /// bounds, a division by zero, an overflow, or extents that don't broadcast.
  [[nodiscard]] Result<int64_t> eval(const DimBindings& bindings) const;
  /// The expression with symbols replaced.
  [[nodiscard]] Dim substitute(const std::map<std::string, Dim, std::less<>>& by) const;
  /// Adds the names of its symbols.
  void collect_symbols(std::vector<std::string>& out) const;

 private:
  explicit Dim(std::shared_ptr<const DimNode> node) : node_(std::move(node)) {}
  friend struct DimFactory;

  int64_t value_ = 0;
  std::shared_ptr<const DimNode> node_;
};

/// The text form: "3", "batch", "2 * h - 1", "floor_div(h + 1, 2)"; parse_dim reads it back.
/// Bounds other than those that `symbol` has by default follow the name: "offset{-5..}"; names
/// that are not words are quoted.
void append(std::string& out, const Dim& dim);
Result<Dim> parse_dim(std::string_view text);

using Shape = std::vector<Dim>;

/// "[batch, 3, h]".
void append(std::string& out, const Shape& shape);

/// A shape of numbers.
using Dims = std::vector<int64_t>;

/// All extents as numbers, if they are.
std::optional<Dims> constant_dims(const Shape& shape);
/// The number of elements.
Dim element_count(const Shape& shape);
/// The number of elements, or an error where it is negative or past 2^53.
Result<int64_t> element_count(const Dims& dims);
/// Broadcast by NumPy's rule, aligned at the last axis; an error where proven impossible.
Result<Shape> broadcast_shapes(const Shape& a, const Shape& b);

}  // namespace quern
