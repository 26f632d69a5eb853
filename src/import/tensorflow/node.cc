#include "import/tensorflow/node.h"

#include <charconv>

namespace quern::tensorflow {
namespace {

struct TypeName {
  std::string_view name;
  int64_t number;
  DType dtype;
};
constexpr TypeName kTypes[] = {
    {"DT_FLOAT", 1, DType::kF32},          {"DT_DOUBLE", 2, DType::kF64},
    {"DT_INT32", 3, DType::kI32},          {"DT_UINT8", 4, DType::kU8},
    {"DT_INT16", 5, DType::kI16},          {"DT_INT8", 6, DType::kI8},
    {"DT_STRING", 7, DType::kString},      {"DT_COMPLEX64", 8, DType::kC64},
    {"DT_INT64", 9, DType::kI64},          {"DT_BOOL", 10, DType::kBool},
    {"DT_QINT8", 11, DType::kI8},          {"DT_QUINT8", 12, DType::kU8},
    {"DT_QINT32", 13, DType::kI32},        {"DT_BFLOAT16", 14, DType::kBF16},
    {"DT_QINT16", 15, DType::kI16},        {"DT_QUINT16", 16, DType::kU16},
    {"DT_UINT16", 17, DType::kU16},        {"DT_COMPLEX128", 18, DType::kC128},
    {"DT_HALF", 19, DType::kF16},          {"DT_RESOURCE", 20, DType::kUndefined},
    {"DT_VARIANT", 21, DType::kUndefined}, {"DT_UINT32", 22, DType::kU32},
    {"DT_UINT64", 23, DType::kU64},
};

std::optional<size_t> number_of_text(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 100'000) return {};
  return value;
}

}  // namespace

DType dtype_of(int64_t number) {
  // 100 more: a reference to such a tensor.
  if (number > 100) number -= 100;
  for (const TypeName& type : kTypes) {
    if (type.number == number) return type.dtype;
  }
  return DType::kUndefined;
}

int64_t dtype_number(std::string_view name) {
  if (name.ends_with("_REF")) name.remove_suffix(4);
  for (const TypeName& type : kTypes) {
    if (type.name == name) return type.number;
  }
  return 0;
}

InputName parse_input(std::string_view text) {
  InputName out;
  if (text.starts_with('^')) return {.node = text.substr(1), .output = {}, .is_control = true};
  const size_t last = text.rfind(':');
  out.node = text;
  if (last == text.npos) return out;
  const auto index = number_of_text(text.substr(last + 1));
  if (!index) return out;
  out.index = *index;
  out.node = text.substr(0, last);
  const size_t first = out.node.rfind(':');
  if (first == out.node.npos) return out;
  out.output = out.node.substr(first + 1);
  out.node = out.node.substr(0, first);
  return out;
}

std::vector<std::string_view> function_names(const NodeDef& node) {
  std::vector<std::string_view> out;
  for (const auto& [key, attribute] : node.attributes) {
    if (attribute.s) out.emplace_back(*attribute.s);
    out.insert(out.end(), attribute.functions.begin(), attribute.functions.end());
  }
  return out;
}

}  // namespace quern::tensorflow
