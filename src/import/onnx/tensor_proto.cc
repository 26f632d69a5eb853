#include "import/onnx/tensor_proto.h"

#include <algorithm>
#include <cstring>

#include "import/scan/push_scanner.h"

namespace quern {
namespace {

// TensorProto's data fields.
constexpr uint32_t kFloatData = 4, kInt32Data = 5, kStringData = 6, kInt64Data = 7, kRawData = 9,
                   kDoubleData = 10, kUint64Data = 11;

constexpr int kMaxValueDepth = 8;

/// The field with typed data of such elements.
uint32_t typed_field(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kC64:
      return kFloatData;
    case DType::kF64:
    case DType::kC128:
      return kDoubleData;
    case DType::kI64:
      return kInt64Data;
    case DType::kU32:
    case DType::kU64:
      return kUint64Data;
    case DType::kString:
      return kStringData;
    default:
      return kInt32Data;
  }
}

Result<void> append_dims(const FieldReader& field, Dims& dims) {
  if (field.bytes().size() <= 10 * kMaxRank) QUERN_TRY(append_varints(field, dims));
  if (field.bytes().size() <= 10 * kMaxRank && dims.size() <= kMaxRank) return {};
  return unsupported(cat("a tensor has more than ", kMaxRank, " dims"));
}

/// Fills `bytes` from a varint's low bytes, `width` bytes each; `at` counts all that come.
void put(std::vector<uint8_t>& bytes, uint64_t& at, uint64_t value, size_t width) {
  if (at + width <= bytes.size()) std::memcpy(bytes.data() + at, &value, width);
  at += width;
}

}  // namespace

Result<DType> dtype_of_onnx(int64_t number) {
  if (number == 0) return invalid_model("the element type is undefined");
  if (number < 0 || number > static_cast<int64_t>(DType::kI2)) {
    return unsupported(cat("unknown element type ", number));
  }
  return static_cast<DType>(number);
}

std::string TensorHeader::describe() const {
  return cat("tensor '", name, "' (", name_of(dtype), dims, ")");
}

Result<TensorHeader> read_tensor_header(Bytes message) {
  TensorHeader header;
  int64_t dtype = 0;
  bool segmented = false;
  FieldReader in(message);
  while (in.next()) {
    switch (in.key()) {
      case varint_field(1):
      case bytes_field(1):
        QUERN_TRY(append_dims(in, header.dims));
        break;
      case varint_field(2):
        dtype = in.integer();
        break;
      case bytes_field(3):
        segmented = true;
        break;
      case bytes_field(8):
        header.name = in.text();
        break;
      case bytes_field(13): {
        std::string_view key, value;
        FieldReader entry(in.bytes());
        while (entry.next()) {
          if (entry.key() == bytes_field(1)) key = entry.text();
          if (entry.key() == bytes_field(2)) value = entry.text();
        }
        QUERN_TRY(entry.status());
        if (key == "location") header.location = value;
        if (key == "offset") header.offset = value;
        if (key == "length") header.length = value;
        break;
      }
      case varint_field(14):
        header.external = in.value() == 1;
        break;
      case varint_field(kWeightField):
        if (header.has_weight) return unsupported(cat("data in parts: ", header.describe()));
        header.has_weight = true;
        header.weight = in.value();
        header.weight_end = in.rest().data();
        break;
      default:
        if (in.number() < 32) header.data_fields |= 1u << in.number();
    }
  }
  QUERN_TRY(in.status());
  auto known = dtype_of_onnx(dtype);
  if (!known) return std::unexpected(std::move(known).error().in(header.describe()));
  header.dtype = *known;
  if (segmented) return unsupported(cat("data in segments: ", header.describe()));
  auto count = element_count(header.dims);
  if (!count) return std::unexpected(std::move(count).error().in(header.describe()));
  header.byte_length = byte_size(header.dtype, static_cast<uint64_t>(*count));
  constexpr uint32_t kData = 1u << kFloatData | 1u << kInt32Data | 1u << kStringData |
                             1u << kInt64Data | 1u << kRawData | 1u << kDoubleData |
                             1u << kUint64Data;
  header.data_fields &= kData;
  return header;
}

Result<HostTensor> read_tensor_data(Bytes message, const TensorHeader& header) {
  if (header.external || header.has_weight) {
    return invalid_model(cat(header.describe(), " has its data elsewhere"));
  }
  HostTensor tensor;
  tensor.dtype = header.dtype;
  tensor.dims = header.dims;
  const bool is_string = header.dtype == DType::kString;
  const uint32_t raw_bit = 1u << kRawData;
  // An empty raw_data beside typed data is what some writers leave.
  bool raw = (header.data_fields & raw_bit) != 0 && !is_string;
  const auto wrong_size = [&](uint64_t needed, uint64_t found, std::string_view unit) {
    return invalid_model(cat(header.describe(), " needs ", needed, unit, ", its ",
                             raw ? "raw" : "typed", " data has ", found));
  };
  Bytes raw_data;
  FieldReader in(message);
  if (raw) {
    while (in.next()) {
      if (in.key() == bytes_field(kRawData)) raw_data = in.bytes();
    }
    raw = !raw_data.empty() || header.data_fields == raw_bit;
    in = FieldReader(message);
  }
  if (raw) {
    if (raw_data.size() != header.byte_length) {
      return wrong_size(header.byte_length, raw_data.size(), " bytes");
    }
    tensor.bytes.assign(raw_data.begin(), raw_data.end());
  } else {
    // A packed entry takes at least one byte of the message and gives at most eight.
    if (header.byte_length / 8 > message.size()) return wrong_size(header.byte_length, 0, " bytes");
    tensor.bytes.resize(header.byte_length);
    const uint32_t field = typed_field(header.dtype);
    const size_t width =
        static_cast<size_t>(header.dtype == DType::kC64 || header.dtype == DType::kC128
                                ? bit_width(header.dtype) / 16
                                : std::max(bit_width(header.dtype) / 8, 1));
    uint64_t at = 0;
    while (in.next()) {
      if (in.number() != field) continue;
      if (is_string && in.key() == bytes_field(field)) {
        tensor.strings.emplace_back(in.text());
      } else if (in.key() != bytes_field(field)) {
        put(tensor.bytes, at, in.value(), width);
      } else if (field == kFloatData || field == kDoubleData) {
        const Bytes data = in.bytes();
        if (at + data.size() <= tensor.bytes.size() && !data.empty()) {
          std::memcpy(tensor.bytes.data() + at, data.data(), data.size());
        }
        at += data.size();
      } else {
        Bytes rest = in.bytes();
        for (uint64_t value; !rest.empty(); put(tensor.bytes, at, value, width)) {
          if (!read_varint(rest, value)) {
            return invalid_model(cat("malformed data: ", header.describe()));
          }
        }
      }
    }
    QUERN_TRY(in.status());
    if (at != header.byte_length) return wrong_size(header.byte_length, at, " bytes");
  }
  if (is_string) {
    const auto count = static_cast<uint64_t>(tensor.count());
    if (tensor.strings.size() != count) return wrong_size(count, tensor.strings.size(), " strings");
  }
  if (header.dtype == DType::kBool) {
    for (uint8_t& byte : tensor.bytes) byte = byte != 0;
  }
  return tensor;
}

Result<HostTensor> parse_tensor_proto(Bytes message, std::string* name) {
  QUERN_ASSIGN(const TensorHeader header, read_tensor_header(message));
  if (name) *name = header.name;
  return read_tensor_data(message, header);
}

Result<HostTensor> parse_sparse_tensor_proto(Bytes message, uint64_t limit, std::string* name) {
  Bytes values_message, indices_message;
  Dims dims;
  FieldReader in(message);
  while (in.next()) {
    switch (in.key()) {
      case bytes_field(1):
        values_message = in.bytes();
        break;
      case bytes_field(2):
        indices_message = in.bytes();
        break;
      case varint_field(3):
      case bytes_field(3):
        QUERN_TRY(append_dims(in, dims));
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  std::string own_name;
  QUERN_ASSIGN(const HostTensor values, parse_tensor_proto(values_message, &own_name));
  if (name) *name = own_name;
  QUERN_ASSIGN(const HostTensor indices, parse_tensor_proto(indices_message));
  const auto context = cat("sparse tensor '", own_name, "' (", name_of(values.dtype), dims, ")");
  if (dims.empty() || bit_width(values.dtype) == 0 || bit_width(values.dtype) > 64) {
    return unsupported(cat(context, ": only for numbers, not scalar"));
  }
  const int64_t count = values.count();
  const auto rank = static_cast<int64_t>(dims.size());
  const bool linear = indices.dims.size() == 1;
  if (indices.dtype != DType::kI64 || values.dims.size() != 1 ||
      indices.dims != (linear ? Dims{count} : Dims{count, rank})) {
    return invalid_model(cat(context, ": needs i64 indices [", count, "] or [", count, ", ", rank,
                             "], not ", name_of(indices.dtype), indices.dims));
  }
  auto dense = HostTensor::zeros(values.dtype, dims, limit);
  if (!dense) return std::unexpected(std::move(dense).error().in(context));
  const int64_t total = dense->count();
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (int64_t axis = 0; axis < (linear ? 1 : rank); ++axis) {
      const int64_t extent = linear ? total : dims[static_cast<size_t>(axis)];
      const int64_t index = indices.int_at(linear ? i : i * rank + axis);
      if (index < 0 || index >= extent) {
        return invalid_model(cat(context, ": index ", index, " is outside"));
      }
      at = at * extent + index;
    }
    store_bits(values.dtype, dense->bytes.data(), at,
               load_bits(values.dtype, values.bytes.data(), i));
  }
  return dense;
}

namespace {

Result<HostValue> parse_value(Bytes message, Type::Kind kind, std::string* name, int depth);

/// One tensor of tensors of one element each.
Result<HostTensor> gathered(const std::vector<HostValue>& values) {
  HostTensor list;
  list.dtype = values.empty() ? DType::kUndefined : values[0].tensor.dtype;
  list.dims = {std::ssize(values)};
  for (const HostValue& value : values) {
    const HostTensor& one = value.tensor;
    if (one.dtype != list.dtype || one.count() != 1 || bit_width(one.dtype) % 8 != 0) {
      return unsupported("a map of other values than one number or string each");
    }
    list.bytes.insert(list.bytes.end(), one.bytes.begin(), one.bytes.end());
    list.strings.insert(list.strings.end(), one.strings.begin(), one.strings.end());
  }
  return list;
}

/// Keys and values of a MapProto.
Result<HostValue> parse_map(Bytes message, std::string* name, int depth) {
  HostValue keys;
  HostValue values{.kind = Type::Kind::kSequence, .tensor = {}, .elements = {}};
  int64_t key_type = 0;
  std::vector<int64_t> numbers;
  std::vector<std::string> texts;
  FieldReader in(message);
  while (in.next()) {
    switch (in.key()) {
      case bytes_field(1):
        if (name) *name = in.text();
        break;
      case varint_field(2):
        key_type = in.integer();
        break;
      case varint_field(3):
      case bytes_field(3):
        QUERN_TRY(append_varints(in, numbers));
        break;
      case bytes_field(4):
        texts.emplace_back(in.text());
        break;
      case bytes_field(5): {
        QUERN_ASSIGN(values, parse_value(in.bytes(), Type::Kind::kSequence, nullptr, depth + 1));
        break;
      }
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  QUERN_ASSIGN(const DType dtype, dtype_of_onnx(key_type));
  if (dtype == DType::kString) {
    keys.tensor = {dtype, {std::ssize(texts)}, {}, std::move(texts)};
  } else {
    keys.tensor = HostTensor::of_ints(dtype, {std::ssize(numbers)}, numbers);
  }
  if (keys.tensor.count() != std::ssize(values.elements)) {
    return invalid_model(
        cat("a map has ", keys.tensor.count(), " keys and ", values.elements.size(), " values"));
  }
  HostValue map{.kind = Type::Kind::kMap, .tensor = {}, .elements = {}};
  map.elements.push_back(std::move(keys));
  QUERN_ASSIGN(HostTensor list, gathered(values.elements));
  map.elements.push_back({.kind = Type::Kind::kTensor, .tensor = std::move(list), .elements = {}});
  return map;
}

Result<HostValue> parse_value(Bytes message, Type::Kind kind, std::string* name, int depth) {
  HostValue value;
  value.kind = kind;
  if (kind == Type::Kind::kTensor) {
    QUERN_ASSIGN(value.tensor, parse_tensor_proto(message, name));
    return value;
  }
  if (depth > kMaxValueDepth) return limit_exceeded("sequences are nested too deep");
  if (kind == Type::Kind::kMap) return parse_map(message, name, depth);
  // SequenceProto and OptionalProto have the same fields, repeated in the one.
  FieldReader in(message);
  while (in.next()) {
    Type::Kind element;
    switch (in.key()) {
      case bytes_field(1):
        if (name) *name = in.text();
        continue;
      case bytes_field(3):
        element = Type::Kind::kTensor;
        break;
      case bytes_field(5):
        element = Type::Kind::kSequence;
        break;
      case bytes_field(6):
        element = Type::Kind::kMap;
        break;
      case bytes_field(7):
        element = Type::Kind::kOptional;
        break;
      case bytes_field(4):
        return unsupported("a sequence of sparse tensors");
      default:
        continue;
    }
    QUERN_ASSIGN(HostValue parsed, parse_value(in.bytes(), element, nullptr, depth + 1));
    value.elements.push_back(std::move(parsed));
  }
  QUERN_TRY(in.status());
  return value;
}

}  // namespace

Result<HostValue> parse_value_proto(Bytes message, Type::Kind kind, std::string* name) {
  return parse_value(message, kind, name, 0);
}

}  // namespace quern
