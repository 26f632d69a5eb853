import { describe, expect, test } from 'vitest';

import {
  contains,
  convexHull,
  corners,
  grow,
  smallestRectangle,
  squareToQuad,
  type Point,
  type Quad,
} from './geometry.js';

const points = (...pairs: [number, number][]): Point[] => pairs.map(([x, y]) => ({ x, y }));

/** The corners of a rectangle of that size about (50, 40), turned clockwise by the angle. */
function turned(width: number, height: number, degrees: number): Point[] {
  const angle = (degrees * Math.PI) / 180;
  return points([-1, -1], [1, -1], [1, 1], [-1, 1]).map(({ x, y }) => {
    const [u, v] = [(x * width) / 2, (y * height) / 2];
    return {
      x: 50 + u * Math.cos(angle) - v * Math.sin(angle),
      y: 40 + u * Math.sin(angle) + v * Math.cos(angle),
    };
  });
}

describe('convexHull', () => {
  test('leaves out what lies inside or on an edge', () => {
    const hull = convexHull(points([0, 0], [4, 0], [2, 0], [4, 4], [2, 2], [0, 4], [1, 3]));
    expect(hull).toEqual(points([0, 0], [4, 0], [4, 4], [0, 4]));
  });

  test('of fewer than three points or of a line', () => {
    expect(convexHull([])).toEqual([]);
    expect(convexHull(points([1, 2]))).toEqual(points([1, 2]));
    expect(convexHull(points([0, 0], [2, 2], [1, 1]))).toEqual(points([0, 0], [2, 2]));
  });
});

describe('smallestRectangle', () => {
  test.each([0, 7, -30, 44])('finds a line of text at %i degrees', (degrees) => {
    const inside = turned(30, 6, degrees);
    const rectangle = smallestRectangle([...turned(60, 10, degrees), ...inside]);
    expect(rectangle.width).toBeCloseTo(60);
    expect(rectangle.height).toBeCloseTo(10);
    expect(rectangle.centre.x).toBeCloseTo(50);
    expect(rectangle.centre.y).toBeCloseTo(40);
    expect(rectangle.axis.y).toBeCloseTo(Math.sin((degrees * Math.PI) / 180));
  });

  test('keeps its axis level: a steep line is higher than wide', () => {
    const rectangle = smallestRectangle(turned(60, 10, 80));
    expect(rectangle.width).toBeCloseTo(10);
    expect(rectangle.height).toBeCloseTo(60);
    expect(rectangle.axis.x).toBeGreaterThan(0.9);
  });

  test('of a single point is empty', () => {
    expect(smallestRectangle(points([3, 4]))).toMatchObject({
      centre: { x: 3, y: 4 },
      width: 0,
      height: 0,
    });
  });
});

test('corners go round from the upper left', () => {
  const got = corners(smallestRectangle(turned(60, 10, 7)));
  turned(60, 10, 7).forEach(({ x, y }, i) => {
    expect(got[i]!.x).toBeCloseTo(x);
    expect(got[i]!.y).toBeCloseTo(y);
  });
});

test('grow moves every side outwards', () => {
  const grown = grow(smallestRectangle(turned(60, 10, 7)), 3);
  expect([grown.width, grown.height]).toEqual([
    expect.closeTo(66) as number,
    expect.closeTo(16) as number,
  ]);
});

test('contains goes by the turned sides', () => {
  const rectangle = smallestRectangle(turned(60, 10, 44));
  expect(contains(rectangle, { x: 50, y: 40 })).toBe(true);
  expect(contains(rectangle, { x: 68, y: 57 })).toBe(true);
  expect(contains(rectangle, { x: 68, y: 40 })).toBe(false);
});

describe('squareToQuad', () => {
  const at = (quad: Quad, u: number, v: number): number[] => {
    const { x, y } = squareToQuad(quad)(u, v);
    return [x, y].map((value) => Math.round(value * 1e9) / 1e9);
  };

  test('takes corners to corners', () => {
    const quad = points([3, 1], [20, 4], [17, 15], [1, 9]) as unknown as Quad;
    const square = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0, 1],
    ] as const;
    square.forEach(([u, v], i) => expect(at(quad, u, v)).toEqual([quad[i]!.x, quad[i]!.y]));
  });

  test('is even over a parallelogram', () => {
    const quad = points([0, 0], [8, 2], [10, 6], [2, 4]) as unknown as Quad;
    expect(at(quad, 0.25, 0.5)).toEqual([3, 2.5]);
  });

  test('takes the middle to where the diagonals cross', () => {
    // A trapezium, as a sign seen from below: its middle looks nearer to the short side.
    const quad = points([4, 0], [8, 0], [12, 8], [0, 8]) as unknown as Quad;
    expect(at(quad, 0.5, 0.5)).toEqual([6, 2]);
  });
});
