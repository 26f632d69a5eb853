#include "plan/walk.h"

#include <algorithm>
#include <cstring>

#include "ir/expr.h"
#include "ops/compose.h"
#include "plan/work.h"

namespace quern {
namespace {

/// Axes of `input` that have the output's extent in every binding, aligned at the last axis.
uint32_t aligned_axes(const Value& input, const Value& output) {
  uint32_t mask = 0;
  if (!input.type.shape || !output.type.shape) return mask;
  const Shape& in = *input.type.shape;
  const Shape& out = *output.type.shape;
  if (in.size() > out.size()) return mask;
  for (size_t a = 0; a < in.size() && a < 32; ++a) {
    if (in[a] == out[a + out.size() - in.size()]) mask |= 1u << a;
  }
  return mask;
}

/// The element type that the model knows: narrow tensors have another one in memory.
DType declared(const Value* value, DType stored) {
  const bool narrow = stored == DType::kF16 && value != nullptr && value->type.is_tensor() &&
                      value->type.dtype == DType::kF32;
  return narrow ? DType::kF32 : stored;
}

/// Is the value the same number, or numbers, in every binding?
bool is_fixed(const Value& value) {
  if (value.constant) return true;
  if (!value.contents) return false;
  return std::ranges::all_of(*value.contents, [](const Dim& d) { return d.is_const(); });
}

std::string dims_text(const Node& node, const std::vector<const RunTensor*>& inputs) {
  std::string out = "inputs";
  for (size_t i = 0; i < inputs.size(); ++i) {
    out += i == 0 ? " " : ", ";
    if (inputs[i] == nullptr) {
      out += "none";
      continue;
    }
    out += name_of(inputs[i]->info.dtype);
    append(out, inputs[i]->info.dims);
  }
  (void)node;
  return out;
}

}  // namespace

uint32_t baked_axes(const Type& type, size_t rank) {
  uint32_t mask = 0;
  if (!type.shape || type.shape->size() != rank) return mask;
  for (size_t a = 0; a < rank && a < 32; ++a) {
    if ((*type.shape)[a].is_const()) mask |= 1u << a;
  }
  return mask;
}

Result<void> Backend::narrow(const Node& node, Storage, Storage, int64_t, Walk&) {
  return internal_error(cat(node.describe(), ": this device has no tensors in f16 for f32"));
}

Walk::Walk(Graph& graph, const Placement& placement, Backend& backend, SessionMemory& memory,
           LoadedValues& loaded, const WalkLimits& limits)
    : graph_(graph),
      placement_(placement),
      backend_(backend),
      memory_(memory),
      results_(loaded),
      limits_(limits) {}

Result<void> Walk::start(std::vector<RunInput> inputs) {
  if (inputs.size() != graph_.inputs.size()) {
    return internal_error(
        cat("a run has ", inputs.size(), " inputs, the graph ", graph_.inputs.size()));
  }
  inputs_ = std::move(inputs);
  environment_.assign(placement_.constant.size(), {});
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Value& value = *graph_.inputs[i];
    // Contents that the placement does not ask for may differ in a run of the same plan.
    const bool on_host =
        std::ranges::binary_search(placement_.host_inputs, static_cast<uint32_t>(i));
    QUERN_ASSIGN(RunTensor t, given(inputs_[i], on_host));
    set(&value, std::move(t));
  }
  frames_.clear();
  Frame main;
  main.graph = &graph_;
  frames_.push_back(std::move(main));
  return {};
}

Result<RunTensor> Walk::given(const RunInput& input, bool on_host) {
  RunTensor t;
  t.info.present = true;
  t.info.dtype = input.dtype;
  t.info.dims = input.dims;
  t.kind = input.kind;
  if (on_host) t.host = input.host;
  if (input.kind == Type::Kind::kTensor) return t;
  Elements elements;
  for (const RunInput& one : input.elements) {
    QUERN_ASSIGN(RunTensor element, given(one, on_host));
    if (!element.is_held()) {
      if (element.info.dtype == DType::kString) return internal_error("strings without contents");
      element.storage =
          add_storage(StorageKind::kTemporary,
                      byte_size(one.dtype, static_cast<uint64_t>(element.info.count())));
      storages_[element.storage.id].first = 0;
      uploads_.push_back({one.leaf, element.storage, one.dtype, one.dims});
    }
    elements.push_back(std::move(element));
  }
  t.elements = std::make_shared<const Elements>(std::move(elements));
  return t;
}

void Walk::set(const Value* value, RunTensor tensor) {
  // What holds of it in every binding was found for this value, not for where it comes from.
  tensor.info.baked = baked_axes(value->type, tensor.info.rank());
  tensor.info.aligned = 0;
  environment_[value->id] = std::move(tensor);
}

Result<PlanMessage> Walk::advance(std::vector<std::shared_ptr<const HostTensor>> read) {
  auto message = go_on(std::move(read));
  if (!message) give_up();
  return message;
}

Result<PlanMessage> Walk::go_on(std::vector<std::shared_ptr<const HostTensor>> read) {
  if (read.size() != requests_.size()) {
    return internal_error(
        cat("the host asked for ", requests_.size(), " values and got ", read.size()));
  }
  for (size_t i = 0; i < read.size(); ++i) environment_[requests_[i]->id].host = read[i];
  requests_.clear();
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    Progress progress = Progress::kNext;
    if (frame.next < frame.graph->nodes().size()) {
      Node& node = *frame.graph->nodes()[frame.next];
      QUERN_ASSIGN(progress, visit(node));
      // `frame` may be gone: a body was entered.
      if (progress == Progress::kNext) ++frames_.back().next;
    } else if (frames_.size() == 1) {
      break;
    } else {
      QUERN_ASSIGN(progress, leave(frame));
    }
    if (progress == Progress::kSuspend) return close_segment(false);
  }
  return close_segment(true);
}

std::vector<TensorInfo> Walk::requested() const {
  std::vector<TensorInfo> out;
  for (const Value* value : requests_) out.push_back(environment_[value->id].info);
  return out;
}

Result<RunTensor*> Walk::tensor(const Value* value) {
  RunTensor& t = environment_[value->id];
  if (!t.info.present && value->constant) {
    const Constant& c = *value->constant;
    t.info.present = true;
    t.info.dtype = placement_.is_narrow(*value) ? DType::kF16 : c.dtype;
    t.info.dims = c.dims;
    t.info.baked = UINT32_MAX;
    if (c.is_inline()) {
      t.host = std::shared_ptr<const HostTensor>(value->constant, &c.host);
    }
  }
  if (!t.info.present) {
    return internal_error(cat("value '", value->name, "' is read before it is computed"));
  }
  return &t;
}

Result<std::vector<const RunTensor*>> Walk::operands(const Node& node) {
  // References into the environment stay valid: it does not grow during a run.
  std::vector<const RunTensor*> out;
  out.reserve(node.inputs.size());
  for (const Value* value : node.inputs) {
    if (value == nullptr) {
      out.push_back(nullptr);
      continue;
    }
    QUERN_ASSIGN(RunTensor * t, tensor(value));
    out.push_back(t);
  }
  return out;
}

Result<bool> Walk::fetch(const Value* value) {
  QUERN_ASSIGN(RunTensor * t, tensor(value));
  if (t->host || t->elements) return true;
  if (t->info.count() == 0) {
    QUERN_ASSIGN(HostTensor empty, HostTensor::zeros(t->info.dtype, t->info.dims));
    t->host = std::make_shared<const HostTensor>(std::move(empty));
    return true;
  }
  QUERN_TRY(device_storage(value));
  if (std::ranges::find(requests_, value) == requests_.end()) requests_.push_back(value);
  return false;
}

Result<Walk::Progress> Walk::visit(Node& node) {
  const OpDef* def = find_op(node);
  if (def == nullptr) {
    return unsupported(cat(node.describe(), ": unknown operator ", node.domain, "::", node.op,
                           " of version ", node.version));
  }
  if (def->is_sequence) return visit_sequence(node);
  if (def->is_control) {
    if (node.is("If")) return visit_if(node);
    if (node.is("Loop")) return visit_loop(node);
    return unsupported(cat(node.describe(), ": this control flow is not supported"));
  }
  const bool host_node = placement_.host_node[node.id] != 0;
  const bool is_query = node.is("Shape") || node.is("Size");
  bool ready = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == nullptr) continue;
    const bool wanted = (host_node && !is_query) || (i < 32 && (def->host_inputs >> i & 1) != 0);
    if (!wanted) continue;
    QUERN_ASSIGN(const bool have, fetch(node.inputs[i]));
    ready = ready && have;
  }
  if (!ready) return Progress::kSuspend;

  if (host_node) {
    QUERN_TRY(run_on_host(node, *def));
  } else if (def->is_view) {
    QUERN_TRY(alias(node, *def));
  } else {
    QUERN_TRY(run_on_device(node, *def));
  }
  return Progress::kNext;
}

Result<OpFrame> Walk::frame_of(const Node& node, const OpDef& def,
                               const std::vector<const RunTensor*>& inputs, bool all_host) {
  OpFrame frame;
  frame.node = &node;
  frame.def = &def;
  std::vector<InferContext::Input> infer_inputs(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const RunTensor* t = inputs[i];
    frame.inputs.emplace_back();
    frame.host.push_back(nullptr);
    if (t == nullptr) continue;
    if (t->elements) {
      return invalid_model(cat(node.describe(), ": input ", i, " must be a tensor"));
    }
    frame.inputs[i] = t->info;
    // Structure may follow only what a definition declares it needs.
    const bool visible = all_host || (i < 32 && (def.host_inputs >> i & 1) != 0) ||
                         (node.inputs[i] != nullptr && node.inputs[i]->is_constant());
    if (visible && t->host) {
      frame.host[i] = t->host.get();
      if (i < 64 && node.inputs[i] != nullptr && is_fixed(*node.inputs[i])) {
        frame.host_baked |= uint64_t{1} << i;
      }
    }
    if (def.is_elementwise && !node.outputs.empty() && node.inputs[i] != nullptr) {
      frame.inputs[i].aligned = aligned_axes(*node.inputs[i], *node.outputs[0]);
    }
    infer_inputs[i].present = true;
    infer_inputs[i].host = t->host.get();
    infer_inputs[i].type = Type::tensor(declared(node.inputs[i], t->info.dtype),
                                        Shape(t->info.dims.begin(), t->info.dims.end()));
  }
  InferContext context(node, std::move(infer_inputs));
  if (auto inferred = def.infer(context); !inferred) {
    return std::unexpected(Error{
        inferred.error().code, cat(inferred.error().message, " (", dims_text(node, inputs), ")")});
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    TensorInfo info;
    const Type& type = context.outputs()[i].type;
    info.present = node.outputs[i] != nullptr;
    info.dtype = type.dtype;
    if (info.present && placement_.is_narrow(*node.outputs[i])) info.dtype = DType::kF16;
    if (info.present && type.kind == Type::Kind::kTensor) {
      std::optional<Dims> dims;
      if (type.shape) dims = constant_dims(*type.shape);
      if (dims) {
        QUERN_TRY(element_count(*dims));
        info.dims = std::move(*dims);
        info.baked = baked_axes(node.outputs[i]->type, info.rank());
      } else if (!all_host) {
        return unsupported(cat(node.describe(), ": the shape of output ", i,
                               " depends on data, which this device path lacks"));
      } else if (def.expr != nullptr) {
        // All inputs are known, so one of them is no operand of this kind: a float, say.
        return invalid_model(cat(node.describe(), ": the shape of output ", i,
                                 " does not follow from its inputs (", dims_text(node, inputs),
                                 ")"));
      }
    }
    frame.outputs.push_back(std::move(info));
  }
  return frame;
}

Result<void> Walk::set_host(RunTensor& t, HostTensor host) {
  host_bytes_ += host.bytes.size();
  if (host_bytes_ > limits_.host_bytes) {
    return limit_exceeded(
        cat("values computed on the host take more than ", limits_.host_bytes, " bytes"));
  }
  t.info.dims = host.dims;
  t.info.dtype = host.dtype;
  t.host = std::make_shared<const HostTensor>(std::move(host));
  return {};
}

#ifdef QUERN_TRAP
/// Test builds stop where the host does more than shape arithmetic on a few numbers: no numeric
/// operator may run there unseen.
void trap_on_numeric_work(const OpFrame& frame) {
  constexpr int64_t kFew = 64;
  // Of constants: what folds at load where passes are on.
  if (std::ranges::all_of(frame.node->inputs,
                          [](const Value* v) { return v == nullptr || v->is_constant(); })) {
    return;
  }
  bool text = frame.def->is_host;
  bool few = true;
  const auto look = [&](const TensorInfo& info) {
    text = text || info.dtype == DType::kString;
    few = few && (!info.present || info.count() <= kFew);
  };
  // A shape is what a query reads, whatever the size of its operand.
  if (!frame.node->is("Shape") && !frame.node->is("Size")) {
    for (const TensorInfo& info : frame.inputs) look(info);
  }
  for (const TensorInfo& info : frame.outputs) look(info);
  if (!text && !few) __builtin_trap();
}
#endif

Result<void> Walk::run_on_host(const Node& node, const OpDef& def) {
  QUERN_ASSIGN(auto inputs, operands(node));
  QUERN_ASSIGN(OpFrame frame, frame_of(node, def, inputs, true));
#ifdef QUERN_TRAP
  trap_on_numeric_work(frame);
#endif
  QUERN_ASSIGN(std::vector<HostTensor> results, evaluate_node(frame));
  uint64_t elements = 0;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == nullptr) continue;
    RunTensor& t = environment_[node.outputs[i]->id];
    t = {};
    t.info = frame.outputs[i];
    elements += static_cast<uint64_t>(results[i].count());
    QUERN_TRY(set_host(t, std::move(results[i])));
  }
  host_nodes_.push_back({node.id, elements});
  return {};
}

Result<void> Walk::alias(const Node& node, const OpDef& def) {
  QUERN_ASSIGN(auto inputs, operands(node));
  if (inputs[0]->elements && node.is("Identity")) {
    set(node.outputs[0], *inputs[0]);
    return {};
  }
  QUERN_ASSIGN(OpFrame frame, frame_of(node, def, inputs, false));
  RunTensor& out = environment_[node.outputs[0]->id];
  out = {};
  out.info = frame.outputs[0];
  const RunTensor& in = *inputs[0];
  if (in.host && in.host->strings.empty() && in.host->dtype == in.info.dtype &&
      byte_size(in.info.dtype, static_cast<uint64_t>(in.info.count())) <= 4096) {
    HostTensor copy = *in.host;
    copy.dims = out.info.dims;
    copy.dtype = out.info.dtype;
    QUERN_TRY(set_host(out, std::move(copy)));
  }
  QUERN_ASSIGN(out.storage, device_storage(node.inputs[0]));
  StorageInfo& storage = storages_[out.storage.id];
  if (storage.kind == StorageKind::kLoaded && !storage.planned) storage.used_by_run = true;
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != nullptr) {
      return internal_error(cat(node.describe(), ": a view has one output"));
    }
  }
  return {};
}

Result<Storage> Walk::device_storage(const Value* value) {
  QUERN_ASSIGN(RunTensor * t, tensor(value));
  if (t->on_device()) return t->storage;
  const uint64_t bytes = byte_size(t->info.dtype, static_cast<uint64_t>(t->info.count()));
  QUERN_TRY(check_size(*value, bytes));
  if (value->constant && !value->constant->is_inline()) {
    QUERN_ASSIGN(t->storage, weight_storage(*value, bytes));
    storages_[t->storage.id].value = value;
    return t->storage;
  }
  if (value->constant) {
    const ConstantPtr& key = value->constant;
    const bool narrow = placement_.is_narrow(*value);
    auto& known = narrow ? memory_.narrow_constants : memory_.constants;
    auto it = known.find(key);
    if (it == known.end()) {
      it = known.emplace(key, add_constant(session_pool_, stored_bytes(*t->host, narrow))).first;
    }
    t->storage = add_planned(StorageKind::kConstant, bytes, it->second);
    return t->storage;
  }
  for (uint32_t i = 0; i < graph_.inputs.size(); ++i) {
    if (graph_.inputs[i] != value) continue;
    if (t->info.dtype == DType::kString || t->elements) break;
    t->storage = add_storage(StorageKind::kTemporary, bytes);
    storages_[t->storage.id].first = 0;
    storages_[t->storage.id].value = value;
    uploads_.push_back({inputs_[i].leaf, t->storage, t->info.dtype, t->info.dims});
    return t->storage;
  }
  return upload_host(*t, value->name);
}

Result<Storage> Walk::upload_host(RunTensor& t, std::string_view name) {
  if (t.on_device()) return t.storage;
  if (!t.host || t.info.dtype == DType::kString) {
    return unsupported(
        cat("value '", name, "' (", name_of(t.info.dtype), ") cannot be put on the device"));
  }
  t.storage = add_planned(StorageKind::kConstant, t.host->bytes.size(),
                          add_constant(plan_pool_, t.host->bytes));
  return t.storage;
}

Result<void> Walk::check_size(const Value& value, uint64_t bytes) const {
  if (bytes <= limits_.buffer_bytes) return {};
  return limit_exceeded(cat("tensor '", value.name, "' has ", bytes,
                            " bytes, the device's buffers hold ", limits_.buffer_bytes,
                            " at most"));
}

Result<RunTensor> Walk::reference(const Value* value) {
  QUERN_ASSIGN(RunTensor * t, tensor(value));
  if (!t->is_held()) QUERN_TRY(device_storage(value));
  return *t;
}

Result<std::vector<OpFrame>> Walk::frames_of_body(const Node& node, const OpFrame& outer) {
  const Graph& body = *node.subgraph("body");
  std::vector<OpFrame> frames;
  const auto info_of = [&](const Value* value) -> RunTensor {
    RunTensor t;
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      if (body.inputs[i] == value) {
        t.info = outer.inputs[i];
        return t;
      }
    }
    if (value->constant) {
      t.info.dtype = value->constant->dtype;
      t.info.dims = value->constant->dims;
      t.info.baked = UINT32_MAX;
      t.info.present = true;
      if (value->constant->is_inline()) {
        t.host = std::shared_ptr<const HostTensor>(value->constant, &value->constant->host);
      }
      return t;
    }
    for (const OpFrame& frame : frames) {
      if (frame.node == value->producer) t.info = frame.outputs[value->producer_index];
    }
    return t;
  };
  for (const auto& inner : body.nodes()) {
    const OpDef* def = find_op(*inner);
    if (def == nullptr) return internal_error(cat(inner->describe(), ": unknown inside a fusion"));
    std::vector<RunTensor> tensors;
    tensors.reserve(inner->inputs.size());
    for (const Value* v : inner->inputs) tensors.push_back(v == nullptr ? RunTensor{} : info_of(v));
    std::vector<const RunTensor*> pointers;
    for (size_t i = 0; i < tensors.size(); ++i) {
      pointers.push_back(inner->inputs[i] == nullptr ? nullptr : &tensors[i]);
    }
    QUERN_ASSIGN(OpFrame frame, frame_of(*inner, *def, pointers, false));
    // Host pointers of constants stay valid; there are no others inside a fusion.
    frames.push_back(std::move(frame));
  }
  return frames;
}

Result<void> Walk::run_on_device(const Node& node, const OpDef& def) {
  const bool constant = std::ranges::all_of(
      node.outputs, [&](const Value* v) { return v == nullptr || placement_.constant[v->id]; });
  if (constant) {
    // A result of the load program: made already in this walk, or by an earlier one?
    bool have = true;
    for (const Value* v : node.outputs) {
      if (v == nullptr || environment_[v->id].on_device()) continue;
      have = have && results_.contains(v->id);
    }
    if (have && !node.outputs.empty() && environment_[node.outputs[0]->id].on_device()) return {};
  }
  QUERN_ASSIGN(auto inputs, operands(node));
  LowerJob job;
  if (node.is("Fused", "quern")) {
    // The body decides; the fused node's own types were inferred from it at load.
    OpFrame frame;
    frame.node = &node;
    frame.def = &def;
    for (const RunTensor* t : inputs) frame.inputs.push_back(t->info);
    frame.host.resize(inputs.size());
    QUERN_ASSIGN(job.body, frames_of_body(node, frame));
    const Graph& body = *node.subgraph("body");
    for (const Value* v : body.outputs) {
      for (const OpFrame& inner : job.body) {
        if (inner.node == v->producer) frame.outputs.push_back(inner.outputs[v->producer_index]);
      }
    }
    for (size_t i = 0; i < frame.outputs.size() && i < node.outputs.size(); ++i) {
      if (placement_.is_narrow(*node.outputs[i])) frame.outputs[i].dtype = DType::kF16;
    }
    if (frame.outputs.size() != node.outputs.size()) {
      return internal_error(cat(node.describe(), ": an output of the fusion has no producer"));
    }
    job.frame = std::move(frame);
  } else {
    QUERN_ASSIGN(job.frame, frame_of(node, def, inputs, false));
  }
  loading_ = constant;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    job.outputs.emplace_back();
    Value* v = node.outputs[i];
    if (v == nullptr) continue;
    const TensorInfo& info = job.frame.outputs[i];
    const uint64_t bytes = byte_size(info.dtype, static_cast<uint64_t>(info.count()));
    if (auto fits = check_size(*v, bytes); !fits) {
      loading_ = false;
      return std::unexpected(std::move(fits).error().in(node.describe()));
    }
    RunTensor& t = environment_[v->id];
    t = {};
    t.info = info;
    if (constant) {
      if (auto it = results_.find(v->id); it != results_.end()) {
        t.storage = add_planned(StorageKind::kLoaded, bytes, it->second);
      } else {
        t.storage = add_storage(StorageKind::kLoaded, bytes);
        loaded_.emplace_back(v, t.storage);
        storages_[t.storage.id].used_by_run = is_used_by_run(*v, placement_);
      }
    } else {
      t.storage = add_storage(StorageKind::kTemporary, bytes);
    }
    storages_[t.storage.id].value = v;
    job.outputs[i] = t.storage;
  }
  const bool loaded_already = constant && std::ranges::all_of(job.outputs, [&](Storage s) {
                                return s.id == UINT32_MAX || storages_[s.id].planned;
                              });
  Result<void> done;
  if (!loaded_already) {
    for (const Value* v : node.inputs) {
      if (v == nullptr) {
        job.inputs.emplace_back();
        continue;
      }
      QUERN_ASSIGN(Storage s, device_storage(v));
      job.inputs.push_back(s);
    }
    if (!constant) device_nodes_.push_back({node.id, flops_of(job), bytes_of(job)});
    lowered_ = node.id;
    done = backend_.lower(job, *this);
    lowered_.reset();
  }
  loading_ = false;
  return done;
}

}  // namespace quern
