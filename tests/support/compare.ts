// Compares an output with its reference, and says in words where they differ.

import { absoluteNoise } from '../../runtime/src/cli/compare.js';
import { bytesOf, decodeElements, elementCount, isFloat, type NumericData } from './dtype.js';
import { isSequence, isTensor, type OnnxValue, type TensorValue } from './pb.js';

/**
 * How far floating-point values may lie apart: over the tensor by the relative L2 error, and each
 * element by |a - b| <= atol + rtol |b|. Integers, booleans and strings must be equal.
 */
export interface Tolerance {
  relL2: number;
  rtol: number;
  atol: number;
}

/** The project's bars for f32 models. */
export const webgpuTolerance: Tolerance = { relL2: 1e-4, rtol: 1e-3, atol: 1e-3 };
export const cpuTolerance: Tolerance = { relL2: 1e-5, rtol: 1e-3, atol: 1e-3 };

export interface Comparison {
  ok: boolean;
  /** The L2 norm of the difference over that of the reference, where both are finite. */
  relL2: number;
  /** The largest absolute difference. */
  maxAbs: number;
  /** The flat index of the element that lies farthest outside its bound, -1 where there is none. */
  worstIndex: number;
  expected: number | bigint | string | undefined;
  got: number | bigint | string | undefined;
  /** Empty where ok. */
  message: string;
}

const same: Comparison = {
  ok: true,
  relL2: 0,
  maxAbs: 0,
  worstIndex: -1,
  expected: undefined,
  got: undefined,
  message: '',
};

function differs(message: string): Comparison {
  return { ...same, ok: false, relL2: Infinity, maxAbs: Infinity, message };
}

/** Compares `actual` with `reference`. NaN equals NaN, an infinity equals itself. */
export function compare(
  reference: OnnxValue,
  actual: OnnxValue,
  tolerance: Tolerance,
  name = reference.name || actual.name,
): Comparison {
  if (isTensor(reference)) {
    return isTensor(actual)
      ? compareTensors(reference, actual, tolerance, name)
      : differs(`${name}: expected a tensor`);
  }
  if (isSequence(reference)) {
    if (!isSequence(actual)) return differs(`${name}: expected a sequence`);
    const { items } = actual;
    if (items.length !== reference.items.length) {
      return differs(`${name}: expected ${reference.items.length} items, got ${items.length}`);
    }
    const results = reference.items.map((item, i) =>
      compare(item, items[i]!, tolerance, `${name}[${i}]`),
    );
    return worst(results);
  }
  if (isTensor(actual) || isSequence(actual)) return differs(`${name}: expected an optional`);
  if (!reference.value || !actual.value) {
    if (!reference.value && !actual.value) return same;
    return differs(`${name}: expected ${reference.value ? 'a value' : 'no value'}`);
  }
  return compare(reference.value, actual.value, tolerance, name);
}

/** The first failure, or the largest error where none failed. */
function worst(results: readonly Comparison[]): Comparison {
  return (
    results.find(({ ok }) => !ok) ?? results.reduce((a, b) => (b.relL2 > a.relL2 ? b : a), same)
  );
}

function compareTensors(
  reference: TensorValue,
  actual: TensorValue,
  tolerance: Tolerance,
  name: string,
): Comparison {
  if (reference.dtype !== actual.dtype) {
    return differs(`${name}: expected type ${reference.dtype}, got ${actual.dtype}`);
  }
  const shapes = [reference, actual].map(({ dims }) => `[${dims.join(', ')}]`);
  if (shapes[0] !== shapes[1]) {
    return differs(`${name}: expected shape ${shapes[0]}, got ${shapes[1]}`);
  }
  const count = elementCount(reference.dims);
  if (reference.dtype === 'string') {
    return compareExact(reference.data, actual.data, reference.dims, name);
  }
  const sizes = [reference, actual].map(({ data }) => bytesOf(data as NumericData).byteLength);
  if (sizes[0] !== sizes[1]) {
    return differs(`${name}: expected ${sizes[0]} bytes, got ${sizes[1]}`);
  }
  const expected = decodeElements(reference.dtype, reference.data as NumericData, count);
  const got = decodeElements(reference.dtype, actual.data as NumericData, count);
  if (!isFloat(reference.dtype)) return compareExact(expected, got, reference.dims, name);

  const complex = reference.dtype === 'c64' || reference.dtype === 'c128';
  return compareFloats(
    expected as ArrayLike<number>,
    got as ArrayLike<number>,
    complex ? [...reference.dims, 2] : reference.dims,
    tolerance,
    name,
  );
}

function compareExact(
  expected: ArrayLike<number | bigint | string>,
  got: ArrayLike<number | bigint | string>,
  dims: readonly number[],
  name: string,
): Comparison {
  let wrong = 0;
  let worstIndex = -1;
  let maxAbs = 0;
  for (let i = 0; i < expected.length; i++) {
    if (expected[i] === got[i]) continue;
    wrong++;
    const error =
      typeof expected[i] === 'string' ? 1 : Math.abs(Number(expected[i]) - Number(got[i]));
    if (error > maxAbs || worstIndex < 0) {
      maxAbs = error;
      worstIndex = i;
    }
  }
  if (wrong === 0) return same;
  const values = { expected: expected[worstIndex], got: got[worstIndex] };
  return {
    ...same,
    ...values,
    ok: false,
    maxAbs,
    relL2: Infinity,
    worstIndex,
    message:
      `${name}${multiIndex(worstIndex, dims)}: expected ${quote(values.expected)}, ` +
      `got ${quote(values.got)} (${wrong} of ${expected.length} elements differ)`,
  };
}

function compareFloats(
  expected: ArrayLike<number>,
  got: ArrayLike<number>,
  dims: readonly number[],
  tolerance: Tolerance,
  name: string,
): Comparison {
  let differenceSquared = 0;
  let referenceSquared = 0;
  let maxAbs = 0;
  let outside = 0;
  let worstIndex = -1;
  let worstExcess = -Infinity; // how far beyond its bound an element lies; negative within
  for (let i = 0; i < expected.length; i++) {
    const a = expected[i]!;
    const b = got[i]!;
    if (Object.is(a, b) || a === b) {
      if (Number.isFinite(a)) referenceSquared += a * a;
      continue;
    }
    const finite = Number.isFinite(a) && Number.isFinite(b);
    const error = finite ? Math.abs(a - b) : Infinity;
    const excess = error - (tolerance.atol + tolerance.rtol * (finite ? Math.abs(a) : 0));
    if (excess > 0) outside++;
    if (excess > worstExcess) {
      worstExcess = excess;
      worstIndex = i;
    }
    maxAbs = Math.max(maxAbs, error);
    differenceSquared += error * error;
    if (Number.isFinite(a)) referenceSquared += a * a;
  }

  // A reference of zeros has no relative error: each element's bound decides alone.
  const relL2 = differenceSquared === 0 ? 0 : Math.sqrt(differenceSquared / referenceSquared);
  const noise = differenceSquared <= expected.length * absoluteNoise ** 2;
  const normOk = referenceSquared === 0 ? outside === 0 : noise || relL2 <= tolerance.relL2;
  const ok = outside === 0 && normOk;
  const values = { expected: expected[worstIndex], got: got[worstIndex] };
  const message = ok
    ? ''
    : `${name}${multiIndex(worstIndex, dims)}: expected ${values.expected}, got ${values.got} ` +
      `(relative L2 error ${relL2.toExponential(2)}, largest difference ` +
      `${maxAbs.toExponential(2)}, ${outside} of ${expected.length} elements out of bounds)`;
  return { ok, relL2, maxAbs, worstIndex, ...values, message };
}

function multiIndex(index: number, dims: readonly number[]): string {
  const position: number[] = [];
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    position.unshift(index % dims[axis]!);
    index = Math.floor(index / dims[axis]!);
  }
  return `[${position.join(', ')}]`;
}

function quote(element: number | bigint | string | undefined): string {
  return typeof element === 'string' ? JSON.stringify(element) : String(element);
}
