import { describe, expect, test } from 'vitest';
import type { ValueInfo } from './backend.js';
import type { DType } from './dtype.js';
import { toTensor, type TensorFeed } from './feeds.js';
import { Tensor } from './tensor.js';

const input = (dtype: DType, dims?: (number | string)[]): ValueInfo => ({ name: 'x', dtype, dims });
const data = (info: ValueInfo, feed: TensorFeed): unknown => toTensor(info, feed).data;
const dims = (info: ValueInfo, feed: TensorFeed): readonly number[] => toTensor(info, feed).dims;

describe('toTensor', () => {
  test('keeps exact arrays and tensors as they are', () => {
    const array = Float32Array.of(1, 2);
    expect(data(input('f32', [2]), array)).toBe(array);
    const tensor = new Tensor('f32', [2], array);
    expect(toTensor(input('f32', ['n']), tensor)).toBe(tensor);
    expect(() => toTensor(input('i32', [2]), tensor)).toThrow(
      "input 'x': expected i32[2] (Int32Array or numbers), got a tensor of f32",
    );
  });

  test('finds the dims that the model leaves open', () => {
    const six = new Float32Array(6);
    expect(dims(input('f32', [2, 3]), six)).toEqual([2, 3]);
    expect(dims(input('f32', ['batch', 3]), six)).toEqual([2, 3]);
    expect(dims(input('f32', [2, 'n', 1]), six)).toEqual([2, 3, 1]);
    expect(dims(input('f32', ['a', 'b']), { data: six, dims: [3, 2] })).toEqual([3, 2]);
    for (const wrong of [['a', 'b'], ['a', 4], undefined]) {
      expect(() => toTensor(input('f32', wrong), six)).toThrow(/6 elements do not say/);
    }
    expect(() => toTensor(input('f32', [5]), six)).toThrow(
      "input 'x': tensor: f32[5] takes 20 bytes, got 24",
    );
    expect(() => toTensor(input('f32'), { data: six, dims: [7] })).toThrow(/takes 28 bytes/);
  });

  test('takes scalars', () => {
    expect(data(input('f32', []), 1.5)).toEqual(Float32Array.of(1.5));
    expect(dims(input('i64', [1, 'n']), 3)).toEqual([1, 1]);
    expect(data(input('i64', []), 16000)).toEqual(BigInt64Array.of(16000n));
    expect(data(input('bool', []), true)).toEqual(Uint8Array.of(1));
    expect(data(input('string', []), 'a')).toEqual(['a']);
    expect(dims(input('f32'), 1)).toEqual([]);
  });

  test('converts integers with a check of their range', () => {
    expect(data(input('i64', ['n']), [1, -2n, 3])).toEqual(BigInt64Array.of(1n, -2n, 3n));
    expect(data(input('i64', ['n']), Int32Array.of(-5))).toEqual(BigInt64Array.of(-5n));
    expect(data(input('i64', ['n']), Uint8Array.of(5))).toEqual(BigInt64Array.of(5n));
    expect(data(input('u64', ['n']), BigInt64Array.of(5n))).toEqual(BigUint64Array.of(5n));
    expect(data(input('u8', ['n']), [0, 255])).toEqual(Uint8Array.of(0, 255));
    expect(data(input('u8', ['n']), Uint8ClampedArray.of(9))).toEqual(Uint8Array.of(9));
    const wrong: [DType, TensorFeed][] = [
      ['i64', [2 ** 53]],
      ['i64', [0.5]],
      ['i64', [2n ** 63n]],
      ['u64', [-1n]],
      ['u64', Int32Array.of(-1)],
      ['u8', [256]],
      ['u8', [-1]],
      ['i32', [0.5]],
      ['i32', [2 ** 31]],
    ];
    for (const [dtype, feed] of wrong) {
      expect(() => toTensor(input(dtype, ['n']), feed), dtype).toThrow(
        new RegExp(`^input 'x': -?[\\d.]+ is no ${dtype}$`),
      );
    }
  });

  test('converts numbers to floats, booleans to bytes', () => {
    expect(data(input('f32', ['n']), [1, 2])).toEqual(Float32Array.of(1, 2));
    expect(data(input('bool', ['n']), [true, false])).toEqual(Uint8Array.of(1, 0));
    expect(data(input('bool', ['n']), Uint8Array.of(1))).toEqual(Uint8Array.of(1));
    const f16 = toTensor(input('f16', ['n']), Float32Array.of(1.5, -2));
    expect([f16.get(0), f16.get(1)]).toEqual([1.5, -2]);
    expect(toTensor(input('f16', ['n']), Uint16Array.of(0x3c00)).get(0)).toBe(1);
  });

  test('takes packed types as bytes', () => {
    expect(toTensor(input('u4', [3]), Uint8Array.of(0x21, 3)).get(1)).toBe(2);
    expect(() => toTensor(input('u4', [2]), [1, 2])).toThrow(/u4 takes its packed bytes/);
  });

  test('refuses other arrays', () => {
    const wrong: [DType, TensorFeed][] = [
      ['f32', new Float64Array(2)],
      ['f32', Int32Array.of(1, 2)],
      ['i32', Float32Array.of(1, 2)],
      ['i64', Float32Array.of(1, 2)],
      ['string', Uint8Array.of(1, 2)],
      ['string', [1, 2]],
      ['f32', ['1', '2']],
      ['f32', new DataView(new ArrayBuffer(8))],
      ['f32', undefined as never],
      ['f32', {} as never],
    ];
    for (const [dtype, feed] of wrong) {
      expect(() => toTensor(input(dtype, [2]), feed), dtype).toThrow(/^input 'x': /);
    }
  });
});
