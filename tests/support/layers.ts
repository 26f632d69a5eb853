// Numbers for layers of networks that tests write.

import {
  bytesOf,
  dataFromBytes,
  decodeElements,
  encodeSmallFloat,
  type NumericData,
} from './dtype.js';
import type { TensorValue } from './pb.js';

export type FloatType = 'f32' | 'f16';

export function floats(
  name: string,
  type: FloatType,
  dims: number[],
  values: Float32Array,
): TensorValue {
  const data =
    type === 'f32' ? values : Uint16Array.from(values, (x) => encodeSmallFloat('f16', x));
  return { name, dtype: type, dims, data };
}

/** Numbers in [-1, 1) that are the same in every run. */
export function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function numbersOf(data: NumericData, type: FloatType): ArrayLike<number> {
  const bits = dataFromBytes(type, bytesOf(data));
  return decodeElements(type, bits, bits.length) as ArrayLike<number>;
}
