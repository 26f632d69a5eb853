#include "import/torch/schema.h"

#include <charconv>

namespace quern::torch {
namespace {

constexpr size_t kMostDims = 32;
constexpr int kMostDepth = 32;

/// Reads sympy.srepr, or a bare name; recursion is bounded.
class DimReader {
 public:
  DimReader(std::string_view text, const SymbolBounds& bounds) : text_(text), bounds_(bounds) {}

  std::optional<Dim> read() {
    auto dim = expression(0);
    return at_ == text_.size() ? dim : std::nullopt;
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip_spaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view word() {
    skip_spaces();
    const size_t from = at_;
    const auto is_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }
  static std::optional<int64_t> number(std::string_view word) {
    int64_t value = 0;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
  }
  Dim symbol(std::string_view name) const {
    const auto found = bounds_.find(name);
    if (found == bounds_.end()) return Dim::symbol(std::string(name));
    return Dim::symbol(std::string(name), found->second.first, found->second.second);
  }

  std::optional<Dim> expression(int depth) {
    if (depth > kMostDepth) return std::nullopt;
    const std::string_view head = word();
    if (head.empty()) return std::nullopt;
    if (!take('(')) {
      if (const auto value = number(head)) return *value;
      return symbol(head);
    }
    if (head == "Integer") {
      const auto value = number(word());
      return value && take(')') ? std::optional<Dim>(*value) : std::nullopt;
    }
    if (head == "Symbol") {
      if (!take('\'')) return std::nullopt;
      const size_t end = text_.find('\'', at_);
      if (end == text_.npos) return std::nullopt;
      const Dim dim = symbol(text_.substr(at_, end - at_));
      at_ = text_.find(')', end);
      return at_ != text_.npos && take(')') ? std::optional<Dim>(dim) : std::nullopt;
    }
    std::vector<Dim> parts;
    do {
      auto part = expression(depth + 1);
      if (!part) return std::nullopt;
      parts.push_back(*std::move(part));
    } while (take(','));
    if (!take(')')) return std::nullopt;
    return combine(head, parts);
  }

  static std::optional<Dim> combine(std::string_view head, const std::vector<Dim>& parts) {
    Dim result = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) {
      if (head == "Add") {
        result = result + parts[i];
      } else if (head == "Mul") {
        result = result * parts[i];
      } else if (head == "Max") {
        result = max(result, parts[i]);
      } else if (head == "Min") {
        result = min(result, parts[i]);
      } else if (head == "FloorDiv" || head == "CleanDiv") {
        result = floor_div(result, parts[i]);
      } else if (head == "Mod" || head == "PythonMod") {
        result = floor_mod(result, parts[i]);
      } else {
        return std::nullopt;
      }
    }
    return result;
  }

  std::string_view text_;
  const SymbolBounds& bounds_;
  size_t at_ = 0;
};

}  // namespace

Result<DType> dtype_of_scalar_type(int64_t number) {
  switch (number) {
    case 1:
      return DType::kU8;
    case 2:
      return DType::kI8;
    case 3:
      return DType::kI16;
    case 4:
      return DType::kI32;
    case 5:
      return DType::kI64;
    case 6:
      return DType::kF16;
    case 7:
      return DType::kF32;
    case 8:
      return DType::kF64;
    case 12:
      return DType::kBool;
    case 13:
      return DType::kBF16;
    case 28:
      return DType::kU16;
    case 29:
      return DType::kF8E4M3FN;
    case 30:
      return DType::kF8E5M2;
    case 31:
      return DType::kF8E4M3FNUZ;
    case 32:
      return DType::kF8E5M2FNUZ;
    case 9:
    case 10:
    case 11:
      return unsupported("complex tensors");
    default:
      return invalid_model(cat("element type ", number));
  }
}

SymbolBounds read_symbol_bounds(const Json& range_constraints) {
  SymbolBounds bounds;
  if (!range_constraints.is_object()) return bounds;
  for (const auto& [name, range] : range_constraints.items()) {
    const int64_t lower = integer_of(member(range, "min_val")).value_or(0);
    const int64_t upper = integer_of(member(range, "max_val")).value_or(INT32_MAX);
    bounds[name] = {std::max<int64_t>(lower, 0), std::min<int64_t>(upper, INT32_MAX)};
    if (upper < lower) bounds[name] = {0, INT32_MAX};
  }
  return bounds;
}

Dim read_dim(const Json& sym_int, const SymbolBounds& bounds) {
  if (const auto number = integer_of(member(sym_int, "as_int"))) return *number;
  if (const auto number = integer_of(sym_int)) return *number;
  const std::string_view text = text_of(member(member(sym_int, "as_expr"), "expr_str"));
  if (auto dim = DimReader(text, bounds).read()) return *dim;
  return Dim::symbol(cat("?", text.substr(0, 60)), 0, INT32_MAX);
}

Result<TensorMeta> read_tensor_meta(const Json& meta, const SymbolBounds& bounds) {
  TensorMeta out;
  QUERN_ASSIGN(out.dtype, dtype_of_scalar_type(integer_of(member(meta, "dtype")).value_or(0)));
  const Json::array_t& sizes = items_of(member(meta, "sizes"));
  if (sizes.size() > kMostDims) return unsupported(cat("tensors of rank ", sizes.size()));
  for (const Json& size : sizes) {
    out.sizes.push_back(read_dim(size, bounds));
    if (out.sizes.back().is_const() && out.sizes.back().value() < 0) {
      return invalid_model(cat("a dim of ", out.sizes.back().value()));
    }
  }
  for (const Json& stride : items_of(member(meta, "strides"))) {
    out.strides.push_back(integer_of(member(stride, "as_int")));
  }
  out.storage_offset = integer_of(member(member(meta, "storage_offset"), "as_int"));
  if (const int64_t layout = integer_of(member(meta, "layout")).value_or(7); layout != 7) {
    return unsupported(cat("tensors of layout ", layout, ": dense ones (strided) are read"));
  }
  const Json::array_t& strides = items_of(member(meta, "strides"));
  out.contiguous = strides.size() == sizes.size();
  Dim expected = 1;
  for (size_t i = sizes.size(); out.contiguous && i-- > 0;) {
    if (out.sizes[i] == Dim(1)) continue;
    out.contiguous = read_dim(strides[i], bounds) == expected;
    expected = expected * out.sizes[i];
  }
  return out;
}

std::string_view short_target(std::string_view target) {
  if (target.starts_with("torch.ops.")) target.remove_prefix(10);
  return target;
}

}  // namespace quern::torch
