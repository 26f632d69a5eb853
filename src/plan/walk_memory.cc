// Storages of a walk: constants, live ranges, and where everything lies when a segment closes.

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "plan/memory_plan.h"
#include "plan/walk.h"

namespace quern {
namespace {

/// Bindings cover whole words, and reads of vectors need whole vectors.
uint64_t padded(uint64_t bytes) { return (std::max<uint64_t>(bytes, 1) + 15) / 16 * 16; }

}  // namespace

Storage Walk::add_storage(StorageKind kind, uint64_t bytes) {
  StorageInfo info;
  info.kind = kind;
  info.bytes = bytes;
  info.index = segment_;
  storages_.push_back(info);
  return {static_cast<uint32_t>(storages_.size() - 1)};
}

Storage Walk::add_planned(StorageKind kind, uint64_t bytes, Slice slice) {
  const Storage s = add_storage(kind, bytes);
  storages_[s.id].planned = true;
  slice.bytes = padded(bytes);
  storages_[s.id].slice = slice;
  return s;
}

Slice Walk::add_constant(Pool& pool, const std::vector<uint8_t>& bytes) {
  if (pool.index == UINT32_MAX) pool.index = memory_.next_constant_pool++;
  const uint64_t offset =
      (pool.bytes.size() + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
  pool.bytes.resize(offset + padded(bytes.size()));
  if (!bytes.empty()) std::memcpy(pool.bytes.data() + offset, bytes.data(), bytes.size());
  return {BufferKind::kConstants, pool.index, offset, bytes.size()};
}

Result<Storage> Walk::weight_storage(const Value& value, uint64_t bytes) {
  const uint32_t weight = value.constant->weight;
  if (!placement_.is_narrow(value)) {
    return add_planned(StorageKind::kWeight, bytes, {BufferKind::kWeight, weight, 0, bytes});
  }
  if (const auto it = memory_.narrow_weights.find(weight); it != memory_.narrow_weights.end()) {
    return add_planned(StorageKind::kLoaded, bytes, it->second);
  }
  for (const auto& [number, storage] : narrowed_) {
    if (number == weight) return storage;
  }
  if (value.uses.empty()) return internal_error(cat("weight '", value.name, "' has no use"));
  const int64_t count = static_cast<int64_t>(bytes / 2);
  const Storage from =
      add_planned(StorageKind::kWeight, bytes * 2, {BufferKind::kWeight, weight, 0, bytes * 2});
  const Storage to = add_storage(StorageKind::kLoaded, bytes);
  storages_[to.id].used_by_run = !placement_.load_only.contains(weight);
  const bool was_loading = std::exchange(loading_, true);
  auto done = backend_.narrow(*value.uses[0].node, from, to, count, *this);
  loading_ = was_loading;
  QUERN_TRY(done);
  narrowed_.emplace_back(weight, to);
  return to;
}

std::vector<uint8_t> Walk::stored_bytes(const HostTensor& host, bool narrow) {
  if (!narrow) return host.bytes;
  std::vector<uint8_t> bytes(static_cast<size_t>(host.count()) * 2);
  for (int64_t i = 0; i < host.count(); ++i) {
    store_float(DType::kF16, bytes.data(), i, host.float_at(i));
  }
  return bytes;
}

Storage Walk::window(Storage whole, uint64_t offset, uint64_t bytes) {
  const auto [it, is_new] = windows_.try_emplace({whole.id, offset, bytes});
  if (is_new) {
    StorageInfo info = storages_[whole.id];
    info.parent = whole;
    info.offset = offset;
    info.bytes = bytes;
    storages_.push_back(info);
    it->second = {static_cast<uint32_t>(storages_.size() - 1)};
  }
  return it->second;
}

std::string Walk::describe(Storage s) const {
  const StorageInfo& info = storages_[s.id];
  return info.value == nullptr ? std::string("a temporary")
                               : cat("tensor '", info.value->name, "'");
}

Walk::Mark Walk::mark() const { return {(loading_ ? once_ : steps_).size(), params_.size()}; }

void Walk::rewind(Mark mark) {
  // Storages that the steps touched live longer than they must; that is all.
  (loading_ ? once_ : steps_).resize(mark.steps);
  params_.resize(mark.params);
}

Result<Storage> Walk::temporary(uint64_t bytes) {
  if (bytes > limits_.buffer_bytes) {
    return limit_exceeded(cat("a temporary of ", bytes, " bytes, the device's buffers hold ",
                              limits_.buffer_bytes, " at most"));
  }
  const Storage s = add_storage(loading_ ? StorageKind::kLoaded : StorageKind::kTemporary, bytes);
  return s;
}

Storage Walk::table(const std::vector<uint8_t>& bytes) {
  const uint64_t size = bytes.size();
  return add_planned(StorageKind::kConstant, size, add_constant(plan_pool_, bytes));
}

void Walk::touch(Storage s) {
  if (storages_[s.id].parent.id != UINT32_MAX) return touch(storages_[s.id].parent);
  StorageInfo& info = storages_[s.id];
  if (info.planned) return;
  const auto now = static_cast<uint32_t>(
      info.kind == StorageKind::kLoaded && loading_ ? once_.size() : steps_.size());
  if (info.kind == StorageKind::kLoaded && !loading_) {
    info.used_by_run = true;
    return;
  }
  info.first = std::min(info.first, now);
  info.last = std::max(info.last, now);
}

void Walk::keep_to_end(Storage s) {
  StorageInfo& info = storages_[s.id];
  if (info.planned) return;
  if (info.kind == StorageKind::kLoaded) {
    info.used_by_run = true;
    return;
  }
  info.first = std::min(info.first, static_cast<uint32_t>(steps_.size()));
  info.last = static_cast<uint32_t>(steps_.size());
}

Result<void> Walk::emit(Step step, std::vector<Storage> storages,
                        std::span<const uint32_t> params) {
  if (++total_steps_ > limits_.steps) {
    return limit_exceeded(cat("a run takes more than ", limits_.steps, " steps"));
  }
  for (Storage s : storages) touch(s);
  if (lowered_) step.node = *lowered_;
  if (!params.empty()) {
    const size_t offset =
        (params_.size() + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
    step.params_offset = static_cast<uint32_t>(offset);
    step.params_bytes = static_cast<uint32_t>(params.size() * 4);
    params_.resize(offset + (params.size() * 4 + 15) / 16 * 16);
    std::memcpy(params_.data() + offset, params.data(), params.size() * 4);
  }
  PendingStep pending;
  pending.step = std::move(step);
  pending.storages = std::move(storages);
  (loading_ ? once_ : steps_).push_back(std::move(pending));
  return {};
}

Result<void> Walk::emit_copy(uint32_t node, Storage from, Storage to,
                             std::array<uint64_t, 2> offsets, uint64_t bytes) {
  Step step;
  step.kind = StepKind::kCopy;
  step.node = node;
  QUERN_TRY(emit(std::move(step), {from, to}, {}));
  PendingStep& pending = (loading_ ? once_ : steps_).back();
  pending.copy_offsets = offsets;
  pending.copy_bytes = bytes;
  return {};
}

void Walk::keep_to_end(const RunTensor& tensor) {
  if (tensor.on_device()) keep_to_end(tensor.storage);
  if (!tensor.elements) return;
  for (const RunTensor& element : *tensor.elements) keep_to_end(element);
}

void Walk::keep_environment() {
  // What later segments may read. Values that nothing reads any more are kept too long here;
  // only runs that wait for the host pay for it.
  for (const RunTensor& t : environment_) keep_to_end(t);
  for (const Frame& frame : frames_) {
    for (const auto& parts : frame.collected) {
      for (const RunTensor& t : parts) keep_to_end(t);
    }
  }
}

Result<void> Walk::plan_run(Segment& segment) {
  std::vector<uint32_t> ids;
  std::vector<LiveRange> ranges;
  for (uint32_t i = 0; i < storages_.size(); ++i) {
    StorageInfo& s = storages_[i];
    if (s.planned || s.kind != StorageKind::kTemporary || s.parent.id != UINT32_MAX) continue;
    if (s.first == UINT32_MAX) s.first = s.last = static_cast<uint32_t>(steps_.size());
    ids.push_back(i);
    ranges.push_back({padded(s.bytes), s.first, std::max(s.first, s.last)});
  }
  const MemoryPlan plan = plan_memory(ranges, limits_.buffer_bytes);
  if (plan.arena_bytes > limits_.arena_bytes) {
    return limit_exceeded(cat("a run needs ", plan.arena_bytes,
                              " bytes of temporaries, the limit is ", limits_.arena_bytes));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    StorageInfo& s = storages_[ids[i]];
    s.slice = {BufferKind::kArena, segment_, plan.offsets[i], padded(s.bytes)};
    s.planned = true;
  }
  segment.arena_bytes = plan.arena_bytes;
  if (plan.arena_bytes > limits_.buffer_bytes) segment.arena_buffer_bytes = limits_.buffer_bytes;
  segment.live_bytes = plan.live_bytes;
  return {};
}

void Walk::plan_once(std::vector<BufferRequest>& requests) {
  if (once_.empty()) return;
  std::vector<uint32_t> kept;
  std::vector<LiveRange> kept_ranges;
  std::vector<uint32_t> ids;
  std::vector<LiveRange> ranges;
  for (uint32_t i = 0; i < storages_.size(); ++i) {
    StorageInfo& s = storages_[i];
    if (s.planned || s.kind != StorageKind::kLoaded || s.parent.id != UINT32_MAX) continue;
    s.planned = true;
    if (s.used_by_run) {
      kept.push_back(i);
      kept_ranges.push_back({padded(s.bytes), 0, 0});
      continue;
    }
    if (s.first == UINT32_MAX) s.first = s.last = 0;
    ids.push_back(i);
    ranges.push_back({padded(s.bytes), s.first, s.last});
  }
  // One number a buffer.
  const auto place = [&](BufferKind kind, const std::vector<uint32_t>& blocks,
                         const MemoryPlan& plan) {
    const uint32_t number = memory_.next_persistent;
    for (size_t i = 0; i < blocks.size(); ++i) {
      StorageInfo& s = storages_[blocks[i]];
      const auto buffer = static_cast<uint32_t>(plan.offsets[i] / limits_.buffer_bytes);
      s.slice = {kind, number + buffer, plan.offsets[i] % limits_.buffer_bytes, padded(s.bytes)};
    }
    for (uint64_t at = 0; at < plan.arena_bytes; at += limits_.buffer_bytes) {
      const uint64_t bytes = std::min(plan.arena_bytes - at, limits_.buffer_bytes);
      requests.push_back({kind, memory_.next_persistent++, bytes, false, {}});
      if (bytes == plan.arena_bytes - at) break;
    }
  };
  place(BufferKind::kPersistent, kept, plan_memory(kept_ranges, limits_.buffer_bytes));
  place(BufferKind::kOnce, ids, plan_memory(ranges, limits_.buffer_bytes));
  for (const auto& [value, storage] : loaded_) {
    const StorageInfo& s = storages_[storage.id];
    if (s.slice.buffer == BufferKind::kPersistent) results_[value->id] = s.slice;
  }
  loaded_.clear();
  for (const auto& [weight, storage] : narrowed_) {
    const StorageInfo& s = storages_[storage.id];
    if (s.used_by_run) memory_.narrow_weights[weight] = s.slice;
  }
  narrowed_.clear();
}

std::vector<Step> Walk::finish_steps(std::vector<PendingStep>& pending) {
  std::vector<Step> out;
  out.reserve(pending.size());
  for (PendingStep& p : pending) {
    for (size_t i = 0; i < p.storages.size(); ++i) {
      const StorageInfo& info = storages_[p.storages[i].id];
      const bool is_window = info.parent.id != UINT32_MAX;
      Slice slice = is_window ? storages_[info.parent.id].slice : info.slice;
      if (is_window) {
        slice.offset += info.offset;
        slice.bytes = std::min(padded(info.bytes), slice.bytes - info.offset);
      }
      if (p.step.kind == StepKind::kCopy) {
        slice.offset += p.copy_offsets[i];
        slice.bytes = p.copy_bytes;
      }
      p.step.slices.push_back(slice);
    }
    out.push_back(std::move(p.step));
  }
  pending.clear();
  return out;
}

Port Walk::port_of(const RunTensor& t, uint32_t index) const {
  Port port;
  port.index = index;
  port.dtype = t.info.dtype;
  port.dims = t.info.dims;
  if (t.on_device()) {
    port.slice = storages_[t.storage.id].slice;
    port.slice.bytes = byte_size(t.info.dtype, static_cast<uint64_t>(t.info.count()));
  } else {
    port.on_host = true;
    port.host = *t.host;
  }
  return port;
}

PortValue Walk::ports_of(const RunTensor& t, uint32_t& leaf) const {
  PortValue value;
  value.kind = t.kind;
  value.dtype = t.info.dtype;
  if (!t.elements) {
    value.port = port_of(t, leaf++);
    return value;
  }
  for (const RunTensor& element : *t.elements) value.elements.push_back(ports_of(element, leaf));
  return value;
}

void Walk::flush_pool(Pool& pool, bool plan_owned, std::vector<BufferRequest>& requests) {
  if (pool.index == UINT32_MAX) return;
  requests.push_back(
      {BufferKind::kConstants, pool.index, pool.bytes.size(), plan_owned, std::move(pool.bytes)});
  pool = {};
}

void Walk::give_up() {
  if (session_pool_.index == UINT32_MAX) return;
  const auto is_unsent = [&](const auto& constant) {
    return constant.second.index == session_pool_.index;
  };
  std::erase_if(memory_.constants, is_unsent);
  std::erase_if(memory_.narrow_constants, is_unsent);
  session_pool_ = {};
}

Result<PlanMessage> Walk::close_segment(bool done) {
  PlanMessage message;
  Segment& segment = message.segment;
  if (done) {
    for (const Value* output : graph_.outputs) {
      // Where a value is on the device already, that copy is the one to give.
      QUERN_ASSIGN(const RunTensor t, reference(output));
      keep_to_end(t);
    }
  } else {
    for (const Value* value : requests_) keep_to_end(environment_[value->id].storage);
    keep_environment();
  }
  QUERN_TRY(plan_run(segment));
  plan_once(message.buffers);
  flush_pool(session_pool_, false, message.buffers);
  flush_pool(plan_pool_, true, message.buffers);
  segment.once = finish_steps(once_);
  segment.steps = finish_steps(steps_);
  segment.params = std::move(params_);
  params_ = {};
  for (const Upload& upload : uploads_) {
    RunTensor t;
    t.info.dtype = upload.dtype;
    t.info.dims = upload.dims;
    t.storage = upload.storage;
    segment.uploads.push_back(port_of(t, upload.leaf));
  }
  uploads_.clear();
  if (done) {
    uint32_t leaf = 0;
    for (const Value* output : graph_.outputs) {
      segment.outputs.push_back(ports_of(environment_[output->id], leaf));
    }
  } else {
    for (uint32_t i = 0; i < requests_.size(); ++i) {
      segment.reads.push_back(port_of(environment_[requests_[i]->id], i));
    }
  }
  segment.done = done;
  message.programs = backend_.take_programs();
  ++segment_;
  return message;
}

}  // namespace quern
