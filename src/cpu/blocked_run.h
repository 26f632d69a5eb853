// Runs a compiled expression program, block by block, on one thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/block_reduce.h"
#include "cpu/blocked_plan.h"

namespace quern {

class BlockedRun {
 public:
  /// The plan and the memory must outlive this.
  BlockedRun(const BlockedPlan& plan, std::span<const uint8_t* const> inputs,
             std::span<uint8_t* const> outputs);

  /// Computes `count` (at most kBlock) elements from `first` on. False, with nothing stored, where
  /// an index lay outside its input: an unused value may depend on that, or a result.
  bool run_block(int64_t first, int count);
  /// Computes a tile, by its number below plan.tile_count(); likewise.
  bool run_tile(int64_t tile);
  /// Calls visit(first, count) for the runs of elements of the last tile.
  template <class Visit>
  void for_each_row(Visit visit) const {
    for (size_t r = 0; r < rows_.size(); ++r) visit(element_of_row(r), rows_[r].count);
  }

 private:
  // What the elements of a block stand for.
  struct Lanes {
    uint32_t variable = UINT32_MAX;  // a loop variable; else the domain
    int64_t first = 0;               // its value in lane 0; or the first element
    int count = 0;
  };
  // Lanes that have left a loop whose extent varies.
  struct Mask {
    const int32_t* extents;
    int32_t iteration;
  };
  // Lanes along one row of the domain, and the domain index of the first.
  struct Row {
    int lane;
    int count;
  };

  [[nodiscard]] void* storage(Register r) { return workspace_.get() + plan_.register_offsets[r]; }
  void* write(Register r) {
    values_[r] = storage(r);
    return storage(r);
  }
  template <class T>
  [[nodiscard]] const T* read(Register r) const {
    return static_cast<const T*>(values_[r]);
  }
  [[nodiscard]] int padded() const { return (lanes_.count + kBlockStep - 1) & -kBlockStep; }
  [[nodiscard]] bool over_domain() const { return lanes_.variable == UINT32_MAX; }
  [[nodiscard]] bool is_active(int lane) const;

  void find_rows();
  void locate(int64_t element);
  void locate_lane(const Lanes& lanes, int lane);
  [[nodiscard]] int64_t element_of_row(size_t row) const;
  bool finish_block();
  void run_scope(const Scope& scope);
  void run_index(const Instruction& in);
  void run_loop_variable(const Instruction& in);
  void run_load(const Instruction& in);
  void load_periodic(const LoadPlan& load, const uint8_t* data, int64_t base, void* out);
  void load_rows(const LoadPlan& load, const uint8_t* data, int64_t base, void* out);
  void load_lanes(const LoadPlan& load, const uint8_t* data, int64_t base, int64_t stride,
                  void* out);
  bool add_indices(const LoadPlan& load, int lane, int64_t& offset);
  void run_reduction(const Instruction& in);
  void reduce_lanes(const Reduction& r, const Instruction& in);
  void combine(const Reduction& r, const Instruction& in, int32_t iteration);
  void reduce_across(const Reduction& r, const Instruction& in);

  struct Free {
    void operator()(uint8_t* p) const;
  };
  const BlockedPlan& plan_;
  std::span<const uint8_t* const> inputs_;
  std::span<uint8_t* const> outputs_;
  std::unique_ptr<uint8_t[], Free> workspace_;
  std::vector<const void*> values_;  // where each register's value is
  Lanes lanes_;
  std::vector<int64_t> index_;  // of the domain, where the lanes are a loop's
  std::vector<int32_t> loops_;
  std::vector<Row> rows_;
  std::vector<int64_t> row_index_;  // rank numbers a row
  std::vector<Mask> masks_;
  bool tiled_ = false;     // the lanes are a tile: go by rows_
  size_t first_mask_ = 0;  // of the present lanes
  bool out_of_range_ = false;
  bool always_out_of_range_ = false;
};

}  // namespace quern
