// WGSL as text: its declarations, and the shared snippets that a program needs.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace quern {

/// A declaration at module scope.
struct WgslDecl {
  std::string_view kind;  ///< its keyword: "fn", "const", "override", "var", "struct", "alias"...
  std::string_view name;  ///< empty for `enable`, `const_assert` and the like
  std::string text;       ///< as it stands, with attributes, without comments
  /// What follows `//@` in comments before it, in it, or behind it on its last line.
  std::vector<std::string_view> directives;

  /// The rest of the directive that begins with `word`, or null where it has none.
  [[nodiscard]] const std::string_view* directive(std::string_view word) const;
};

/// Splits a module into its declarations; an error where brackets don't match. The views are into
/// `text`.
Result<std::vector<WgslDecl>> parse_wgsl(std::string_view text);

/// The text of the embedded file src/**/NAME.wgsl.
Result<std::string_view> wgsl_file(std::string_view name);

/// Calls `f` with each identifier and keyword in `text`.
template <class F>
void for_each_identifier(std::string_view text, F&& f) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  for (size_t i = 0; i < text.size();) {
    if (is_letter(text[i])) {
      const size_t begin = i;
      while (i < text.size() && (is_letter(text[i]) || (text[i] >= '0' && text[i] <= '9'))) ++i;
      f(text.substr(begin, i - begin), begin);
    } else if (text[i] >= '0' && text[i] <= '9') {  // 0xabcdu, 1e5f: a number's letters are its own
      while (i < text.size() && (is_letter(text[i]) || (text[i] >= '0' && text[i] <= '9'))) ++i;
    } else {
      ++i;
    }
  }
}

/// `text` with every identifier `from` replaced.
std::string rename_identifier(std::string_view text, std::string_view from, std::string_view to);

/// Appends to `program` those declarations of `extra`, then of the shared snippets
/// (src/shader/snippets), that it refers to, directly or through others, and does not have itself.
Result<void> link_snippets(std::string& program, std::span<const WgslDecl> extra = {});

}  // namespace quern
