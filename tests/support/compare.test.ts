import { describe, expect, test } from 'vitest';
import { compare } from './compare.js';
import { tensor } from './onnx.js';

const tolerance = { relL2: 1e-4, rtol: 1e-3, atol: 1e-3 };
const f32 = (values: number[], dims = [values.length]) => tensor('y', 'f32', dims, values);

describe('compare', () => {
  test('passes within the tolerance, and reports the error', () => {
    const result = compare(f32([1000, 2000]), f32([1000.01, 2000]), tolerance);
    expect(result).toMatchObject({ ok: true, message: '', worstIndex: 0 });
    expect(result.relL2).toBeCloseTo(0.01 / Math.hypot(1000, 2000), 7);
    expect(result.maxAbs).toBeCloseTo(0.01, 3);
  });

  test('names the worst element', () => {
    const result = compare(
      f32([1, 2, 3, 4, 5, 6], [2, 3]),
      f32([1, 2, 3, 4.5, 5.1, 6], [2, 3]),
      tolerance,
    );
    expect(result).toMatchObject({ ok: false, worstIndex: 3, expected: 4, got: 4.5 });
    expect(result.message).toMatch(/^y\[1, 0\]: expected 4, got 4.5 \(.* 2 of 6 elements/);
  });

  test('fails on the norm where every element is within its bound', () => {
    const result = compare(f32([0.01, 0.01]), f32([0.0105, 0.0105]), tolerance);
    expect(result.ok).toBe(false);
    expect(result.message).toContain('0 of 2 elements out of bounds');
  });

  test('lets noise around a reference of zeros pass', () => {
    expect(compare(f32([0, 0]), f32([1e-6, 0]), tolerance).ok).toBe(true);
    expect(compare(f32([0, 0]), f32([1e-2, 0]), tolerance).ok).toBe(false);
  });

  test('NaN and infinities are equal to themselves only', () => {
    const special = [NaN, Infinity, -Infinity, 1];
    expect(compare(f32(special), f32(special), tolerance).ok).toBe(true);
    special.slice(0, 3).forEach((_, i) => {
      const other = special.with(i, 0);
      expect(compare(f32(special), f32(other), tolerance)).toMatchObject({
        ok: false,
        worstIndex: i,
      });
      expect(compare(f32(other), f32(special), tolerance)).toMatchObject({
        ok: false,
        worstIndex: i,
      });
    });
    expect(compare(f32([Infinity]), f32([-Infinity]), tolerance).ok).toBe(false);
  });

  test('integers and strings are exact', () => {
    const i64 = (values: bigint[]) => tensor('ids', 'i64', [2], values);
    expect(compare(i64([1n, 2n]), i64([1n, 2n]), tolerance).ok).toBe(true);
    expect(compare(i64([1n, 1n << 62n]), i64([1n, (1n << 62n) + 1n]), tolerance)).toMatchObject({
      ok: false,
      worstIndex: 1,
      got: (1n << 62n) + 1n,
    });
    const text = (values: string[]) => tensor('s', 'string', [1], values);
    expect(compare(text(['a']), text(['b']), tolerance).message).toBe(
      's[0]: expected "a", got "b" (1 of 1 elements differ)',
    );
  });

  test('small floating-point formats are decoded, packed integers exact', () => {
    const half = (bits: number) => tensor('h', 'f16', [1], [bits]);
    expect(compare(half(0x3c00), half(0x3c01), tolerance).ok).toBe(false);
    expect(compare(half(0x3c00), half(0x3c01), { relL2: 1e-2, rtol: 1e-2, atol: 0 }).ok).toBe(true);
    expect(compare(half(0x7e00), half(0x7e01), tolerance).ok).toBe(true); // both NaN
    const nibbles = (byte: number) => tensor('n', 'i4', [2], [byte]);
    expect(compare(nibbles(0xf1), nibbles(0xe1), tolerance)).toMatchObject({
      ok: false,
      worstIndex: 1,
      expected: -1,
      got: -2,
    });
  });

  test('types, shapes and kinds must agree', () => {
    expect(compare(f32([1]), tensor('y', 'i32', [1], [1]), tolerance).message).toBe(
      'y: expected type f32, got i32',
    );
    expect(compare(f32([1, 2], [2, 1]), f32([1, 2], [1, 2]), tolerance).message).toBe(
      'y: expected shape [2, 1], got [1, 2]',
    );
    expect(compare(f32([], [0, 3]), f32([], [0, 3]), tolerance).ok).toBe(true);
    const sequence = { name: 's', items: [f32([1]), f32([2])] };
    expect(compare(sequence, { name: 's', items: [f32([1])] }, tolerance).message).toBe(
      's: expected 2 items, got 1',
    );
    expect(
      compare(sequence, { name: 's', items: [f32([1]), f32([3])] }, tolerance).message,
    ).toMatch(/^s\[1\]\[0\]: expected 2, got 3/);
  });
});
