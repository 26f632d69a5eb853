// onnxruntime's names of element types, Quern's, and the arrays that elements lie in.

import { arrayOf, type DType, type NumericDType } from '../dtype.js';
import type { Tensor } from './tensor-types.js';

const quernNames: Record<Tensor.Type, DType> = {
  float32: 'f32',
  uint8: 'u8',
  int8: 'i8',
  uint16: 'u16',
  int16: 'i16',
  int32: 'i32',
  int64: 'i64',
  string: 'string',
  bool: 'bool',
  float16: 'f16',
  float64: 'f64',
  uint32: 'u32',
  uint64: 'u64',
  uint4: 'u4',
  int4: 'i4',
};
const ortNames = new Map(
  Object.entries(quernNames).map(([name, dtype]) => [dtype, name as Tensor.Type]),
);
/** Types that a model may have and a Tensor of this API may not, by the names of ONNX. */
const otherNames: Partial<Record<DType, string>> = {
  c64: 'complex64',
  c128: 'complex128',
  bf16: 'bfloat16',
  f8e4m3fn: 'float8e4m3fn',
  f8e4m3fnuz: 'float8e4m3fnuz',
  f8e5m2: 'float8e5m2',
  f8e5m2fnuz: 'float8e5m2fnuz',
  f4e2m1: 'float4e2m1',
  f8e8m0: 'float8e8m0',
  u2: 'uint2',
  i2: 'int2',
};

/** undefined: there is no such type. */
export function dtypeOfName(name: string): DType | undefined {
  return Object.hasOwn(quernNames, name) ? quernNames[name as Tensor.Type] : undefined;
}

/** undefined: a Tensor can't have it. */
export function nameOfDtype(dtype: DType): Tensor.Type | undefined {
  return ortNames.get(dtype);
}

/** For metadata and messages: any type's name. */
export function anyNameOf(dtype: DType): string {
  return ortNames.get(dtype) ?? otherNames[dtype] ?? dtype;
}

export type NumericName = Exclude<Tensor.Type, 'string'>;
export type NumericArray = Tensor.DataTypeMap[NumericName];

interface NumericArrayType {
  readonly name: string;
  new (buffer: ArrayBufferLike, offset: number, length: number): NumericArray;
  from(values: ArrayLike<unknown>): NumericArray;
}

export function arrayOfName(name: NumericName): NumericArrayType {
  return arrayOf(quernNames[name] as NumericDType) as unknown as NumericArrayType;
}

const typeOfArray: Record<string, NumericName> = {
  Float32Array: 'float32',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
  Int8Array: 'int8',
  Uint16Array: 'uint16',
  Int16Array: 'int16',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
  Float16Array: 'float16',
  Float64Array: 'float64',
  Uint32Array: 'uint32',
  BigUint64Array: 'uint64',
};

/** The kind of a typed array, also where it comes from another realm or is a Buffer. */
export function kindOf(data: unknown): string {
  const tag = ArrayBuffer.isView(data) ? Object.prototype.toString.call(data) : '';
  return tag.slice('[object '.length, -1);
}

/** The type that a typed array stands for. */
export function nameOfArray(data: unknown): NumericName | undefined {
  const kind = kindOf(data);
  return Object.hasOwn(typeOfArray, kind) ? typeOfArray[kind] : undefined;
}
