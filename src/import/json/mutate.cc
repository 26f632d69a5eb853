#include "import/json/mutate.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace quern {
namespace {

class JsonMutator {
 public:
  explicit JsonMutator(uint64_t seed) : random_(seed) {}

  void run(Json& json) {
    collect(json);
    for (uint64_t count = 1 + below(3); count > 0; --count) change();
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % std::max<uint64_t>(limit, 1); }

  /// All values, but for stack traces and the like.
  void collect(Json& json) {
    std::vector<Json*> open = {&json};
    while (!open.empty()) {
      Json* one = open.back();
      open.pop_back();
      all_.push_back(one);
      if (one->is_array()) {
        for (Json& item : *one) open.push_back(&item);
      } else if (one->is_object()) {
        for (auto& [key, item] : one->items()) {
          if (key != "metadata" && key != "module_call_graph") open.push_back(&item);
        }
      }
    }
  }

  int64_t number() {
    constexpr int64_t kNumbers[] = {0,  1,  -1,        2,         3,         7,        8,
                                    12, 16, INT32_MAX, INT64_MAX, INT64_MIN, 1 << 20,  -2,
                                    31, 64, 1000,      65536,     -1000,     1LL << 40};
    return kNumbers[below(std::size(kNumbers))];
  }

  void change() {
    Json& one = *all_[below(all_.size())];
    const Json other = *all_[below(all_.size())];
    // Pointers below a container that changes are void from then on.
    if (one.is_structured() && all_.size() > 1 && below(8) != 0) return change_inside(one);
    if (one.is_number()) {
      one = below(6) == 0 ? Json(1e300) : Json(number());
    } else if (one.is_boolean()) {
      one = one == false;
    } else if (other.is_structured() == one.is_structured() || below(4) == 0) {
      if (other.dump().size() < (1 << 16)) one = other;
    }
    all_ = {&one};
  }

  void change_inside(Json& one) {
    if (one.empty()) return;
    const auto at = static_cast<size_t>(below(one.size()));
    const auto place = std::next(one.begin(), static_cast<ptrdiff_t>(at));
    switch (below(3)) {
      case 0:
        one.erase(place);
        break;
      case 1:
        if (one.is_array()) one.push_back(Json(*place));
        break;
      default:
        if (one.is_array()) {
          std::swap(one[at], one[below(one.size())]);
        } else {
          *place = number();
        }
    }
    all_ = {&one};
  }

  std::mt19937_64 random_;
  std::vector<Json*> all_;
};

}  // namespace

void mutate_json(Json& json, uint64_t seed) { JsonMutator(seed).run(json); }

}  // namespace quern

#endif
