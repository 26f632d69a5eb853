// Loops of a kernel's text that are written out: `for (var i = 0u; i < N; i++) { //@unroll`.
//
// Drivers keep an array in registers only where all its places are known when compiling, and give
// up on that where a loop is too long for them to unroll. One such loop moves the array to memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quern {

/// Constants of module scope by name, as the text of their values.
class WgslConstants {
 public:
  void add(std::string name, std::string value) {
    values_.insert_or_assign(std::move(name), std::move(value));
  }
  /// An expression of whole numbers, constants, + - * / % and brackets; nothing where it is another
  /// one, or overflows.
  [[nodiscard]] std::optional<int64_t> evaluate(std::string_view expression) const {
    return evaluate(expression, 0);
  }

 private:
  friend class WgslNumber;
  [[nodiscard]] std::optional<int64_t> evaluate(std::string_view expression, int depth) const;
  std::map<std::string, std::string, std::less<>> values_;
};

/// The text with its marked loops written out, each time round a block with a constant of the
/// loop variable's name. A marked loop counts from 0u up, by 1 or a constant, at most 64 times; its
/// line has nothing but its head, and it has no `break` or `continue` of its own. `name` is the
/// file's, for messages.
Result<std::string> unroll_loops(std::string_view name, std::string_view text,
                                 const WgslConstants& constants);

}  // namespace quern
