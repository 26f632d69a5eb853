#include "shader/index_text.h"

#include <algorithm>

#include "shader/expr_text.h"

namespace quern {
namespace {

constexpr std::string_view kComponents[] = {"x", "y", "z", "w"};

bool is_one(const Extent& e) { return e.baked() && e.value <= 1; }

std::string product(std::string_view a, uint32_t factor) {
  return factor == 1 ? std::string(a) : cat(a, " * ", factor, "u");
}
std::string sum(const std::string& a, uint32_t b) { return b == 0 ? a : cat(a, " + ", b, "u"); }

std::string parenthesised(std::string_view text) {
  return text.find(' ') == std::string_view::npos ? std::string(text) : cat("(", text, ")");
}

std::string indices(const std::vector<Extent>& domain, uint32_t axes, std::string_view param_prefix,
                    std::string_view keyword) {
  std::string out;
  std::string rest = "i";
  size_t first = 0;  // axes before it are 1 long
  while (first < domain.size() && is_one(domain[first])) ++first;
  for (size_t a = domain.size(); a-- > 0;) {
    const bool used = (axes >> a & 1) != 0;
    if (is_one(domain[a])) {
      if (used) out += cat(keyword, " i", a, " = 0;\n");
      continue;
    }
    const bool lower = (axes & ((1u << a) - 1)) != 0;
    if (a == first) {
      if (used) out += cat(keyword, " i", a, " = i32(", rest, ");\n");
    } else if (lower) {
      const std::string next = cat("q", a);
      out += cat("let ", next, " = ", div_extent(rest, domain[a], param_prefix), ";\n");
      if (used) {
        out += cat(keyword, " i", a, " = i32(", rest, " - ", next, " * ",
                   extent_text(domain[a], param_prefix, true), ");\n");
      }
      rest = next;
    } else if (used) {
      out += cat(keyword, " i", a, " = i32(", rest, " % ",
                 extent_text(domain[a], param_prefix, true), ");\n");
    }
  }
  return out;
}

// All axes from the first used one on: a carry passes through them.
uint32_t carrying(const std::vector<Extent>& domain, uint32_t axes) {
  const uint32_t all = domain.size() >= 32 ? ~0u : (1u << domain.size()) - 1;
  const uint32_t lowest = axes & (0u - axes);
  return all & ~(lowest - 1);
}

}  // namespace

std::string div_extent(std::string_view numerator, const Extent& extent,
                       std::string_view param_prefix) {
  return cat(numerator, " / ", extent_text(extent, param_prefix, true));
}

std::string index_statements(const std::vector<Extent>& domain, uint32_t axes,
                             std::string_view param_prefix) {
  return indices(domain, axes, param_prefix, "let");
}

std::string carried_index_statements(const std::vector<Extent>& domain, uint32_t axes,
                                     std::string_view param_prefix) {
  return indices(domain, carrying(domain, axes), param_prefix, "var");
}

std::string carry_statements(const std::vector<Extent>& domain, uint32_t axes,
                             std::string_view param_prefix) {
  const uint32_t carried = carrying(domain, axes);
  std::string out;
  std::string close;
  for (size_t a = domain.size(); a-- > 0;) {
    if ((carried >> a & 1) == 0) break;
    if (is_one(domain[a])) continue;
    out += cat("i", a, "++;\n");
    const uint32_t below = a == 0 ? 0 : carried & ((1u << a) - 1);
    if (below == 0 && a == 0) break;  // the outermost just goes on
    out += cat("if (i", a, " == ", extent_text(domain[a], param_prefix, false), ") {\ni", a,
               " = 0;\n");
    close += "}\n";
  }
  return out + close;
}

std::vector<std::string> load_words(std::string& statements, const BufferVar& var,
                                    std::string_view name, std::string_view group, uint32_t count) {
  std::vector<std::string> words;
  const std::string at = parenthesised(group);
  if (count % var.width == 0) {
    const uint32_t vectors = count / var.width;
    for (uint32_t q = 0; q < vectors; ++q) {
      const std::string vector = vectors == 1 ? cat("t", name) : cat("t", name, "_", q);
      statements += cat("let ", vector, " = ", var.name, "[", sum(product(at, vectors), q), "];\n");
      for (uint32_t c = 0; c < var.width; ++c) {
        words.push_back(var.width == 1 ? vector : cat(vector, ".", kComponents[c]));
      }
    }
    return words;
  }
  for (uint32_t w = 0; w < count; ++w) {
    const std::string word = cat("t", name, "_", w);
    statements += cat("let ", word, " = ", word_text(var, sum(product(at, count), w)), ";\n");
    words.push_back(word);
  }
  return words;
}

void store_words(std::string& statements, const BufferVar& var, std::string_view name,
                 std::string_view group, const std::vector<std::string>& words, uint32_t end_bits,
                 uint32_t lanes) {
  const auto count = static_cast<uint32_t>(words.size());
  // The condition under which word w has elements.
  const auto guarded = [&](uint32_t w, const std::string& statement) {
    const uint32_t element = end_bits == 0 ? 0 : w * 32 / end_bits;
    return element == 0 ? statement : cat("if (i + ", element, "u < n) {\n", statement, "}\n");
  };
  if (count % var.width != 0) {
    for (uint32_t w = 0; w < count; ++w) {
      const std::string target = word_text(var, sum(product(group, count), w));
      statements += guarded(w, cat(target, " = ", words[w], ";\n"));
    }
    return;
  }
  const uint32_t vectors = count / var.width;
  std::string whole;
  std::string parts;
  for (uint32_t q = 0; q < vectors; ++q) {
    const std::string target = cat(var.name, "[", sum(product(group, vectors), q), "]");
    std::string value;
    if (var.width == 1) {
      value = words[q];
    } else {
      const std::vector<std::string> part(words.begin() + q * var.width,
                                          words.begin() + (q + 1) * var.width);
      value = cat("vec", var.width, "<", var.base, "32>(", join(part, ", "), ")");
    }
    if (end_bits == 0 || count == 1) {
      statements += cat(target, " = ", value, ";\n");
      continue;
    }
    const std::string vector = cat(name, "_v", q);
    statements += cat("let ", vector, " = ", value, ";\n");
    whole += cat(target, " = ", vector, ";\n");
    for (uint32_t c = 0; c < var.width; ++c) {
      const std::string component = var.width == 1 ? "" : cat(".", kComponents[c]);
      parts += guarded(q * var.width + c, cat(target, component, " = ", vector, component, ";\n"));
    }
  }
  if (end_bits == 0 || count == 1) return;
  statements += cat("if (i + ", lanes, "u <= n) {\n", whole, "} else {\n", parts, "}\n");
}

}  // namespace quern
