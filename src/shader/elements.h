// Elements of tensors in storage variables: the WGSL text that reads and writes them.
//
// Tensors lie as on the host: packed, little endian, 64-bit types as two words. A variable is an
// array of words, or of vectors of words where invocations take several at once. f64 is held in
// f32: exact for normal f32 numbers, rounded to nearest even else, 0 below them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/dtype.h"
#include "ir/expr.h"

namespace quern {

/// `var<storage> name: array<f32>`, or of i32, u32, and vectors of 2 or 4 of them.
struct BufferVar {
  std::string name;
  char base = 'u';     ///< 'f', 'i' or 'u': the type of a word
  uint32_t width = 1;  ///< words in an array element: 1, 2 or 4
};

/// "f32", "vec2<u32>" (for i64 and u64).
std::string_view wgsl_type(Scalar type);
/// The word type that fits elements of `dtype`.
char word_base(DType dtype);
/// "array<vec4<f32>>".
std::string array_type(const BufferVar& var);
/// Can kernels read and write this element type? Not strings and complex numbers.
bool has_elements(DType dtype);

/// Word `index` (u32 text) as it is declared, and as u32.
std::string word_text(const BufferVar& var, std::string_view index);
std::string word_u32(const BufferVar& var, std::string_view index);

/// The element at the u32 index `index`, an identifier, widened to compute_type(dtype).
std::string load_text(const BufferVar& var, DType dtype, std::string_view index);
/// Is that just `name[index]`, whatever `index` is?
bool is_plain(const BufferVar& var, DType dtype);

/// Element `lane` of those in `words`, which have the type `base`; widened.
std::string lane_text(DType dtype, char base, const std::vector<std::string>& words, uint32_t lane);
/// The words that hold the elements `values` (of compute_type(dtype)), of type `base`.
std::vector<std::string> pack_text(DType dtype, char base, const std::vector<std::string>& values);
/// A value of compute_type(dtype) as the bits of an element, in the low bits of a u32. Not for
/// 64-bit types.
std::string element_bits(DType dtype, const std::string& value);

/// `value` rounded or wrapped to an element type, of the scalar type `type` before and after.
std::string narrow_text(DType dtype, Scalar type, const std::string& value);
/// A conversion between scalar types.
std::string cast_text(Scalar to, Scalar from, const std::string& value);
/// A constant; `bits` as in ExprNode.
std::string constant_text(Scalar type, int64_t bits);

}  // namespace quern
