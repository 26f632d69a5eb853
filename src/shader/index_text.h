// Indices of a kernel's elements, and the words that several neighbouring ones take.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/expr.h"
#include "shader/elements.h"

namespace quern {

/// `numerator / extent` on u32: here precomputed multipliers may come.
std::string div_extent(std::string_view numerator, const Extent& extent,
                       std::string_view param_prefix);

/// Statements that set i<a>, for the axes a in the set `axes`, from the flat u32 index `i`.
std::string index_statements(const std::vector<Extent>& domain, uint32_t axes,
                             std::string_view param_prefix);
/// Likewise as variables, which carry_statements moves on by one element: without divisions.
std::string carried_index_statements(const std::vector<Extent>& domain, uint32_t axes,
                                     std::string_view param_prefix);
std::string carry_statements(const std::vector<Extent>& domain, uint32_t axes,
                             std::string_view param_prefix);

/// Adds statements that read `count` words of `var` from word `group` * count on (`group`: u32
/// text), in vectors where it has them, into variables that begin with `name`. The words' texts.
std::vector<std::string> load_words(std::string& statements, const BufferVar& var,
                                    std::string_view name, std::string_view group, uint32_t count);
/// Adds statements that write them. `end_bits` not 0: the elements, of that many bits, may end
/// before the words do (element i + k exists where that is less than n), and no word without
/// elements is written; `lanes` elements in all.
void store_words(std::string& statements, const BufferVar& var, std::string_view name,
                 std::string_view group, const std::vector<std::string>& words, uint32_t end_bits,
                 uint32_t lanes);

}  // namespace quern
