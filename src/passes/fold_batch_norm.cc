// Conv -> BatchNormalization with constant statistics is a Conv with other weights. They are
// written as graph nodes over the constants: small ones fold, large ones run once at load.

#include <algorithm>

#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

Value* scalar(Graph& graph, DType dtype, double value) {
  HostTensor tensor = HostTensor::of_floats({}, {0});
  tensor.dtype = dtype;
  tensor.bytes.assign(byte_size(dtype, 1), 0);
  tensor.set_float(0, value);
  return graph.add_constant("", make_constant(std::move(tensor)));
}

class BatchNormFolder {
 public:
  BatchNormFolder(Graph& graph, PassReport& report) : graph_(graph), report_(report) {}

  Result<void> run() {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      Node& node = *graph_.nodes()[i];
      if (node.is("Fused", "quern")) continue;
      for (Graph* body : node.subgraphs()) QUERN_TRY(BatchNormFolder(*body, report_).run());
      if (matches(node)) {
        fold(node);
        i = static_cast<size_t>(-1);  // indices moved
      }
    }
    return {};
  }

 private:
  bool matches(const Node& norm) const {
    if (!norm.is("BatchNormalization") || norm.inputs.size() != 5) return false;
    if (norm.int_or("training_mode", 0) != 0) return false;
    for (size_t i = 1; i < norm.outputs.size(); ++i) {
      if (norm.outputs[i] != nullptr && !norm.outputs[i]->uses.empty()) return false;
    }
    for (size_t i = 1; i < 5; ++i) {
      const Value* v = norm.inputs[i];
      if (v == nullptr || !v->constant || v->constant->dims.size() != 1) return false;
    }
    const Value* x = norm.inputs[0];
    const Node* conv = x->producer;
    if (conv == nullptr || conv->graph != &graph_ || x->uses.size() != 1 || graph_.is_output(x)) {
      return false;
    }
    const bool transposed = conv->is("ConvTranspose");
    if (!conv->is("Conv") && !(transposed && conv->int_or("group", 1) == 1)) return false;
    const Value* w = conv->input(1);
    const Value* b = conv->input(2);
    const size_t channel_axis = transposed ? 1 : 0;
    return w != nullptr && w->constant && w->constant->dims.size() >= 3 &&
           is_float(w->constant->dtype) &&
           w->constant->dims[channel_axis] == norm.inputs[1]->constant->dims[0] &&
           (b == nullptr || b->constant != nullptr);
  }

  Value* op(std::string name, std::vector<Value*> inputs, const Node& like, Node* before) {
    return graph_.add_node(std::move(name), std::move(inputs), 1, before, "", like.version)
        ->outputs[0];
  }

  void fold(Node& norm) {
    Node& conv = *norm.inputs[0]->producer;
    const bool transposed = conv.is("ConvTranspose");
    const DType dtype = norm.inputs[1]->constant->dtype;
    const Dims& w_dims = conv.inputs[1]->constant->dims;
    Value* epsilon = scalar(graph_, dtype, norm.float_or("epsilon", 1e-5F));
    // scale = gamma / sqrt(variance + epsilon)
    Value* variance = op("Add", {norm.inputs[4], epsilon}, norm, &conv);
    Value* deviation = op("Sqrt", {variance}, norm, &conv);
    Value* scale = op("Div", {norm.inputs[1], deviation}, norm, &conv);
    std::vector<int64_t> column(w_dims.size(), 1);
    column[transposed ? 1 : 0] = -1;
    Value* shape =
        graph_.add_constant("", make_constant(HostTensor::of_ints(
                                    DType::kI64, {static_cast<int64_t>(column.size())}, column)));
    Value* scale_column = op("Reshape", {scale, shape}, norm, &conv);
    Value* weights = op("Mul", {conv.inputs[1], scale_column}, norm, &conv);
    // bias = (bias - mean) * scale + beta
    Value* bias = norm.inputs[3];
    if (conv.input(2) != nullptr) {
      bias = op("Sub", {conv.inputs[2], norm.inputs[3]}, norm, &conv);
    } else {
      bias = op("Neg", {norm.inputs[3]}, norm, &conv);
    }
    bias = op("Mul", {bias, scale}, norm, &conv);
    bias = op("Add", {bias, norm.inputs[2]}, norm, &conv);

    Node* merged =
        graph_.add_node(conv.op, {conv.inputs[0], weights, bias}, 1, &norm, "", conv.version);
    merged->name = conv.name;
    merged->attributes = conv.attributes;
    merged->outputs[0]->name = norm.outputs[0]->name;
    merged->outputs[0]->type = norm.outputs[0]->type;
    graph_.replace_uses(norm.outputs[0], merged->outputs[0]);
    graph_.erase(&norm);
    graph_.erase(&conv);
    ++report_.hits["batch norm"];
  }

  Graph& graph_;
  PassReport& report_;
};

}  // namespace

Result<void> fold_batch_norm(Graph& graph, PassReport& report) {
  return BatchNormFolder(graph, report).run();
}

}  // namespace quern
