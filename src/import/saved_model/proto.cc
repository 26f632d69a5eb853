#include "import/saved_model/proto.h"

#include <algorithm>

#include "import/tensorflow/graph_def.h"

namespace quern::saved_model {
namespace {

using tensorflow::Port;

constexpr size_t kMostObjects = 1'000'000;

/// An entry of a map: its key, and its value's bytes.
Result<std::pair<std::string, Bytes>> read_entry(Bytes message) {
  std::pair<std::string, Bytes> out;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(1)) out.first = in.text();
    if (in.key() == bytes_field(2)) out.second = in.bytes();
  }
  QUERN_TRY(in.status());
  return out;
}

/// SignatureDef.inputs or outputs: an entry's value is a TensorInfo.
Result<void> read_port(Bytes message, std::vector<Port>& out) {
  QUERN_ASSIGN(const auto entry, read_entry(message));
  Port port;
  port.name = entry.first;
  FieldReader in(entry.second);
  while (in.next()) {
    if (in.key() == bytes_field(1)) port.tensor = in.text();
    if (in.key() == bytes_field(3)) {
      QUERN_ASSIGN(port.shape, tensorflow::read_shape(in.bytes()));
    }
    if (in.key() == bytes_field(4)) {
      return unsupported(cat("'", port.name, "' of a signature is a sparse tensor"));
    }
    if (in.key() == bytes_field(5)) {
      return unsupported(cat("'", port.name, "' of a signature is no tensor, but made of several"));
    }
  }
  out.push_back(std::move(port));
  return in.status();
}

Result<void> read_signature(Bytes message, std::vector<Signature>& out) {
  QUERN_ASSIGN(const auto entry, read_entry(message));
  Signature signature;
  signature.name = entry.first;
  FieldReader in(entry.second);
  while (in.next()) {
    if (in.key() == bytes_field(1)) QUERN_TRY(read_port(in.bytes(), signature.inputs));
    if (in.key() == bytes_field(2)) QUERN_TRY(read_port(in.bytes(), signature.outputs));
  }
  QUERN_TRY(in.status());
  // Maps are written in any order.
  std::ranges::sort(signature.inputs, {}, &Port::name);
  std::ranges::sort(signature.outputs, {}, &Port::name);
  out.push_back(std::move(signature));
  return {};
}

Result<void> read_child(Bytes message, Object& out) {
  uint64_t id = 0;
  std::string name;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == varint_field(1)) id = in.value();
    if (in.key() == bytes_field(2)) name = in.text();
  }
  out.children.emplace(std::move(name), static_cast<size_t>(id));
  return in.status();
}

Result<Object> read_object(Bytes message) {
  Object out;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(1)) QUERN_TRY(read_child(in.bytes(), out));
    if (in.key() != bytes_field(7)) continue;
    out.is_variable = true;
    FieldReader variable(in.bytes());
    while (variable.next()) {
      if (variable.key() == bytes_field(6)) out.name = variable.text();
    }
    QUERN_TRY(variable.status());
  }
  QUERN_TRY(in.status());
  return out;
}

Result<void> read_function(Bytes message, ObjectGraph& out) {
  QUERN_ASSIGN(const auto entry, read_entry(message));
  std::vector<int64_t> bound;
  FieldReader in(entry.second);
  while (in.next()) {
    if (in.number() == 2) QUERN_TRY(append_varints(in, bound));
  }
  std::vector<size_t>& objects = out.bound_inputs[entry.first];
  for (const int64_t id : bound) objects.push_back(static_cast<size_t>(id));
  return in.status();
}

Result<void> read_objects(Bytes message, ObjectGraph& out) {
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(1)) {
      if (out.nodes.size() >= kMostObjects) return limit_exceeded("an object graph of many nodes");
      QUERN_ASSIGN(Object object, read_object(in.bytes()));
      out.nodes.push_back(std::move(object));
    } else if (in.key() == bytes_field(2)) {
      QUERN_TRY(read_function(in.bytes(), out));
    }
  }
  return in.status();
}

Result<void> read_info(Bytes message, MetaGraph& out) {
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(4)) out.tags.emplace_back(in.text());
    if (in.key() == bytes_field(5)) out.version = in.text();
  }
  return in.status();
}

}  // namespace

Result<MetaGraph> read_saved_model(Bytes file, uint64_t stay_from) {
  // Tags first: a model for training and one for serving may lie in one file.
  std::vector<Bytes> graphs;
  std::vector<Bytes> serving;
  FieldReader in(file);
  while (in.next()) {
    if (in.key() != bytes_field(2)) continue;
    graphs.push_back(in.bytes());
    MetaGraph tagged;
    FieldReader fields(in.bytes());
    while (fields.next()) {
      if (fields.key() == bytes_field(1)) QUERN_TRY(read_info(fields.bytes(), tagged));
    }
    QUERN_TRY(fields.status());
    if (std::ranges::find(tagged.tags, "serve") != tagged.tags.end()) serving.push_back(in.bytes());
  }
  QUERN_TRY(in.status());
  if (graphs.empty()) return invalid_model("a SavedModel without graphs");
  if (serving.empty() && graphs.size() > 1) {
    return unsupported(cat("a SavedModel of ", graphs.size(), " graphs, none tagged 'serve'"));
  }
  MetaGraph out;
  FieldReader fields(serving.empty() ? graphs.front() : serving.front());
  while (fields.next()) {
    switch (fields.key()) {
      case bytes_field(1):
        QUERN_TRY(read_info(fields.bytes(), out));
        break;
      case bytes_field(2): {
        QUERN_ASSIGN(out.graph, tensorflow::read_graph_def(fields.bytes(), stay_from, file));
        break;
      }
      case bytes_field(5):
        QUERN_TRY(read_signature(fields.bytes(), out.signatures));
        break;
      case bytes_field(7):
        QUERN_TRY(read_objects(fields.bytes(), out.objects));
        break;
      default:
        break;
    }
  }
  QUERN_TRY(fields.status());
  std::ranges::sort(out.signatures, {}, &Signature::name);
  return out;
}

Result<ObjectGraph> read_checkpoint_objects(Bytes message) {
  ObjectGraph out;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() != bytes_field(1)) continue;
    if (out.nodes.size() >= kMostObjects) return limit_exceeded("an object graph of many nodes");
    Object object;
    FieldReader fields(in.bytes());
    while (fields.next()) {
      if (fields.key() == bytes_field(1)) QUERN_TRY(read_child(fields.bytes(), object));
      if (fields.key() != bytes_field(2)) continue;
      std::string name, key;
      FieldReader attribute(fields.bytes());
      while (attribute.next()) {
        if (attribute.key() == bytes_field(1)) name = attribute.text();
        if (attribute.key() == bytes_field(3)) key = attribute.text();
      }
      QUERN_TRY(attribute.status());
      if (name == "VARIABLE_VALUE") object.checkpoint_key = std::move(key);
    }
    QUERN_TRY(fields.status());
    out.nodes.push_back(std::move(object));
  }
  QUERN_TRY(in.status());
  return out;
}

}  // namespace quern::saved_model
