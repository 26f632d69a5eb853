// Sequences, optionals and maps (docs/sequences.md): lists of references to tensors, which stay
// where they are. Lengths and positions are numbers that the host knows by now.

#include <algorithm>

#include "plan/walk.h"

namespace quern {
namespace {

constexpr size_t kMaxElements = size_t{1} << 20;

RunTensor container(Type::Kind kind, DType dtype, std::vector<RunTensor> elements) {
  RunTensor t;
  t.kind = kind;
  t.info.present = true;
  t.info.dtype = dtype;
  t.elements = std::make_shared<const std::vector<RunTensor>>(std::move(elements));
  return t;
}

RunTensor host_number(DType dtype, int64_t value) {
  RunTensor t;
  t.info.present = true;
  t.info.dtype = dtype;
  t.host = std::make_shared<const HostTensor>(HostTensor::of_ints(dtype, {}, {value}));
  return t;
}

}  // namespace

Result<std::shared_ptr<const Walk::Elements>> Walk::elements_of(const Node& node, size_t input) {
  QUERN_ASSIGN(RunTensor * t, tensor(node.inputs[input]));
  if (t->kind != Type::Kind::kSequence) {
    return invalid_model(cat(node.describe(), ": input ", input, " must be a sequence"));
  }
  return t->elements;
}

Result<int64_t> Walk::position(const Node& node, size_t input, int64_t count, bool may_append) {
  QUERN_ASSIGN(RunTensor * t, tensor(node.inputs[input]));
  const DType dtype = t->info.dtype;
  if ((dtype != DType::kI32 && dtype != DType::kI64) || t->host->count() != 1) {
    return invalid_model(cat(node.describe(), ": the position must be one i32 or i64, got ",
                             name_of(dtype), t->info.dims));
  }
  const int64_t given = t->host->int_at(0);
  const int64_t at = given < 0 ? given + count : given;
  if (at < 0 || at > count || (at == count && !may_append)) {
    return invalid_argument(
        cat(node.describe(), ": position ", given, " is outside of a sequence of ", count));
  }
  return at;
}

Result<Walk::Progress> Walk::visit_sequence(Node& node) {
  // Positions, and the lengths of a split.
  const OpDef& def = *find_op(node);
  bool ready = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == nullptr || i >= 32 || (def.host_inputs >> i & 1) == 0) continue;
    QUERN_ASSIGN(const bool have, fetch(node.inputs[i]));
    ready = ready && have;
  }
  if (!ready) return Progress::kSuspend;

  RunTensor result;
  const DType dtype = node.outputs[0]->type.dtype;
  if (node.is("SequenceEmpty")) {
    result = container(Type::Kind::kSequence, dtype, {});
  } else if (node.is("SequenceConstruct")) {
    Elements elements;
    for (const Value* v : node.inputs) {
      QUERN_ASSIGN(RunTensor t, reference(v));
      elements.push_back(std::move(t));
    }
    result = container(Type::Kind::kSequence, dtype, std::move(elements));
  } else if (node.is("SequenceInsert") || node.is("SequenceErase")) {
    QUERN_ASSIGN(result, changed_sequence(node));
  } else if (node.is("SequenceAt")) {
    QUERN_ASSIGN(result, sequence_at(node));
  } else if (node.is("SequenceLength")) {
    QUERN_ASSIGN(const auto elements, elements_of(node, 0));
    result = host_number(DType::kI64, std::ssize(*elements));
  } else if (node.is("SplitToSequence")) {
    QUERN_ASSIGN(result, split_to_sequence(node));
  } else if (node.is("ConcatFromSequence")) {
    QUERN_ASSIGN(result, concat_from_sequence(node));
  } else if (node.is("Optional")) {
    Elements elements;
    if (node.input(0) != nullptr) {
      QUERN_ASSIGN(RunTensor t, reference(node.inputs[0]));
      elements.push_back(std::move(t));
    }
    result = container(Type::Kind::kOptional, dtype, std::move(elements));
  } else if (node.is("OptionalHasElement")) {
    bool has = node.input(0) != nullptr;
    if (has) {
      QUERN_ASSIGN(RunTensor * t, tensor(node.inputs[0]));
      has = t->kind != Type::Kind::kOptional || !t->elements->empty();
    }
    result = host_number(DType::kBool, has ? 1 : 0);
  } else if (node.is("OptionalGetElement")) {
    QUERN_ASSIGN(result, optional_element(node));
  } else if (node.is("ZipMap", "ai.onnx.ml")) {
    QUERN_ASSIGN(result, zip_map(node));
  } else if (node.is("DictVectorizer", "ai.onnx.ml")) {
    QUERN_ASSIGN(result, dict_vectorizer(node));
  } else if (node.is("CastMap", "ai.onnx.ml")) {
    QUERN_ASSIGN(result, cast_map(node));
  } else {
    return internal_error(cat(node.describe(), ": not known among sequence operators"));
  }
  set(node.outputs[0], std::move(result));
  return Progress::kNext;
}

Result<RunTensor> Walk::sequence_at(Node& node) {
  QUERN_ASSIGN(const auto elements, elements_of(node, 0));
  QUERN_ASSIGN(const int64_t at, position(node, 1, std::ssize(*elements), false));
  return (*elements)[static_cast<size_t>(at)];
}

Result<RunTensor> Walk::changed_sequence(Node& node) {
  const bool insert = node.is("SequenceInsert");
  QUERN_ASSIGN(const auto before, elements_of(node, 0));
  const int64_t count = std::ssize(*before);
  const size_t input = insert ? 2 : 1;
  int64_t at = insert ? count : count - 1;
  if (node.input(input) != nullptr) {
    QUERN_ASSIGN(at, position(node, input, count, insert));
  } else if (at < 0) {
    return invalid_argument(cat(node.describe(), ": the sequence is empty"));
  }
  if (before->size() >= kMaxElements) {
    return limit_exceeded(cat(node.describe(), ": a sequence of more than ", kMaxElements));
  }
  Elements after = *before;
  if (insert) {
    QUERN_ASSIGN(RunTensor t, reference(node.inputs[1]));
    QUERN_ASSIGN(RunTensor * sequence, tensor(node.inputs[0]));
    if (t.info.dtype != sequence->info.dtype && sequence->info.dtype != DType::kUndefined) {
      return invalid_model(cat(node.describe(), ": ", name_of(t.info.dtype),
                               " does not go into a sequence of ", name_of(sequence->info.dtype)));
    }
    after.insert(after.begin() + at, std::move(t));
  } else {
    after.erase(after.begin() + at);
  }
  return container(Type::Kind::kSequence, node.outputs[0]->type.dtype, std::move(after));
}

Result<RunTensor> Walk::split_to_sequence(Node& node) {
  QUERN_ASSIGN(RunTensor data, reference(node.inputs[0]));
  if (data.elements) return invalid_model(cat(node.describe(), ": input 0 must be a tensor"));
  const auto rank = std::ssize(data.info.dims);
  const int64_t given = node.int_or("axis", 0);
  if (given < -rank || given >= rank) {
    return invalid_model(
        cat(node.describe(), ": axis ", given, " is out of range for rank ", rank));
  }
  const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
  const int64_t extent = data.info.dims[axis];
  int64_t chunk = 1;
  std::vector<int64_t> lengths;
  const bool has_split = node.input(1) != nullptr;
  bool listed = false;
  if (has_split) {
    QUERN_ASSIGN(RunTensor * split, tensor(node.inputs[1]));
    listed = !split->host->dims.empty();
    int64_t sum = 0;
    for (int64_t i = 0; i < split->host->count(); ++i) {
      chunk = split->host->int_at(i);
      if (chunk < (listed ? 0 : 1) || chunk > INT64_MAX - sum) {
        return invalid_model(cat(node.describe(), ": a part of length ", chunk));
      }
      sum += chunk;
      if (listed) lengths.push_back(chunk);
    }
    if (listed && sum != extent) {
      return invalid_model(
          cat(node.describe(), ": lengths of ", sum, " in sum split an extent of ", extent));
    }
  }
  if (!listed) {
    if (static_cast<uint64_t>(extent / chunk) >= kMaxElements) {
      return limit_exceeded(cat(node.describe(), ": more than ", kMaxElements, " parts"));
    }
    for (int64_t at = 0; at < extent; at += chunk) lengths.push_back(std::min(chunk, extent - at));
  }
  const bool squeeze = !has_split && node.int_or("keepdims", 1) == 0;
  Elements parts;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    QUERN_ASSIGN(RunTensor part, cut(node, data, axis, start, length));
    start += length;
    if (squeeze) {
      Dims dims = part.info.dims;
      dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
      QUERN_TRY(reshape(part, std::move(dims)));
    }
    parts.push_back(std::move(part));
  }
  return container(Type::Kind::kSequence, data.info.dtype, std::move(parts));
}

Result<RunTensor> Walk::concat_from_sequence(Node& node) {
  QUERN_ASSIGN(const auto elements, elements_of(node, 0));
  const bool stacked = node.int_or("new_axis", 0) != 0;
  return join(node, *elements, node.int_or("axis", 0), stacked);
}

Result<RunTensor> Walk::optional_element(Node& node) {
  QUERN_ASSIGN(RunTensor t, reference(node.inputs[0]));
  if (t.kind != Type::Kind::kOptional) return t;
  if (t.elements->empty()) {
    return invalid_argument(cat(node.describe(), ": the optional has no element"));
  }
  return t.elements->front();
}

}  // namespace quern
