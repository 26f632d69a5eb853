import { describe, expect, it } from 'vitest';

import { LatestPlan, planKey } from './plan-key.js';
import { Tensor } from './tensor.js';

const f32 = (...dims: number[]) =>
  new Tensor('f32', dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));
const i64 = (...values: bigint[]) => new Tensor('i64', [values.length], BigInt64Array.from(values));

describe('plan keys', () => {
  it('differ by dims, and by contents that the host reads', () => {
    expect(planKey([f32(2, 3), i64(1n)], [])).toBe(planKey([f32(2, 3), i64(2n)], []));
    expect(planKey([f32(2, 3), i64(1n)], [1])).not.toBe(planKey([f32(2, 3), i64(2n)], [1]));
    expect(planKey([f32(2, 3)], [])).not.toBe(planKey([f32(3, 2)], []));
    expect(planKey([f32(2), undefined], [])).not.toBe(planKey([f32(2), f32(1)], []));
  });
});

describe('the latest plan', () => {
  const plan = {};
  const latest = LatestPlan.of(plan, [f32(2, 3), i64(1n, 2n), undefined], [1]);

  it('is for inputs of the same dims and host contents', () => {
    expect(latest?.planFor([f32(2, 3), i64(1n, 2n), undefined])).toBe(plan);
  });
  it('is for no others', () => {
    expect(latest?.planFor([f32(3, 2), i64(1n, 2n), undefined])).toBeUndefined();
    expect(latest?.planFor([f32(2, 3, 1), i64(1n, 2n), undefined])).toBeUndefined();
    expect(latest?.planFor([f32(2, 3), i64(1n, 3n), undefined])).toBeUndefined();
    expect(latest?.planFor([f32(2, 3), i64(1n, 2n), f32(1)])).toBeUndefined();
    expect(latest?.planFor([f32(2, 3), undefined, undefined])).toBeUndefined();
  });
  it('keeps what the host read then, not the caller’s array', () => {
    const fed = i64(1n);
    const kept = LatestPlan.of(plan, [fed], [0]);
    (fed.data as BigInt64Array)[0] = 2n;
    expect(kept?.planFor([fed])).toBeUndefined();
  });
  it('is none where the host reads strings or much, or inputs are sequences', () => {
    expect(LatestPlan.of(plan, [new Tensor('string', [1], ['a'])], [0])).toBeUndefined();
    expect(LatestPlan.of(plan, [f32(100)], [0])).toBeUndefined();
    const items = { kind: 'sequence' as const, dtype: 'f32' as const, items: [f32(1)] };
    expect(LatestPlan.of(plan, [items], [])).toBeUndefined();
    expect(latest?.planFor([items, i64(1n, 2n), undefined])).toBeUndefined();
  });
});
