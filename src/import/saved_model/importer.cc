#include "import/saved_model/importer.h"

#include <algorithm>

#include "import/saved_model/checkpoint.h"
#include "import/saved_model/proto.h"
#include "import/saved_model/variables.h"
#include "import/tensorflow/frozen.h"

namespace quern {
namespace {

using namespace saved_model;  // NOLINT(google-build-using-namespace)
using tensorflow::Emitter;
using tensorflow::NodeDef;
using tensorflow::Port;
using tensorflow::Tensor;

constexpr std::string_view kDefaultSignature = "serving_default";

std::string names_of(const std::vector<Port>& ports) {
  std::vector<std::string> names;
  for (const Port& port : ports) names.push_back(port.name);
  return join(names, ", ");
}

/// The signature that is read: serving_default, the default of TensorFlow 1's modules, or the only
/// one.
Result<const Signature*> chosen(const std::vector<Signature>& all) {
  for (const std::string_view name : {kDefaultSignature, std::string_view("default")}) {
    const auto found = std::ranges::find(all, name, &Signature::name);
    if (found != all.end()) return &*found;
  }
  std::vector<const Signature*> usable;
  std::vector<std::string> names;
  for (const Signature& one : all) {
    // What initialises and trains a model is among its signatures.
    if (one.name.starts_with("__saved_model_") || one.outputs.empty()) continue;
    usable.push_back(&one);
    names.push_back(cat("'", one.name, "'"));
  }
  if (usable.size() == 1) return usable[0];
  if (usable.empty()) {
    return unsupported(
        "a SavedModel without signatures: save it as tf.saved_model.save(model, folder, "
        "signatures=function.get_concrete_function(...))");
  }
  return unsupported(cat("a SavedModel of the signatures ", join(names, ", "),
                         ", of which none is '", kDefaultSignature, "': save it with that one"));
}

/// Dims of a shape as the graph declares it, -1 for unknown ones.
bool fits(const tensorflow::PartialShape& declared, const Dims& dims) {
  if (!declared) return true;
  if (declared->size() != dims.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if ((*declared)[i] >= 0 && (*declared)[i] != dims[i]) return false;
  }
  return true;
}

class SavedModelImporter : public Importer {
 public:
  SavedModelImporter(uint64_t size, const ConvertOptions& options)
      : size_(size), options_(options) {}

  Result<std::vector<ByteRange>> advance(std::span<const std::span<const uint8_t>> bytes) override {
    using Ranges = std::vector<ByteRange>;
    if (state_ != State::kBegin && state_ != State::kSizes && state_ < State::kContents &&
        bytes.size() != 1) {
      return internal_error("one range was asked for");
    }
    switch (state_) {
      case State::kBegin:
        if (size_ > options_.memory_limit) {
          return limit_exceeded(
              cat("a SavedModel of ", size_, " bytes; ", options_.memory_limit, " are possible"));
        }
        state_ = State::kModel;
        return Ranges{{0, size_}};
      case State::kModel: {
        QUERN_TRY(read_model(bytes[0]));
        state_ = variables_.empty() ? State::kDone : State::kIndexSize;
        if (variables_.empty()) return Ranges{};
        return Ranges{{0, 8, std::string(kIndexFile), true}};
      }
      case State::kIndexSize: {
        const uint64_t size = load_bits(DType::kU64, bytes[0].data(), 0);
        if (size > options_.memory_limit) {
          return limit_exceeded(cat("a checkpoint's index of ", size, " bytes"));
        }
        state_ = State::kIndex;
        return Ranges{{0, size, std::string(kIndexFile)}};
      }
      case State::kIndex:
        QUERN_TRY(checkpoint_.read_index(bytes[0]));
        state_ = State::kSizes;
        return checkpoint_.sizes();
      case State::kSizes: {
        QUERN_TRY(checkpoint_.take_sizes(bytes));
        restored_ = restored_keys(source_.graph);
        state_ = State::kObjects;
        // The object graph is needed only where the operators that restore say too little.
        for (const Variable& one : variables_) {
          if (restored_.contains(one.node->name)) continue;
          QUERN_ASSIGN(Ranges out, checkpoint_.wanted({std::string(kObjectGraphKey)}, UINT64_MAX,
                                                      options_.memory_limit));
          if (!out.empty()) return out;
          break;
        }
        return bind();
      }
      case State::kObjects: {
        QUERN_TRY(checkpoint_.take(bytes));
        QUERN_ASSIGN(const Bytes message, checkpoint_.string_of(kObjectGraphKey));
        QUERN_ASSIGN(const ObjectGraph stored, read_checkpoint_objects(message));
        objects_ = object_keys(source_.graph, saved_, stored);
        return bind();
      }
      case State::kContents:
        QUERN_TRY(checkpoint_.take(bytes));
        state_ = State::kDone;
        return Ranges{};
      case State::kDone:
        break;
    }
    return Ranges{};
  }

  Result<Model> take() override {
    if (state_ != State::kDone) return internal_error("the model is not read yet");
    source_.format = "TensorFlow";
    source_.constant = [this](Emitter& b, const NodeDef& node) { return constant(b, node); };
    QUERN_ASSIGN(Model model, tensorflow::build_model(source_));
    model.weights = std::move(checkpoint_.table);
    for (const auto& [name, text] : signatures_) {
      model.metadata[cat("quern.signature ", name)] = text;
    }
    return model;
  }

 private:
  enum class State : uint8_t {
    kBegin,
    kModel,
    kIndexSize,
    kIndex,
    kSizes,
    kObjects,
    kContents,
    kDone,
  };

  Result<void> read_model(Bytes file) {
    QUERN_ASSIGN(MetaGraph meta, read_saved_model(file, options_.inline_below));
    QUERN_ASSIGN(const Signature* signature, chosen(meta.signatures));
    for (const Signature& one : meta.signatures) {
      if (one.name.starts_with("__saved_model_")) continue;
      signatures_[one.name] = cat("(", names_of(one.inputs), ") -> (", names_of(one.outputs), ")");
    }
    source_.graph = std::move(meta.graph);
    source_.inputs = signature->inputs;
    source_.outputs = signature->outputs;
    if (!meta.version.empty()) source_.producer = cat("TensorFlow ", meta.version);
    saved_ = std::move(meta.objects);
    QUERN_ASSIGN(variables_, needed_variables(source_.graph, source_.outputs));
    return {};
  }

  Result<std::vector<ByteRange>> bind() {
    bind_variables(variables_, restored_, objects_, checkpoint_);
    std::vector<std::string> keys;
    for (const Variable& one : variables_) {
      keys.push_back(*one.node->attributes.find(kVariableKey)->second.s);
    }
    QUERN_ASSIGN(std::vector<ByteRange> out,
                 checkpoint_.wanted(keys, options_.inline_below, options_.memory_limit));
    state_ = out.empty() ? State::kDone : State::kContents;
    return out;
  }

  Tensor constant(Emitter& b, const NodeDef& node) {
    const auto variable = node.attributes.find(kVariableKey);
    if (variable == node.attributes.end() || !variable->second.s) {
      return tensorflow::stored_constant(b, node, checkpoint_.table);
    }
    const Tensor x = checkpoint_.load(b, *variable->second.s);
    if (!x) return x;
    const CheckpointEntry& entry = *checkpoint_.find(*variable->second.s);
    const auto dtype = node.attributes.find("dtype");
    const auto shape = node.attributes.find("shape");
    if ((dtype != node.attributes.end() && dtype->second.type != x.dtype) ||
        (shape != node.attributes.end() && shape->second.shape &&
         !fits(*shape->second.shape, entry.dims))) {
      b.invalid(cat("its tensor '", *variable->second.s, "' in the checkpoint is ",
                    name_of(x.dtype), entry.dims, ", which is not what the graph declares"));
    }
    if (x.value->name.empty()) x.value->name = node.name;
    return x;
  }

  uint64_t size_;
  ConvertOptions options_;
  State state_ = State::kBegin;
  tensorflow::Source source_;
  ObjectGraph saved_;
  std::map<std::string, std::string> signatures_;
  std::vector<Variable> variables_;
  Keys restored_, objects_;
  Checkpoint checkpoint_;
};

}  // namespace

std::unique_ptr<Importer> make_saved_model_importer(uint64_t size, const ConvertOptions& options) {
  return std::make_unique<SavedModelImporter>(size, options);
}

}  // namespace quern
