#include "shader/bindings.h"

#include <algorithm>

namespace quern {

Result<std::vector<size_t>> merge_bindings(std::span<const BindingPlan> plans,
                                           const Target& target) {
  std::vector<size_t> var_of;
  size_t count = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    const int32_t same = plans[i].same_as;
    if (same >= 0 && static_cast<size_t>(same) >= i) {
      return internal_error(
          cat("binding ", i, " is the same as ", same, ", which is no earlier one"));
    }
    var_of.push_back(same >= 0 ? var_of[static_cast<size_t>(same)] : count++);
  }
  if (count > target.max_storage_buffers) {
    return unsupported(cat("kernel binds ", count, " storage buffers, the device allows ",
                           target.max_storage_buffers));
  }
  return var_of;
}

Result<BindingTable> BindingTable::make(std::span<const BoundTensor> tensors,
                                        const Target& target) {
  std::vector<BindingPlan> plans;
  for (const BoundTensor& t : tensors) plans.push_back(t.plan);
  BindingTable table;
  QUERN_ASSIGN(table.var_of_, merge_bindings(plans, target));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const BoundTensor& t = tensors[i];
    if (!has_elements(t.dtype)) {
      return unsupported(
          cat("tensor ", t.name, ": kernels can't hold element type ", name_of(t.dtype)));
    }
    if (t.is_output && t.plan.same_as >= 0 &&
        bit_width(tensors[static_cast<size_t>(t.plan.same_as)].dtype) != bit_width(t.dtype)) {
      return internal_error(cat("output ", t.name,
                                " is in the place of a tensor whose elements have "
                                "another width"));
    }
    const size_t v = table.var_of_[i];
    const char base = t.base != 0 ? t.base : word_base(t.dtype);
    if (v == table.vars_.size()) {
      table.vars_.push_back({std::string(t.name), base, 1});
      table.access_.push_back(t.plan.access);
    }
    BufferVar& var = table.vars_[v];
    if (var.base != base) var.base = 'u';
    var.width = std::max(var.width, std::min(t.words, 4u));
    if (t.is_output || t.plan.access == Access::kReadWrite) {
      table.access_[v] = Access::kReadWrite;
    }
  }
  return table;
}

bool BindingTable::is_shared(size_t tensor) const {
  return std::count(var_of_.begin(), var_of_.end(), var_of_[tensor]) > 1;
}

std::string BindingTable::declarations(std::span<const std::string> types) const {
  std::string out;
  for (size_t v = 0; v < vars_.size(); ++v) {
    out += cat("@group(0) @binding(", v, ") var<storage, ",
               access_[v] == Access::kRead ? "read" : "read_write", "> ", vars_[v].name, ": ",
               v < types.size() && !types[v].empty() ? types[v] : array_type(vars_[v]), ";\n");
  }
  return out;
}

}  // namespace quern
