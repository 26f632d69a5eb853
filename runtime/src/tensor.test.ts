import { describe, expect, test } from 'vitest';
import { bitWidth, byteSize, dtypeOf, f16Bits, numberOf, type DType } from './dtype.js';
import { InvalidArgumentError } from './errors.js';
import { f16Value, Tensor } from './tensor.js';

describe('element types', () => {
  test('are numbered as in ONNX', () => {
    expect(numberOf('f32')).toBe(1);
    expect(numberOf('f16')).toBe(10);
    expect(numberOf('i2')).toBe(26);
    for (let number = 1; number <= 26; number++) expect(numberOf(dtypeOf(number)!)).toBe(number);
    expect(dtypeOf(0)).toBeUndefined();
    expect(dtypeOf(27)).toBeUndefined();
  });

  test('have the widths of src/ir/dtype.h', () => {
    const widths: Record<number, DType[]> = {
      0: ['string'],
      2: ['u2', 'i2'],
      4: ['u4', 'i4', 'f4e2m1'],
      8: ['u8', 'i8', 'bool', 'f8e4m3fn', 'f8e4m3fnuz', 'f8e5m2', 'f8e5m2fnuz', 'f8e8m0'],
      16: ['u16', 'i16', 'f16', 'bf16'],
      32: ['f32', 'i32', 'u32'],
      64: ['i64', 'u64', 'f64', 'c64'],
      128: ['c128'],
    };
    for (const [width, types] of Object.entries(widths)) {
      for (const type of types) expect(bitWidth(type), type).toBe(Number(width));
    }
    expect(byteSize('u4', 3)).toBe(2);
    expect(byteSize('i2', 5)).toBe(2);
  });

  test('f16 rounds to nearest even and back', () => {
    const bits: [number, number][] = [
      [0, 0],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [65519.99, 0x7bff],
      [65520, 0x7c00],
      [Infinity, 0x7c00],
      [-Infinity, 0xfc00],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [2 ** -25, 0x0000],
      [2 ** -25 * 1.5, 0x0001],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
      [1023.75 * 2 ** -24, 0x0400],
    ];
    for (const [value, expected] of bits) expect(f16Bits(value), String(value)).toBe(expected);
    expect(f16Value(f16Bits(NaN))).toBeNaN();
    for (let code = 0; code < 0x10000; code++) {
      const value = f16Value(code);
      if (!Number.isNaN(value) && f16Bits(value) !== code) expect(f16Bits(value)).toBe(code);
    }
  });
});

describe('Tensor', () => {
  test('holds data of its dims only', () => {
    const tensor = new Tensor('f32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(tensor).toMatchObject({ dtype: 'f32', dims: [2, 3], size: 6, byteLength: 24 });
    expect(tensor.location).toBe('cpu');
    expect(tensor.get(1, 2)).toBe(6);
    expect(() => tensor.get(1, 3)).toThrow('tensor: [1, 3] is outside of dims [2, 3]');
    expect(() => tensor.get(1)).toThrow(InvalidArgumentError);
    expect(() => tensor.get(0.5, 0)).toThrow(InvalidArgumentError);
    expect(() => tensor.buffer).toThrow(/on the CPU/);
    expect(() => new Tensor('f32', [2], new Float32Array(3))).toThrow(
      'tensor: f32[2] takes 8 bytes, got 12',
    );
    expect(() => new Tensor('string', [2], ['a'])).toThrow('takes 2 strings, got 1');
    expect(() => new Tensor('f32', [-1], new Float32Array(0))).toThrow(/not whole numbers/);
    expect(new Tensor('f32', [], Float32Array.of(7)).get()).toBe(7);
  });

  test('gives elements of packed and small types as numbers', () => {
    const at = (dtype: DType, bytes: Uint8Array<ArrayBuffer>, index: number, size: number) =>
      new Tensor(dtype, [size], bytes).get(index);
    expect([0, 1, 2].map((i) => at('u4', Uint8Array.of(0x5f, 0x0a), i, 3))).toEqual([15, 5, 10]);
    expect([0, 1].map((i) => at('i4', Uint8Array.of(0x78), i, 2))).toEqual([-8, 7]);
    expect([0, 1, 2, 3].map((i) => at('i2', Uint8Array.of(0b11100100), i, 4))).toEqual([
      0, 1, -2, -1,
    ]);
    expect(at('bool', Uint8Array.of(0, 1), 1, 2)).toBe(true);
    const bf16 = new Tensor('bf16', [2], Uint16Array.of(0x3f80, 0xc020));
    expect([bf16.get(0), bf16.get(1)]).toEqual([1, -2.5]);
    const f16 = new Tensor('f16', [1], Uint16Array.of(0x3e00));
    expect(f16.get(0)).toBe(1.5);
    expect(new Tensor('i64', [1], BigInt64Array.of(-3n)).get(0)).toBe(-3n);
  });

  test('is of no use once disposed', async () => {
    const tensor = new Tensor('f32', [1], Float32Array.of(1));
    expect(await tensor.read()).toBe(tensor);
    tensor[Symbol.dispose]();
    expect(() => tensor.data).toThrow('tensor: it is disposed');
  });
});
