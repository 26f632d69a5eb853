#include "ops/common/unicode.h"

namespace quern {
namespace {

/// Upper case letters `first` to `last`, each `step`th; their lower cases are `offset` further on.
struct CaseRange {
  char32_t first;
  char32_t last;
  int32_t offset;
  int32_t step;
};

// Simple case mappings of the Unicode character database, where upper and lower case are a pair.
constexpr CaseRange kCases[] = {
    {0x41, 0x5a, 32, 1},       {0xc0, 0xd6, 32, 1},       {0xd8, 0xde, 32, 1},
    {0x100, 0x12e, 1, 2},      {0x132, 0x136, 1, 2},      {0x139, 0x147, 1, 2},
    {0x14a, 0x176, 1, 2},      {0x178, 0x178, -121, 1},   {0x179, 0x17d, 1, 2},
    {0x181, 0x181, 210, 1},    {0x182, 0x184, 1, 2},      {0x187, 0x187, 1, 1},
    {0x18b, 0x18b, 1, 1},      {0x18e, 0x18e, 79, 1},     {0x18f, 0x18f, 202, 1},
    {0x191, 0x191, 1, 1},      {0x198, 0x198, 1, 1},      {0x1a0, 0x1a4, 1, 2},
    {0x1a7, 0x1a7, 1, 1},      {0x1ac, 0x1ac, 1, 1},      {0x1af, 0x1af, 1, 1},
    {0x1b3, 0x1b5, 1, 2},      {0x1b8, 0x1b8, 1, 1},      {0x1bc, 0x1bc, 1, 1},
    {0x1c4, 0x1c4, 2, 1},      {0x1c7, 0x1c7, 2, 1},      {0x1ca, 0x1ca, 2, 1},
    {0x1cd, 0x1db, 1, 2},      {0x1de, 0x1ee, 1, 2},      {0x1f1, 0x1f1, 2, 1},
    {0x1f4, 0x1f4, 1, 1},      {0x1f8, 0x21e, 1, 2},      {0x222, 0x232, 1, 2},
    {0x246, 0x24e, 1, 2},      {0x370, 0x372, 1, 2},      {0x376, 0x376, 1, 1},
    {0x386, 0x386, 38, 1},     {0x388, 0x38a, 37, 1},     {0x38c, 0x38c, 64, 1},
    {0x38e, 0x38f, 63, 1},     {0x391, 0x3a1, 32, 1},     {0x3a3, 0x3ab, 32, 1},
    {0x3d8, 0x3ee, 1, 2},      {0x400, 0x40f, 80, 1},     {0x410, 0x42f, 32, 1},
    {0x460, 0x480, 1, 2},      {0x48a, 0x4be, 1, 2},      {0x4c0, 0x4c0, 15, 1},
    {0x4c1, 0x4cd, 1, 2},      {0x4d0, 0x52e, 1, 2},      {0x531, 0x556, 48, 1},
    {0x10a0, 0x10c5, 7264, 1}, {0x1e00, 0x1e94, 1, 2},    {0x1ea0, 0x1efe, 1, 2},
    {0x2160, 0x216f, 16, 1},   {0x24b6, 0x24cf, 26, 1},   {0x2c00, 0x2c2f, 48, 1},
    {0x2c80, 0x2ce2, 1, 2},    {0xa640, 0xa66c, 1, 2},    {0xa680, 0xa69a, 1, 2},
    {0xff21, 0xff3a, 32, 1},   {0x10400, 0x10427, 40, 1},
};

std::string mapped(std::string_view text, char32_t (*map)(char32_t)) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) append_code_point(out, map(take_code_point(text)));
  return out;
}

}  // namespace

char32_t take_code_point(std::string_view& text) {
  constexpr char32_t kReplacement = 0xfffd;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  char32_t c = lead;
  if (length > 1) {
    constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool valid = lead >= 0xc2 && lead <= 0xf4 && length <= text.size();
    if (valid) {
      c = lead & (0x7fu >> length);
      for (size_t i = 1; i < length; ++i) {
        valid = valid && (byte(i) & 0xc0) == 0x80;
        c = c << 6 | (byte(i) & 0x3f);
      }
      valid = valid && c >= kSmallest[length] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    }
    if (!valid) {
      c = kReplacement;
      length = 1;
    }
  }
  text.remove_prefix(length);
  return c;
}

void append_code_point(std::string& out, char32_t c) {
  const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xe0 | c >> 12);
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3f));
    }
    put(0x80 | (c >> 6 & 0x3f));
  }
  put(0x80 | (c & 0x3f));
}

char32_t to_lower(char32_t c) {
  for (const CaseRange& range : kCases) {
    if (c < range.first || c > range.last) continue;
    if ((c - range.first) % static_cast<char32_t>(range.step) != 0) continue;
    return static_cast<char32_t>(static_cast<int32_t>(c) + range.offset);
  }
  return c;
}

char32_t to_upper(char32_t c) {
  for (const CaseRange& range : kCases) {
    const auto upper = static_cast<char32_t>(static_cast<int32_t>(c) - range.offset);
    if (upper < range.first || upper > range.last) continue;
    if ((upper - range.first) % static_cast<char32_t>(range.step) == 0) return upper;
  }
  if (c == 0xb5) return 0x39c;   // micro sign
  if (c == 0x131) return 0x49;   // dotless i
  if (c == 0x17f) return 0x53;   // long s
  if (c == 0x3c2) return 0x3a3;  // final sigma
  return c;
}

std::string to_lower(std::string_view text) {
  return mapped(text, static_cast<char32_t (*)(char32_t)>(to_lower));
}
std::string to_upper(std::string_view text) {
  return mapped(text, static_cast<char32_t (*)(char32_t)>(to_upper));
}

void for_each_case_pair(const std::function<void(char32_t, char32_t)>& visit) {
  for (const CaseRange& range : kCases) {
    for (char32_t c = range.first; c <= range.last; c += static_cast<char32_t>(range.step)) {
      visit(c, static_cast<char32_t>(static_cast<int32_t>(c) + range.offset));
    }
  }
}

bool is_space(char32_t c) {
  return (c >= 0x9 && c <= 0xd) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

}  // namespace quern
