// Reads the tokens of our text formats; for parse_dim and parse_graph.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ir/dim.h"

namespace quern {

/// A cursor over a text. White space and comments (from // to the end of the line) are skipped
/// before each token.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end();
  /// The next character, or 0 at the end.
  [[nodiscard]] char peek();
  /// Does the text go on with `token`? It is passed over, then. A token that ends in a letter
  /// must not be followed by more of a word.
  bool accept(std::string_view token);
  Result<void> expect(std::string_view token);
  /// The next characters that words consist of (letters, digits, _ and what `extra` has).
  std::string_view word(std::string_view extra = "");
  /// A string in double quotes.
  Result<std::string> quoted();
  /// What names may be: a word with . / : - too, or a quoted string.
  Result<std::string> name();
  Result<int64_t> integer();
  /// Everything up to a delimiter: the text of a number.
  std::string_view number();
  Result<Dim> dim() { return dim_sum(0); }

  /// An error at the token just read or about to be read.
  [[nodiscard]] std::unexpected<Error> fail(std::string_view message) const;
  [[nodiscard]] size_t remaining() const { return text_.size() - position_; }

 private:
  void skip();
  Result<Dim> dim_sum(int depth);
  Result<Dim> dim_product(int depth);
  Result<Dim> dim_factor(int depth);
  Result<Dim> dim_call(std::string_view function, int depth);
  Result<Dim> dim_symbol(std::string name);
  Result<int64_t> bound(int64_t open);

  std::string_view text_;
  size_t position_ = 0;
  size_t token_ = 0;  // where the last token began
};

/// The text in double quotes, with escapes that `quoted` reads.
void append_quoted(std::string& out, std::string_view text);
/// May the name stand without quotes? `extra` are the characters that words may also have.
bool is_word(std::string_view name, std::string_view extra);
/// The characters that names of values, nodes, graphs and attributes may have besides words'.
inline constexpr std::string_view kNameCharacters = "./:-";

}  // namespace quern
