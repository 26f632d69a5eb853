// Tensors become constants; their bytes stay in the file where a scanner or a model left them.
#include <algorithm>
#include <charconv>

#include "import/onnx/graph_builder.h"
#include "import/onnx/tensor_proto.h"

namespace quern::onnx {
namespace {

constexpr uint32_t kFloatData = 4, kRawData = 9, kDoubleData = 10;
constexpr uint64_t kConstantMemory = 300;  // of a Constant without its bytes, about

bool payload_fits(uint32_t field, DType dtype) {
  switch (field) {
    case kRawData:
      return dtype != DType::kString;
    case kFloatData:
      return dtype == DType::kF32 || dtype == DType::kC64;
    case kDoubleData:
      return dtype == DType::kF64 || dtype == DType::kC128;
    default:
      return false;
  }
}

Result<uint64_t> parse_number(std::string_view text, uint64_t fallback) {
  if (text.empty()) return fallback;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return invalid_model(cat("'", text.substr(0, 40), "' is not a number of bytes"));
  }
  return value;
}

/// A relative path that stays in the model's folder, on any system; without "." parts.
Result<std::string> checked_path(std::string_view location) {
  const auto refuse = [&](std::string_view why) {
    return invalid_model(cat("external data file '", location.substr(0, 200), "' ", why));
  };
  if (location.empty()) return refuse("has no name");
  if (location.find('\0') != location.npos) return refuse("has a zero byte in its name");
  if (location.find('\\') != location.npos) return refuse("has a backslash in its name");
  if (location[0] == '/') return refuse("is an absolute path");
  if (location.size() > 1 && location[1] == ':') return refuse("is an absolute path");
  std::string path;
  for (size_t at = 0; at <= location.size();) {
    const size_t end = std::min(location.find('/', at), location.size());
    const std::string_view part = location.substr(at, end - at);
    at = end + 1;
    if (part == "..") return refuse("is outside the model's folder");
    if (part.empty() || part == ".") continue;
    if (!path.empty()) path += '/';
    path += part;
  }
  if (path.empty()) return refuse("has no name");
  return path;
}

}  // namespace

ConstantReader::ConstantReader(Bytes skeleton, std::span<const ScannedWeight> weights,
                               uint64_t sparse_limit, Budget& budget)
    : skeleton_(skeleton),
      scanned_(weights),
      sparse_limit_(sparse_limit),
      budget_(budget),
      weights_(weights.size()) {
  for (size_t i = 0; i < weights.size(); ++i) {
    weights_[i].byte_length = weights[i].length;
    weights_[i].file_offset = weights[i].file_offset;
  }
}

Result<ConstantPtr> ConstantReader::tensor(Bytes message, std::string_view* name) {
  QUERN_ASSIGN(const TensorHeader header, read_tensor_header(message));
  if (name) *name = header.name;
  // Of an empty message nothing can be told but that it is empty, also by its address.
  ConstantPtr& cached = cache_[message.data()];
  if (cached) return cached;
  QUERN_TRY(budget_.charge(kConstantMemory));
  if ((header.external && header.byte_length > 0) || header.has_weight) {
    QUERN_ASSIGN(const uint32_t weight,
                 header.external ? external_weight(header) : scanned_weight(header));
    auto constant = std::make_shared<Constant>();
    constant->dtype = header.dtype;
    constant->dims = header.dims;
    constant->weight = weight;
    return cached = std::move(constant);
  }
  TensorHeader inline_header = header;
  inline_header.external = false;
  const uint64_t most = header.dtype == DType::kString ? message.size() * 24 : header.byte_length;
  QUERN_TRY(budget_.charge(most));
  QUERN_ASSIGN(HostTensor tensor, read_tensor_data(message, inline_header));
  return cached = make_constant(std::move(tensor));
}

Result<ConstantPtr> ConstantReader::sparse(Bytes message, std::string* name) {
  const uint64_t limit = std::min(sparse_limit_, budget_.left());
  QUERN_ASSIGN(HostTensor tensor, parse_sparse_tensor_proto(message, limit, name));
  QUERN_TRY(budget_.charge(kConstantMemory + tensor.bytes.size()));
  return make_constant(std::move(tensor));
}

Result<uint32_t> ConstantReader::scanned_weight(const TensorHeader& header) {
  if (header.weight >= scanned_.size() ||
      header.weight_end != skeleton_.data() + scanned_[header.weight].skeleton_end) {
    return invalid_model(cat(header.describe(), " refers to data that is not its own"));
  }
  const auto index = static_cast<uint32_t>(header.weight);
  const ScannedWeight& scanned = scanned_[index];
  if (header.data_fields != 0) return unsupported(cat("data in parts: ", header.describe()));
  if (!payload_fits(scanned.field, header.dtype) || scanned.length != header.byte_length) {
    return invalid_model(cat(header.describe(), " needs ", header.byte_length,
                             " bytes, its data field ", scanned.field, " has ", scanned.length));
  }
  WeightInfo& info = weights_[index];
  info.name = header.name;
  info.dtype = header.dtype;
  info.dims = header.dims;
  return index;
}

Result<uint32_t> ConstantReader::external_weight(const TensorHeader& header) {
  const auto read = [&]() -> Result<WeightInfo> {
    if (header.data_fields != 0 || header.has_weight) {
      return invalid_model("its data is both external and in the model");
    }
    WeightInfo info{std::string(header.name), header.dtype, header.dims, header.byte_length, {}, 0};
    QUERN_ASSIGN(info.file, checked_path(header.location));
    QUERN_ASSIGN(info.file_offset, parse_number(header.offset, 0));
    QUERN_ASSIGN(const uint64_t length, parse_number(header.length, header.byte_length));
    if (length != header.byte_length) {
      return invalid_model(
          cat("its external data has ", length, " bytes, not ", header.byte_length));
    }
    if (info.file_offset > (uint64_t{1} << 53)) {
      return invalid_model(cat("its external data begins at byte ", info.file_offset));
    }
    return info;
  };
  auto info = read();
  if (!info) return std::unexpected(std::move(info).error().in(header.describe()));
  const auto [entry, added] =
      external_.try_emplace(cat(info->file_offset, " ", info->byte_length, " ", info->file),
                            static_cast<uint32_t>(weights_.size()));
  if (added) {
    QUERN_TRY(budget_.charge(kConstantMemory + info->file.size()));
    weights_.push_back(*std::move(info));
  }
  return entry->second;
}

}  // namespace quern::onnx
