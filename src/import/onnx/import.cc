#include "import/onnx/import.h"

#include "import/onnx/graph_builder.h"

namespace quern {
namespace {

constexpr uint64_t kEntryMemory = 128;  // of an entry of a map, about

/// Calls `visit` with every constant that the graph holds: of values and of attributes.
template <class Visit>
void for_each_constant(Graph& graph, const Visit& visit) {
  const auto visit_values = [&](Graph& one) {
    for (const std::unique_ptr<Value>& value : one.values()) {
      if (value->constant) visit(value->constant);
    }
  };
  visit_values(graph);
  for_each_node(graph, [&](Node& node) {
    for (auto& [key, value] : node.attributes) {
      if (auto* constant = std::get_if<ConstantPtr>(&value)) visit(*constant);
    }
    for (Graph* body : node.subgraphs()) visit_values(*body);
  });
}

}  // namespace

Result<Model> import_onnx(std::span<const uint8_t> skeleton, std::span<const ScannedWeight> weights,
                          const ImportOptions& options) {
  Model model;
  model.format = "onnx";
  int64_t ir_version = 0;
  std::string_view producer, producer_version;
  Bytes graph;
  bool has_graph = false;
  std::vector<onnx::Function> functions;
  onnx::Budget budget(options.memory_limit);
  FieldReader in(skeleton);
  while (in.next()) {
    switch (in.key()) {
      case varint_field(1):
        ir_version = in.integer();
        break;
      case bytes_field(2):
        producer = in.text();
        break;
      case bytes_field(3):
        producer_version = in.text();
        break;
      case bytes_field(7):
        if (has_graph) return invalid_model("the model has two graphs");
        has_graph = true;
        graph = in.bytes();
        break;
      case bytes_field(8):
        QUERN_TRY(budget.charge(kEntryMemory + in.bytes().size()));
        QUERN_TRY(onnx::read_opset(in.bytes(), model.opsets));
        break;
      case bytes_field(14): {
        std::string_view key, value;
        FieldReader entry(in.bytes());
        while (entry.next()) {
          if (entry.key() == bytes_field(1)) key = entry.text();
          if (entry.key() == bytes_field(2)) value = entry.text();
        }
        QUERN_TRY(entry.status());
        QUERN_TRY(budget.charge(kEntryMemory + key.size() + value.size()));
        model.metadata[std::string(key)] = value;
        break;
      }
      case bytes_field(25): {
        QUERN_ASSIGN(onnx::Function function, onnx::read_function(in.bytes(), budget));
        functions.push_back(std::move(function));
        break;
      }
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  if (!has_graph) return invalid_model("not an ONNX model: it has no graph");
  if (ir_version < 1) return invalid_model("not an ONNX model: it has no ir_version");
  // Before IR 3 models could not say it.
  if (ir_version < 3) model.opsets.try_emplace("", 1);
  for (onnx::Function& function : functions) {
    QUERN_TRY(budget.charge(kEntryMemory * model.opsets.size()));
    function.opsets.insert(model.opsets.begin(), model.opsets.end());
  }
  model.producer = producer;
  if (!producer_version.empty()) model.producer = cat(producer, " ", producer_version);

  model.graph = std::make_unique<Graph>();
  onnx::ConstantReader constants(skeleton, weights, options.sparse_limit, budget);
  onnx::GraphBuilder builder(functions, constants, budget, options.max_depth, ir_version >= 4);
  // From importers of other formats (docs/formats.md).
  if (const auto format = model.metadata.find("quern.format"); format != model.metadata.end()) {
    model.format = format->second;
  }
  QUERN_TRY(builder.build(graph, *model.graph, nullptr, {.opsets = &model.opsets}));
  model.inputs = std::move(builder.inputs());
  QUERN_TRY(model.graph->sort());
  model.graph->remove_unused_values();

  model.weights = std::move(constants.weights());
  std::vector<bool> used(model.weights.size());
  for_each_constant(*model.graph, [&](const ConstantPtr& constant) {
    if (!constant->is_inline()) used[constant->weight] = true;
  });
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) model.weights[i].dtype = DType::kUndefined;
  }
  return model;
}

Result<void> set_weight_bytes(Model& model, uint32_t weight, std::span<const uint8_t> bytes) {
  if (weight >= model.weights.size() || model.weights[weight].byte_length != bytes.size()) {
    return invalid_argument(cat("weight ", weight, " does not have ", bytes.size(), " bytes"));
  }
  for_each_constant(*model.graph, [&](ConstantPtr& constant) {
    if (constant->weight != weight) return;
    HostTensor tensor{constant->dtype, constant->dims, {bytes.begin(), bytes.end()}, {}};
    if (tensor.dtype == DType::kBool) {
      for (uint8_t& byte : tensor.bytes) byte = byte != 0;
    }
    constant = make_constant(std::move(tensor));
  });
  return {};
}

}  // namespace quern
