#include "shader/tuning.h"

#include <algorithm>

namespace quern {
namespace {

/// Far more than the kernels of a plan: a walk that goes on for ever keeps no more.
constexpr size_t kMaxChoices = 1 << 16;

}  // namespace

Result<void> Tuning::set(std::string_view table, std::optional<uint32_t> trial) {
  if (table.size() > kMaxTable) {
    return invalid_argument(
        cat("tuning: a table of ", table.size(), " bytes, at most ", kMaxTable, " are taken"));
  }
  std::map<std::string, std::string, std::less<>> entries;
  while (!table.empty()) {
    const std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos) {
      return invalid_argument(cat("tuning: the line '", line, "' has no tab"));
    }
    entries.insert_or_assign(std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)));
  }
  table_ = std::move(entries);
  trial_ = trial;
  choices_.clear();
  dispatches_.clear();
  active_ = true;
  return {};
}

size_t Tuning::choose(uint32_t node, std::string problem, std::vector<std::string> forms,
                      bool whole) {
  const auto count = static_cast<uint32_t>(forms.size());
  const uint32_t before = !whole && node == outer_node_ ? outer_trials_ : 0;
  if (whole) {
    outer_node_ = node;
    outer_trials_ = count - 1;
  }
  uint32_t taken = 0;
  if (trial_) {
    if (*trial_ >= before && *trial_ - before < count) taken = *trial_ - before;
  } else if (const auto found = table_.find(problem); found != table_.end()) {
    // A form that this version lacks is as none.
    const auto at = std::ranges::find(forms, found->second);
    if (at != forms.end()) taken = static_cast<uint32_t>(at - forms.begin());
  }
  if (choices_.size() < kMaxChoices) {
    choices_.push_back({node, std::move(problem), std::move(forms), taken, whole, before + count,
                        dispatches_[node], 0});
  }
  return taken;
}

std::vector<Choice> Tuning::take() {
  // A choice is for all that its node dispatches before it chooses so again.
  std::unordered_map<uint32_t, uint32_t> ends = std::move(dispatches_);
  std::unordered_map<uint32_t, uint32_t> whole_ends = ends;
  for (size_t i = choices_.size(); i-- > 0;) {
    Choice& choice = choices_[i];
    choice.last = (choice.whole ? whole_ends : ends)[choice.node];
    ends[choice.node] = choice.first;
    if (choice.whole) whole_ends[choice.node] = choice.first;
  }
  dispatches_.clear();
  return std::exchange(choices_, {});
}

}  // namespace quern
