// The storage variables of a program: which tensors share one, and how each is declared.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "shader/elements.h"
#include "shader/lower.h"

namespace quern {

/// A tensor to be bound.
struct BoundTensor {
  std::string_view name;
  DType dtype = DType::kUndefined;
  BindingPlan plan;
  uint32_t words = 1;  ///< words that an invocation takes at once; decides vectors
  bool is_output = false;
  char base = 0;  ///< the type of a word, where it is given: 'f', 'i' or 'u'
};

/// The variables for tensors: one each, but for those whose range another one has.
class BindingTable {
 public:
  /// An error past the target's count of storage buffers, or where an output shares its range with
  /// a tensor of another element width.
  static Result<BindingTable> make(std::span<const BoundTensor> tensors, const Target& target);

  [[nodiscard]] const BufferVar& var(size_t tensor) const { return vars_[var_of_[tensor]]; }
  /// The variable's place among the bindings; and whether another tensor has it too.
  [[nodiscard]] size_t index(size_t tensor) const { return var_of_[tensor]; }
  [[nodiscard]] bool is_shared(size_t tensor) const;
  [[nodiscard]] const std::vector<Access>& access() const { return access_; }
  /// "@group(0) @binding(0) var<storage, read> x: array<f32>;" for each. Where `types` has a text
  /// for a variable, that is its type.
  [[nodiscard]] std::string declarations(std::span<const std::string> types = {}) const;

 private:
  std::vector<BufferVar> vars_;
  std::vector<Access> access_;
  std::vector<size_t> var_of_;
};

/// The variables that tensors get, for the count of bindings and their merging: index of the
/// variable per tensor. An error past the target's limit.
Result<std::vector<size_t>> merge_bindings(std::span<const BindingPlan> plans,
                                           const Target& target);

}  // namespace quern
