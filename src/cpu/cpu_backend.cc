#include "cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "ir/complex.h"

namespace quern {
namespace {

using AlignedBytes =
    std::unique_ptr<uint8_t[],
                    decltype([](uint8_t* p) { ::operator delete[](p, std::align_val_t{64}); })>;

AlignedBytes aligned_bytes(size_t size) {
  return AlignedBytes(static_cast<uint8_t*>(
      ::operator new[](std::max<size_t>(size, 1), std::align_val_t{64}, std::nothrow)));
}

/// Converts between element types by way of double or int64.
void convert(DType from, const uint8_t* in, DType to, uint8_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (is_float(from) || is_float(to)) {
      store_float(to, out, i, load_float(from, in, i));
    } else {
      store_int(to, out, i, load_int(from, in, i));
    }
  }
}

/// Scratch memory for one call.
class Scratch {
 public:
  Result<uint8_t*> take(size_t bytes) {
    if (bytes > (size_t{1} << 31))
      return limit_exceeded(cat("a kernel asks for ", bytes, " bytes"));
    blocks_.push_back(aligned_bytes(bytes));
    if (!blocks_.back()) return limit_exceeded(cat("no memory for ", bytes, " bytes of scratch"));
    return blocks_.back().get();
  }

 private:
  std::vector<AlignedBytes> blocks_;
};

class KernelContext final : public CpuContext {
 public:
  KernelContext(const OpFrame& frame, std::vector<const uint8_t*> in, std::vector<uint8_t*> out,
                Scratch& scratch, Parallel& parallel)
      : CpuContext(frame),
        in_(std::move(in)),
        out_(std::move(out)),
        scratch_(scratch),
        parallel_(parallel) {}
  const uint8_t* data(size_t input) const override { return in_[input]; }
  const uint8_t* data_as(size_t i, DType dtype) const override {
    const TensorInfo& info = input(i);
    const bool same = dtype == DType::kU8 ? bit_width(info.dtype) >= 8 : info.dtype == dtype;
    if (same || in_[i] == nullptr) return in_[i];
    const std::lock_guard lock(mutex_);
    std::vector<uint8_t>& copy = converted_[i];
    if (copy.empty()) {
      copy.resize(byte_size(dtype, static_cast<uint64_t>(info.count())) + 1);
      convert(info.dtype, in_[i], dtype, copy.data(), info.count());
    }
    return copy.data();
  }
  uint8_t* out(size_t output) override { return out_[output]; }
  Result<uint8_t*> scratch(size_t bytes) override { return scratch_.take(bytes); }
  Parallel& parallel() override { return parallel_; }

 private:
  std::vector<const uint8_t*> in_;
  std::vector<uint8_t*> out_;
  Scratch& scratch_;
  Parallel& parallel_;
  mutable std::mutex mutex_;
  mutable std::map<size_t, std::vector<uint8_t>> converted_;  // by input
};

/// A hand-written kernel. Buffers: present inputs, then present outputs.
class KernelJob final : public CpuJob {
 public:
  KernelJob(OpFrame frame, const CpuKernel& kernel) : frame_(std::move(frame)), kernel_(kernel) {
    // Element types that the kernel lacks go through f32, be it those of later operands alone.
    const auto has = [&](DType type) { return (kernel.types >> static_cast<int>(type) & 1) != 0; };
    const bool direct = frame_.inputs.empty() || has(frame_.inputs[0].dtype);
    const auto wide = [&](TensorInfo& info) {
      if (is_float(info.dtype) && !(direct && has(info.dtype))) info.dtype = DType::kF32;
    };
    original_ = frame_;
    for (TensorInfo& info : frame_.inputs) wide(info);
    for (TensorInfo& info : frame_.outputs) wide(info);
  }

  [[nodiscard]] bool is_supported() const {
    return frame_.inputs.empty() ||
           (kernel_.types >> static_cast<int>(frame_.inputs[0].dtype) & 1) != 0;
  }

  Result<void> run(std::span<uint8_t* const> buffers, Parallel& parallel) const override {
    Scratch scratch;
    std::vector<const uint8_t*> in;
    std::vector<uint8_t*> out;
    size_t next = 0;
    for (size_t i = 0; i < frame_.inputs.size(); ++i) {
      const TensorInfo& have = original_.inputs[i];
      const TensorInfo& want = frame_.inputs[i];
      if (!have.present) {
        in.push_back(nullptr);
        continue;
      }
      const uint8_t* bytes = buffers[next++];
      if (have.dtype != want.dtype) {
        QUERN_ASSIGN(uint8_t* copy,
                     scratch.take(byte_size(want.dtype, static_cast<uint64_t>(want.count()))));
        convert(have.dtype, bytes, want.dtype, copy, want.count());
        bytes = copy;
      }
      in.push_back(bytes);
    }
    std::vector<uint8_t*> targets;
    for (size_t i = 0; i < frame_.outputs.size(); ++i) {
      const TensorInfo& want = frame_.outputs[i];
      uint8_t* bytes = want.present ? buffers[next++] : nullptr;
      targets.push_back(bytes);
      if (bytes != nullptr && original_.outputs[i].dtype != want.dtype) {
        QUERN_ASSIGN(bytes,
                     scratch.take(byte_size(want.dtype, static_cast<uint64_t>(want.count()))));
      }
      out.push_back(bytes);
    }
    KernelContext context(frame_, std::move(in), out, scratch, parallel);
    QUERN_TRY(kernel_.run(context));
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] == nullptr || targets[i] == out[i]) continue;
      convert(frame_.outputs[i].dtype, out[i], original_.outputs[i].dtype, targets[i],
              frame_.outputs[i].count());
    }
    return {};
  }

 private:
  OpFrame frame_;
  OpFrame original_;
  const CpuKernel& kernel_;
};

/// An expression program. Buffers: inputs, then outputs.
class ExprJob final : public CpuJob {
 public:
  explicit ExprJob(BlockedProgram program, size_t inputs)
      : program_(std::move(program)), inputs_(inputs) {}

  Result<void> run(std::span<uint8_t* const> buffers, Parallel& parallel) const override {
    std::vector<const uint8_t*> in(buffers.begin(),
                                   buffers.begin() + static_cast<std::ptrdiff_t>(inputs_));
    return program_.run(in, buffers.subspan(inputs_), parallel);
  }

 private:
  BlockedProgram program_;
  size_t inputs_;
};

/// The operator's plain `eval`, on copies of the tensors. Buffers: present inputs, then outputs.
class EvalJob final : public CpuJob {
 public:
  explicit EvalJob(OpFrame frame) : frame_(std::move(frame)) {}

  Result<void> run(std::span<uint8_t* const> buffers, Parallel&) const override {
    OpFrame frame = frame_;
    std::vector<HostTensor> tensors(frame.inputs.size());
    size_t next = 0;
    for (size_t i = 0; i < frame.inputs.size(); ++i) {
      frame.host[i] = nullptr;
      if (!frame.inputs[i].present) continue;
      const TensorInfo& info = frame.inputs[i];
      const uint8_t* bytes = buffers[next++];
      tensors[i].dtype = info.dtype;
      tensors[i].dims = info.dims;
      tensors[i].bytes.assign(bytes,
                              bytes + byte_size(info.dtype, static_cast<uint64_t>(info.count())));
      frame.host[i] = &tensors[i];
    }
    QUERN_ASSIGN(std::vector<HostTensor> results, evaluate_node(frame));
    for (size_t i = 0; i < results.size(); ++i) {
      if (!frame.outputs[i].present) continue;
      uint8_t* out = buffers[next++];
      if (results[i].dims != frame.outputs[i].dims) {
        return internal_error(cat(frame.node->describe(), ": output ", i, " changed its dims"));
      }
      if (!results[i].bytes.empty())
        std::memcpy(out, results[i].bytes.data(), results[i].bytes.size());
    }
    return {};
  }

 private:
  OpFrame frame_;
};

std::vector<Storage> present(const LowerJob& job) {
  std::vector<Storage> out;
  for (size_t i = 0; i < job.inputs.size(); ++i) {
    if (job.frame.inputs[i].present) out.push_back(job.inputs[i]);
  }
  for (size_t i = 0; i < job.outputs.size(); ++i) {
    if (job.frame.outputs[i].present) out.push_back(job.outputs[i]);
  }
  return out;
}

}  // namespace

const CpuKernel* find_cpu_kernel(std::string_view name) {
  if (name.empty()) return nullptr;
  for (const CpuKernelEntry& entry : all_cpu_kernels()) {
    if (entry.name == name) return entry.kernel;
  }
  return nullptr;
}

Result<void> CpuBackend::emit(const Node& node, std::unique_ptr<CpuJob> job,
                              std::vector<Storage> storages, Walk& walk) {
  Step step;
  step.node = node.id;
  if (free_.empty()) {
    step.program = static_cast<uint32_t>(jobs_.size());
    jobs_.push_back(std::move(job));
  } else {
    step.program = free_.back();
    free_.pop_back();
    jobs_[step.program] = std::move(job);
  }
  return walk.emit(std::move(step), std::move(storages), {});
}

void CpuBackend::release(const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    if (step.kind != StepKind::kDispatch || !jobs_[step.program]) continue;
    jobs_[step.program].reset();
    free_.push_back(step.program);
  }
}

bool CpuBackend::lacks(const Node& node, const OpDef& def) const {
  return has_complex(node) && def.eval == nullptr;
}

Result<void> CpuBackend::lower(const LowerJob& job, Walk& walk) {
  if (!job.body.empty()) {
    const int anchor = anchor_of(job.body);
    if (anchor >= 0) return lower_anchor(job, static_cast<size_t>(anchor), walk);
    return lower_expression(job, walk);
  }
  bool empty = true;
  for (const TensorInfo& info : job.frame.outputs)
    empty = empty && (!info.present || info.count() == 0);
  if (empty) return {};
  const OpDef& def = *job.frame.def;
  if (const CpuKernel* kernel = find_cpu_kernel(def.cpu_kernel)) {
    auto made = std::make_unique<KernelJob>(job.frame, *kernel);
    if (made->is_supported()) return emit(*job.frame.node, std::move(made), present(job), walk);
  }
  if (def.expr != nullptr && !has_complex(*job.frame.node)) return lower_expression(job, walk);
  if (def.eval != nullptr) {
    return emit(*job.frame.node, std::make_unique<EvalJob>(job.frame), present(job), walk);
  }
  return unsupported(cat(job.frame.node->describe(), ": no CPU kernel for version ",
                         job.frame.node->version, " with ",
                         job.frame.inputs.empty() ? std::string_view("no inputs")
                                                  : name_of(job.frame.inputs[0].dtype)));
}

Result<void> CpuBackend::lower_expression(const LowerJob& job, Walk& walk) {
  for (uint32_t output = 0; output < job.outputs.size(); ++output) {
    const TensorInfo& info = job.frame.outputs[output];
    if (!info.present || info.count() == 0) continue;
    const uint32_t group[] = {output};
    auto composed = compose(job.frame, job.body, group);
    if (!composed) {
      return std::unexpected(std::move(composed).error().in(job.frame.node->describe()));
    }
    collapse_axes(composed->program);
    QUERN_ASSIGN(BlockedProgram program, BlockedProgram::compile(composed->program));
    std::vector<Storage> storages;
    for (uint32_t i : composed->inputs) storages.push_back(job.inputs[i]);
    const size_t inputs = storages.size();
    storages.push_back(job.outputs[output]);
    QUERN_TRY(emit(*job.frame.node, std::make_unique<ExprJob>(std::move(program), inputs),
                   std::move(storages), walk));
  }
  return {};
}

Result<void> CpuBackend::lower_anchor(const LowerJob& job, size_t anchor, Walk& walk) {
  // The anchor writes its own tensor, and the rest follows as an expression over it.
  const OpFrame& frame = job.body[anchor];
  const Graph& body = *job.frame.node->subgraph("body");
  LowerJob inner;
  inner.frame = frame;
  for (const Value* v : frame.node->inputs) {
    Storage s;
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      if (body.inputs[i] == v) s = job.inputs[i];
    }
    inner.inputs.push_back(s);
  }
  const TensorInfo& info = frame.outputs[0];
  QUERN_ASSIGN(Storage whole,
               walk.temporary(byte_size(info.dtype, static_cast<uint64_t>(info.count()))));
  inner.outputs = {whole};
  QUERN_TRY(lower(inner, walk));
  if (job.frame.outputs[0].count() == 0) return {};
  const uint32_t group[] = {0};
  QUERN_ASSIGN(Composed composed, compose(job.frame, job.body, group, frame.node->outputs[0]));
  for (ExprInput& input : composed.program.inputs) input.is_anchor = false;
  collapse_axes(composed.program);
  QUERN_ASSIGN(BlockedProgram program, BlockedProgram::compile(composed.program));
  std::vector<Storage> storages;
  for (uint32_t i : composed.inputs) {
    storages.push_back(i == Composed::kAnchor ? whole : job.inputs[i]);
  }
  const size_t inputs = storages.size();
  storages.push_back(job.outputs[0]);
  return emit(*job.frame.node, std::make_unique<ExprJob>(std::move(program), inputs),
              std::move(storages), walk);
}

Result<uint8_t*> CpuMemory::at(const Slice& slice, std::vector<std::vector<uint8_t>>& arenas) {
  std::span<uint8_t> bytes;
  if (slice.buffer == BufferKind::kArena) {
    if (slice.index < arenas.size()) bytes = arenas[slice.index];
  } else if (slice.buffer == BufferKind::kWeight) {
    if (slice.index < weights_.size()) bytes = weights_[slice.index];
  } else {
    auto it = buffers_.find(uint64_t{static_cast<uint32_t>(slice.buffer)} << 32 | slice.index);
    if (it != buffers_.end()) bytes = it->second;
  }
  if (slice.offset > bytes.size() || slice.bytes > bytes.size() - slice.offset) {
    return internal_error(cat("a slice of ", slice.bytes, " bytes at ", slice.offset,
                              " passes its buffer of ", bytes.size(), " bytes"));
  }
  return bytes.data() + slice.offset;
}

void CpuMemory::release(const std::vector<BufferRequest>& requests) {
  for (const BufferRequest& r : requests) {
    if (r.plan_owned) buffers_.erase(uint64_t{static_cast<uint32_t>(r.kind)} << 32 | r.index);
  }
}

Result<void> CpuMemory::prepare(const PlanMessage& message, const CpuBackend& backend,
                                Parallel& parallel) {
  std::vector<uint64_t> once;
  for (const BufferRequest& request : message.buffers) {
    const uint64_t key = uint64_t{static_cast<uint32_t>(request.kind)} << 32 | request.index;
    std::vector<uint8_t> bytes = request.contents;
    bytes.resize(request.bytes);
    buffers_[key] = std::move(bytes);
    if (request.kind == BufferKind::kOnce) once.push_back(key);
  }
  std::vector<std::vector<uint8_t>> no_arenas;
  QUERN_TRY(run_steps(message.segment.once, backend, no_arenas, parallel));
  for (uint64_t key : once) buffers_.erase(key);
  return {};
}

Result<void> CpuMemory::run(const Segment& segment, const CpuBackend& backend,
                            std::vector<std::vector<uint8_t>>& arenas, Parallel& parallel) {
  return run_steps(segment.steps, backend, arenas, parallel);
}

Result<void> CpuMemory::run_steps(const std::vector<Step>& steps, const CpuBackend& backend,
                                  std::vector<std::vector<uint8_t>>& arenas, Parallel& parallel) {
  std::vector<uint8_t*> buffers;
  for (const Step& step : steps) {
    buffers.clear();
    for (const Slice& slice : step.slices) {
      QUERN_ASSIGN(uint8_t* bytes, at(slice, arenas));
      buffers.push_back(bytes);
    }
    if (step.kind == StepKind::kCopy) {
      std::memcpy(buffers[1], buffers[0], step.slices[0].bytes);
      continue;
    }
    QUERN_TRY(backend.job(step.program).run(buffers, parallel));
  }
  return {};
}

}  // namespace quern
