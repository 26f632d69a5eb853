// Which of several forms of a kernel is the fastest on the device at hand: what a tuner found out,
// and how it tries (docs/tuning.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace quern {

/// A choice that was made for dispatches of a node.
struct Choice {
  uint32_t node = 0;
  std::string problem;             ///< kernel, types and sizes: what the answer depends on
  std::vector<std::string> forms;  ///< names; the first is the one of the tables in the code
  uint32_t taken = 0;
  /// Of how the whole node is done: other choices of the node come within it.
  bool whole = false;
  /// The number of trials until all forms were tried.
  uint32_t trials = 0;
  /// Which of the node's dispatches: from `first` up to but without `last`, as they are emitted.
  uint32_t first = 0, last = 0;
};

/// Without a table and without a tuner, the first form of each choice is taken.
class Tuning {
 public:
  /// A table of lines "PROBLEM\tFORM\n", and with `trial` the number of the form to be tried for
  /// all problems that have so many; within a choice of the whole node, whose own forms come
  /// before, counted from there. Choices are noted from now on. An error (kInvalidArgument) for a
  /// line without a tab, or past kMaxTable bytes.
  Result<void> set(std::string_view table, std::optional<uint32_t> trial);
  static constexpr size_t kMaxTable = size_t{1} << 20;

  /// Is there anything to ask? Else a choice needs neither problem nor forms.
  [[nodiscard]] bool active() const { return active_; }
  size_t choose(uint32_t node, std::string problem, std::vector<std::string> forms,
                bool whole = false);
  /// A dispatch of `node` is emitted.
  void count(uint32_t node) {
    if (active_) ++dispatches_[node];
  }
  /// The choices since the last call.
  std::vector<Choice> take();

 private:
  bool active_ = false;
  std::map<std::string, std::string, std::less<>> table_;
  std::optional<uint32_t> trial_;
  std::vector<Choice> choices_;
  uint32_t outer_node_ = UINT32_MAX;                   ///< of the latest choice of a whole node
  uint32_t outer_trials_ = 0;                          ///< that go to its forms
  std::unordered_map<uint32_t, uint32_t> dispatches_;  ///< by node
};

}  // namespace quern
