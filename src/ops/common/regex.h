// Regular expressions of RE2's syntax, matched in time linear in the text.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace quern {

/// A compiled expression: a program for a set of threads that step through the text together, so
/// that there is no backtracking. Without Unicode's character classes (\pL), and \C.
class Regex {
 public:
  /// kInvalidModel where it is malformed, kUnsupported for what is left out, kLimit where its
  /// program would be too long.
  static Result<Regex> compile(std::string_view pattern);

  /// Does it match the whole text?
  [[nodiscard]] bool full_match(std::string_view text) const;

 private:
  friend class RegexParser;

  enum class Op : uint8_t { kSet, kSplit, kJump, kAssert, kMatch };
  enum class Assertion : uint8_t {
    kTextBegin,
    kTextEnd,
    kLineBegin,
    kLineEnd,
    kWordBoundary,
    kNoWordBoundary,
  };
  /// Code points from first to second.
  using Range = std::pair<char32_t, char32_t>;
  struct Instruction {
    Op op = Op::kMatch;
    Assertion assertion = Assertion::kTextBegin;
    uint32_t set = 0;  ///< of kSet: which set of ranges
    uint32_t next = 0;
    uint32_t other = 0;  ///< of kSplit
  };
  /// The threads of one step: instructions, each at most once.
  struct Threads;

  void add_thread(Threads& threads, uint32_t start, uint32_t conditions) const;
  [[nodiscard]] bool contains(uint32_t set, char32_t c) const;

  std::vector<Instruction> program_;
  std::vector<std::vector<Range>> sets_;  ///< sorted, disjoint
  uint32_t start_ = 0;
};

}  // namespace quern
