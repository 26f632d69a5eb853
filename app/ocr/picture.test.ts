import { describe, expect, test } from 'vitest';

import { alongText, crop } from './crop.js';
import type { Quad } from './geometry.js';
import { centred, toTensor } from './network.js';
import { onWhite, resize, upsideDown, type Picture } from './picture.js';

/** A picture whose red is given, row by row. */
function picture(rows: readonly (readonly number[])[], alpha = 255): Picture {
  const data = rows.flat().flatMap((red) => [red, 0, 9, alpha]);
  return { width: rows[0]!.length, height: rows.length, data: Uint8Array.from(data) };
}

function red({ width, height, data }: Picture): number[][] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 4]!),
  );
}

test('onWhite shows white where a picture is transparent', () => {
  expect([...onWhite(picture([[0]], 0)).data]).toEqual([255, 255, 255, 255]);
  expect([...onWhite(picture([[100]], 51)).data]).toEqual([224, 204, 206, 255]);
  expect([...onWhite(picture([[7]])).data]).toEqual([7, 0, 9, 255]);
});

test('upsideDown turns by half', () => {
  const turned = upsideDown(
    picture([
      [1, 2, 3],
      [4, 5, 6],
    ]),
  );
  expect(red(turned)).toEqual([
    [6, 5, 4],
    [3, 2, 1],
  ]);
  expect([...turned.data.subarray(0, 4)]).toEqual([6, 0, 9, 255]);
});

describe('resize', () => {
  test('to the same size changes nothing', () => {
    const rows = [
      [10, 200, 30],
      [70, 80, 255],
    ];
    expect(red(resize(picture(rows), 3, 2))).toEqual(rows);
  });

  test('enlarges by linear interpolation', () => {
    expect(red(resize(picture([[0, 100]]), 4, 1))).toEqual([[0, 25, 75, 100]]);
    expect(red(resize(picture([[0], [100]]), 1, 4))).toEqual([[0], [25], [75], [100]]);
  });

  test('lets every pixel count where it shrinks', () => {
    // One bright pixel of eight, wherever it stands, is seen in what four pixels become.
    for (let at = 0; at < 8; at++) {
      const row = Array.from({ length: 8 }, (_, x) => (x === at ? 240 : 0));
      const [small] = red(resize(picture([row]), 2, 1));
      expect(small![0]! + small![1]!).toBeGreaterThan(20);
    }
    expect(red(resize(picture([[40, 40, 40, 40, 40]]), 2, 1))).toEqual([[40, 40]]);
  });
});

describe('crop', () => {
  const source = picture([
    [0, 0, 0, 0, 0],
    [0, 10, 20, 30, 0],
    [0, 40, 50, 60, 0],
    [0, 0, 0, 0, 0],
  ]);
  const quad = (...pairs: [number, number][]): Quad =>
    pairs.map(([x, y]) => ({ x, y })) as unknown as Quad;

  test('gives the pixels of an upright box as they are', () => {
    const box = quad([1, 1], [4, 1], [4, 3], [1, 3]);
    expect(red(crop(source, box))).toEqual([
      [10, 20, 30],
      [40, 50, 60],
    ]);
  });

  test('turns a steep box: its right side comes up', () => {
    const box = quad([1, 1], [2, 1], [2, 3], [1, 3]);
    expect(red(crop(source, alongText(box)))).toEqual([[10, 40]]);
  });

  test('goes on with the border beyond the picture', () => {
    const box = quad([-2, 1], [1, 1], [1, 2], [-2, 2]);
    expect(red(crop(picture([[5], [7]]), box))).toEqual([[7, 7, 7]]);
  });
});

test('toTensor: planes blue, green, red; zeros beyond the pictures', () => {
  const { data, dims } = toTensor([picture([[255]]), picture([[0, 255]])], 1, 2, centred);
  expect(dims).toEqual([2, 3, 1, 2]);
  const blue = 9 / 127.5 - 1;
  const expected = [blue, 0, -1, 0, 1, 0, blue, blue, -1, -1, -1, 1];
  expected.forEach((value, i) => expect(data[i]).toBeCloseTo(value));
});
