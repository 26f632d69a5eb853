// Numbers for inputs and weights: the same in every run, cheap at hundreds of megabytes.

/** So many different values; prime, so that no row begins like the one before. */
const period = 65521;

const pattern = (() => {
  let state = 1234567;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: period }, () => next() * 2 - 1);
})();

/** A copy of `block` again and again. */
function repeated(block, length) {
  const data = new block.constructor(length);
  for (let at = 0; at < length; at += block.length) {
    data.set(at + block.length <= length ? block : block.subarray(0, length - at), at);
  }
  return data;
}

/** `length` numbers in [-scale, scale): what `valueAt` says. */
export function floats(length, scale = 1) {
  return repeated(
    pattern.map((x) => x * scale),
    length,
  );
}

/** The same as f16, in 16-bit words. */
export function halves(length, scale = 1) {
  return repeated(
    Uint16Array.from(pattern, (x) => toHalf(x * scale)),
    length,
  );
}

/** Bytes of all values, for packed weights. */
export function bytes(length) {
  return repeated(
    Uint8Array.from(pattern, (x) => Math.floor((x + 1) * 128)),
    length,
  );
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of the nearest f16, for finite numbers. */
export function toHalf(x) {
  scratch.setFloat32(0, x);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(x);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const exponent = ((bits >>> 23) & 255) - 127;
  return sign | (((exponent + 15) << 10) + roundEven((magnitude / 2 ** exponent - 1) * 1024));
}

function roundEven(x) {
  const low = Math.floor(x);
  const rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

/** The number that f16 bits stand for. */
export function fromHalf(bits) {
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Element i of a tensor's data as a number; words of 16 bits are f16. */
export const numberAt = (data, i) =>
  data instanceof Uint16Array ? fromHalf(data[i]) : Number(data[i]);

/** sqrt(sum (got - expected)^2 / sum expected^2); NaN where something is not finite. */
export function relativeL2(expected, got) {
  let square = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; ++i) {
    square += (got[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return norm === 0 ? Math.sqrt(square) : Math.sqrt(square / norm);
}
