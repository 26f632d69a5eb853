// Element types, named as in src/ir/dtype.h and numbered as in ONNX.

/** In order of ONNX's TensorProto.DataType, from 1. */
const names = [
  ...(['f32', 'u8', 'i8', 'u16', 'i16', 'i32', 'i64', 'string', 'bool', 'f16', 'f64'] as const),
  ...(['u32', 'u64', 'c64', 'c128', 'bf16', 'f8e4m3fn', 'f8e4m3fnuz', 'f8e5m2'] as const),
  ...(['f8e5m2fnuz', 'u4', 'i4', 'f4e2m1', 'f8e8m0', 'u2', 'i2'] as const),
] as const;

export type DType = (typeof names)[number];

/** The type with that number, or undefined. */
export function dtypeOf(number: number): DType | undefined {
  return names[number - 1];
}

export function numberOf(dtype: DType): number {
  return names.indexOf(dtype) + 1;
}

/** A Float16Array, where the engine has them; typed loosely since TypeScript's library lacks it. */
export interface Float16ArrayLike extends ArrayBufferView<ArrayBuffer> {
  readonly length: number;
  [index: number]: number;
  set(values: ArrayLike<number>, offset?: number): void;
}

/** What a tensor's elements lie in. Types under a byte are packed, low bits first. */
export interface DataByType {
  f32: Float32Array<ArrayBuffer>;
  u8: Uint8Array<ArrayBuffer>;
  i8: Int8Array<ArrayBuffer>;
  u16: Uint16Array<ArrayBuffer>;
  i16: Int16Array<ArrayBuffer>;
  i32: Int32Array<ArrayBuffer>;
  i64: BigInt64Array<ArrayBuffer>;
  string: string[];
  bool: Uint8Array<ArrayBuffer>;
  /** A Float16Array where the engine has it, else the bits. */
  f16: Float16ArrayLike | Uint16Array<ArrayBuffer>;
  f64: Float64Array<ArrayBuffer>;
  u32: Uint32Array<ArrayBuffer>;
  u64: BigUint64Array<ArrayBuffer>;
  /** Real, imaginary, real, ... */
  c64: Float32Array<ArrayBuffer>;
  c128: Float64Array<ArrayBuffer>;
  bf16: Uint16Array<ArrayBuffer>;
  f8e4m3fn: Uint8Array<ArrayBuffer>;
  f8e4m3fnuz: Uint8Array<ArrayBuffer>;
  f8e5m2: Uint8Array<ArrayBuffer>;
  f8e5m2fnuz: Uint8Array<ArrayBuffer>;
  u4: Uint8Array<ArrayBuffer>;
  i4: Uint8Array<ArrayBuffer>;
  f4e2m1: Uint8Array<ArrayBuffer>;
  f8e8m0: Uint8Array<ArrayBuffer>;
  u2: Uint8Array<ArrayBuffer>;
  i2: Uint8Array<ArrayBuffer>;
}

export type TensorData = DataByType[DType];
export type NumericDType = Exclude<DType, 'string'>;
export type NumericData = DataByType[NumericDType];

interface ArrayType {
  new (buffer: ArrayBuffer): NumericData;
  readonly BYTES_PER_ELEMENT: number;
}

const float16Array = (globalThis as { Float16Array?: ArrayType }).Float16Array;

const arrays: Partial<Record<NumericDType, ArrayType>> = {
  f32: Float32Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  f16: float16Array ?? Uint16Array,
  f64: Float64Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  c64: Float32Array,
  c128: Float64Array,
  bf16: Uint16Array,
};

/** The kind of array that holds the type: bytes for all types of a byte or less. */
export function arrayOf(dtype: NumericDType): ArrayType {
  return arrays[dtype] ?? Uint8Array;
}

/** Bits of one element; 0 for strings. */
export function bitWidth(dtype: DType): number {
  if (dtype === 'string') return 0;
  if (dtype === 'u4' || dtype === 'i4' || dtype === 'f4e2m1') return 4;
  if (dtype === 'u2' || dtype === 'i2') return 2;
  return arrayOf(dtype).BYTES_PER_ELEMENT * (dtype === 'c64' || dtype === 'c128' ? 16 : 8);
}

/** Bytes that `count` elements take. */
export function byteSize(dtype: DType, count: number): number {
  return Math.ceil((count * bitWidth(dtype)) / 8);
}

/** Elements in a tensor of these dims (1 for a scalar). */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((count, dim) => count * dim, 1);
}

/** The bytes as the array of `dtype`; they are copied where their alignment asks for it. */
export function dataFromBytes<D extends NumericDType>(
  dtype: D,
  bytes: Uint8Array<ArrayBuffer>,
): DataByType[D] {
  const whole = bytes.byteLength === bytes.buffer.byteLength;
  return new (arrayOf(dtype))(whole ? bytes.buffer : bytes.slice().buffer) as DataByType[D];
}

/** The bytes under a typed array, not copied. */
export function bytesOf<B extends ArrayBufferLike>(data: ArrayBufferView<B>): Uint8Array<B> {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** The f16 bits of a number, rounded to nearest even. */
export function f16Bits(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 makes the float's own rounding do the work.
    floatView[0] = Math.abs(value) + 0.5;
    return sign | (bitsView[0]! - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}
