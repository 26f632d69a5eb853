#include "shader/unroll.h"

#include <cctype>

#include "base/text.h"

namespace quern {

/// Recursive descent over an expression.
class WgslNumber {
 public:
  WgslNumber(std::string_view text, const WgslConstants& constants, int depth)
      : text_(text), constants_(constants), depth_(depth) {}

  std::optional<int64_t> run() {
    const auto value = sum();
    skip();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  static bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  /// The next character where it is one of those; else 0.
  char take(std::string_view any) {
    skip();
    if (at_ >= text_.size() || any.find(text_[at_]) == std::string_view::npos) return 0;
    return text_[at_++];
  }

  std::optional<int64_t> sum() {
    auto left = product();
    while (left) {
      const char op = take("+-");
      if (op == 0) break;
      left = combine(op, left, product());
    }
    return left;
  }
  std::optional<int64_t> product() {
    auto left = atom();
    while (left) {
      const char op = take("*/%");
      if (op == 0) break;
      left = combine(op, left, atom());
    }
    return left;
  }
  std::optional<int64_t> atom() {
    if (++nested_ > 64) return std::nullopt;
    if (take("(") != 0) {
      const auto value = sum();
      return take(")") != 0 ? value : std::nullopt;
    }
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    std::string_view word = text_.substr(begin, at_ - begin);
    if (word.empty()) return std::nullopt;
    if (std::isdigit(static_cast<unsigned char>(word[0])) == 0) {
      const auto found = constants_.values_.find(word);
      if (found == constants_.values_.end()) return std::nullopt;
      return constants_.evaluate(found->second, depth_ + 1);
    }
    if (word.ends_with('u') || word.ends_with('i')) word.remove_suffix(1);
    int64_t value = 0;
    for (const char c : word) {
      if (c < '0' || c > '9' || value > kLargest) return std::nullopt;
      value = value * 10 + (c - '0');
    }
    return value;
  }

  static std::optional<int64_t> combine(char op, std::optional<int64_t> a,
                                        std::optional<int64_t> b) {
    if (!a || !b || *a > kLargest || *b > kLargest || *a < -kLargest || *b < -kLargest) {
      return std::nullopt;
    }
    if ((op == '/' || op == '%') && *b == 0) return std::nullopt;
    switch (op) {
      case '+':
        return *a + *b;
      case '-':
        return *a - *b;
      case '*':
        return *a * *b;
      case '/':
        return *a / *b;
      default:
        return *a % *b;
    }
  }

  static constexpr int64_t kLargest = int64_t{1} << 31;
  std::string_view text_;
  const WgslConstants& constants_;
  int depth_;
  int nested_ = 0;
  size_t at_ = 0;
};

std::optional<int64_t> WgslConstants::evaluate(std::string_view expression, int depth) const {
  if (depth > 16) return std::nullopt;
  return WgslNumber(expression, *this, depth).run();
}

namespace {

constexpr std::string_view kMark = "//@unroll";
constexpr int64_t kMostRounds = 64;

std::string_view trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

/// Where the block that begins at `at` ends: the place of its closing brace.
size_t block_end(std::string_view text, size_t at) {
  int depth = 1;
  for (; at < text.size(); ++at) {
    if (text.substr(at).starts_with("//")) {
      at = text.find('\n', at);
      if (at == std::string_view::npos) break;
    } else if (text[at] == '{') {
      ++depth;
    } else if (text[at] == '}' && --depth == 0) {
      return at;
    }
  }
  return std::string_view::npos;
}

struct Head {
  std::string_view variable;
  int64_t end = 0, step = 1;
};

/// Of `for (var i = 0u; i < END; i++) {` or `i += STEP`.
std::optional<Head> read_head(std::string_view line, const WgslConstants& constants) {
  constexpr std::string_view kOpen = "for (var ";
  constexpr std::string_view kClose = ") {";
  if (!line.starts_with(kOpen) || !line.ends_with(kClose)) return std::nullopt;
  line = line.substr(kOpen.size(), line.size() - kOpen.size() - kClose.size());
  const size_t first = line.find(';');
  const size_t second = line.find(';', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  Head head;
  head.variable = trim(line.substr(0, line.find('=')));
  if (head.variable.empty() || trim(line.substr(0, first)) != cat(head.variable, " = 0u")) {
    return std::nullopt;
  }
  std::string_view condition = trim(line.substr(first + 1, second - first - 1));
  const std::string less = cat(head.variable, " < ");
  if (!condition.starts_with(less)) return std::nullopt;
  condition.remove_prefix(less.size());
  std::string_view next = trim(line.substr(second + 1));
  const std::string add = cat(head.variable, " += ");
  std::optional<int64_t> step = 1;
  if (next.starts_with(add)) {
    step = constants.evaluate(next.substr(add.size()));
  } else if (next != cat(head.variable, "++")) {
    return std::nullopt;
  }
  const auto end = constants.evaluate(condition);
  if (!end || !step || *step < 1 || *end < 0 || *end / *step > kMostRounds) return std::nullopt;
  head.end = *end;
  head.step = *step;
  return head;
}

}  // namespace

Result<std::string> unroll_loops(std::string_view name, std::string_view text,
                                 const WgslConstants& constants) {
  std::string out;
  for (;;) {
    const size_t mark = text.find(kMark);
    if (mark == std::string_view::npos) break;
    size_t line = text.rfind('\n', mark);
    line = line == std::string_view::npos ? 0 : line + 1;
    const std::string_view head_text = trim(text.substr(line, mark - line));
    const auto head = read_head(head_text, constants);
    if (!head) {
      return internal_error(cat(name, ".wgsl: a loop that can't be written out: ", head_text));
    }
    const size_t begin = mark + kMark.size();
    const size_t end = block_end(text, begin);
    if (end == std::string_view::npos) return internal_error(cat(name, ".wgsl: an open block"));
    QUERN_ASSIGN(const std::string body,
                 unroll_loops(name, text.substr(begin, end - begin), constants));
    out += text.substr(0, line);
    for (int64_t i = 0; i < head->end; i += head->step) {
      out += cat("{\nconst ", head->variable, " = ", i, "u;", body, "}\n");
    }
    text.remove_prefix(end + 1);
  }
  out += text;
  return out;
}

}  // namespace quern
