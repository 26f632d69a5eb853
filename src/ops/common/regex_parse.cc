// RE2's syntax to a program: recursive descent, pieces of the program put together as they come.

#include <algorithm>
#include <functional>
#include <optional>

#include "ops/common/regex.h"
#include "ops/common/unicode.h"

namespace quern {
namespace {

constexpr size_t kMaxProgram = 10000;
constexpr int kMaxDepth = 200;
constexpr int kMaxRepeat = 1000;  // as RE2 has it
constexpr char32_t kLast = 0x10ffff;

struct NamedClass {
  std::string_view name;
  std::string_view ranges;  // pairs of characters
};
constexpr NamedClass kClasses[] = {
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"ascii", std::string_view("\0\x7f", 2)},
    {"blank", "\t\t  "},
    {"cntrl", std::string_view("\0\x1f\x7f\x7f", 4)},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

/// \d, \s, \w and their negations by their upper case.
std::string_view perl_class(char32_t c) {
  switch (c) {
    case 'd':
    case 'D':
      return "09";
    case 's':
    case 'S':
      return "\t\n\f\r  ";
    case 'w':
    case 'W':
      return "09AZ__az";
    default:
      return "";
  }
}

int digit(char32_t c, int base) {
  const int value = c >= '0' && c <= '9'   ? static_cast<int>(c - '0')
                    : c >= 'a' && c <= 'f' ? static_cast<int>(c - 'a') + 10
                    : c >= 'A' && c <= 'F' ? static_cast<int>(c - 'A') + 10
                                           : base;
  return value < base ? value : -1;
}

}  // namespace

class RegexParser {
 public:
  explicit RegexParser(std::string_view pattern) : pattern_(pattern), rest_(pattern) {}

  Result<Regex> run() {
    QUERN_ASSIGN(const Piece whole, alternation(0));
    if (!rest_.empty()) return fail("')' without '('");
    QUERN_ASSIGN(const uint32_t match, add({.op = Regex::Op::kMatch}));
    QUERN_TRY(patch(whole, match));
    regex_.start_ = whole.start;
    return std::move(regex_);
  }

 private:
  using Op = Regex::Op;
  using Range = Regex::Range;
  using Set = std::vector<Range>;

  /// A part of the program: where it begins, and the jump that it ends with, to be filled in.
  struct Piece {
    uint32_t start;
    uint32_t end;
  };
  struct Flags {
    bool fold = false;     // i
    bool lines = false;    // m
    bool dot_all = false;  // s
  };

  std::unexpected<Error> fail(std::string_view what) const {
    return invalid_model(cat("regular expression '", pattern_.substr(0, 100), "': ", what));
  }

  Result<uint32_t> add(Regex::Instruction i) {
    if (regex_.program_.size() >= kMaxProgram) {
      return limit_exceeded(cat("regular expression '", pattern_.substr(0, 100), "' is too large"));
    }
    regex_.program_.push_back(i);
    return static_cast<uint32_t>(regex_.program_.size() - 1);
  }
  Result<void> patch(Piece piece, uint32_t target) {
    regex_.program_[piece.end].next = target;
    return {};
  }
  Result<Piece> empty_piece() {
    QUERN_ASSIGN(const uint32_t jump, add({.op = Op::kJump}));
    return Piece{jump, jump};
  }
  Result<Piece> assertion(Regex::Assertion a) {
    QUERN_ASSIGN(const uint32_t at, add({.op = Op::kAssert, .assertion = a}));
    return Piece{at, at};
  }
  Result<Piece> set_piece(Set set) {
    normalise(set);
    const auto number = static_cast<uint32_t>(regex_.sets_.size());
    regex_.sets_.push_back(std::move(set));
    QUERN_ASSIGN(const uint32_t at, add({.op = Op::kSet, .set = number}));
    return Piece{at, at};
  }

  // Sets of code points.
  void normalise(Set& set) const {
    if (flags_.fold) {
      const Set given = set;
      const auto has = [&](char32_t c) {
        return std::ranges::any_of(
            given, [&](const Range& range) { return c >= range.first && c <= range.second; });
      };
      for_each_case_pair([&](char32_t upper, char32_t lower) {
        if (has(upper)) set.emplace_back(lower, lower);
        if (has(lower)) set.emplace_back(upper, upper);
      });
    }
    std::ranges::sort(set);
    Set merged;
    for (const Range& range : set) {
      if (!merged.empty() && range.first <= merged.back().second + 1) {
        merged.back().second = std::max(merged.back().second, range.second);
      } else {
        merged.push_back(range);
      }
    }
    set = std::move(merged);
  }
  static Set negated(const Set& sorted) {
    Set out;
    char32_t from = 0;
    for (const auto& [first, last] : sorted) {
      if (first > from) out.emplace_back(from, first - 1);
      from = last + 1;
    }
    if (from <= kLast) out.emplace_back(from, kLast);
    return out;
  }
  static void append_pairs(Set& set, std::string_view pairs, bool negative) {
    Set own;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      own.emplace_back(static_cast<unsigned char>(pairs[i]),
                       static_cast<unsigned char>(pairs[i + 1]));
    }
    std::ranges::sort(own);
    if (negative) own = negated(own);
    set.insert(set.end(), own.begin(), own.end());
  }

  // Text.
  bool accept(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  char32_t take() { return take_code_point(rest_); }

  Result<Piece> alternation(int depth) {
    if (depth > kMaxDepth) {
      return limit_exceeded(
          cat("regular expression '", pattern_.substr(0, 100), "' is nested too deep"));
    }
    QUERN_ASSIGN(Piece whole, sequence(depth));
    while (accept("|")) {
      QUERN_ASSIGN(const Piece other, sequence(depth));
      QUERN_ASSIGN(const uint32_t split,
                   add({.op = Op::kSplit, .next = whole.start, .other = other.start}));
      QUERN_ASSIGN(const uint32_t join, add({.op = Op::kJump}));
      QUERN_TRY(patch(whole, join));
      QUERN_TRY(patch(other, join));
      whole = {split, join};
    }
    return whole;
  }

  Result<Piece> sequence(int depth) {
    QUERN_ASSIGN(Piece whole, empty_piece());
    while (!rest_.empty() && (quoted_ || (rest_[0] != '|' && rest_[0] != ')'))) {
      const auto join = [&](Result<Piece> part) -> Result<void> {
        if (!part) return std::unexpected(std::move(part).error());
        QUERN_TRY(patch(whole, part->start));
        whole.end = part->end;
        return {};
      };
      if (quoted_ || accept("\\Q")) {
        quoted_ = !accept("\\E");
        if (!quoted_ || rest_.empty()) continue;
        const char32_t c = take();
        const auto literal = [&] { return set_piece({{c, c}}); };
        quoted_ = !accept("\\E");
        QUERN_ASSIGN(const Piece one, literal());
        QUERN_TRY(join(quoted_ ? one : repeated(one, literal)));
        continue;
      }
      const std::string_view source = rest_;
      const Flags flags = flags_;
      QUERN_ASSIGN(const std::optional<Piece> part, atom(depth));
      if (!part) continue;
      const std::string_view own = source.substr(0, source.size() - rest_.size());
      // A further copy is parsed from its source.
      QUERN_TRY(join(repeated(*part, [&]() -> Result<Piece> {
        const std::string_view rest = std::exchange(rest_, own);
        const Flags now = std::exchange(flags_, flags);
        auto again = atom(depth + 1);
        rest_ = rest;
        flags_ = now;
        if (!again) return std::unexpected(std::move(again).error());
        if (!*again) return internal_error("a repeated part of a regular expression is empty");
        return **again;
      })));
    }
    return whole;
  }

  struct Repeat {
    int least;
    int most;  // -1: no bound
  };
  /// The repetition that follows, if one does; a brace that is none is a literal.
  Result<std::optional<Repeat>> repeat() {
    std::optional<Repeat> found;
    if (accept("*")) {
      found = {0, -1};
    } else if (accept("+")) {
      found = {1, -1};
    } else if (accept("?")) {
      found = {0, 1};
    } else if (rest_.starts_with("{")) {
      const std::string_view before = rest_;
      accept("{");
      const std::optional<int> least = number();
      std::optional<int> most = least;
      if (least && accept(",")) most = rest_.starts_with("}") ? std::optional(-1) : number();
      if (!least || !most || !accept("}")) {
        rest_ = before;
        return std::nullopt;
      }
      if (*least > kMaxRepeat || *most > kMaxRepeat || (*most >= 0 && *most < *least)) {
        return fail("a repetition is out of range");
      }
      found = {*least, *most};
    }
    if (found) accept("?");  // lazy: the same for a full match
    return found;
  }
  std::optional<int> number() {
    if (rest_.empty() || digit(static_cast<unsigned char>(rest_[0]), 10) < 0) return std::nullopt;
    int value = 0;
    while (!rest_.empty() && digit(static_cast<unsigned char>(rest_[0]), 10) >= 0) {
      value = std::min(value * 10 + (rest_[0] - '0'), kMaxRepeat + 1);
      rest_.remove_prefix(1);
    }
    return value;
  }

  /// An atom with the repetition that follows it; `copy` makes another one of it.
  Result<Piece> repeated(Piece piece, const std::function<Result<Piece>()>& copy) {
    QUERN_ASSIGN(const std::optional<Repeat> found, repeat());
    if (!found) return piece;
    QUERN_ASSIGN(const std::optional<Repeat> second, repeat());
    if (second) return fail("a repetition of a repetition");
    // The least number of copies, then optional ones or a loop; the piece at hand is the first.
    std::optional<Piece> spare = piece;
    const auto next_copy = [&]() -> Result<Piece> {
      if (spare) return *std::exchange(spare, std::nullopt);
      return copy();
    };
    QUERN_ASSIGN(Piece whole, empty_piece());
    const auto join = [&](Piece part) -> Result<void> {
      QUERN_TRY(patch(whole, part.start));
      whole.end = part.end;
      return {};
    };
    for (int i = 0; i < found->least; ++i) {
      QUERN_ASSIGN(const Piece part, next_copy());
      QUERN_TRY(join(part));
    }
    if (found->most < 0) {
      QUERN_ASSIGN(const Piece body, next_copy());
      QUERN_ASSIGN(const uint32_t end, add({.op = Op::kJump}));
      QUERN_ASSIGN(const uint32_t split, add({.op = Op::kSplit, .next = body.start, .other = end}));
      QUERN_TRY(patch(body, split));
      QUERN_TRY(join({split, end}));
    } else if (found->most > found->least) {
      QUERN_ASSIGN(const uint32_t end, add({.op = Op::kJump}));
      for (int i = found->least; i < found->most; ++i) {
        QUERN_ASSIGN(const Piece body, next_copy());
        QUERN_ASSIGN(const uint32_t split,
                     add({.op = Op::kSplit, .next = body.start, .other = end}));
        QUERN_TRY(join({split, body.end}));
      }
      QUERN_TRY(join({end, end}));
    }
    return whole;
  }

  /// One part; nothing where it only sets flags.
  Result<std::optional<Piece>> atom(int depth) {
    const char32_t c = take();
    switch (c) {
      case '(':
        return group(depth);
      case '[': {
        QUERN_ASSIGN(Set set, char_class());
        return set_piece(std::move(set));
      }
      case '.': {
        Set any = {{0, kLast}};
        if (!flags_.dot_all) any = negated({{'\n', '\n'}});
        return set_piece(std::move(any));
      }
      case '^':
        return assertion(flags_.lines ? Regex::Assertion::kLineBegin
                                      : Regex::Assertion::kTextBegin);
      case '$':
        return assertion(flags_.lines ? Regex::Assertion::kLineEnd : Regex::Assertion::kTextEnd);
      case '*':
      case '+':
      case '?':
        return fail("a repetition of nothing");
      case '\\':
        return escape();
      default:
        return set_piece({{c, c}});
    }
  }

  Result<std::optional<Piece>> group(int depth) {
    const Flags outer = flags_;
    if (accept("?")) {
      if (accept("P<") || accept("<")) {
        const size_t end = rest_.find('>');
        if (end == rest_.npos || end == 0) return fail("a group's name is wrong");
        for (const char c : rest_.substr(0, end)) {
          if (!std::ranges::binary_search(std::string_view(kWordBytes), c)) {
            return fail("a group's name is wrong");
          }
        }
        rest_.remove_prefix(end + 1);
      } else {
        bool value = true;
        while (!rest_.starts_with(":")) {
          if (rest_.empty()) return fail("a group does not end");
          const char32_t c = take();
          if (c == ')') return std::nullopt;  // for the rest of the group around it
          if (c == '-' && value) {
            value = false;
          } else if (c == 'i') {
            flags_.fold = value;
          } else if (c == 'm') {
            flags_.lines = value;
          } else if (c == 's') {
            flags_.dot_all = value;
          } else if (c != 'U') {  // which of several matches is meant does not matter
            return fail("a group's flags are wrong");
          }
        }
        accept(":");
      }
    }
    QUERN_ASSIGN(const Piece inner, alternation(depth + 1));
    if (!accept(")")) return fail("a group does not end");
    flags_ = outer;
    return inner;
  }

  Result<std::optional<Piece>> escape() {
    if (rest_.empty()) return fail("it ends with a backslash");
    const std::string_view before = rest_;
    const char32_t c = take();
    switch (c) {
      case 'A':
        return assertion(Regex::Assertion::kTextBegin);
      case 'z':
        return assertion(Regex::Assertion::kTextEnd);
      case 'b':
        return assertion(Regex::Assertion::kWordBoundary);
      case 'B':
        return assertion(Regex::Assertion::kNoWordBoundary);
      case 'E':
        return std::nullopt;  // of no \Q
      case 'C':
      case 'p':
      case 'P':
      case 'X':
        return unsupported(cat("regular expression '", pattern_.substr(0, 100), "': \\",
                               before.substr(0, 1), " is not supported"));
      default:
        break;
    }
    if (const std::string_view pairs = perl_class(c); !pairs.empty()) {
      Set set;
      append_pairs(set, pairs, c < 'a');
      return set_piece(std::move(set));
    }
    rest_ = before;
    QUERN_ASSIGN(const char32_t literal, escaped_character());
    return set_piece({{literal, literal}});
  }

  /// The character that an escape, without its backslash, stands for.
  Result<char32_t> escaped_character() {
    if (rest_.empty()) return fail("it ends with a backslash");
    const char32_t c = take();
    switch (c) {
      case 'a':
        return U'\a';
      case 'f':
        return U'\f';
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case 'v':
        return U'\v';
      case 'x':
        return hexadecimal();
      default:
        break;
    }
    const int octal = digit(c, 8);
    const int next = rest_.empty() ? -1 : digit(static_cast<unsigned char>(rest_[0]), 8);
    if (c == '0' || (octal > 0 && next >= 0)) {
      int value = octal;
      for (int i = 0; i < 2 && !rest_.empty(); ++i) {
        const int more = digit(static_cast<unsigned char>(rest_[0]), 8);
        if (more < 0) break;
        value = value * 8 + more;
        rest_.remove_prefix(1);
      }
      return static_cast<char32_t>(value);
    }
    if (c >= 0x80 || !is_alphanumeric(c)) return c;  // punctuation stands for itself
    return fail(cat("\\", std::string(1, static_cast<char>(c)), " means nothing"));
  }
  static bool is_alphanumeric(char32_t c) {
    return digit(c, 10) >= 0 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  Result<char32_t> hexadecimal() {
    const bool braced = accept("{");
    uint32_t value = 0;
    int digits = 0;
    while (!rest_.empty() && (braced || digits < 2)) {
      const int one = digit(static_cast<unsigned char>(rest_[0]), 16);
      if (one < 0) break;
      value = value * 16 + static_cast<uint32_t>(one);
      rest_.remove_prefix(1);
      if (++digits > 8 || value > kLast) return fail("a hexadecimal escape is out of range");
    }
    if (digits == 0 || (!braced && digits != 2) || (braced && !accept("}"))) {
      return fail("a hexadecimal escape is wrong");
    }
    return value;
  }

  /// After '['.
  Result<Set> char_class() {
    const bool negative = accept("^");
    Set set;
    // Outside of a negation a class never matches what it does not list, a newline included.
    for (bool first = true; first || !rest_.starts_with("]"); first = false) {
      if (rest_.empty()) return fail("a class does not end");
      if (rest_.starts_with("[:")) {
        QUERN_ASSIGN(const bool found, named_class(set));
        if (found) continue;
      }
      if (rest_.starts_with("\\") && rest_.size() > 1) {
        const auto letter = static_cast<unsigned char>(rest_[1]);
        if (const std::string_view pairs = perl_class(letter); !pairs.empty()) {
          rest_.remove_prefix(2);
          append_pairs(set, pairs, letter < 'a');
          continue;
        }
        if (letter == 'p' || letter == 'P') {
          return unsupported(cat("regular expression '", pattern_.substr(0, 100), "': \\",
                                 rest_.substr(1, 1), " is not supported"));
        }
      }
      QUERN_ASSIGN(const char32_t from, class_character());
      char32_t to = from;
      if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        QUERN_ASSIGN(to, class_character());
        if (to < from) return fail("a range of a class is empty");
      }
      set.emplace_back(from, to);
    }
    accept("]");
    normalise(set);
    return negative ? negated(set) : set;
  }
  Result<char32_t> class_character() {
    if (rest_.empty()) return fail("a class does not end");
    if (accept("\\")) return escaped_character();
    return take();
  }
  Result<bool> named_class(Set& set) {
    const size_t end = rest_.find(":]");
    if (end == rest_.npos) return false;
    std::string_view name = rest_.substr(2, end - 2);
    const bool negative = name.starts_with("^");
    if (negative) name.remove_prefix(1);
    for (const NamedClass& one : kClasses) {
      if (one.name != name) continue;
      rest_.remove_prefix(end + 2);
      append_pairs(set, one.ranges, negative);
      return true;
    }
    return fail(cat("class '", name, "' is unknown"));
  }

  static constexpr char kWordBytes[] =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

  std::string_view pattern_;
  std::string_view rest_;
  Flags flags_;
  bool quoted_ = false;  // inside \Q...\E
  Regex regex_;
};

Result<Regex> Regex::compile(std::string_view pattern) { return RegexParser(pattern).run(); }

}  // namespace quern
