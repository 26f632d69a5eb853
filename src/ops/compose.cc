#include "ops/compose.h"

#include <map>
#include <memory>

#include "ir/expr_ops.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Nesting of expressions that inlining may reach.
constexpr int kMaxDepth = 256;
/// The largest finite f16.
constexpr double kLargestF16 = 65504;
/// Tensors of a node are numbered inputs first, outputs from here.
constexpr size_t kOutputs = 1 << 16;

/// What is too large for f16 becomes its largest number; what was f16 already stays as it is.
Expr bounded(ExprBuilder& b, const ExprProgram& program, Expr value) {
  const ExprNode& node = program.at(value);
  if (is_load(node.op) && program.inputs[node.slot].dtype == DType::kF16) return value;
  return b.min(b.max(value, b.number(value, -kLargestF16)), b.number(value, kLargestF16));
}

class Composer {
 public:
  Composer(const OpFrame& frame, std::span<const OpFrame> body_frames, const Value* anchor)
      : frame_(frame), body_(body_frames), anchor_(anchor) {
    const Graph* body = body_.empty() ? nullptr : frame.node->subgraph("body");
    if (body != nullptr) {
      for (size_t i = 0; i < body->inputs.size(); ++i) outer_[body->inputs[i]] = i;
    } else {
      for (size_t i = 0; i < frame.node->inputs.size(); ++i) {
        if (const Value* v = frame.node->inputs[i]) outer_.emplace(v, i);
      }
    }
  }

  Result<Composed> run(std::span<const uint32_t> outputs) {
    const TensorInfo& shape = frame_.outputs[outputs[0]];
    const Value* first = frame_.node->output(outputs[0]);
    for (size_t a = 0; a < shape.rank(); ++a) {
      program().domain.push_back(extent(shape, a, first));
      identity_.push_back(builder_.index(static_cast<uint32_t>(a)));
    }
    for (uint32_t output : outputs) {
      const TensorInfo& info = frame_.outputs[output];
      if (info.dims != shape.dims) return internal_error("fused outputs of different dims");
      Expr value;
      if (body_.empty()) {
        QUERN_ASSIGN(value, node_value(frame_, output, identity_));
      } else {
        const Graph* body = frame_.node->subgraph("body");
        QUERN_ASSIGN(value, value_at(body->outputs[output], identity_));
      }
      if (is_narrow(frame_, output)) value = bounded(builder_, program(), value);
      program().outputs.push_back({value, info.dtype});
    }
    QUERN_TRY(builder_.check());
    QUERN_TRY(verify(program()));
    return std::move(composed_);
  }

 private:
  class Context;

  ExprProgram& program() { return composed_.program; }

  /// Extents that are one symbolic dim are one parameter. `of`: the value that `info` describes.
  Extent extent(const TensorInfo& info, size_t axis, const Value* of) {
    const int64_t value = info.dims[axis];
    if (info.is_baked(axis)) return {value, -1};
    const Dim* dim = symbolic(of, info.rank(), axis);
    for (const auto& [known, param] : symbols_) {
      if (dim != nullptr && known == *dim &&
          program().params[static_cast<size_t>(param)] == value) {
        return {value, param};
      }
    }
    program().params.push_back(value);
    const auto param = static_cast<int32_t>(program().params.size() - 1);
    if (dim != nullptr) symbols_.emplace_back(*dim, param);
    return {value, param};
  }

  /// The dim found at load; null where nothing is known.
  static const Dim* symbolic(const Value* value, size_t rank, size_t axis) {
    if (value == nullptr || !value->type.is_tensor()) return nullptr;
    const auto& shape = value->type.shape;
    if (!shape || shape->size() != rank || (*shape)[axis].is_const()) return nullptr;
    return &(*shape)[axis];
  }

  /// The value of an inner value, outer input or anchor at these indices.
  Result<Expr> value_at(const Value* value, const std::vector<Expr>& index) {
    if (value == anchor_) {
      if (index != identity_) return internal_error("an anchor's value is read out of place");
      return load_slot(slot(Composed::kAnchor, value->type.dtype, anchor_info()), index);
    }
    if (value->is_constant()) return constant(*value);
    if (auto it = outer_.find(value); it != outer_.end()) {
      const TensorInfo& info = frame_.inputs[it->second];
      return load_slot(slot(it->second, info.dtype, info), index);
    }
    std::vector<uint32_t> key{value->id};
    for (Expr e : index) key.push_back(e.id);
    if (auto it = memo_.find(key); it != memo_.end()) return it->second;
    for (const OpFrame& frame : body_) {
      if (frame.node != value->producer) continue;
      QUERN_ASSIGN(Expr result, node_value(frame, value->producer_index, index));
      // Values wrap and round where the tensor between would have.
      result = builder_.narrow(result, frame.outputs[value->producer_index].dtype);
      memo_[key] = result;
      return result;
    }
    return internal_error(cat("a fusion reads value '", value->name, "' from outside"));
  }

  const TensorInfo& anchor_info() {
    for (const OpFrame& frame : body_) {
      if (frame.node == anchor_->producer) return frame.outputs[anchor_->producer_index];
    }
    return frame_.outputs[0];
  }

  Result<Expr> constant(const Value& value) {
    const HostTensor& host = value.constant->host;
    if (!value.constant->is_inline() || host.count() != 1) {
      return internal_error(cat("a fusion holds constant '", value.name, "' with more elements"));
    }
    const Scalar type = compute_type(host.dtype);
    if (is_float(host.dtype)) return builder_.constant(type, host.float_at(0));
    return builder_.constant_int(type, host.int_at(0));
  }

  uint32_t slot(uint32_t input, DType dtype, const TensorInfo& info) {
    if (auto it = slots_.find(input); it != slots_.end()) return it->second;
    ExprInput entry;
    entry.dtype = dtype;
    entry.is_anchor = input == Composed::kAnchor;
    if (entry.is_anchor) {
      entry.dims = program().domain;
    } else {
      for (size_t a = 0; a < info.rank(); ++a) {
        entry.dims.push_back(extent(info, a, frame_.node->input(input)));
      }
    }
    const auto number = static_cast<uint32_t>(program().inputs.size());
    program().inputs.push_back(std::move(entry));
    composed_.inputs.push_back(input);
    slots_[input] = number;
    return number;
  }

  /// The same dim of the same tensor is one parameter.
  Expr dim_of(const OpFrame& frame, size_t tensor, size_t axis, const TensorInfo& info) {
    const std::vector<uint64_t> key{frame.node->id, tensor, axis};
    if (auto it = dims_.find(key); it != dims_.end()) return it->second;
    const Node& node = *frame.node;
    const Value* of = tensor >= kOutputs ? node.output(tensor - kOutputs) : node.input(tensor);
    const Expr e = builder_.extent(extent(info, axis, of));
    dims_[key] = e;
    return e;
  }

  Expr load_slot(uint32_t number, const std::vector<Expr>& index) {
    return builder_.load(number, index);
  }

  Result<Expr> node_value(const OpFrame& frame, size_t output, const std::vector<Expr>& index);

  const OpFrame& frame_;
  std::span<const OpFrame> body_;
  const Value* anchor_;
  Composed composed_;
  ExprBuilder builder_{composed_.program};
  std::vector<Expr> identity_;
  std::map<const Value*, uint32_t> outer_;
  std::map<uint32_t, uint32_t> slots_;
  std::map<std::vector<uint32_t>, Expr> memo_;
  std::map<std::vector<uint64_t>, Expr> dims_;
  std::vector<std::pair<Dim, int32_t>> symbols_;  // their parameters
  int depth_ = 0;
};

class Composer::Context final : public ExprContext {
 public:
  Context(Composer& composer, const OpFrame& frame, const std::vector<Expr>& index)
      : ExprContext(frame, composer.builder_), composer_(composer) {
    index_ = index;
  }

  Result<Expr> load(size_t input, std::span<const Expr> index) override {
    const std::vector<Expr> at(index.begin(), index.end());
    if (!composer_.body_.empty()) return composer_.value_at(node().inputs[input], at);
    // A single node loads by position: one value may be two inputs.
    const TensorInfo& info = this->input(input);
    return composer_.load_slot(composer_.slot(static_cast<uint32_t>(input), info.dtype, info), at);
  }
  Expr dim(size_t input, size_t axis) override {
    return composer_.dim_of(frame(), input, axis, this->input(input));
  }
  Expr output_dim(size_t output, size_t axis) override {
    return composer_.dim_of(frame(), kOutputs + output, axis, this->output(output));
  }

 private:
  Composer& composer_;
};

Result<Expr> Composer::node_value(const OpFrame& frame, size_t output,
                                  const std::vector<Expr>& index) {
  if (frame.def->expr == nullptr) {
    return unsupported(cat(frame.node->describe(), ": has no expression form"));
  }
  if (++depth_ > kMaxDepth) return limit_exceeded("a fusion is nested too deeply");
  Context context(*this, frame, index);
  auto result = frame.def->expr(context, output);
  --depth_;
  return result;
}

}  // namespace

Result<Composed> compose(const OpFrame& frame, std::span<const OpFrame> body,
                         std::span<const uint32_t> outputs, const Value* anchor) {
  return Composer(frame, body, anchor).run(outputs);
}

bool is_narrow(const OpFrame& frame, size_t i) {
  const Value* v = frame.node->output(i);
  return i < frame.outputs.size() && frame.outputs[i].dtype == DType::kF16 && v != nullptr &&
         v->type.is_tensor() && v->type.dtype == DType::kF32;
}

Result<Composed> compose_bound(const TensorInfo& info) {
  Composed composed;
  ExprProgram& program = composed.program;
  ExprBuilder b(program);
  std::vector<Expr> index;
  for (size_t a = 0; a < info.rank(); ++a) {
    const bool baked = info.is_baked(a);
    if (!baked) program.params.push_back(info.dims[a]);
    program.domain.push_back(
        {info.dims[a], baked ? -1 : static_cast<int32_t>(program.params.size()) - 1});
    index.push_back(b.index(static_cast<uint32_t>(a)));
  }
  program.inputs.push_back({DType::kF32, program.domain, true});
  composed.inputs.push_back(Composed::kAnchor);
  program.outputs.push_back({bounded(b, program, b.load(0, index)), DType::kF16});
  QUERN_TRY(b.check());
  QUERN_TRY(verify(program));
  return composed;
}

int anchor_of(std::span<const OpFrame> body) {
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i].def->lower != nullptr) return static_cast<int>(i);
  }
  return -1;
}

Result<std::vector<HostTensor>> evaluate_node(const OpFrame& frame) {
  const OpDef& def = *frame.def;
  std::vector<HostTensor> out(frame.outputs.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!frame.outputs[i].present) continue;
    if (frame.outputs[i].dtype == DType::kString) {
      out[i].dtype = DType::kString;
      out[i].dims = frame.outputs[i].dims;
      out[i].strings.resize(static_cast<size_t>(frame.outputs[i].count()));
      continue;
    }
    QUERN_ASSIGN(out[i], HostTensor::zeros(frame.outputs[i].dtype, frame.outputs[i].dims));
  }
  if (def.eval != nullptr) {
    EvalContext context(frame, frame.host, out);
    QUERN_TRY(def.eval(context));
    return out;
  }
  if (def.is_view) {
    out[0].bytes = frame.host[0]->bytes;
    out[0].strings = frame.host[0]->strings;
    return out;
  }
  for (uint32_t i = 0; i < out.size(); ++i) {
    if (!frame.outputs[i].present || out[i].count() == 0) continue;
    const uint32_t group[] = {i};
    QUERN_ASSIGN(Composed composed, compose(frame, {}, group));
    std::vector<const HostTensor*> inputs;
    for (uint32_t input : composed.inputs) inputs.push_back(frame.host[input]);
    QUERN_ASSIGN(std::vector<HostTensor> result, evaluate(composed.program, inputs));
    out[i] = std::move(result[0]);
  }
  return out;
}

}  // namespace quern
