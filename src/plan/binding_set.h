// The buffers that a program of the GPU binds, in binding order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/walk.h"
#include "shader/lower.h"

namespace quern {

/// Distinct storages in binding order, and how each tensor of a call is bound.
class BindingSet {
 public:
  /// `writable`: all are bound for writing, whatever they are.
  explicit BindingSet(const Walk& walk, bool writable = false) : walk_(walk), writable_(writable) {}

  BindingPlan add(Storage s, DType dtype) {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].storage == s && tensors_[i].plan.same_as < 0) {
        if (tensors_[i].dtype != dtype) mixed_ = true;
        tensors_.push_back({s, dtype, {tensors_[i].plan.access, static_cast<int32_t>(i)}});
        return tensors_.back().plan;
      }
    }
    distinct_.push_back(s);
    tensors_.push_back({s, dtype, {access(s), -1}});
    return tensors_.back().plan;
  }
  /// One buffer may not be bound read-only and writable in a dispatch: what the segment writes
  /// is writable everywhere; weights, constants and finished load programs are read-only.
  [[nodiscard]] Access access(Storage s) const {
    if (writable_) return Access::kReadWrite;
    switch (walk_.info(s).kind) {
      case StorageKind::kTemporary:
        return Access::kReadWrite;
      case StorageKind::kLoaded:
        return walk_.loading() ? Access::kReadWrite : Access::kRead;
      default:
        return Access::kRead;
    }
  }
  [[nodiscard]] const std::vector<Storage>& distinct() const { return distinct_; }
  [[nodiscard]] bool mixed() const { return mixed_; }
  /// Identifies the pattern in a program's key.
  [[nodiscard]] std::string key() const {
    std::string out;
    for (const Tensor& t : tensors_) {
      out += cat(static_cast<int>(t.plan.access), ".", t.plan.same_as, ".",
                 static_cast<int>(t.dtype), ";");
    }
    return out;
  }

 private:
  struct Tensor {
    Storage storage;
    DType dtype;
    BindingPlan plan;
  };
  const Walk& walk_;
  bool writable_;
  std::vector<Tensor> tensors_;
  std::vector<Storage> distinct_;
  bool mixed_ = false;
};

}  // namespace quern
