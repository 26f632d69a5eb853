// Element types of test tensors, named as in src/ir/dtype.h and numbered as in ONNX.

/** ONNX's TensorProto.DataType, by our name. */
export const onnxTypeNumber = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  string: 8,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  c64: 14,
  c128: 15,
  bf16: 16,
  f8e4m3fn: 17,
  f8e4m3fnuz: 18,
  f8e5m2: 19,
  f8e5m2fnuz: 20,
  u4: 21,
  i4: 22,
  f4e2m1: 23,
  f8e8m0: 24,
  u2: 25,
  i2: 26,
} as const;

export type DType = keyof typeof onnxTypeNumber;

const nameByNumber = new Map<number, DType>(
  Object.entries(onnxTypeNumber).map(([name, number]) => [number, name as DType]),
);

/** The type with that ONNX number; throws on an unknown one. */
export function dtypeOf(number: number): DType {
  const name = nameByNumber.get(number);
  if (!name) throw new Error(`unknown ONNX element type ${number}`);
  return name;
}

export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** What a tensor's elements lie in; strings are the one type without bytes. */
export type TensorData = NumericData | string[];

type NumericConstructor = {
  new (length: number): NumericData;
  new (buffer: ArrayBuffer): NumericData;
};

const arrayByType: Record<Exclude<DType, 'string'>, NumericConstructor> = {
  f32: Float32Array,
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  bool: Uint8Array,
  f16: Uint16Array,
  f64: Float64Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  c64: Float32Array, // real, imaginary, real, ...
  c128: Float64Array,
  bf16: Uint16Array,
  f8e4m3fn: Uint8Array,
  f8e4m3fnuz: Uint8Array,
  f8e5m2: Uint8Array,
  f8e5m2fnuz: Uint8Array,
  u4: Uint8Array, // types under a byte are packed, low bits first
  i4: Uint8Array,
  f4e2m1: Uint8Array,
  f8e8m0: Uint8Array,
  u2: Uint8Array,
  i2: Uint8Array,
};

/** Bits of one element; 0 for strings. */
export function bitWidth(dtype: DType): number {
  if (dtype === 'string') return 0;
  if (dtype === 'u4' || dtype === 'i4' || dtype === 'f4e2m1') return 4;
  if (dtype === 'u2' || dtype === 'i2') return 2;
  const bits = new arrayByType[dtype](0).BYTES_PER_ELEMENT * 8;
  return dtype === 'c64' || dtype === 'c128' ? bits * 2 : bits;
}

/** Bytes that `count` elements take. */
export function byteSize(dtype: DType, count: number): number {
  return Math.ceil((count * bitWidth(dtype)) / 8);
}

/** Elements in a tensor of these dims (1 for a scalar). */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((count, dim) => count * dim, 1);
}

/** The bytes as the typed array of `dtype`, copied, so that any alignment will do. */
export function dataFromBytes(dtype: Exclude<DType, 'string'>, bytes: Uint8Array): NumericData {
  return new arrayByType[dtype](new Uint8Array(bytes).buffer);
}

/** A zeroed typed array for `count` elements. */
export function zeroData(dtype: Exclude<DType, 'string'>, count: number): NumericData {
  const array = arrayByType[dtype];
  return new array(byteSize(dtype, count) / new array(0).BYTES_PER_ELEMENT);
}

/** The bytes under a typed array, not copied. */
export function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A small floating-point format: sign, exponent and mantissa bits, bias, what its extremes mean. */
interface FloatFormat {
  exponentBits: number;
  mantissaBits: number;
  bias: number;
  /** ieee: infinities and NaNs; fn: NaN at all ones only; fnuz: NaN at negative zero; finite: neither. */
  kind: 'ieee' | 'fn' | 'fnuz' | 'finite';
}

const floatFormats: Partial<Record<DType, FloatFormat>> = {
  f16: { exponentBits: 5, mantissaBits: 10, bias: 15, kind: 'ieee' },
  bf16: { exponentBits: 8, mantissaBits: 7, bias: 127, kind: 'ieee' },
  f8e4m3fn: { exponentBits: 4, mantissaBits: 3, bias: 7, kind: 'fn' },
  f8e4m3fnuz: { exponentBits: 4, mantissaBits: 3, bias: 8, kind: 'fnuz' },
  f8e5m2: { exponentBits: 5, mantissaBits: 2, bias: 15, kind: 'ieee' },
  f8e5m2fnuz: { exponentBits: 5, mantissaBits: 2, bias: 16, kind: 'fnuz' },
  f4e2m1: { exponentBits: 2, mantissaBits: 1, bias: 1, kind: 'finite' },
};

function decodeSmallFloat(bits: number, format: FloatFormat): number {
  const { exponentBits, mantissaBits, bias, kind } = format;
  const mantissa = bits & ((1 << mantissaBits) - 1);
  const exponentMax = (1 << exponentBits) - 1;
  const exponent = (bits >>> mantissaBits) & exponentMax;
  const negative = bits >>> (mantissaBits + exponentBits) === 1;
  if (kind === 'fnuz' && negative && exponent === 0 && mantissa === 0) return NaN;
  if (kind === 'fn' && exponent === exponentMax && mantissa === (1 << mantissaBits) - 1) return NaN;
  if (kind === 'ieee' && exponent === exponentMax) {
    if (mantissa !== 0) return NaN;
    return negative ? -Infinity : Infinity;
  }
  const magnitude =
    exponent === 0
      ? mantissa * 2 ** (1 - bias - mantissaBits)
      : (1 + mantissa / (1 << mantissaBits)) * 2 ** (exponent - bias);
  return negative ? -magnitude : magnitude;
}

/** The bits of the nearest number of a format below 32 bits, saturated. */
export function encodeSmallFloat(dtype: DType, value: number): number {
  if (dtype === 'f8e8m0') {
    if (!(value > 0)) return 127;
    return Math.max(0, Math.min(254, Math.round(Math.log2(value)) + 127));
  }
  const format = floatFormats[dtype];
  if (!format) throw new Error(`${dtype} is no small floating-point format`);
  const { exponentBits, mantissaBits, bias, kind } = format;
  const sign = value < 0 || Object.is(value, -0) ? 1 << (exponentBits + mantissaBits) : 0;
  const ones = (1 << (exponentBits + mantissaBits)) - 1;
  if (Number.isNaN(value)) return kind === 'fnuz' ? 1 << (exponentBits + mantissaBits) : ones;
  const infinity = ((1 << exponentBits) - 1) << mantissaBits;
  const largest = kind === 'ieee' ? infinity - 1 : kind === 'fn' ? ones - 1 : ones;
  const size = Math.abs(value);
  if (size === Infinity) return sign | (kind === 'ieee' ? infinity : largest);
  if (size === 0) return kind === 'fnuz' ? 0 : sign;
  const power = Math.max(Math.floor(Math.log2(size)), 1 - bias);
  const steps = roundEven(size / 2 ** (power - mantissaBits));
  const code = steps + ((power - 1 + bias) << mantissaBits);
  return sign | Math.min(code, largest);
}

function roundEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** Whether values of the type are compared with a tolerance. */
export function isFloat(dtype: DType): boolean {
  return dtype.startsWith('f') || dtype === 'bf16' || dtype === 'c64' || dtype === 'c128';
}

/**
 * Every element as a number (bigints stay bigints; complex numbers give two), packed and small
 * formats decoded. `count` counts elements, which packed bytes alone do not tell.
 */
export function decodeElements(
  dtype: Exclude<DType, 'string'>,
  data: NumericData,
  count: number,
): ArrayLike<number> | ArrayLike<bigint> {
  const width = bitWidth(dtype);
  let codes: ArrayLike<number> | ArrayLike<bigint> = data;
  if (width < 8) codes = unpackBits(bytesOf(data), width, count);
  if (dtype === 'i4' || dtype === 'i2') {
    const sign = 1 << (width - 1);
    return Int8Array.from(codes as ArrayLike<number>, (code) => (code ^ sign) - sign);
  }
  if (dtype === 'f8e8m0') {
    return Float64Array.from(codes as ArrayLike<number>, (code) =>
      code === 255 ? NaN : 2 ** (code - 127),
    );
  }
  const format = floatFormats[dtype];
  if (!format) return codes;
  return Float64Array.from(codes as ArrayLike<number>, (code) => decodeSmallFloat(code, format));
}

function unpackBits(bytes: Uint8Array, width: number, count: number): Uint8Array {
  const perByte = 8 / width;
  const mask = (1 << width) - 1;
  return Uint8Array.from({ length: count }, (_, i) => {
    const byte = bytes[Math.floor(i / perByte)] ?? 0;
    return (byte >>> ((i % perByte) * width)) & mask;
  });
}
