// The text form of dimensions.
#include <charconv>

#include "ir/dim_node.h"
#include "ir/scanner.h"

namespace quern {
namespace {

using Kind = DimNode::Kind;

// parse_dim recurses into parentheses; canonical expressions need far fewer.
constexpr int kMaxNesting = 64;

std::string_view function_name(Kind kind) {
  switch (kind) {
    case Kind::kFloorDiv:
      return "floor_div";
    case Kind::kFloorMod:
      return "floor_mod";
    case Kind::kMin:
      return "min";
    case Kind::kMax:
      return "max";
    default:
      return "broadcast";
  }
}

bool is_symbol_word(std::string_view name) {
  return is_word(name, ".") && (name[0] < '0' || name[0] > '9') && name[0] != '.';
}

void append_atom(std::string& out, const DimNode& node) {
  switch (node.kind) {
    case Kind::kOpaque:
      out += node.name;
      return;
    case Kind::kSymbol:
      if (is_symbol_word(node.name)) {
        out += node.name;
      } else {
        append_quoted(out, node.name);
      }
      if (node.lower != 0 || node.upper != INT32_MAX) {
        out += '{';
        if (node.lower != INT64_MIN) append(out, node.lower);
        out += "..";
        if (node.upper != INT64_MAX) append(out, node.upper);
        out += '}';
      }
      return;
    default:
      out += function_name(node.kind);
      out += '(';
      for (size_t i = 0; i < node.args.size(); ++i) {
        if (i) out += ", ";
        append(out, node.args[i]);
      }
      out += ')';
  }
}

/// Adds " + 3" or " - 3" (without the spaces and the plus for the first); `number` false leaves
/// out a 1.
void append_signed(std::string& out, int64_t value, bool first, bool number) {
  const bool subtract = value < 0 && value != INT64_MIN;
  if (!first) {
    out += subtract ? " - " : " + ";
  } else if (subtract) {
    out += '-';
  }
  if (subtract) value = -value;
  if (number || value != 1) append(out, value);
}

void append_sum(std::string& out, const DimNode& node) {
  bool first = true;
  for (const DimTerm& term : node.terms) {
    append_signed(out, term.coefficient, first, false);
    first = false;
    bool star = term.coefficient != 1 && term.coefficient != -1;
    for (const DimAtom& factor : term.factors) {
      if (star) out += " * ";
      star = true;
      append_atom(out, *factor);
    }
  }
  if (node.constant != 0) append_signed(out, node.constant, first, true);
}

}  // namespace

void append(std::string& out, const Dim& dim) {
  const DimAtom& node = DimFactory::node(dim);
  if (!node) {
    append(out, dim.value());
  } else if (node->kind == Kind::kSum) {
    append_sum(out, *node);
  } else {
    append_atom(out, *node);
  }
}

void append(std::string& out, const Shape& shape) {
  out += '[';
  out += join(shape, ", ");
  out += ']';
}

Result<Dim> Scanner::dim_sum(int depth) {
  if (depth > kMaxNesting) return fail("dimension nested too deep");
  QUERN_ASSIGN(Dim sum, dim_product(depth));
  while (true) {
    if (accept("+")) {
      QUERN_ASSIGN(const Dim term, dim_product(depth));
      sum = sum + term;
    } else if (accept("-")) {
      QUERN_ASSIGN(const Dim term, dim_product(depth));
      sum = sum - term;
    } else {
      return sum;
    }
  }
}

Result<Dim> Scanner::dim_product(int depth) {
  QUERN_ASSIGN(Dim product, dim_factor(depth));
  while (accept("*")) {
    QUERN_ASSIGN(const Dim factor, dim_factor(depth));
    product = product * factor;
  }
  return product;
}

Result<Dim> Scanner::dim_factor(int depth) {
  const char c = peek();
  const bool digit_follows =
      remaining() > 1 && text_[position_ + 1] >= '0' && text_[position_ + 1] <= '9';
  if ((c >= '0' && c <= '9') || (c == '-' && digit_follows)) {
    QUERN_ASSIGN(const int64_t value, integer());
    return Dim(value);
  }
  if (accept("-")) {
    if (depth >= kMaxNesting) return fail("dimension nested too deep");
    QUERN_ASSIGN(const Dim factor, dim_factor(depth + 1));
    return 0 - factor;
  }
  if (accept("(")) {
    QUERN_ASSIGN(Dim sum, dim_sum(depth + 1));
    QUERN_TRY(expect(")"));
    return sum;
  }
  if (accept("?")) {
    QUERN_ASSIGN(const int64_t id, integer());
    if (id < 1 || id > INT32_MAX) return fail("expected the number of an unknown dimension");
    return DimFactory::opaque_named(static_cast<uint32_t>(id));
  }
  if (c == '"') {
    QUERN_ASSIGN(std::string name, quoted());
    return dim_symbol(std::move(name));
  }
  const std::string_view name = word(".");
  if (!is_symbol_word(name)) return fail("expected a dimension");
  if (peek() == '(') return dim_call(name, depth);
  return dim_symbol(std::string(name));
}

Result<Dim> Scanner::dim_call(std::string_view function, int depth) {
  Dim (*apply)(const Dim&, const Dim&);
  bool binary = false;
  if (function == "floor_div") {
    apply = [](const Dim& a, const Dim& b) { return floor_div(a, b); };
    binary = true;
  } else if (function == "floor_mod") {
    apply = [](const Dim& a, const Dim& b) { return floor_mod(a, b); };
    binary = true;
  } else if (function == "ceil_div") {
    apply = [](const Dim& a, const Dim& b) { return ceil_div(a, b); };
    binary = true;
  } else if (function == "min") {
    apply = [](const Dim& a, const Dim& b) { return min(a, b); };
  } else if (function == "max") {
    apply = [](const Dim& a, const Dim& b) { return max(a, b); };
  } else if (function == "broadcast") {
    apply = [](const Dim& a, const Dim& b) { return broadcast(a, b); };
  } else {
    return fail(cat("unknown function '", function, "'"));
  }
  QUERN_TRY(expect("("));
  QUERN_ASSIGN(Dim result, dim_sum(depth + 1));
  int count = 1;
  while (accept(",")) {
    QUERN_ASSIGN(const Dim arg, dim_sum(depth + 1));
    result = apply(result, arg);
    ++count;
  }
  if (binary && count != 2) return fail(cat(function, " takes two arguments"));
  QUERN_TRY(expect(")"));
  return result;
}

Result<int64_t> Scanner::bound(int64_t open) {
  const char c = peek();
  if (c == '.' || c == '}') return open;
  return integer();
}

Result<Dim> Scanner::dim_symbol(std::string name) {
  if (!accept("{")) return Dim::symbol(std::move(name));
  QUERN_ASSIGN(const int64_t lower, bound(INT64_MIN));
  QUERN_TRY(expect(".."));
  QUERN_ASSIGN(const int64_t upper, bound(INT64_MAX));
  QUERN_TRY(expect("}"));
  if (lower > upper) return fail("bounds in the wrong order");
  return Dim::symbol(std::move(name), lower, upper);
}

Result<Dim> parse_dim(std::string_view text) {
  Scanner scanner(text);
  QUERN_ASSIGN(Dim dim, scanner.dim());
  if (!scanner.at_end()) return scanner.fail("expected the end of the dimension");
  return dim;
}

}  // namespace quern
