// SequenceMap: a body over the elements of a sequence, and of others as long; tensors among the
// further inputs go to every call. It becomes a Loop (docs/sequences.md); its body is inferred
// before the node (passes/infer_shapes.cc).
#include <memory>
#include <utility>

#include "ops/common/expansion.h"
#include "ops/common/sequence.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"body", AttributeKind::kGraph, true}};

Result<const Graph*> body_of(const Node& node) {
  const Graph* body = node.subgraph("body");
  if (body == nullptr || body->inputs.size() != node.inputs.size() ||
      body->outputs.size() != node.outputs.size()) {
    return invalid_model(cat(node.describe(), ": the body must have ", node.inputs.size(),
                             " inputs and ", node.outputs.size(), " outputs"));
  }
  return body;
}

Result<void> infer(InferContext& c) {
  QUERN_ASSIGN(const Graph* body, body_of(c.node()));
  for (size_t i = 0; i < c.output_count(); ++i) {
    const Type& type = body->outputs[i]->type;
    c.set(i, Type::container(Type::Kind::kSequence, merge_elements(type, type)));
  }
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  QUERN_TRY(body_of(node));
  const int version = node.version;
  auto loop_body = std::make_shared<Graph>(&graph);
  loop_body->name = "map";
  Value* counter = loop_body->add_input("", Type::tensor(DType::kI64, Shape{}));
  Value* condition = loop_body->add_input("", Type::tensor(DType::kBool, Shape{}));

  Node* length = graph.add_node("SequenceLength", {node.inputs[0]}, 1, &node, "", version);
  std::vector<Value*> loop_inputs = {length->outputs[0], nullptr};
  std::vector<Value*> carried;
  for (const Value* output : node.outputs) {
    Node* empty = graph.add_node("SequenceEmpty", {}, 1, &node, "", version);
    const DType dtype = output->type.dtype;
    empty->attributes["dtype"] =
        static_cast<int64_t>(dtype == DType::kUndefined ? DType::kF32 : dtype);
    loop_inputs.push_back(empty->outputs[0]);
    carried.push_back(loop_body->add_input("", output->type));
  }

  std::vector<Value*> arguments;
  for (Value* input : node.inputs) {
    if (input == nullptr || input->type.kind != Type::Kind::kSequence) {
      arguments.push_back(input);
      continue;
    }
    Node* at = loop_body->add_node("SequenceAt", {input, counter}, 1, nullptr, "", version);
    arguments.push_back(at->outputs[0]);
  }
  QUERN_ASSIGN(const std::vector<Value*> results,
               loop_body->inline_body(*node.subgraph("body"), arguments, nullptr));
  loop_body->outputs.push_back(condition);
  for (size_t i = 0; i < results.size(); ++i) {
    Node* insert =
        loop_body->add_node("SequenceInsert", {carried[i], results[i]}, 1, nullptr, "", version);
    loop_body->outputs.push_back(insert->outputs[0]);
  }

  Node* loop =
      graph.add_node("Loop", std::move(loop_inputs), node.outputs.size(), &node, "", version);
  loop->name = node.name;
  loop->attributes["body"] = std::move(loop_body);
  Expansion e(graph, node);
  for (size_t i = 0; i < node.outputs.size(); ++i) e.replace(i, loop->outputs[i]);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_sequence_map;
const OpDef op_sequence_map = {
    .name = "SequenceMap",
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_control = true,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
