// Maps (docs/sequences.md): a list of keys, on the host, and one of values.

#include <map>

#include "plan/walk.h"

namespace quern {
namespace {

/// The keys that one of two attributes lists.
Result<HostTensor> keys_of(const Node& node, std::string_view ints, std::string_view strings) {
  HostTensor keys;
  if (const std::vector<int64_t>* numbers = node.ints(ints)) {
    return HostTensor::of_ints(DType::kI64, {std::ssize(*numbers)}, *numbers);
  }
  const AttributeValue* value = node.attribute(strings);
  const auto* list = value != nullptr ? std::get_if<std::vector<std::string>>(value) : nullptr;
  if (list == nullptr) return invalid_model(cat(node.describe(), ": has no keys"));
  keys.dtype = DType::kString;
  keys.dims = {std::ssize(*list)};
  keys.strings = *list;
  return keys;
}

std::string key_text(const HostTensor& keys, int64_t i) {
  return keys.dtype == DType::kString ? keys.strings[static_cast<size_t>(i)] : cat(keys.int_at(i));
}

}  // namespace

Result<RunTensor> Walk::zip_map(Node& node) {
  QUERN_ASSIGN(RunTensor data, reference(node.inputs[0]));
  RunTensor keys;
  keys.info.present = true;
  QUERN_ASSIGN(HostTensor labels, keys_of(node, "classlabels_int64s", "classlabels_strings"));
  const int64_t classes = labels.count();
  QUERN_TRY(set_host(keys, std::move(labels)));
  Dims& dims = data.info.dims;
  if (data.elements || dims.empty() || dims.size() > 2 || dims.back() != classes) {
    return invalid_model(cat(node.describe(), ": its input is ", name_of(data.info.dtype), dims,
                             ", expected rows of ", classes));
  }
  if (dims.size() == 1) dims.insert(dims.begin(), 1);
  Elements rows;
  for (int64_t i = 0; i < dims[0]; ++i) {
    QUERN_ASSIGN(RunTensor row, cut(node, data, 0, i, 1));
    QUERN_TRY(reshape(row, {classes}));
    RunTensor map;
    map.kind = Type::Kind::kMap;
    map.info.present = true;
    map.info.dtype = data.info.dtype;
    map.elements = std::make_shared<const Elements>(Elements{keys, std::move(row)});
    rows.push_back(std::move(map));
  }
  RunTensor sequence;
  sequence.kind = Type::Kind::kSequence;
  sequence.info.present = true;
  sequence.info.dtype = data.info.dtype;
  sequence.elements = std::make_shared<const Elements>(std::move(rows));
  return sequence;
}

Result<RunTensor> Walk::dict_vectorizer(Node& node) {
  QUERN_ASSIGN(RunTensor * map, tensor(node.inputs[0]));
  if (map->kind != Type::Kind::kMap) {
    return invalid_model(cat(node.describe(), ": its input must be a map"));
  }
  const RunTensor& keys = (*map->elements)[0];
  const RunTensor& values = (*map->elements)[1];
  if (!keys.host || !values.host) {
    return unsupported(cat(node.describe(), ": a map whose values the device has computed"));
  }
  std::map<std::string, int64_t, std::less<>> positions;
  for (int64_t i = 0; i < keys.host->count(); ++i) positions.emplace(key_text(*keys.host, i), i);
  QUERN_ASSIGN(const HostTensor vocabulary, keys_of(node, "int64_vocabulary", "string_vocabulary"));
  if (vocabulary.dtype != keys.host->dtype) {
    return invalid_model(cat(node.describe(), ": the map's keys are ", name_of(keys.host->dtype)));
  }
  const DType dtype = values.host->dtype;
  QUERN_ASSIGN(HostTensor row, HostTensor::zeros(dtype, {1, vocabulary.count()}));
  for (int64_t i = 0; i < vocabulary.count(); ++i) {
    const auto found = positions.find(key_text(vocabulary, i));
    if (found == positions.end()) continue;
    if (dtype == DType::kString) {
      row.strings[static_cast<size_t>(i)] =
          values.host->strings[static_cast<size_t>(found->second)];
    } else {
      store_bits(dtype, row.bytes.data(), i,
                 load_bits(dtype, values.host->bytes.data(), found->second));
    }
  }
  RunTensor out;
  out.info.present = true;
  QUERN_TRY(set_host(out, std::move(row)));
  return out;
}

}  // namespace quern
