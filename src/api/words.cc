#include "api/words.h"

namespace quern {
namespace {

/// The first word of a container: this and its Type::Kind.
constexpr uint32_t kContainer = 63;
constexpr int kMaxDepth = 8;

class WordReader {
 public:
  explicit WordReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  Result<uint32_t> word() {
    if (bytes_.size() < 4) return invalid_argument("the words end early");
    uint32_t value = 0;
    std::memcpy(&value, bytes_.data(), 4);
    bytes_ = bytes_.subspan(4);
    return value;
  }
  Result<uint64_t> wide() {
    QUERN_ASSIGN(const uint64_t low, word());
    QUERN_ASSIGN(const uint64_t high, word());
    return low | high << 32;
  }
  Result<std::span<const uint8_t>> blob() {
    QUERN_ASSIGN(const uint64_t size, word());
    const uint64_t padded = (size + 3) / 4 * 4;
    if (bytes_.size() < padded) return invalid_argument("a blob ends early");
    const auto out = bytes_.first(size);
    bytes_ = bytes_.subspan(padded);
    return out;
  }

 private:
  std::span<const uint8_t> bytes_;
};

Result<std::shared_ptr<const HostTensor>> tensor_of(DType dtype, const Dims& dims,
                                                    std::span<const uint8_t> bytes) {
  QUERN_ASSIGN(const int64_t count, element_count(dims));
  if (bytes.size() != byte_size(dtype, static_cast<uint64_t>(count))) {
    return invalid_argument(
        cat("got ", bytes.size(), " bytes for ", count, " elements of ", name_of(dtype)));
  }
  auto tensor = std::make_shared<HostTensor>();
  tensor->dtype = dtype;
  tensor->dims = dims;
  tensor->bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

Result<HostTensor> read_strings(WordReader& in, const Dims& dims) {
  QUERN_ASSIGN(const int64_t expected, element_count(dims));
  QUERN_TRY(in.blob());
  QUERN_ASSIGN(const uint32_t count, in.word());
  if (count != expected) {
    return invalid_argument(cat("got ", count, " strings for ", expected, " elements"));
  }
  HostTensor tensor;
  tensor.dtype = DType::kString;
  tensor.dims = dims;
  for (uint32_t i = 0; i < count; ++i) {
    QUERN_ASSIGN(const auto text, in.blob());
    tensor.strings.emplace_back(text.begin(), text.end());
  }
  return tensor;
}

Result<DType> read_dtype(WordReader& in) {
  QUERN_ASSIGN(const uint32_t dtype, in.word());
  if (dtype > static_cast<uint32_t>(DType::kI2)) {
    return invalid_argument(cat("unknown element type ", dtype));
  }
  return static_cast<DType>(dtype);
}

Result<RunInput> read_input(WordReader& in, int depth) {
  RunInput input;
  QUERN_ASSIGN(const uint32_t first, in.word());
  if (first > kContainer && first <= kContainer + static_cast<uint32_t>(Type::Kind::kMap)) {
    if (depth >= kMaxDepth) return limit_exceeded("it is nested too deep");
    input.kind = static_cast<Type::Kind>(first - kContainer);
    QUERN_ASSIGN(input.dtype, read_dtype(in));
    QUERN_ASSIGN(const uint32_t count, in.word());
    for (uint32_t i = 0; i < count; ++i) {
      QUERN_ASSIGN(RunInput element, read_input(in, depth + 1));
      input.elements.push_back(std::move(element));
    }
    return input;
  }
  if (first > static_cast<uint32_t>(DType::kI2)) {
    return invalid_argument(cat("unknown element type ", first));
  }
  input.dtype = static_cast<DType>(first);
  QUERN_ASSIGN(const uint32_t rank, in.word());
  if (rank > 32) return invalid_argument(cat("rank ", rank, ", at most 32"));
  for (uint32_t a = 0; a < rank; ++a) {
    QUERN_ASSIGN(const uint64_t dim, in.wide());
    input.dims.push_back(static_cast<int64_t>(dim));
  }
  for (int64_t d : input.dims) {
    if (d < 0) return invalid_argument(cat("negative dim ", d));
  }
  QUERN_ASSIGN(const uint32_t has_contents, in.word());
  if (has_contents == 0) return input;
  if (input.dtype == DType::kString) {
    QUERN_ASSIGN(HostTensor strings, read_strings(in, input.dims));
    input.host = std::make_shared<const HostTensor>(std::move(strings));
  } else {
    QUERN_ASSIGN(const auto blob, in.blob());
    QUERN_ASSIGN(input.host, tensor_of(input.dtype, input.dims, blob));
  }
  return input;
}

void write_value(WordWriter& out, const HostValue& value) {
  if (value.kind != Type::Kind::kTensor) {
    out.word(kContainer + static_cast<uint32_t>(value.kind));
    out.word(static_cast<uint32_t>(value.tensor.dtype));
    out.word(value.elements.size());
    for (const HostValue& element : value.elements) write_value(out, element);
    return;
  }
  const HostTensor& tensor = value.tensor;
  out.word(static_cast<uint32_t>(tensor.dtype));
  out.word(tensor.dims.size());
  for (int64_t d : tensor.dims) out.wide(static_cast<uint64_t>(d));
  out.blob(tensor.bytes.data(), tensor.bytes.size());
  if (tensor.dtype != DType::kString) return;
  out.word(tensor.strings.size());
  for (const std::string& s : tensor.strings) out.blob(s.data(), s.size());
}

}  // namespace

Result<std::vector<RunInput>> read_inputs(std::span<const uint8_t> bytes) {
  WordReader in(bytes);
  QUERN_ASSIGN(const uint32_t count, in.word());
  std::vector<RunInput> out;
  for (uint32_t i = 0; i < count; ++i) {
    auto input = read_input(in, 0);
    if (!input) return std::unexpected(std::move(input).error().in(cat("input ", i)));
    out.push_back(*std::move(input));
  }
  return out;
}

Result<std::vector<std::shared_ptr<const HostTensor>>> read_values(
    std::span<const uint8_t> bytes, const std::vector<TensorInfo>& requested) {
  WordReader in(bytes);
  QUERN_ASSIGN(const uint32_t count, in.word());
  if (count != requested.size()) {
    return invalid_argument(cat("got ", count, " values, expected ", requested.size()));
  }
  std::vector<std::shared_ptr<const HostTensor>> out;
  for (const TensorInfo& info : requested) {
    QUERN_ASSIGN(const auto blob, in.blob());
    QUERN_ASSIGN(auto tensor, tensor_of(info.dtype, info.dims, blob));
    out.push_back(std::move(tensor));
  }
  return out;
}

void write_values(WordWriter& out, const std::vector<HostValue>& values) {
  out.word(values.size());
  for (const HostValue& value : values) write_value(out, value);
}

}  // namespace quern
