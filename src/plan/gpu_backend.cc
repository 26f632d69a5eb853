#include "plan/gpu_backend.h"

#include <algorithm>
#include <map>

#include "ir/complex.h"
#include "ops/compose.h"
#include "plan/binding_set.h"
#include "plan/epilogue_form.h"
#include "plan/gpu_lowering.h"
#include "plan/move_bits.h"
#include "plan/split_expr.h"

namespace quern {
namespace {

bool same_program(const ShaderText& a, const ShaderText& b) {
  return a.wgsl == b.wgsl && a.bindings == b.bindings && a.overrides == b.overrides &&
         a.param_words == b.param_words;
}

bool is_convolution(const Node& node) { return node.op == "Conv"; }

/// The storages of a fusion that a node of its body takes from outside, input by input.
std::vector<Storage> outer_inputs(const LowerJob& job, const OpFrame& frame) {
  const Graph& body = *job.frame.node->subgraph("body");
  std::vector<Storage> inputs;
  for (const Value* v : frame.node->inputs) {
    const auto at = std::ranges::find(body.inputs, v);
    inputs.push_back(at == body.inputs.end()
                         ? Storage{}
                         : job.inputs[static_cast<size_t>(at - body.inputs.begin())]);
  }
  return inputs;
}

}  // namespace

const uint32_t* ProgramTable::find(const std::string& key) const {
  auto it = numbers_.find(key);
  return it == numbers_.end() ? nullptr : &it->second;
}

uint32_t ProgramTable::add(std::string key, std::string label, ShaderText text) {
  // A key may name what the text does not have: an extent that no index needs, say.
  std::vector<uint32_t>& alike = by_text_[std::hash<std::string>{}(text.wgsl)];
  for (const uint32_t number : alike) {
    if (!same_program(entries_[number].text, text)) continue;
    numbers_.emplace(std::move(key), number);
    return number;
  }
  const auto number = static_cast<uint32_t>(entries_.size());
  alike.push_back(number);
  entries_.push_back({number, std::move(label), std::move(text)});
  numbers_.emplace(std::move(key), number);
  return number;
}

std::vector<ProgramEntry> ProgramTable::take_new() {
  std::vector<ProgramEntry> out(entries_.begin() + static_cast<std::ptrdiff_t>(taken_),
                                entries_.end());
  taken_ = entries_.size();
  return out;
}

bool GpuBackend::lacks(const Node& node, const OpDef&) const { return has_complex(node); }

Result<void> GpuBackend::lower(const LowerJob& job, Walk& walk) {
  if (!job.body.empty()) {
    const int anchor = anchor_of(job.body);
    if (anchor >= 0 && has_large(job, walk)) return lower_each(job, walk);
    if (anchor >= 0) return lower_anchor(job, static_cast<size_t>(anchor), walk);
    return lower_expression(job, walk);
  }
  const OpDef& def = *job.frame.def;
  if (def.lower != nullptr) {
    const Walk::Mark mark = walk.mark();
    auto done = lower_kernel(job, walk);
    // A form that the hand-written kernels lack takes the general one.
    const bool lacking = !done && (done.error().code == ErrorCode::kUnsupported ||
                                   done.error().code == ErrorCode::kLimit);
    if (!lacking || def.expr == nullptr) return done;
    walk.rewind(mark);
  }
  if (def.expr == nullptr) {
    return unsupported(cat(job.frame.node->describe(), ": no WebGPU kernel for version ",
                           job.frame.node->version, " with ",
                           job.frame.inputs.empty() ? std::string_view("no inputs")
                                                    : name_of(job.frame.inputs[0].dtype)));
  }
  return lower_expression(job, walk);
}

Result<void> GpuBackend::lower_kernel(const LowerJob& job, Walk& walk) {
  const OpDef& def = *job.frame.def;
  const bool narrow = is_narrow(job.frame, 0);
  if (narrow && (!def.takes_epilogue || has_large(job, walk))) return lower_kernel_wide(job, walk);
  Lowering lowering(*this, job.frame, job.inputs, job.outputs, walk);
  if (narrow) {
    // What is too large for f16 is bounded as it is stored.
    QUERN_ASSIGN(Composed bound, compose_bound(job.frame.outputs[0]));
    lowering.set_epilogue(std::move(bound), {Storage{}}, job.outputs[0], DType::kF16);
  } else if (is_convolution(*job.frame.node) && def.takes_epilogue && !has_large(job, walk) &&
             job.frame.outputs[0].dtype == DType::kF32) {
    QUERN_TRY(lowering.set_common_epilogue({}, job.inputs, job.outputs[0]));
  }
  const Walk::Mark mark = walk.mark();
  QUERN_TRY(def.lower(lowering));
  if (lowering.epilogue_done() || job.frame.outputs[0].count() == 0) return {};
  walk.rewind(mark);
  if (narrow) return lower_kernel_wide(job, walk);
  Lowering again(*this, job.frame, job.inputs, job.outputs, walk);
  return def.lower(again);
}

Result<void> GpuBackend::lower_kernel_wide(const LowerJob& job, Walk& walk) {
  LowerJob wide = job;
  std::vector<size_t> narrow;
  for (size_t i = 0; i < job.outputs.size(); ++i) {
    if (!is_narrow(job.frame, i)) continue;
    TensorInfo& info = wide.frame.outputs[i];
    info.dtype = DType::kF32;
    QUERN_ASSIGN(wide.outputs[i], walk.temporary(static_cast<uint64_t>(info.count()) * 4));
    narrow.push_back(i);
  }
  Lowering lowering(*this, wide.frame, wide.inputs, wide.outputs, walk);
  QUERN_TRY(job.frame.def->lower(lowering));
  for (size_t i : narrow) {
    QUERN_TRY(this->narrow(*job.frame.node, wide.outputs[i], job.outputs[i],
                           job.frame.outputs[i].count(), walk));
  }
  return {};
}

Result<void> GpuBackend::narrow(const Node& node, Storage from, Storage to, int64_t count,
                                Walk& walk) {
  TensorInfo info;
  info.dims = {count};
  QUERN_ASSIGN(Composed bound, compose_bound(info));
  bound.program.inputs[0].is_anchor = false;
  return dispatch_expression(node, std::move(bound.program), {from}, {to}, walk);
}

Result<void> GpuBackend::lower_expression(const LowerJob& job, Walk& walk) {
  const Walk::Mark mark = walk.mark();
  auto done = lower_expressions(job, walk);
  if (done || done.error().code != ErrorCode::kLimit || job.body.size() < 2) return done;
  walk.rewind(mark);
  return lower_each(job, walk);
}

Result<void> GpuBackend::lower_each(const LowerJob& job, Walk& walk) {
  const Graph& body = *job.frame.node->subgraph("body");
  std::map<const Value*, Storage> made;
  for (size_t i = 0; i < body.inputs.size(); ++i) made[body.inputs[i]] = job.inputs[i];
  for (const OpFrame& frame : job.body) {
    LowerJob inner;
    inner.frame = frame;
    for (const Value* v : frame.node->inputs) {
      Storage s;
      if (const auto found = made.find(v); v != nullptr && found != made.end()) {
        s = found->second;
      } else if (v != nullptr && v->constant) {
        s = made[v] = walk.table(v->constant->host.bytes);
      }
      inner.inputs.push_back(s);
    }
    for (size_t i = 0; i < frame.node->outputs.size(); ++i) {
      const Value* v = frame.node->outputs[i];
      Storage s;
      for (size_t o = 0; v != nullptr && o < body.outputs.size(); ++o) {
        if (body.outputs[o] != v) continue;
        s = job.outputs[o];
        inner.frame.outputs[i].dtype = job.frame.outputs[o].dtype;
      }
      if (v != nullptr && s.id == UINT32_MAX) {
        const TensorInfo& info = frame.outputs[i];
        QUERN_ASSIGN(s, walk.temporary(byte_size(info.dtype, static_cast<uint64_t>(info.count()))));
      }
      if (v != nullptr) made[v] = s;
      inner.outputs.push_back(s);
    }
    QUERN_TRY(lower(inner, walk));
  }
  return {};
}

bool GpuBackend::has_large(const LowerJob& job, const Walk& walk) const {
  const auto large = [&](Storage s) {
    return s.id != UINT32_MAX && walk.info(s).bytes > target_.max_binding_bytes;
  };
  // Kernels over rows count results as f32: they may take such between.
  const auto wide = [&](const TensorInfo& info) {
    return info.dtype == DType::kF16 &&
           static_cast<uint64_t>(info.count()) * 4 > target_.max_binding_bytes;
  };
  return std::ranges::any_of(job.inputs, large) || std::ranges::any_of(job.outputs, large) ||
         std::ranges::any_of(job.frame.outputs, wide);
}

Result<void> GpuBackend::lower_expressions(const LowerJob& job, Walk& walk) {
  // Outputs of one shape share a kernel while bindings last; others have one each.
  std::vector<bool> done(job.outputs.size());
  for (uint32_t first = 0; first < job.outputs.size(); ++first) {
    if (done[first] || !job.frame.outputs[first].present) continue;
    std::vector<uint32_t> group;
    for (uint32_t i = first; i < job.outputs.size(); ++i) {
      const bool fits = job.inputs.size() + group.size() + 1 <= target_.max_storage_buffers;
      if (done[i] || !job.frame.outputs[i].present || (i != first && !fits)) continue;
      if (job.frame.outputs[i].dims != job.frame.outputs[first].dims) continue;
      // The same structure in every binding: only outputs of one symbolic shape share.
      if (i != first && job.frame.outputs[i].baked != job.frame.outputs[first].baked) continue;
      if (i != first && job.body.empty()) continue;
      group.push_back(i);
      done[i] = true;
    }
    auto composed = compose(job.frame, job.body, group);
    if (!composed)
      return std::unexpected(std::move(composed).error().in(job.frame.node->describe()));
    std::vector<Storage> inputs;
    for (uint32_t i : composed->inputs) inputs.push_back(job.inputs[i]);
    std::vector<Storage> outputs;
    for (uint32_t i : group) outputs.push_back(job.outputs[i]);
    QUERN_TRY(
        dispatch_expression(*job.frame.node, std::move(composed->program), inputs, outputs, walk));
  }
  return {};
}

Result<void> GpuBackend::lower_anchor(const LowerJob& job, size_t anchor, Walk& walk) {
  const OpFrame& frame = job.body[anchor];
  Lowering lowering(*this, frame, outer_inputs(job, frame), job.outputs, walk);
  lowering.set_owner(*job.frame.node);
  const uint32_t outputs[] = {0};
  QUERN_ASSIGN(Composed epilogue, compose(job.frame, job.body, outputs, frame.node->outputs[0]));
  order_epilogue(epilogue);
  const auto common = is_convolution(*frame.node) ? common_epilogue_of(epilogue) : std::nullopt;
  if (common && lowering.takes(*common)) {
    QUERN_TRY(lowering.set_common_epilogue(*common, job.inputs, job.outputs[0]));
  } else {
    std::vector<Storage> tail;
    for (uint32_t i : epilogue.inputs) {
      tail.push_back(i == Composed::kAnchor ? Storage{} : job.inputs[i]);
    }
    Generalizer::run_epilogue(epilogue.program);
    lowering.set_epilogue(std::move(epilogue), std::move(tail), job.outputs[0],
                          job.frame.outputs[0].dtype);
  }
  auto done = frame.def->lower(lowering);
  if (!done && done.error().code == ErrorCode::kUnsupported && frame.def->expr != nullptr) {
    return lower_anchor_apart(job, anchor, walk);
  }
  QUERN_TRY(done);
  // Of no elements there is no dispatch.
  if (!lowering.epilogue_done() && job.frame.outputs[0].count() != 0) {
    return internal_error(cat(frame.node->describe(), ": its kernel did not take the epilogue"));
  }
  return {};
}

Result<void> GpuBackend::lower_anchor_apart(const LowerJob& job, size_t anchor, Walk& walk) {
  const OpFrame& frame = job.body[anchor];
  LowerJob inner;
  inner.frame = frame;
  inner.inputs = outer_inputs(job, frame);
  const TensorInfo& info = frame.outputs[0];
  QUERN_ASSIGN(Storage whole,
               walk.temporary(byte_size(info.dtype, static_cast<uint64_t>(info.count()))));
  inner.outputs = {whole};
  QUERN_TRY(lower_expression(inner, walk));
  const uint32_t outputs[] = {0};
  QUERN_ASSIGN(Composed rest, compose(job.frame, job.body, outputs, frame.node->outputs[0]));
  std::vector<Storage> inputs;
  for (size_t i = 0; i < rest.inputs.size(); ++i) {
    rest.program.inputs[i].is_anchor = false;
    inputs.push_back(rest.inputs[i] == Composed::kAnchor ? whole : job.inputs[rest.inputs[i]]);
  }
  return dispatch_expression(*job.frame.node, std::move(rest.program), inputs, job.outputs, walk);
}

Result<void> GpuBackend::dispatch_expression(const Node& node, ExprProgram program,
                                             const std::vector<Storage>& inputs,
                                             const std::vector<Storage>& outputs, Walk& walk) {
  if (program.domain_count() == 0) return {};
  collapse_axes(program);
  std::vector<uint32_t> storages;
  for (Storage s : inputs) storages.push_back(s.id);
  move_bits(program, storages);
  if (!needs_split(program, target_)) return dispatch_bound(node, program, inputs, outputs, walk);
  auto parts = split_expression(program, storages, target_);
  if (!parts) {
    Storage largest = outputs[0];
    for (const auto& list : {inputs, outputs}) {
      for (Storage s : list) {
        if (walk.info(s).bytes > walk.info(largest).bytes) largest = s;
      }
    }
    return std::unexpected(std::move(parts).error().in(
        cat(node.describe(), ": ", walk.describe(largest), " has ", walk.info(largest).bytes,
            " bytes, the device can bind ", target_.max_binding_bytes)));
  }
  for (const ExprPart& part : *parts) {
    std::vector<Storage> in;
    std::vector<Storage> out;
    for (const ExprPart::Input& i : part.inputs) {
      in.push_back(walk.window(inputs[i.input], i.window.offset, i.window.bytes));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      out.push_back(walk.window(outputs[i], part.outputs[i].offset, part.outputs[i].bytes));
    }
    QUERN_TRY(dispatch_bound(node, part.program, std::move(in), std::move(out), walk));
  }
  return {};
}

Result<void> GpuBackend::dispatch_bound(const Node& node, ExprProgram program,
                                        std::vector<Storage> inputs, std::vector<Storage> outputs,
                                        Walk& walk) {
  const ExprSchedule schedule = schedule_of(program, target_);
  generalizer_.run(program);
  // A storage may be larger than what is read of it.
  const auto fit = [&](Storage& s, DType dtype, int64_t count) {
    if (walk.info(s).bytes <= target_.max_binding_bytes) return;
    s = walk.window(s, 0, byte_size(dtype, static_cast<uint64_t>(count)));
  };
  BindingSet set(walk);
  std::vector<BindingPlan> in;
  std::vector<BindingPlan> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ExprInput& input = program.inputs[i];
    int64_t count = 1;
    for (const Extent& e : input.dims) count *= e.value;
    fit(inputs[i], input.dtype, count);
    in.push_back(set.add(inputs[i], input.dtype));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    fit(outputs[i], program.outputs[i].dtype, program.domain_count());
    out.push_back(set.add(outputs[i], program.outputs[i].dtype));
  }
  if (set.mixed()) {
    return unsupported(cat(node.describe(), ": one tensor is read as two element types"));
  }
  const std::string key = cat("expr|", schedule.workgroup_size, "|", schedule.workgroup_reduce, "|",
                              set.key(), program.key());
  uint32_t number = 0;
  if (const uint32_t* found = programs_.find(key)) {
    number = *found;
  } else {
    auto text = write_wgsl(program, in, out, schedule, target_);
    if (!text) return std::unexpected(std::move(text).error().in(node.describe()));
    number = programs_.add(key, cat(node.op, " expr"), *std::move(text));
  }
  return emit(node, number, workgroups_of(program, schedule, target_), set, param_words(program),
              walk);
}

Result<void> GpuBackend::emit(const Node& node, uint32_t program,
                              std::array<uint64_t, 3> workgroups, const BindingSet& bindings,
                              std::span<const uint32_t> params, Walk& walk) {
  Step step;
  step.kind = StepKind::kDispatch;
  step.node = node.id;
  step.program = program;
  for (int i = 0; i < 3; ++i) step.workgroups[i] = static_cast<uint32_t>(workgroups[i]);
  if (!walk.loading()) tuning_.count(node.id);
  return walk.emit(std::move(step), bindings.distinct(), params);
}

}  // namespace quern
