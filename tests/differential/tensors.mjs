// Random tensor contents, and numbers as each element type has them.

const ranges = {
  u8: [0, 255],
  i8: [-128, 127],
  u16: [0, 65535],
  i16: [-32768, 32767],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  i64: [-(2 ** 53), 2 ** 53],
  u64: [0, 2 ** 53],
  u4: [0, 15],
  i4: [-8, 7],
  u2: [0, 3],
  i2: [-2, 1],
};

export const isFloat = (dtype) => /^b?f\d/.test(dtype);
export const isInteger = (dtype) => /^[ui]\d/.test(dtype);
export const isSigned = (dtype) => !/^u/.test(dtype);
export const bitsOf = (dtype) => Number(/\d+/.exec(dtype)?.[0] ?? 0);

const specials = [NaN, Infinity, -Infinity, -0, 0];
const words = ['', 'a', 'b', 'abc', 'A b', 'été', 'x y z', '日本', '1.5', '-7'];

/**
 * Elements from `low` to `high`. Integers are small unless `wide`; floats keep a distance `gap`
 * from 0, are whole numbers where `whole`, and at times no numbers where `special`.
 */
export function randomTensor(random, dtype, dims, options = {}) {
  const { low = -2, high = 2, gap = 0, whole = false, special = false, wide = false } = options;
  const size = dims.reduce((a, b) => a * b, 1);
  const next = generator(random.choices.next(1 << 20));
  const between = (a, b) => a + Math.floor(next() * (b - a + 1));
  const all = wide && random.chance(3);
  const odd = special && isFloat(dtype) && random.chance(10);
  const values = Array.from({ length: size }, () => {
    if (dtype === 'string') return words[between(0, words.length - 1)];
    if (dtype === 'bool') return between(0, 1);
    if (isInteger(dtype)) {
      const [least, most] = ranges[dtype];
      if (all) return between(least, most);
      const [from, to] = isSigned(dtype) ? [low * 4, high * 4] : [Math.max(0, low), high * 6];
      let value = between(Math.max(least, Math.ceil(from)), Math.min(most, Math.floor(to)));
      if (gap > 0 && value === 0) value = 1;
      return value;
    }
    if (odd && next() < 0.2) return specials[between(0, specials.length - 1)];
    let value = low + next() * (high - low);
    if (whole) value = Math.round(value);
    if (Math.abs(value) < gap) value = value < 0 && low < 0 ? value - gap : value + gap;
    return value;
  });
  return { dtype, dims, values };
}

/** Whole numbers from `low` to `high`, of any type. */
export function wholeTensor(random, dtype, dims, low, high) {
  const next = generator(random.choices.next(1 << 20));
  const size = dims.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, () => low + Math.floor(next() * (high - low + 1)));
  return { dtype, dims, values };
}

/** Numbers in [0, 1) for contents, whose seed alone is a choice. */
export function generator(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
