#include "import/json/json.h"

#include <limits>
#include <string>

namespace quern {
namespace {

/// Follows what is parsed, for the place of an error, which without exceptions nothing tells.
struct Place : nlohmann::json_sax<Json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    position = at;
    return false;
  }

  size_t position = 0;
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Python's names of numbers, put in quotes.
std::string quoted_numbers(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (!in_string && (i == 0 || !is_word(text[i - 1]))) {
      std::string_view found;
      for (const std::string_view name : {"-Infinity", "Infinity", "NaN"}) {
        if (text.substr(i).starts_with(name)) found = name;
      }
      if (!found.empty() && (i == 0 || text[i - 1] != '-')) {
        out += cat("\"", found, "\"");
        i += found.size() - 1;
        continue;
      }
    }
    out += c;
  }
  return out;
}

}  // namespace

Result<Json> parse_json(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded()) return json;
  const std::string quoted = quoted_numbers(text);
  json = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded()) return json;
  Place place;
  Json::sax_parse(text, &place);
  return invalid_model(cat("broken JSON at byte ", place.position));
}

const Json& member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string_view text_of(const Json& value) {
  const auto* text = value.get_ptr<const Json::string_t*>();
  return text == nullptr ? std::string_view() : *text;
}

std::optional<int64_t> integer_of(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = *value.get_ptr<const Json::number_unsigned_t*>();
    if (number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  const auto* number = value.get_ptr<const Json::number_integer_t*>();
  return number == nullptr ? std::nullopt : std::optional<int64_t>(*number);
}

std::optional<double> number_of(const Json& value) {
  if (const auto* number = value.get_ptr<const Json::number_float_t*>()) return *number;
  if (const auto integer = integer_of(value)) return static_cast<double>(*integer);
  const std::string_view text = text_of(value);
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

const Json::array_t& items_of(const Json& value) {
  static const Json::array_t kNone;
  const auto* items = value.get_ptr<const Json::array_t*>();
  return items == nullptr ? kNone : *items;
}

}  // namespace quern
