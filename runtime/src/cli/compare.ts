// Compares a result with its reference.

import { elementAt, Tensor } from '../tensor.js';
import type { Value } from '../value.js';

/**
 * |got - want| <= atol + rtol |want| for each float; and, where l2 > 0, ||got - want|| <= l2 ||want||,
 * past what `absoluteNoise` allows.
 */
export interface Tolerance {
  rtol: number;
  atol: number;
  l2: number;
}

export interface Comparison {
  /** What is wrong, first of all; undefined: nothing. */
  difference: string | undefined;
  /** The largest |got - want| of finite elements. */
  maxError: number;
  relativeL2: number;
}

/**
 * An error of one unit in f32's last place at 1, in every element, is none: near zero no engine's
 * sigmoid or softmax is more exact, and a small probability alone has no other yardstick.
 */
export const absoluteNoise = 2 ** -23;

const isFloat = (dtype: string): boolean => /^(f|bf|c)\d/.test(dtype);

/** Integers, booleans and strings must be equal; NaN is equal to NaN. */
export function compare(got: Tensor, want: Tensor, { rtol, atol, l2 }: Tolerance): Comparison {
  const failed = (difference: string): Comparison => {
    return { difference, maxError: NaN, relativeL2: NaN };
  };
  const shown = ({ dtype, dims }: Tensor): string => `${dtype}[${dims.join(', ')}]`;
  if (got.dtype !== want.dtype || String(got.dims) !== String(want.dims)) {
    return failed(`expected ${shown(want)}, got ${shown(got)}`);
  }
  const float = isFloat(want.dtype);
  const complex = want.dtype.startsWith('c');
  const count = want.size * (complex ? 2 : 1);
  let [maxError, squares, whole, wrong] = [0, 0, 0, 0];
  let first = '';
  for (let i = 0; i < count; i++) {
    const a = elementAt(got, i);
    const b = elementAt(want, i);
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) {
      if (typeof b === 'number' && Number.isFinite(b)) whole += b * b;
      continue;
    }
    const error = Math.abs(Number(a) - Number(b));
    if (Number.isFinite(error)) {
      maxError = Math.max(maxError, error);
      squares += error * error;
      whole += Number(b) ** 2;
    }
    // A NaN error is beyond every bound.
    if (float && error <= atol + rtol * Math.abs(Number(b))) continue;
    wrong++;
    first ||= `element ${position(complex ? i >> 1 : i, want.dims)} is ${show(a)}, expected ${show(b)}`;
    if (wrong === 1 && typeof a === 'number') first += `, off by ${error.toPrecision(3)}`;
  }
  const relativeL2 = squares === 0 ? 0 : Math.sqrt(squares / whole);
  let difference: string | undefined;
  if (wrong > 0) {
    difference = `${first}; ${wrong} of ${count} elements differ`;
  } else if (l2 > 0 && float && relativeL2 > l2 && squares > count * absoluteNoise ** 2) {
    difference = `relative L2 error ${relativeL2.toExponential(2)}, at most ${l2} is allowed`;
  }
  return { difference, maxError, relativeL2 };
}

/** The same for values of all kinds, element by element. */
export function compareValues(got: Value, want: Value, tolerance: Tolerance): Comparison {
  if (got instanceof Tensor && want instanceof Tensor) return compare(got, want, tolerance);
  const fine: Comparison = { difference: undefined, maxError: 0, relativeL2: 0 };
  const failed = (difference: string): Comparison => ({ ...fine, difference, maxError: NaN });
  if (got === null && want === null) return fine;
  if (got instanceof Map && want instanceof Map) return compareMaps(got, want, tolerance);
  if (!Array.isArray(got) || !Array.isArray(want)) return failed('another kind of value');
  if (got.length !== want.length) {
    return failed(`expected ${want.length} elements, got ${got.length}`);
  }
  let whole = fine;
  for (const [i, element] of want.entries()) {
    const one = compareValues(got[i]!, element, tolerance);
    if (one.difference !== undefined) return failed(`at ${i}: ${one.difference}`);
    whole = {
      ...fine,
      maxError: Math.max(whole.maxError, one.maxError),
      relativeL2: Math.max(whole.relativeL2, one.relativeL2),
    };
  }
  return whole;
}

function compareMaps(
  got: Value & Map<unknown, unknown>,
  want: Value & Map<unknown, unknown>,
  { rtol, atol }: Tolerance,
): Comparison {
  let maxError = 0;
  let difference: string | undefined;
  if (got.size !== want.size) difference = `expected ${want.size} keys, got ${got.size}`;
  for (const [key, value] of want) {
    const other = got.get(key);
    if (other === value) continue;
    const error = Math.abs(Number(other) - Number(value));
    if (typeof value === 'number' && error <= atol + rtol * Math.abs(value)) {
      maxError = Math.max(maxError, error);
    } else {
      difference ??= `at key ${String(key)}: expected ${String(value)}, got ${String(other)}`;
    }
  }
  return { difference, maxError, relativeL2: 0 };
}

function position(index: number, dims: readonly number[]): string {
  const at: number[] = [];
  for (const dim of [...dims].reverse()) {
    at.unshift(index % dim);
    index = Math.floor(index / dim);
  }
  return `[${at.join(', ')}]`;
}

function show(element: number | bigint | string | boolean): string {
  if (typeof element === 'string') return JSON.stringify(element);
  return typeof element === 'number' && !Number.isInteger(element)
    ? element.toPrecision(8)
    : String(element);
}
