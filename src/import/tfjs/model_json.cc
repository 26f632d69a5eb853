#include "import/tfjs/model_json.h"

#include <algorithm>
#include <map>

#include "import/json/json.h"
#include "import/tensorflow/graph.h"
#include "import/tfjs/layers.h"
#include "import/tfjs/topology.h"
#include "import/tfjs/weights.h"

namespace quern {
namespace {

using tensorflow::Port;

class TfjsImporter : public Importer {
 public:
  TfjsImporter(uint64_t size, const ConvertOptions& options) : size_(size), options_(options) {}

  Result<std::vector<ByteRange>> advance(std::span<const std::span<const uint8_t>> bytes) override {
    switch (state_) {
      case State::kBegin:
        if (size_ > options_.memory_limit) {
          return limit_exceeded(cat("model.json of ", size_, " bytes"));
        }
        state_ = State::kJson;
        return std::vector<ByteRange>{{0, size_}};
      case State::kJson: {
        if (bytes.size() != 1) return internal_error("one range was asked for");
        QUERN_TRY(read_json(bytes[0]));
        state_ = State::kSizes;
        std::vector<ByteRange> out;
        for (const std::string& shard : weights_.shards()) out.push_back({0, 8, shard, true});
        if (!out.empty()) return out;
        return advance({});
      }
      case State::kSizes: {
        std::vector<uint64_t> sizes;
        for (const auto part : bytes) {
          if (part.size() != 8) return internal_error("a size was asked for");
          sizes.push_back(load_bits(DType::kU64, part.data(), 0));
        }
        QUERN_TRY(weights_.place(sizes));
        state_ = State::kWeights;
        QUERN_ASSIGN(std::vector<ByteRange> out, weights_.wanted(options_));
        if (!out.empty()) return out;
        return advance({});
      }
      case State::kWeights:
        QUERN_TRY(weights_.take(bytes));
        state_ = State::kDone;
        return std::vector<ByteRange>{};
      case State::kDone:
        break;
    }
    return std::vector<ByteRange>{};
  }

  Result<Model> take() override {
    if (state_ != State::kDone) return internal_error("the model is not read yet");
    const Json& topology = member(json_, "modelTopology");
    auto built = tfjs::is_layers_topology(topology) ? tfjs::build_layers_model(topology, weights_)
                                                    : build_graph(topology);
    if (!built) return built;
    Model model = *std::move(built);
    model.weights = std::move(weights_.table);
    return model;
  }

 private:
  enum class State : uint8_t { kBegin, kJson, kSizes, kWeights, kDone };

  Result<void> read_json(std::span<const uint8_t> text) {
    QUERN_ASSIGN(json_, parse_json(text));
    if (!member(json_, "modelTopology").is_object()) {
      return unsupported(
          "a JSON file of TensorFlow.js without modelTopology: weights alone, or no model");
    }
    return weights_.read_manifest(member(json_, "weightsManifest"));
  }

  /// The ports that a signature names: {"inputs": {"x": {"name": "x:0", ..}}}.
  static std::vector<Port> ports(const Json& list) {
    std::vector<Port> out;
    if (!list.is_object()) return out;
    for (const auto& [key, value] : list.items()) {
      Port port;
      port.tensor = text_of(member(value, "name"));
      if (port.tensor.empty()) port.tensor = key;
      port.name = key;
      if (port.name.ends_with(":0")) port.name.resize(port.name.size() - 2);
      port.shape = tfjs::read_shape(member(value, "tensorShape"));
      if (!member(value, "tensorShape").is_object()) port.shape.reset();
      out.push_back(std::move(port));
    }
    return out;
  }

  Result<Model> build_graph(const Json& topology) {
    tensorflow::Source source;
    QUERN_ASSIGN(source.graph, tfjs::read_topology(topology));
    const Json* signature = &member(json_, "signature");
    if (!signature->is_object())
      signature = &member(member(json_, "userDefinedMetadata"), "signature");
    source.inputs = ports(member(*signature, "inputs"));
    source.outputs = ports(member(*signature, "outputs"));
    source.format = "TensorFlow.js";
    source.producer = text_of(member(json_, "convertedBy"));
    source.index = DType::kI32;
    source.constant = [this](tensorflow::Emitter& b, const tensorflow::NodeDef& node) {
      return weights_.load(b, node.name);
    };
    return tensorflow::build_model(source);
  }

  uint64_t size_;
  ConvertOptions options_;
  State state_ = State::kBegin;
  Json json_;
  tfjs::Weights weights_;
};

}  // namespace

std::unique_ptr<Importer> make_tfjs_importer(uint64_t size, const ConvertOptions& options) {
  return std::make_unique<TfjsImporter>(size, options);
}

}  // namespace quern
