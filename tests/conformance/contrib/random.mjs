// Random tensors from a seed.

let state = 1;

export function seed(value) {
  state = value >>> 0 || 1;
}

/** Uniform in [0, 1). */
export function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state / 2 ** 32;
}

/** An integer from `low` to `high`, both included. */
export function integer(low, high) {
  return low + Math.floor(random() * (high - low + 1));
}

export function pick(...choices) {
  return choices[integer(0, choices.length - 1)];
}

export function chance(oneIn = 2) {
  return integer(1, oneIn) === 1;
}

const arrays = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  bool: Uint8Array,
};

export function count(dims) {
  return dims.reduce((a, b) => a * b, 1);
}

/** A tensor with elements `of(i)`; those of 4 bits are packed. */
export function tensor(dtype, dims, of) {
  if (dtype === 'u4' || dtype === 'i4') {
    const data = new Uint8Array(Math.ceil(count(dims) / 2));
    for (let i = 0; i < count(dims); ++i) data[i >> 1] |= (of(i) & 15) << (4 * (i & 1));
    return { dtype, dims, data };
  }
  const data = new arrays[dtype](count(dims));
  for (let i = 0; i < data.length; ++i) {
    const value = of(i);
    data[i] = dtype === 'i64' ? BigInt(value) : dtype === 'f16' ? halfBits(value) : value;
  }
  return { dtype, dims, data };
}

/** Floats in [-scale, scale). */
export function floats(dims, scale = 1, dtype = 'f32') {
  return tensor(dtype, dims, () => (random() * 2 - 1) * scale);
}

/** Positive floats around `scale`. */
export function scales(dims, scale = 0.02, dtype = 'f32') {
  return tensor(dtype, dims, () => (0.5 + random()) * scale);
}

/** Integers over the whole range of a narrow type, or from `low` to `high`. */
export function integers(dtype, dims, low, high) {
  const limits = {
    u4: [0, 15],
    i4: [-8, 7],
    u8: [0, 255],
    i8: [-128, 127],
    u16: [0, 65535],
    i16: [-32768, 32767],
  };
  const [least, most] = low === undefined ? limits[dtype] : [low, high];
  return tensor(dtype, dims, () => integer(least, most));
}

function halfBits(value) {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | Math.round(Math.abs(value) * 2 ** 24);
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
}
