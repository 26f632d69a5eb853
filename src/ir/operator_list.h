// Names the operators that something lacks, each with where a model has it, for one error.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace quern {

class OperatorList {
 public:
  /// `of` tells the form apart where only one is lacking: an element type.
  void add(const Node& node, std::string_view of = {});
  /// The same by names, of files that are no graphs yet.
  void add(std::string op, std::string_view place);
  /// By name, where the order of a file says nothing.
  void sort() { std::ranges::sort(order_); }
  [[nodiscard]] bool empty() const { return order_.empty(); }
  /// "Foo (domain ai.onnx, opset 17) of c64 at node 'first' and 3 more; Bar ...", in the order they
  /// were added. `kind` is what they are found at.
  [[nodiscard]] std::string text(std::string_view kind = "node") const;

 private:
  struct Entry {
    std::string first;
    size_t count = 0;
  };
  std::map<std::string, Entry> entries_;  // by operator, as the text names it
  std::vector<std::string> order_;
};

}  // namespace quern
