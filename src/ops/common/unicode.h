// UTF-8 and simple case mapping, for the operators on strings.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace quern {

/// Takes the first code point off `text`, which is not empty. A byte that begins none is U+FFFD.
char32_t take_code_point(std::string_view& text);
void append_code_point(std::string& out, char32_t c);

/// The lower (upper) case of a letter that has one of a single code point; else itself. Latin,
/// Greek, Cyrillic, Armenian and full-width letters, letter-like numbers.
char32_t to_lower(char32_t c);
char32_t to_upper(char32_t c);
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);

/// Calls `visit` with each upper case letter and its lower case.
void for_each_case_pair(const std::function<void(char32_t upper, char32_t lower)>& visit);

/// White space as Unicode has it.
bool is_space(char32_t c);

}  // namespace quern
