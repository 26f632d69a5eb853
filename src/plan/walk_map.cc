// Maps (docs/sequences.md): a list of keys, on the host, and one of values.

#include <algorithm>
#include <map>

#include "ops/common/cast.h"
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

Result<RunTensor> Walk::picked(const Node& owner, const RunTensor& values,
                               const std::vector<int64_t>& places) {
  const DType dtype = values.info.dtype;
  const Dims dims = {1, std::ssize(places)};
  RunTensor out;
  out.info.present = true;
  if (!values.host && !places.empty()) {
    // Past the last value lies a 0, for what has no place.
    RunTensor zero;
    zero.info.present = true;
    QUERN_ASSIGN(HostTensor nothing, HostTensor::zeros(dtype, {1}));
    QUERN_TRY(set_host(zero, std::move(nothing)));
    std::vector<int64_t> at = places;
    std::ranges::replace(at, int64_t{-1}, values.info.count());
    RunTensor operands[2];
    QUERN_ASSIGN(operands[0], join(owner, {values, std::move(zero)}, 0, false));
    operands[1].info.present = true;
    QUERN_TRY(set_host(operands[1], HostTensor::of_ints(DType::kI64, dims, at)));
    return run_made(owner, "Gather", 0, operands, 0);
  }
  QUERN_ASSIGN(HostTensor row, HostTensor::zeros(dtype, dims));
  for (int64_t i = 0; i < dims[1]; ++i) {
    const int64_t place = places[static_cast<size_t>(i)];
    if (place < 0) continue;
    if (dtype == DType::kString) {
      row.strings[static_cast<size_t>(i)] = values.host->strings[static_cast<size_t>(place)];
    } else {
      store_bits(dtype, row.bytes.data(), i, load_bits(dtype, values.host->bytes.data(), place));
    }
  }
  QUERN_TRY(set_host(out, std::move(row)));
  return out;
}

Result<std::shared_ptr<const Walk::Elements>> Walk::map_of(const Node& node) {
  QUERN_ASSIGN(RunTensor * map, tensor(node.inputs[0]));
  if (map->kind != Type::Kind::kMap) {
    return invalid_model(cat(node.describe(), ": its input must be a map"));
  }
  return map->elements;
}

Result<RunTensor> Walk::dict_vectorizer(Node& node) {
  QUERN_ASSIGN(const auto map, map_of(node));
  const HostTensor& keys = *(*map)[0].host;
  std::map<std::string, int64_t, std::less<>> positions;
  for (int64_t i = 0; i < keys.count(); ++i) positions.emplace(key_text(keys, i), i);
  QUERN_ASSIGN(const HostTensor vocabulary, keys_of(node, "int64_vocabulary", "string_vocabulary"));
  if (vocabulary.dtype != keys.dtype) {
    return invalid_model(cat(node.describe(), ": the map's keys are ", name_of(keys.dtype)));
  }
  std::vector<int64_t> places;
  for (int64_t i = 0; i < vocabulary.count(); ++i) {
    const auto found = positions.find(key_text(vocabulary, i));
    places.push_back(found == positions.end() ? -1 : found->second);
  }
  return picked(node, (*map)[1], places);
}

Result<RunTensor> Walk::cast_map(Node& node) {
  QUERN_ASSIGN(const auto map, map_of(node));
  const HostTensor& keys = *(*map)[0].host;
  if (keys.dtype != DType::kI64) {
    return invalid_model(
        cat(node.describe(), ": the map's keys are ", name_of(keys.dtype), ", expected i64"));
  }
  std::map<int64_t, int64_t> positions;
  for (int64_t i = 0; i < keys.count(); ++i) positions.emplace(keys.int_at(i), i);
  std::vector<int64_t> places;
  if (node.string_or("map_form", "DENSE") == "SPARSE") {
    const int64_t length = node.int_or("max_map", 1);
    constexpr int64_t kMost = int64_t{1} << 24;
    if (length > kMost) {
      return limit_exceeded(cat(node.describe(), ": max_map is ", length, ", past ", kMost));
    }
    places.assign(static_cast<size_t>(length), -1);
    for (const auto& [key, place] : positions) {
      if (key < 0 || key >= length) {
        return invalid_argument(
            cat(node.describe(), ": key ", key, " is outside of max_map, ", length));
      }
      places[static_cast<size_t>(key)] = place;
    }
  } else {
    for (const auto& [key, place] : positions) places.push_back(place);
  }
  RunTensor values = (*map)[1];
  const DType to = node.outputs[0]->type.dtype;
  if (values.host) {
    // Converted first: what has no place is then 0, not a string that is no number.
    QUERN_ASSIGN(HostTensor converted, cast_host(node, *values.host, to));
    if (to == DType::kString) {
      converted.strings.emplace_back("0");
      std::ranges::replace(places, int64_t{-1}, converted.count());
      ++converted.dims[0];
    }
    values = {};
    values.info.present = true;
    QUERN_TRY(set_host(values, std::move(converted)));
    return picked(node, values, places);
  }
  if (to == DType::kString) {
    return unsupported(
        cat(node.describe(), ": strings of a map whose values the device has computed"));
  }
  QUERN_ASSIGN(RunTensor row, picked(node, values, places));
  if (row.info.dtype == to) return row;
  return run_made(node, "Cast", static_cast<int64_t>(to), {&row, 1}, 0);
}

}  // namespace quern
