// Unsigned integers of BITS bits (2, 4 or 8) packed in words, low ones first.
const PER_WORD = 32u / BITS;
const MASK = (1u << BITS) - 1u;
/// The zero point where none is given.
const MIDDLE = f32(1u << (BITS - 1u));

/// Elements i..i+3 of a word.
fn four(word: u32, i: u32) -> vec4f {
  return vec4f((vec4u(word) >> (vec4u(i, i + 1u, i + 2u, i + 3u) * BITS)) & vec4u(MASK));
}

// Without conversions, of which devices do few at a time: element i comes times 2^(BITS * (i %
// PER_HALF)), as the low bits of a float whose exponent makes them whole numbers. What it is
// multiplied by takes unscale().
const PER_HALF = 16u / BITS;
/// Elements i..i+3 of a word, scaled.
fn four_scaled(word: u32, i: u32) -> vec4f {
  let at = vec4u(i, i + 1u, i + 2u, i + 3u);
  let fields = (vec4u(word) >> (at / PER_HALF * 16u)) & (vec4u(MASK) << (at % PER_HALF * BITS));
  return bitcast<vec4f>(fields | vec4u(0x4b000000u)) - 8388608.0;
}
/// The factors of elements i..i+3, inverted.
fn unscale(i: u32) -> vec4f {
  return 1.0 / vec4f(vec4u(1u) << (vec4u(i, i + 1u, i + 2u, i + 3u) % PER_HALF * BITS));
}
