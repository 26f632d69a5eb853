#include "cpu/blocked_run.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "cpu/block_convert.h"

namespace quern {
namespace {

// Sums of f32 are kept in f32 over this many iterations, then added to a sum in f64.
constexpr int32_t kPartialSums = 32;

}  // namespace

void BlockedRun::Free::operator()(uint8_t* p) const {
  ::operator delete[](p, std::align_val_t{64});
}

BlockedRun::BlockedRun(const BlockedPlan& plan, std::span<const uint8_t* const> inputs,
                       std::span<uint8_t* const> outputs)
    : plan_(plan),
      inputs_(inputs),
      outputs_(outputs),
      workspace_(
          static_cast<uint8_t*>(::operator new[](plan.workspace_bytes + 64, std::align_val_t{64}))),
      values_(plan.register_offsets.size()),
      index_(plan.domain.size()),
      loops_(plan.loops) {
  std::memset(workspace_.get(), 0, plan.workspace_bytes);
  lanes_.count = kBlock;
  run_scope(plan_.once);
  always_out_of_range_ = out_of_range_;
}

bool BlockedRun::run_block(int64_t first, int count) {
  if (always_out_of_range_) return false;
  lanes_ = {UINT32_MAX, first, count};
  if (plan_.needs_rows) find_rows();
  run_scope(plan_.each);
  if (!finish_block()) return false;
  for (size_t k = 0; k < plan_.outputs.size(); ++k) {
    const BlockedOutput& output = plan_.outputs[k];
    store_run(output.dtype, values_[output.value], outputs_[k], first, count);
  }
  return true;
}

bool BlockedRun::finish_block() { return !std::exchange(out_of_range_, false); }

bool BlockedRun::run_tile(int64_t tile) {
  tiled_ = true;
  const size_t rank = plan_.domain.size();
  int rows = 1;
  int columns = 1;
  for (size_t a = rank; a-- > 0;) {
    const bool is_last = a + 1 == rank;
    const bool is_rows = static_cast<int32_t>(a) == plan_.tile_axis;
    const int64_t size = is_last ? kTileColumns : is_rows ? kTileRows : 1;
    const int64_t tiles = (plan_.domain[a] + size - 1) / size;
    index_[a] = tile % tiles * size;
    tile /= tiles;
    const int here = static_cast<int>(std::min(size, plan_.domain[a] - index_[a]));
    if (is_last)
      columns = here;
    else if (is_rows)
      rows = here;
  }
  rows_.clear();
  row_index_.clear();
  for (int r = 0; r < rows; ++r) {
    rows_.push_back({r * columns, columns});
    row_index_.insert(row_index_.end(), index_.begin(), index_.end());
    ++index_[static_cast<size_t>(plan_.tile_axis)];
  }
  if (always_out_of_range_) return false;
  lanes_ = {UINT32_MAX, 0, rows * columns};
  run_scope(plan_.each);
  if (!finish_block()) return false;
  for (size_t k = 0; k < plan_.outputs.size(); ++k) {
    const BlockedOutput& output = plan_.outputs[k];
    const int width = register_width(compute_type(output.dtype));
    const auto* values = static_cast<const uint8_t*>(values_[output.value]);
    for (size_t r = 0; r < rows_.size(); ++r) {
      store_run(output.dtype, values + rows_[r].lane * width, outputs_[k], element_of_row(r),
                columns);
    }
  }
  return true;
}

int64_t BlockedRun::element_of_row(size_t row) const {
  const size_t rank = plan_.domain.size();
  int64_t element = 0;
  for (size_t a = 0; a < rank; ++a) element += plan_.strides[a] * row_index_[row * rank + a];
  return element;
}

// Sets index_ to the domain index of a lane.
void BlockedRun::locate_lane(const Lanes& lanes, int lane) {
  if (!tiled_) return locate(lanes.first + lane);
  const auto row = static_cast<size_t>(lane / rows_[0].count);
  const size_t rank = index_.size();
  for (size_t a = 0; a < rank; ++a) index_[a] = row_index_[row * rank + a];
  index_[rank - 1] += lane - rows_[row].lane;
}

void BlockedRun::locate(int64_t element) {
  for (size_t a = index_.size(); a-- > 0;) {
    index_[a] = element % plan_.domain[a];
    element /= plan_.domain[a];
  }
}

void BlockedRun::find_rows() {
  rows_.clear();
  row_index_.clear();
  const size_t rank = index_.size();
  if (rank == 0) {
    rows_.push_back({0, lanes_.count});
    return;
  }
  locate(lanes_.first);
  const int64_t length = plan_.domain[rank - 1];
  for (int lane = 0; lane < lanes_.count;) {
    const int n =
        static_cast<int>(std::min<int64_t>(length - index_[rank - 1], lanes_.count - lane));
    rows_.push_back({lane, n});
    row_index_.insert(row_index_.end(), index_.begin(), index_.end());
    lane += n;
    index_[rank - 1] = 0;
    for (size_t a = rank - 1; a-- > 0;) {
      if (++index_[a] < plan_.domain[a]) break;
      index_[a] = 0;
    }
  }
}

bool BlockedRun::is_active(int lane) const {
  for (size_t m = first_mask_; m < masks_.size(); ++m) {
    if (masks_[m].extents[lane] <= masks_[m].iteration) return false;
  }
  return true;
}

void BlockedRun::run_scope(const Scope& scope) {
  for (const Instruction& in : scope.code) {
    switch (in.kind) {
      case Instruction::Kind::kConstant:
        fill_block(in.type, write(in.out), in.value, kBlock);
        break;
      case Instruction::Kind::kIndex:
        run_index(in);
        break;
      case Instruction::Kind::kLoop:
        run_loop_variable(in);
        break;
      case Instruction::Kind::kLoad:
        run_load(in);
        break;
      case Instruction::Kind::kReduce:
        run_reduction(in);
        break;
      case Instruction::Kind::kCompute:
        in.kernel({write(in.out),
                   {values_[in.args[0]], values_[in.args[1]], values_[in.args[2]]},
                   padded(),
                   in.detail});
        break;
    }
  }
}

void BlockedRun::run_index(const Instruction& in) {
  auto* out = static_cast<int32_t*>(write(in.out));
  const size_t rank = plan_.domain.size();
  if (rank == 1) {
    for (int i = 0; i < lanes_.count; ++i) out[i] = static_cast<int32_t>(lanes_.first + i);
    return;
  }
  const bool is_last = in.detail + 1 == rank;
  for (size_t r = 0; r < rows_.size(); ++r) {
    const auto first = static_cast<int32_t>(row_index_[r * rank + in.detail]);
    int32_t* to = out + rows_[r].lane;
    for (int i = 0; i < rows_[r].count; ++i) to[i] = is_last ? first + i : first;
  }
}

void BlockedRun::run_loop_variable(const Instruction& in) {
  auto* out = static_cast<int32_t*>(write(in.out));
  if (lanes_.variable != in.detail) {
    std::fill_n(out, padded(), loops_[in.detail]);
    return;
  }
  for (int i = 0; i < lanes_.count; ++i) out[i] = static_cast<int32_t>(lanes_.first + i);
}

// ---- Loads ----

void BlockedRun::run_load(const Instruction& in) {
  const LoadPlan& load = plan_.loads[in.detail];
  const uint8_t* data = inputs_[load.input];
  int64_t base = load.base;
  for (const auto& [variable, stride] : load.loops) {
    if (variable != lanes_.variable) base += stride * loops_[variable];
  }
  int64_t stride = 0;
  if (!over_domain()) {
    for (size_t a = 0; a < index_.size(); ++a) base += load.axes[a] * index_[a];
    stride = load.loop_stride(lanes_.variable);
    base += stride * lanes_.first;
  } else if (load.contiguous && !tiled_) {
    base += lanes_.first;
    stride = 1;
  }
  const bool is_run =
      load.indices.empty() && (!over_domain() || (load.contiguous && !tiled_) || load.fixed);
  if (is_run && stride == 1 && in.may_alias && lanes_.count % kBlockStep == 0) {
    values_[in.out] = data + base * register_width(in.type);
    return;
  }
  void* out = write(in.out);
  if (load.input_count == 0) {  // nothing to read: an index out of range
    for (int i = 0; i < lanes_.count; ++i) out_of_range_ = out_of_range_ || is_active(i);
    fill_block(in.type, out, 0, padded());
  } else if (is_run) {
    load_run(load.dtype, data, base, stride, lanes_.count, out);
  } else if (over_domain() && load.periodic && !tiled_) {
    load_periodic(load, data, base, out);
  } else if (over_domain() && (load.indices.empty() || (load.row_indices && !rows_.empty()))) {
    load_rows(load, data, base, out);
  } else {
    load_lanes(load, data, base, stride, out);
  }
}

// Adds the indices of one lane that are not affine; false where one is out of range.
bool BlockedRun::add_indices(const LoadPlan& load, int lane, int64_t& offset) {
  for (const LoadPlan::Index& index : load.indices) {
    const int64_t at = read<int32_t>(index.value)[lane];
    if (!index.in_range && (at < 0 || at >= index.extent)) return false;
    offset += at * index.stride;
  }
  return true;
}

// One period, rotated to the block's start, then copies of it.
void BlockedRun::load_periodic(const LoadPlan& load, const uint8_t* data, int64_t base, void* out) {
  const int64_t length = plan_.domain.back();
  const int64_t stride = load.axes.back();
  const auto width = static_cast<size_t>(register_width(compute_type(load.dtype)));
  auto* to = static_cast<uint8_t*>(out);
  const int64_t start = lanes_.first % length;
  const int head = static_cast<int>(std::min<int64_t>(length - start, lanes_.count));
  load_run(load.dtype, data, base + stride * start, stride, head, to);
  const int period = static_cast<int>(std::min<int64_t>(length, lanes_.count));
  if (head < period) {
    load_run(load.dtype, data, base, stride, period - head, to + static_cast<size_t>(head) * width);
  }
  for (int done = period; done < lanes_.count;) {
    const int n = std::min(done, lanes_.count - done);
    std::memcpy(to + static_cast<size_t>(done) * width, to, static_cast<size_t>(n) * width);
    done += n;
  }
}

void BlockedRun::load_rows(const LoadPlan& load, const uint8_t* data, int64_t base, void* out) {
  const size_t rank = index_.size();
  const int width = register_width(compute_type(load.dtype));
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    int64_t offset = base;
    for (size_t a = 0; a < rank; ++a) offset += load.axes[a] * row_index_[r * rank + a];
    void* to = static_cast<uint8_t*>(out) + row.lane * width;
    if (add_indices(load, row.lane, offset)) {
      load_run(load.dtype, data, offset, load.axes.back(), row.count, to);
      continue;
    }
    for (int i = 0; i < row.count; ++i) {
      out_of_range_ = out_of_range_ || is_active(row.lane + i);
    }
    std::memset(to, 0, static_cast<size_t>(row.count * width));
  }
}

void BlockedRun::load_lanes(const LoadPlan& load, const uint8_t* data, int64_t base, int64_t stride,
                            void* out) {
  int64_t offsets[kBlock];
  if (!over_domain()) {
    for (int i = 0; i < lanes_.count; ++i) offsets[i] = base + stride * i;
  } else if (load.fixed) {
    std::fill_n(offsets, lanes_.count, base);
  } else {
    const size_t rank = index_.size();
    for (size_t r = 0; r < rows_.size(); ++r) {
      int64_t offset = base;
      for (size_t a = 0; a < rank; ++a) offset += load.axes[a] * row_index_[r * rank + a];
      for (int i = 0; i < rows_[r].count; ++i) {
        offsets[rows_[r].lane + i] = offset + load.axes.back() * i;
      }
    }
  }
  uint64_t bad = 0;
  for (const LoadPlan::Index& index : load.indices) {
    const int32_t* at = read<int32_t>(index.value);
    for (int i = 0; i < lanes_.count; ++i) offsets[i] += at[i] * index.stride;
    if (index.in_range) continue;
    const auto extent = static_cast<uint64_t>(index.extent);
    for (int i = 0; i < lanes_.count; ++i) {
      bad |= static_cast<uint64_t>(static_cast<uint64_t>(int64_t{at[i]}) >= extent);
    }
  }
  if (bad != 0) {
    for (int i = 0; i < lanes_.count; ++i) {
      int64_t ignored = 0;
      if (add_indices(load, i, ignored)) continue;
      out_of_range_ = out_of_range_ || is_active(i);
      offsets[i] = 0;
    }
  }
  load_gather(load.dtype, data, offsets, lanes_.count, out);
}

// ---- Reductions ----

void BlockedRun::run_reduction(const Instruction& in) {
  const Reduction& r = plan_.reductions[in.detail];
  if (r.across)
    reduce_across(r, in);
  else
    reduce_lanes(r, in);
}

void BlockedRun::reduce_lanes(const Reduction& r, const Instruction& in) {
  const int count = padded();
  const bool varies = r.fixed_extent < 0;
  int64_t extent = r.fixed_extent;
  if (varies) {
    const int32_t* extents = read<int32_t>(r.extent);
    extent = *std::max_element(extents, extents + lanes_.count);
    if (!is_arg_reduction(r.op)) {
      fill_block(r.type, write(r.identity), reduction_identity(r.op, r.type), kBlock);
    }
  }
  const bool is_arg = is_arg_reduction(r.op);
  if (is_arg) {
    std::memset(write(in.out), 0, static_cast<size_t>(count) * sizeof(int32_t));
    std::memset(write(r.accumulator), 0, static_cast<size_t>(count * register_width(r.type)));
  } else {
    const Scalar wide = accumulator_type(r.op, r.type);
    fill_block(wide, write(r.accumulator), reduction_identity(r.op, wide), count);
    if (r.op == ExprOp::kReduceSum && r.type == Scalar::kF32) {
      fill_block(r.type, write(r.partial), 0, count);
    }
  }
  for (int32_t i = 0; i < extent; ++i) {
    loops_[r.variable] = i;
    if (varies) {
      const int32_t* extents = read<int32_t>(r.extent);
      auto* active = static_cast<uint8_t*>(write(r.active));
      for (int k = 0; k < count; ++k) active[k] = i < extents[k] ? 1 : 0;
      masks_.push_back({extents, i});
    }
    run_scope(r.body);
    if (varies) masks_.pop_back();
    combine(r, in, i);
  }
  if (is_arg || accumulator_type(r.op, r.type) == r.type) return;
  const auto* sums = static_cast<double*>(storage(r.accumulator));
  if (r.op == ExprOp::kReduceSum) {
    flush_sums(static_cast<double*>(storage(r.accumulator)),
               static_cast<float*>(storage(r.partial)), count);
  }
  auto* out = static_cast<float*>(write(in.out));
  for (int k = 0; k < count; ++k) out[k] = static_cast<float>(sums[k]);
}

// Takes the body's value of one iteration into the accumulators.
void BlockedRun::combine(const Reduction& r, const Instruction& in, int32_t iteration) {
  const int count = padded();
  const bool varies = r.fixed_extent < 0;
  if (is_arg_reduction(r.op)) {
    accumulate_arg(r.op, r.type, storage(r.accumulator), static_cast<int32_t*>(storage(in.out)),
                   values_[r.value], iteration, varies ? read<uint8_t>(r.active) : nullptr, count);
    return;
  }
  const void* value = values_[r.value];
  if (varies) {
    void* masked = write(r.masked);
    block_kernel(ExprOp::kSelect, r.type,
                 r.type)({masked, {values_[r.active], value, values_[r.identity]}, count, 0});
    value = masked;
  }
  if (r.op != ExprOp::kReduceSum || r.type != Scalar::kF32) {
    r.accumulate({storage(r.accumulator), {value}, count, 0});
    return;
  }
  auto* partial = static_cast<float*>(storage(r.partial));
  const auto* values = static_cast<const float*>(value);
  for (int k = 0; k < count; ++k) partial[k] += values[k];
  if (iteration % kPartialSums == kPartialSums - 1) {
    flush_sums(static_cast<double*>(storage(r.accumulator)), partial, count);
  }
}

void BlockedRun::reduce_across(const Reduction& r, const Instruction& in) {
  const Lanes outer = lanes_;
  const size_t outer_masks = first_mask_;
  void* out = write(in.out);
  for (int lane = 0; lane < outer.count; ++lane) {
    Folded folded = start_fold(r.op, r.type);
    int64_t extent = r.fixed_extent >= 0 ? r.fixed_extent : read<int32_t>(r.extent)[lane];
    if (!is_active(lane)) extent = 0;
    if (extent > 0) {
      if (outer.variable == UINT32_MAX)
        locate_lane(outer, lane);
      else
        loops_[outer.variable] = static_cast<int32_t>(outer.first + lane);
      lanes_ = {r.variable, 0, static_cast<int>(std::min<int64_t>(extent, kBlock))};
      first_mask_ = masks_.size();
      for (const Reduction::Import& import : r.imports) {
        splat_block(import.type, write(import.to), values_[import.from], lane, padded());
      }
      for (int64_t first = 0; first < extent; first += kBlock) {
        lanes_.first = first;
        lanes_.count = static_cast<int>(std::min<int64_t>(extent - first, kBlock));
        run_scope(r.body);
        fold_block(r.op, r.type, values_[r.value], first, lanes_.count, folded);
      }
      lanes_ = outer;
      first_mask_ = outer_masks;
    }
    finish_fold(r.op, r.type, folded, out, lane);
  }
}

}  // namespace quern
