#include "ir/scanner.h"

#include <charconv>

namespace quern {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_character(char c, std::string_view extra) {
  return is_letter(c) || is_digit(c) || extra.contains(c);
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += "\\x";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

bool is_word(std::string_view name, std::string_view extra) {
  for (const char c : name) {
    if (!is_word_character(c, extra)) return false;
  }
  return !name.empty();
}

void Scanner::skip() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '/' && text_.substr(position_).starts_with("//")) {
      position_ = std::min(text_.find('\n', position_), text_.size());
    } else if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      ++position_;
    } else {
      break;
    }
  }
  token_ = position_;
}

bool Scanner::at_end() {
  skip();
  return position_ == text_.size();
}

char Scanner::peek() { return at_end() ? '\0' : text_[position_]; }

bool Scanner::accept(std::string_view token) {
  skip();
  if (!text_.substr(position_).starts_with(token)) return false;
  const size_t end = position_ + token.size();
  if (is_letter(token.back()) && end < text_.size() && is_word_character(text_[end], "")) {
    return false;
  }
  position_ = end;
  return true;
}

Result<void> Scanner::expect(std::string_view token) {
  if (!accept(token)) return fail(cat("expected '", token, "'"));
  return {};
}

std::string_view Scanner::word(std::string_view extra) {
  skip();
  while (position_ < text_.size() && is_word_character(text_[position_], extra)) ++position_;
  return text_.substr(token_, position_ - token_);
}

Result<std::string> Scanner::quoted() {
  QUERN_TRY(expect("\""));
  std::string out;
  while (position_ < text_.size()) {
    char c = text_[position_++];
    if (c == '"') return out;
    if (c == '\\') {
      c = position_ < text_.size() ? text_[position_++] : '\0';
      if (c == 'n') {
        c = '\n';
      } else if (c == 'x') {
        const int high = position_ < text_.size() ? hex_digit(text_[position_]) : -1;
        const int low = position_ + 1 < text_.size() ? hex_digit(text_[position_ + 1]) : -1;
        if (high < 0 || low < 0) return fail("bad escape in string");
        c = static_cast<char>(high * 16 + low);
        position_ += 2;
      } else if (c != '"' && c != '\\') {
        return fail("bad escape in string");
      }
    }
    out += c;
  }
  return fail("string without end");
}

Result<std::string> Scanner::name() {
  if (peek() == '"') return quoted();
  std::string_view text = word(kNameCharacters);
  while (text.ends_with(':')) {  // "x: f32": that colon belongs to what follows
    text.remove_suffix(1);
    --position_;
  }
  if (text.empty()) return fail("expected a name");
  return std::string(text);
}

Result<int64_t> Scanner::integer() {
  skip();
  int64_t value = 0;
  const char* end = text_.data() + text_.size();
  const auto [next, error] = std::from_chars(text_.data() + position_, end, value);
  if (error != std::errc()) return fail("expected an integer of 64 bits");
  position_ = static_cast<size_t>(next - text_.data());
  return value;
}

std::string_view Scanner::number() { return word("+-."); }

std::unexpected<Error> Scanner::fail(std::string_view message) const {
  const std::string_view before = text_.substr(0, token_);
  size_t line = 1;
  for (const char c : before) line += c == '\n';
  const size_t column = token_ - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  return invalid_argument(cat("line ", line, ", column ", column, ": ", message));
}

}  // namespace quern
