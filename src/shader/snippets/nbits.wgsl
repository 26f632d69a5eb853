// Unsigned integers of BITS bits (2, 4 or 8) packed in words, low ones first.
const PER_WORD = 32u / BITS;
const MASK = (1u << BITS) - 1u;
/// The zero point where none is given.
const MIDDLE = f32(1u << (BITS - 1u));

/// Elements i..i+3 of a word.
fn four(word: u32, i: u32) -> vec4f {
  return vec4f((vec4u(word) >> (vec4u(i, i + 1u, i + 2u, i + 3u) * BITS)) & vec4u(MASK));
}
