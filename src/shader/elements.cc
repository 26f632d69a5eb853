#include "shader/elements.h"

#include <bit>
#include <cmath>
#include <limits>

#include "ir/expr_ops.h"

namespace quern {
namespace {

bool is_pair(Scalar type) { return type == Scalar::kI64 || type == Scalar::kU64; }

// The function that decodes a small float in the low bits of a word, and that which encodes it.
struct SmallFloatText {
  std::string_view decode;
  std::string_view encode;
};

SmallFloatText small_float(DType dtype) {
  switch (dtype) {
    case DType::kF8E4M3FN:
      return {"f32_of_f8e4m3fn", "f8e4m3fn_bits"};
    case DType::kF8E4M3FNUZ:
      return {"f32_of_f8e4m3fnuz", "f8e4m3fnuz_bits"};
    case DType::kF8E5M2:
      return {"f32_of_f8e5m2", "f8e5m2_bits"};
    case DType::kF8E5M2FNUZ:
      return {"f32_of_f8e5m2fnuz", "f8e5m2fnuz_bits"};
    case DType::kF8E8M0:
      return {"f32_of_f8e8m0", "f8e8m0_bits"};
    case DType::kF4E2M1:
      return {"f32_of_f4e2m1", "f4e2m1_bits"};
    default:
      return {};
  }
}

std::string in_parens(std::string_view index) {
  for (const char c : index) {
    if (c == ' ') return cat("(", index, ")");
  }
  return std::string(index);
}

std::string as_u32(char base, const std::string& word) {
  return base == 'u' ? word : cat("bitcast<u32>(", word, ")");
}

// A word of u32 as the 32-bit type `dtype` widened.
std::string word_value(DType dtype, char base, const std::string& word) {
  const char want = word_base(dtype);
  if (want == base) return word;
  return cat("bitcast<", want == 'f' ? "f32" : want == 'i' ? "i32" : "u32", ">(", word, ")");
}

// The sub-word element at bit `offset` of the u32 `word`.
std::string subword_value(DType dtype, const std::string& word, const std::string& offset) {
  const std::string bits = cat(bit_width(dtype), "u");
  const auto shifted = [&] { return offset == "0u" ? word : cat("(", word, " >> ", offset, ")"); };
  switch (dtype) {
    case DType::kF16:
      return cat("unpack2x16float(", shifted(), ").x");
    case DType::kBF16:
      return offset == "16u" ? cat("bitcast<f32>(", word, " & 0xffff0000u)")
                             : cat("bitcast<f32>(", shifted(), " << 16u)");
    case DType::kBool:
      return cat("(extractBits(", word, ", ", offset, ", 8u) != 0u)");
    default:
      break;
  }
  if (is_signed_int(dtype)) {
    return cat("extractBits(bitcast<i32>(", word, "), ", offset, ", ", bits, ")");
  }
  const std::string code = cat("extractBits(", word, ", ", offset, ", ", bits, ")");
  const std::string_view decode = small_float(dtype).decode;
  return decode.empty() ? code : cat(decode, "(", code, ")");
}

}  // namespace

std::string_view wgsl_type(Scalar type) {
  switch (type) {
    case Scalar::kF32:
    case Scalar::kF64:
      return "f32";
    case Scalar::kI32:
      return "i32";
    case Scalar::kU32:
      return "u32";
    case Scalar::kBool:
      return "bool";
    default:
      return "vec2<u32>";
  }
}

char word_base(DType dtype) {
  return dtype == DType::kF32 ? 'f' : dtype == DType::kI32 ? 'i' : 'u';
}

std::string array_type(const BufferVar& var) {
  const std::string word = cat(var.base, "32");
  return var.width == 1 ? cat("array<", word, ">") : cat("array<vec", var.width, "<", word, ">>");
}

bool has_elements(DType dtype) {
  return bit_width(dtype) != 0 && dtype != DType::kC64 && dtype != DType::kC128;
}

std::string word_text(const BufferVar& var, std::string_view index) {
  if (var.width == 1) return cat(var.name, "[", index, "]");
  const std::string i = in_parens(index);
  return var.width == 2 ? cat(var.name, "[", i, " >> 1u][", i, " & 1u]")
                        : cat(var.name, "[", i, " >> 2u][", i, " & 3u]");
}

std::string word_u32(const BufferVar& var, std::string_view index) {
  return as_u32(var.base, word_text(var, index));
}

bool is_plain(const BufferVar& var, DType dtype) {
  const int bits = bit_width(dtype);
  if (bits == 32) return var.width == 1 && var.base == word_base(dtype);
  return is_integer(dtype) && bits == 64 && var.width == 2 && var.base == 'u';
}

std::string load_text(const BufferVar& var, DType dtype, std::string_view index) {
  if (is_plain(var, dtype)) return cat(var.name, "[", index, "]");
  const int bits = bit_width(dtype);
  if (bits == 32) return word_value(dtype, var.base, word_text(var, index));
  if (bits == 64) {
    std::string pair = var.width == 2 && var.base == 'u'
                           ? cat(var.name, "[", index, "]")
                           : cat("vec2<u32>(", word_u32(var, cat(index, " * 2u")), ", ",
                                 word_u32(var, cat(index, " * 2u + 1u")), ")");
    return dtype == DType::kF64 ? cat("f32_of_f64(", pair, ")") : pair;
  }
  const auto per_word = static_cast<uint32_t>(32 / bits);
  const std::string word = word_u32(var, cat("(", index, " >> ", std::countr_zero(per_word), "u)"));
  const std::string offset = cat("((", index, " & ", per_word - 1, "u) << ",
                                 std::countr_zero(static_cast<uint32_t>(bits)), "u)");
  return subword_value(dtype, word, offset);
}

std::string lane_text(DType dtype, char base, const std::vector<std::string>& words,
                      uint32_t lane) {
  const int bits = bit_width(dtype);
  if (bits == 32) return word_value(dtype, base, words[lane]);
  if (bits == 64) {
    std::string pair = cat("vec2<u32>(", as_u32(base, words[2 * lane]), ", ",
                           as_u32(base, words[2 * lane + 1]), ")");
    return dtype == DType::kF64 ? cat("f32_of_f64(", pair, ")") : pair;
  }
  const auto per_word = static_cast<uint32_t>(32 / bits);
  const std::string word = as_u32(base, words[lane / per_word]);
  if (dtype == DType::kF16) return cat("unpack2x16float(", word, ")", lane % 2 == 0 ? ".x" : ".y");
  return subword_value(dtype, word, cat(lane % per_word * static_cast<uint32_t>(bits), "u"));
}

std::string element_bits(DType dtype, const std::string& value) {
  const int bits = bit_width(dtype);
  switch (dtype) {
    case DType::kBool:
      return cat("u32(", value, ")");
    case DType::kF16:
      return cat("f16_bits(", value, ")");
    case DType::kBF16:
      return cat("bf16_bits(", value, ")");
    case DType::kF32:
    case DType::kI32:
      return cat("bitcast<u32>(", value, ")");
    case DType::kU32:
      return value;
    default:
      break;
  }
  const std::string_view encode = small_float(dtype).encode;
  if (!encode.empty()) return cat(encode, "(", value, ")");
  const uint32_t mask = (1u << bits) - 1;
  return is_signed_int(dtype) ? cat("(bitcast<u32>(", value, ") & ", mask, "u)")
                              : cat("(", value, " & ", mask, "u)");
}

std::vector<std::string> pack_text(DType dtype, char base, const std::vector<std::string>& values) {
  std::vector<std::string> words;
  const int bits = bit_width(dtype);
  const std::string open = base == 'u' ? "" : cat("bitcast<", base, "32>(");
  const std::string close = base == 'u' ? "" : ")";
  if (bits == 64) {
    for (const std::string& v : values) {
      const std::string pair = dtype == DType::kF64 ? cat("f64_of_f32(", v, ")") : v;
      words.push_back(cat(open, pair, ".x", close));
      words.push_back(cat(open, pair, ".y", close));
    }
    return words;
  }
  if (bits == 32) {
    for (const std::string& v : values) {
      words.push_back(base == word_base(dtype) ? v : cat("bitcast<", base, "32>(", v, ")"));
    }
    return words;
  }
  const auto per_word = static_cast<size_t>(32 / bits);
  for (size_t first = 0; first < values.size(); first += per_word) {
    std::string word;
    for (size_t k = 0; k < per_word && first + k < values.size(); ++k) {
      const std::string element = element_bits(dtype, values[first + k]);
      word += k == 0 ? element : cat(" | (", element, " << ", k * static_cast<size_t>(bits), "u)");
    }
    words.push_back(cat(open, word, close));
  }
  return words;
}

std::string narrow_text(DType dtype, Scalar type, const std::string& value) {
  const int bits = bit_width(dtype);
  if (is_float(type)) {
    switch (dtype) {
      case DType::kF16:
        return cat("unpack2x16float(f16_bits(", value, ")).x");
      case DType::kBF16:
        return cat("bitcast<f32>(bf16_bits(", value, ") << 16u)");
      default:
        break;
    }
    const SmallFloatText f = small_float(dtype);
    return f.decode.empty() ? value : cat(f.decode, "(", f.encode, "(", value, "))");
  }
  if (bits >= width_of(type)) return value;
  // The low word, cut and extended, then widened again.
  const bool is_signed = is_signed_int(dtype);
  const std::string_view low_type = is_signed ? "i32" : "u32";
  std::string low = is_pair(type) ? cat(value, ".x") : value;
  const Scalar have = is_pair(type) ? Scalar::kU32 : type;
  const Scalar want = is_signed ? Scalar::kI32 : Scalar::kU32;
  if (have != want) low = cat("bitcast<", low_type, ">(", low, ")");
  if (bits < 32) low = cat("extractBits(", low, ", 0u, ", bits, "u)");
  return cast_text(type, want, low);
}

std::string cast_text(Scalar to, Scalar from, const std::string& value) {
  const bool pair = is_pair(from);
  if (to == from || (is_float(to) && is_float(from)) || (pair && is_pair(to))) return value;
  if (is_float(from)) {
    switch (to) {
      case Scalar::kI32:
        return cat("i32_of_f32(", value, ")");
      case Scalar::kU32:
        return cat("u32_of_f32(", value, ")");
      case Scalar::kI64:
        return cat("i64_of_f32(", value, ")");
      case Scalar::kU64:
        return cat("u64_of_f32(", value, ")");
      default:
        return cat("ne_f32(", value, ", 0f)");
    }
  }
  if (is_float(to)) {
    if (from == Scalar::kI64) return cat("f32_of_i64(", value, ")");
    if (from == Scalar::kU64) return cat("f32_of_u64(", value, ")");
    if (from == Scalar::kU32) return cat("f32_of_u32(", value, ")");
    return cat("f32(", value, ")");
  }
  switch (to) {
    case Scalar::kBool:
      return pair ? cat("any(", value, " != vec2<u32>())")
                  : cat("(", value, from == Scalar::kI32 ? " != 0)" : " != 0u)");
    case Scalar::kI32:
      return pair ? cat("bitcast<i32>(", value, ".x)") : cat("i32(", value, ")");
    case Scalar::kU32:
      return pair ? cat(value, ".x") : cat("u32(", value, ")");
    default:
      break;
  }
  if (from == Scalar::kI32) return cat("i64_of_i32(", value, ")");
  return from == Scalar::kU32 ? cat("vec2<u32>(", value, ", 0u)")
                              : cat("vec2<u32>(u32(", value, "), 0u)");
}

std::string constant_text(Scalar type, int64_t bits) {
  switch (type) {
    case Scalar::kBool:
      return bits != 0 ? "true" : "false";
    case Scalar::kI32:
      return bits == INT32_MIN ? "bitcast<i32>(0x80000000u)" : cat(static_cast<int32_t>(bits));
    case Scalar::kU32:
      return cat(static_cast<uint32_t>(bits), "u");
    case Scalar::kI64:
    case Scalar::kU64:
      return cat("vec2<u32>(", static_cast<uint32_t>(bits), "u, ",
                 static_cast<uint32_t>(static_cast<uint64_t>(bits) >> 32), "u)");
    default:
      break;
  }
  const auto value = static_cast<float>(std::bit_cast<double>(bits));
  // Constant expressions may be neither NaN nor infinite, and may lose subnormals and -0.
  if (!std::isnormal(value) && (value != 0.0f || std::signbit(value))) {
    return cat("bits_f32(", std::bit_cast<uint32_t>(value), "u)");
  }
  // The shortest decimal of the largest f32 is above it, and an error.
  if (std::fabs(value) == std::numeric_limits<float>::max()) {
    return value < 0 ? "-3.4028234e+38f" : "3.4028234e+38f";
  }
  return cat(value, "f");
}

}  // namespace quern
