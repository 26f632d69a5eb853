// What the bench makes of its measurements: errors, medians with their spread, the table.

import { expect, test } from 'vitest';
import { modelTable, relativeError, spread } from '../../bench/lib/statistics.mjs';

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
    /^engine +load +first +median +p10 +p90 +pipelined +GPU +submit +dispatches/,
  );
  expect(rows[0]).toMatch(/^one +1235 +12\.3 +2\.00 +1\.00 +3\.00 +- +0\.046 .* 1\.0e-7$/);
  expect(rows[1]).toMatch(/^two .*not installed: x$/);
  expect(rows[2]).toMatch(/^three .* 15 +5\.0 .*not a number$/);
});
