// Values of dimensions, and shapes.
#include <algorithm>

#include "ir/dim_node.h"

namespace quern {
namespace {

using Kind = DimNode::Kind;

std::unexpected<Error> overflow(const DimNode& node) {
  return invalid_argument(
      cat("overflow in dimension ", DimFactory::make(std::make_shared<DimNode>(node))));
}

Result<int64_t> eval_symbol(const DimNode& node, const DimBindings& bindings) {
  if (node.kind == Kind::kOpaque) {
    return invalid_argument(cat("dimension ", node.name, " is not known"));
  }
  const auto found = bindings.find(node.name);
  if (found == bindings.end()) {
    return invalid_argument(cat("dimension '", node.name, "' has no value"));
  }
  const int64_t value = found->second;
  if (value < node.lower || value > node.upper) {
    return invalid_argument(cat("dimension '", node.name, "' is ", value, ", not in [", node.lower,
                                ", ", node.upper, "]"));
  }
  return value;
}

Result<int64_t> eval_node(const DimNode& node, const DimBindings& bindings);

Result<int64_t> eval_sum(const DimNode& node, const DimBindings& bindings) {
  int64_t sum = node.constant;
  for (const DimTerm& term : node.terms) {
    int64_t product = term.coefficient;
    for (const DimAtom& factor : term.factors) {
      QUERN_ASSIGN(const int64_t value, eval_node(*factor, bindings));
      if (__builtin_mul_overflow(product, value, &product)) return overflow(node);
    }
    if (__builtin_add_overflow(sum, product, &sum)) return overflow(node);
  }
  return sum;
}

/// Recursion is bounded by DimNode::kMaxDepth.
Result<int64_t> eval_node(const DimNode& node, const DimBindings& bindings) {
  if (node.kind == Kind::kSum) return eval_sum(node, bindings);
  if (node.args.empty()) return eval_symbol(node, bindings);
  QUERN_ASSIGN(int64_t result, node.args[0].eval(bindings));
  for (size_t i = 1; i < node.args.size(); ++i) {
    QUERN_ASSIGN(const int64_t value, node.args[i].eval(bindings));
    switch (node.kind) {
      case Kind::kMin:
        result = std::min(result, value);
        break;
      case Kind::kMax:
        result = std::max(result, value);
        break;
      case Kind::kBroadcast:
        if (result != value && result != 1 && value != 1) {
          return invalid_argument(cat("extents ", result, " and ", value, " don't broadcast"));
        }
        if (result == 1) result = value;
        break;
      default: {
        if (value == 0) return invalid_argument(cat("division of dimension ", result, " by zero"));
        if (value == -1) {
          if (node.kind == Kind::kFloorMod) {
            result = 0;
          } else if (__builtin_sub_overflow(0, result, &result)) {
            return overflow(node);
          }
          break;
        }
        const int64_t rest = result % value;
        const bool adjust = rest != 0 && (rest < 0) != (value < 0);
        result =
            node.kind == Kind::kFloorDiv ? result / value - adjust : rest + (adjust ? value : 0);
      }
    }
  }
  return result;
}

Dim substitute_node(const DimNode& node, const std::map<std::string, Dim, std::less<>>& by);

Dim substitute_sum(const DimNode& node, const std::map<std::string, Dim, std::less<>>& by) {
  Dim sum = node.constant;
  for (const DimTerm& term : node.terms) {
    Dim product = term.coefficient;
    for (const DimAtom& factor : term.factors) product = product * substitute_node(*factor, by);
    sum = sum + product;
  }
  return sum;
}

Dim substitute_node(const DimNode& node, const std::map<std::string, Dim, std::less<>>& by) {
  if (node.kind == Kind::kSum) return substitute_sum(node, by);
  if (node.args.empty()) {
    const auto found = node.kind == Kind::kSymbol ? by.find(node.name) : by.end();
    if (found != by.end()) return found->second;
    return DimFactory::make(std::make_shared<DimNode>(node));
  }
  Dim result = node.args[0].substitute(by);
  for (size_t i = 1; i < node.args.size(); ++i) {
    const Dim arg = node.args[i].substitute(by);
    switch (node.kind) {
      case Kind::kFloorDiv:
        result = floor_div(result, arg);
        break;
      case Kind::kFloorMod:
        result = floor_mod(result, arg);
        break;
      case Kind::kMin:
        result = min(result, arg);
        break;
      case Kind::kMax:
        result = max(result, arg);
        break;
      default:
        result = broadcast(result, arg);
    }
  }
  return result;
}

void collect(const DimNode& node, std::vector<std::string>& out) {
  if (node.kind == Kind::kSymbol || node.kind == Kind::kOpaque) {
    if (std::ranges::find(out, node.name) == out.end()) out.push_back(node.name);
  }
  for (const Dim& arg : node.args) arg.collect_symbols(out);
  for (const DimTerm& term : node.terms) {
    for (const DimAtom& factor : term.factors) collect(*factor, out);
  }
}

}  // namespace

Result<int64_t> Dim::eval(const DimBindings& bindings) const {
  if (!node_) return value_;
  return eval_node(*node_, bindings);
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& by) const {
  if (!node_) return *this;
  return substitute_node(*node_, by);
}

void Dim::collect_symbols(std::vector<std::string>& out) const {
  if (node_) collect(*node_, out);
}

std::optional<Dims> constant_dims(const Shape& shape) {
  Dims dims;
  dims.reserve(shape.size());
  for (const Dim& dim : shape) {
    if (!dim.is_const()) return std::nullopt;
    dims.push_back(dim.value());
  }
  return dims;
}

Dim element_count(const Shape& shape) {
  Dim count = 1;
  for (const Dim& dim : shape) count = count * dim;
  return count;
}

Result<int64_t> element_count(const Dims& dims) {
  constexpr int64_t kLimit = int64_t{1} << 53;
  int64_t count = 1;
  bool empty = false;
  bool past_limit = false;
  for (const int64_t extent : dims) {
    if (extent < 0) return invalid_argument(cat("negative extent in shape ", dims));
    empty |= extent == 0;
    if (past_limit || empty) continue;  // a later 0 makes all right
    past_limit = __builtin_mul_overflow(count, extent, &count) || count > kLimit;
  }
  if (empty) return 0;
  if (past_limit) return limit_exceeded(cat("too many elements in shape ", dims));
  return count;
}

Result<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    const Dim& x = longer[offset + i];
    const Dim& y = shorter[i];
    if (proven_equal(x, y) == false && proven_equal(x, 1) == false && proven_equal(y, 1) == false) {
      return invalid_argument(cat("shapes ", a, " and ", b, " don't broadcast"));
    }
    result[offset + i] = broadcast(x, y);
  }
  return result;
}

}  // namespace quern
