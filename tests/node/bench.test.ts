// What the bench makes of its measurements: errors, medians with their spread, the table.

import { expect, test } from 'vitest';
import { freeDimsOf, makeInputs } from '../../bench/lib/inputs.mjs';
import { modelTable, relativeError, spread } from '../../bench/lib/statistics.mjs';
import { verdictLine, verdicts } from '../../bench/lib/verdicts.mjs';

test('errors count all outputs together, f16 as its numbers', () => {
  const expected = { y: { data: Float32Array.of(3, 4) }, z: { data: BigInt64Array.of(0n) } };
  expect(relativeError(expected, expected)).toBe(0);
  const got = { ...expected, y: { data: Float32Array.of(3, 4.5) } };
  expect(relativeError(expected, got)).toBeCloseTo(0.1, 6);
  const halves = { y: { data: Uint16Array.of(0x4200, 0x4400) }, z: { data: [0] } }; // 3 and 4
  expect(relativeError(expected, halves)).toBe(0);
  expect(relativeError(expected, { y: expected.y })).toBe("no output 'z'");
  const short = { ...expected, y: { data: [3] } };
  expect(relativeError(expected, short)).toBe("'y': 1 elements, not 2");
  expect(relativeError(expected, { ...expected, y: { data: [3, NaN] } })).toBe('not a number');
});

test('a spread is the median and the tenths beside it', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(spread(values)).toEqual({ count: 100, median: 51, p10: 11, p90: 91 });
  expect(spread([]).median).toBeUndefined();
});

test('a row says what is missing, failed or wrong', () => {
  const text = modelTable({
    ...{ title: 'model 1x3', nodes: 7 },
    rows: [
      {
        engine: 'one',
        load: 1234.5,
        first: 12.34,
        run: spread([1, 2, 3]),
        error: 1e-7,
        gpu: 0.0456,
      },
      { engine: 'two', missing: 'not installed: x' },
      { engine: 'three', error: 'not a number', dispatches: 15, gpuBytes: 5e6 },
    ],
  });
  const [title, head, ...rows] = text.split('\n');
  expect(title).toBe('model 1x3, 7 nodes in the file');
  expect(head).toMatch(
    /^engine +load +first +again +median +p10 +p90 +pipelined +GPU +submit +dispatches/,
  );
  expect(rows[0]).toMatch(/^one +1235 +12\.3 +- +2\.00 +1\.00 +3\.00 +- +0\.046 .* 1\.0e-7$/);
  expect(rows[1]).toMatch(/^two .*not installed: x$/);
  expect(rows[2]).toMatch(/^three .* 15 +5\.0 .*not a number$/);
});

test('inputs follow their texts, and say what symbolic dims are', () => {
  const declared = [
    { name: 'ids', dtype: 'i64', dims: ['batch', 'n'] },
    { name: 'x', dtype: 'f32', dims: ['batch', 3, 'n'] },
  ];
  const inputs = makeInputs('m', declared, { ids: '2x5*7', x: '2x3x4=1.5' });
  expect(inputs.ids!.data).toBeInstanceOf(BigInt64Array);
  expect(Math.max(...Array.from(inputs.ids!.data, Number))).toBeLessThan(7);
  expect(new Set(inputs.x!.data as Float32Array)).toEqual(new Set([1.5]));
  expect(freeDimsOf(declared, inputs)).toEqual({ batch: 2 }); // they disagree on n
  expect(makeInputs('m', declared).x!.dims).toEqual([1, 3, 1]);
  expect(() => makeInputs('m', declared, { y: '1' })).toThrow("m: no input 'y', only ids, x");
});

test('bars: against the best peer that is right, and the floor', () => {
  const run = (median: number) => ({ count: 3, median, p10: median, p90: median });
  const rows = [
    { key: 'quern', engine: 'Quern', load: 100, first: 20, error: 0, hostBytes: 5e6 },
    { key: 'ort', engine: 'a', load: 300, first: 100, run: run(40), pipelined: 9, error: 1e-6 },
    { key: 'ort-jspi', engine: 'b', load: 200, first: 50, run: run(10), pipelined: 3, error: 0.5 },
    { key: 'floor', engine: 'floor', run: run(1) },
  ];
  Object.assign(rows[0]!, { run: run(2), pipelined: 1, gpu: 0.5 });
  const found = Object.fromEntries(verdicts({ rows }).map((one) => [one.what, one]));
  expect(found['median']).toMatchObject({ value: 20, ok: true, text: 'x20.0' });
  expect(found['throughput']).toMatchObject({ value: 9, ok: true });
  expect(found['load to first result']).toMatchObject({ value: 0.3, ok: true, text: '30%' });
  expect(found['1.3 floors + GPU time']!.value).toBeCloseTo(2 / 1.8, 6);
  expect(found['1.3 floors + GPU time']!.ok).toBe(false);
  expect(found['host memory']!.ok).toBe(true);
  expect(verdictLine(verdicts({ rows }))).toContain('2.000 of 1.800 ms (bar missed)');
  expect(verdicts({ rows: rows.slice(1) })).toEqual([]);
  const wrong = verdicts({ rows: [rows[0]!, rows[2]!] })[0];
  expect(wrong).toMatchObject({ what: 'median', value: 5, text: 'x5.0 of wrong results' });
});
