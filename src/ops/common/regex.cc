#include "ops/common/regex.h"

#include <algorithm>

#include "ops/common/unicode.h"

namespace quern {

struct Regex::Threads {
  explicit Threads(size_t count) : has(count) {}
  std::vector<uint32_t> list;
  std::vector<bool> has;
  std::vector<uint32_t> stack;  // of add_thread

  void clear() {
    for (const uint32_t i : list) has[i] = false;
    list.clear();
  }
};

namespace {

bool is_word(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/// Before the first and after the last code point.
constexpr char32_t kEdge = 0xffffffff;

}  // namespace

/// Follows jumps from `start` and adds the instructions that wait for a code point.
void Regex::add_thread(Threads& threads, uint32_t start, uint32_t conditions) const {
  threads.stack.push_back(start);
  while (!threads.stack.empty()) {
    const uint32_t at = threads.stack.back();
    threads.stack.pop_back();
    if (threads.has[at]) continue;
    threads.has[at] = true;
    threads.list.push_back(at);
    const Instruction& i = program_[at];
    switch (i.op) {
      case Op::kSplit:
        threads.stack.push_back(i.other);
        threads.stack.push_back(i.next);
        break;
      case Op::kJump:
        threads.stack.push_back(i.next);
        break;
      case Op::kAssert:
        if ((conditions >> static_cast<int>(i.assertion) & 1) != 0) {
          threads.stack.push_back(i.next);
        }
        break;
      case Op::kSet:
      case Op::kMatch:
        break;
    }
  }
}

bool Regex::contains(uint32_t set, char32_t c) const {
  const std::vector<Range>& ranges = sets_[set];
  const auto after = std::ranges::upper_bound(ranges, c, {}, &Range::first);
  return after != ranges.begin() && c <= std::prev(after)->second;
}

bool Regex::full_match(std::string_view text) const {
  const auto conditions = [](char32_t before, char32_t after) {
    uint32_t bits = 0;
    const auto set = [&](Assertion a, bool holds) {
      bits |= static_cast<uint32_t>(holds) << static_cast<int>(a);
    };
    const bool boundary = is_word(before) != is_word(after);
    set(Assertion::kTextBegin, before == kEdge);
    set(Assertion::kTextEnd, after == kEdge);
    set(Assertion::kLineBegin, before == kEdge || before == '\n');
    set(Assertion::kLineEnd, after == kEdge || after == '\n');
    set(Assertion::kWordBoundary, boundary);
    set(Assertion::kNoWordBoundary, !boundary);
    return bits;
  };
  Threads now(program_.size());
  Threads next(program_.size());
  char32_t before = kEdge;
  char32_t c = text.empty() ? kEdge : take_code_point(text);
  add_thread(now, start_, conditions(before, c));
  while (c != kEdge) {
    before = c;
    const char32_t after = text.empty() ? kEdge : take_code_point(text);
    const uint32_t bits = conditions(before, after);
    for (const uint32_t at : now.list) {
      const Instruction& i = program_[at];
      if (i.op == Op::kSet && contains(i.set, c)) add_thread(next, i.next, bits);
    }
    now.clear();
    std::swap(now, next);
    if (now.list.empty()) return false;
    c = after;
  }
  return std::ranges::any_of(now.list, [&](uint32_t at) { return program_[at].op == Op::kMatch; });
}

}  // namespace quern
