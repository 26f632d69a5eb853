#include "ops/common/einsum.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace quern {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// One side's term; -1 stands for its ellipsis.
Result<std::vector<int64_t>> parse_term(std::string_view term) {
  std::vector<int64_t> labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (is_letter(term[i])) {
      labels.push_back(term[i]);
    } else if (term.substr(i, 3) == "..." && std::ranges::find(labels, -1) == labels.end()) {
      labels.push_back(-1);
      i += 2;
    } else {
      return invalid_model(cat("einsum term '", term, "' has '", term.substr(i, 1),
                               "' where a letter or one '...' is expected"));
    }
  }
  return labels;
}

/// Puts `count` labels in the place of the ellipsis.
void fill_ellipsis(std::vector<int64_t>& labels, size_t count) {
  const auto at = std::ranges::find(labels, -1);
  if (at == labels.end()) return;
  std::vector<int64_t> axes;
  for (size_t k = count; k-- > 0;) {
    axes.push_back(EinsumEquation::kEllipsis - static_cast<int64_t>(k));
  }
  const auto next = labels.erase(at);
  labels.insert(next, axes.begin(), axes.end());
}

}  // namespace

Result<EinsumEquation> parse_einsum(std::string_view equation, const std::vector<size_t>& ranks) {
  std::string text;
  for (const char c : equation) {
    if (c != ' ' && c != '\t' && c != '\n') text += c;
  }
  const size_t arrow = text.find("->");
  const bool is_explicit = arrow != std::string::npos;
  EinsumEquation out;
  std::string_view left = std::string_view(text).substr(0, arrow);
  size_t widest = 0;
  for (size_t i = 0;; ++i) {
    const size_t comma = left.find(',');
    QUERN_ASSIGN(std::vector<int64_t> labels, parse_term(left.substr(0, comma)));
    if (i >= ranks.size()) break;
    const bool has_ellipsis = std::ranges::find(labels, -1) != labels.end();
    const size_t own = labels.size() - (has_ellipsis ? 1 : 0);
    if (has_ellipsis ? own > ranks[i] : own != ranks[i]) {
      return invalid_model(cat("einsum term ", i, " of '", equation, "' names ", own,
                               " axes of an operand of rank ", ranks[i]));
    }
    widest = std::max(widest, ranks[i] - own);
    fill_ellipsis(labels, ranks[i] - own);
    out.operands.push_back(std::move(labels));
    if (comma == std::string_view::npos) {
      left = {};
      break;
    }
    left.remove_prefix(comma + 1);
    if (left.empty() && i + 1 == ranks.size()) left = ",";  // a term too many
  }
  if (out.operands.size() != ranks.size() || !left.empty()) {
    return invalid_model(
        cat("einsum equation '", equation, "' does not have ", ranks.size(), " terms"));
  }
  std::map<int64_t, size_t> uses;
  for (const std::vector<int64_t>& labels : out.operands) {
    for (const int64_t label : labels) ++uses[label];
  }
  if (is_explicit) {
    QUERN_ASSIGN(out.output, parse_term(std::string_view(text).substr(arrow + 2)));
    fill_ellipsis(out.output, widest);
  } else {
    out.output = {-1};
    fill_ellipsis(out.output, widest);
    for (const auto& [label, count] : uses) {
      if (count == 1 && label < 128) out.output.push_back(label);
    }
  }
  for (size_t i = 0; i < out.output.size(); ++i) {
    const int64_t label = out.output[i];
    if (!uses.contains(label) ||
        std::ranges::find(out.output.begin(), out.output.begin() + static_cast<ptrdiff_t>(i),
                          label) != out.output.begin() + static_cast<ptrdiff_t>(i)) {
      return invalid_model(
          cat("einsum output of '", equation, "' has a label that is not in the terms, or twice"));
    }
  }
  return out;
}

std::vector<int64_t> encode_einsum(const EinsumEquation& equation) {
  std::vector<int64_t> code;
  const auto add = [&](const std::vector<int64_t>& labels) {
    code.push_back(std::ssize(labels));
    code.insert(code.end(), labels.begin(), labels.end());
  };
  for (const std::vector<int64_t>& labels : equation.operands) add(labels);
  add(equation.output);
  return code;
}

Result<EinsumEquation> decode_einsum(const std::vector<int64_t>& code) {
  EinsumEquation out;
  for (size_t i = 0; i < code.size();) {
    const auto length = static_cast<size_t>(code[i++]);
    if (length > code.size() - i) return internal_error("a broken einsum code");
    const auto begin = code.begin() + static_cast<ptrdiff_t>(i);
    out.operands.emplace_back(begin, begin + static_cast<ptrdiff_t>(length));
    i += length;
  }
  if (out.operands.empty()) return internal_error("an empty einsum code");
  out.output = std::move(out.operands.back());
  out.operands.pop_back();
  return out;
}

}  // namespace quern
