#include "import/tensorflow/frozen.h"

#include "import/tensorflow/graph.h"
#include "import/tensorflow/graph_def.h"

namespace quern {
namespace {

using tensorflow::Emitter;

class GraphDefImporter : public Importer {
 public:
  GraphDefImporter(uint64_t size, const ConvertOptions& options) : size_(size), options_(options) {}

  Result<std::vector<ByteRange>> advance(std::span<const std::span<const uint8_t>> bytes) override {
    if (!asked_) {
      asked_ = true;
      if (size_ > options_.memory_limit) {
        return limit_exceeded(
            cat("a GraphDef of ", size_, " bytes; ", options_.memory_limit, " are possible"));
      }
      return std::vector<ByteRange>{{0, size_}};
    }
    if (read_) return std::vector<ByteRange>{};
    if (bytes.size() != 1) return internal_error("one range was asked for");
    QUERN_ASSIGN(source_.graph,
                 tensorflow::read_graph_def(bytes[0], options_.inline_below, bytes[0]));
    if (source_.graph.nodes.empty()) return invalid_model("a GraphDef without nodes");
    read_ = true;
    return std::vector<ByteRange>{};
  }

  Result<Model> take() override {
    if (!read_) return internal_error("the graph is not read yet");
    std::vector<WeightInfo> table;
    source_.format = "TensorFlow";
    source_.constant = [&table](Emitter& b, const tensorflow::NodeDef& node) {
      return tensorflow::stored_constant(b, node, table);
    };
    QUERN_ASSIGN(Model model, tensorflow::build_model(source_));
    model.weights = std::move(table);
    return model;
  }

 private:
  uint64_t size_;
  ConvertOptions options_;
  bool asked_ = false;
  bool read_ = false;
  tensorflow::Source source_;
};

}  // namespace

std::unique_ptr<Importer> make_graph_def_importer(uint64_t size, const ConvertOptions& options) {
  return std::make_unique<GraphDefImporter>(size, options);
}

namespace tensorflow {

Tensor stored_constant(Emitter& b, const NodeDef& node, std::vector<WeightInfo>& table) {
  const auto found = node.attributes.find("value");
  if (found == node.attributes.end() || !found->second.tensor) {
    b.invalid("it has no value");
    return Tensor{};
  }
  const StoredTensor& stored = *found->second.tensor;
  if (bit_width(stored.dtype) == 0 && stored.dtype != DType::kString) {
    b.unsupported("a constant of such a type");
    return Tensor{};
  }
  if (stored.host) {
    HostTensor host = *stored.host;
    if (host.dtype == DType::kBool) {
      for (uint8_t& byte : host.bytes) byte = byte != 0;
    }
    const Tensor x = b.constant(std::move(host));
    if (x.value->name.empty()) x.value->name = node.name;
    return x;
  }
  return b.weight({node.name, stored.dtype, stored.dims, stored.size, "", stored.offset}, table,
                  node.name);
}

}  // namespace tensorflow
}  // namespace quern
