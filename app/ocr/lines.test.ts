// From the detector's map to lines, and from lines to batches.

import { describe, expect, test } from 'vitest';

import { detectionInput, findBoxes, inReadingOrder, type Box } from './detection.js';
import { areUpsideDown, directionInput } from './direction.js';
import { batches, recognitionInput } from './recognition.js';

const blank = (width: number, height: number) => ({
  width,
  height,
  data: new Uint8Array(width * height * 4).fill(255),
});

/** A map of 64 x 32 with a probability in each of the rectangles [left, top, right, bottom]. */
function mapWith(...areas: [number, number, number, number, number][]) {
  const data = new Float32Array(64 * 32);
  for (const [left, top, right, bottom, probability] of areas) {
    for (let y = top; y < bottom; y++) data.fill(probability, y * 64 + left, y * 64 + right);
  }
  return { data, dims: [1, 1, 32, 64] };
}

describe('detectionInput', () => {
  test('has sides that are multiples of 32', () => {
    expect(detectionInput(blank(100, 50)).dims).toEqual([1, 3, 64, 96]);
    expect(detectionInput(blank(5, 3)).dims).toEqual([1, 3, 32, 32]);
  });
  test('is 960 long at most', () => {
    expect(detectionInput(blank(4000, 400)).dims).toEqual([1, 3, 96, 960]);
  });
  test('is normalised', () => {
    const { data } = detectionInput(blank(32, 32));
    expect(data[0]).toBeCloseTo((1 - 0.485) / 0.229);
    expect(data.at(-1)).toBeCloseTo((1 - 0.406) / 0.225);
  });
});

describe('findBoxes', () => {
  const size = { width: 128, height: 32 };

  test('grows a line and scales it to the picture', () => {
    const [box, ...more] = findBoxes(mapWith([10, 8, 50, 14, 0.9]), size);
    expect(more).toEqual([]);
    expect(box!.score).toBeCloseTo(0.9);
    // 40 x 6 grows by 1.5 * 240 / 92 on every side; the picture is twice as wide as the map.
    const growth = 360 / 92;
    const [a, , c] = box!.quad;
    expect([a.x, a.y, c.x, c.y]).toEqual(
      [20 - 2 * growth, 8 - growth, 100 + 2 * growth, 14 + growth].map(
        (value) => expect.closeTo(value) as number,
      ),
    );
  });

  test('drops what is thin, faint or unsure', () => {
    const map = mapWith([2, 2, 60, 4, 0.9], [2, 8, 60, 14, 0.5], [2, 18, 60, 24, 0.2]);
    expect(findBoxes(map, size)).toEqual([]);
  });
});

describe('inReadingOrder', () => {
  const box = (x: number, y: number, slope = 0): Box => ({
    quad: [
      { x, y },
      { x: x + 40, y: y + 40 * slope },
      { x: x + 40, y: y + 40 * slope + 10 },
      { x, y: y + 10 },
    ],
    score: 1,
  });

  test('rows from the top, each from the left', () => {
    const [a, b, c, d] = [box(0, 0), box(60, 3), box(0, 20), box(60, 18)] as const;
    expect(inReadingOrder([d, c, b, a])).toEqual([a, b, c, d]);
  });

  test('rows may slant', () => {
    // 60 to the right is 9 up: the right one of each row stands as high as the left one above.
    const slope = -0.15;
    const [a, b, c, d] = [
      box(0, 20, slope),
      box(60, 11, slope),
      box(0, 32, slope),
      box(60, 23, slope),
    ];
    expect(inReadingOrder([a, b, c, d])).toEqual([a, b, c, d]);
    expect(inReadingOrder([d, b, c, a])).toEqual([a, b, c, d]);
  });

  test('of nothing', () => expect(inReadingOrder([])).toEqual([]));
});

test('directionInput squeezes what is too long', () => {
  const { data, dims } = directionInput([blank(100, 50), blank(4000, 50)]);
  expect(dims).toEqual([2, 3, 48, 192]);
  expect([data[95], data[96], data[191]]).toEqual([1, 0, 0]);
  expect(data[3 * 48 * 192 + 191]).toBe(1);
});

test('areUpsideDown wants to be sure', () => {
  const data = Float32Array.of(0.05, 0.95, 0.3, 0.7, 0.99, 0.01);
  expect(areUpsideDown({ data, dims: [3, 2] })).toEqual([true, false, false]);
});

describe('batches', () => {
  test('hold lines of similar width, each line once', () => {
    const widths = [400, 90, 100, 420, 95, 800];
    expect(batches(widths)).toEqual([[1, 4, 2], [0, 3], [5]]);
  });
  test('hold eight lines at most', () => {
    expect(batches(new Array<number>(17).fill(60)).map((group) => group.length)).toEqual([8, 8, 1]);
  });
});

test('recognitionInput is as wide as its widest line, in steps of 32', () => {
  const { data, dims } = recognitionInput([blank(100, 48), blank(130, 48)]);
  expect(dims).toEqual([2, 3, 48, 160]);
  expect([data[99], data[100]]).toEqual([1, 0]);
});
