// Where is text? PaddleOCR's detector gives each pixel a probability; text lines are cut out of
// that map as in Liao et al., Real-time Scene Text Detection with Differentiable Binarization.

import { connectedComponents, type Run } from './components.js';
import {
  contains,
  corners,
  distance,
  grow,
  smallestRectangle,
  type Point,
  type Quad,
  type Rectangle,
} from './geometry.js';
import { toTensor, type FloatTensor } from './network.js';
import { resize, type Picture } from './picture.js';

/** A line of text in a picture. */
export interface Box {
  /** In pixels of the picture. */
  quad: Quad;
  /** The mean probability inside. */
  score: number;
}

// PaddleOCR's own settings for this model.
const longestSide = 960;
const sideMultiple = 32;
const imageNet = {
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
} as const;
const pixelThreshold = 0.3;
const boxThreshold = 0.6;
const growth = 1.5;
const leastSide = 3;

/** The detector's input [1, 3, height, width]: sides are multiples of 32, 960 at most. */
export function detectionInput(picture: Picture): FloatTensor {
  const scale = Math.min(1, longestSide / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) =>
    Math.max(Math.round((side * scale) / sideMultiple) * sideMultiple, sideMultiple),
  ) as [number, number];
  return toTensor([resize(picture, width, height)], height, width, imageNet);
}

/** The lines in the detector's output [1, 1, height, width], in reading order. */
export function findBoxes(map: FloatTensor, picture: { width: number; height: number }): Box[] {
  const [, , height = 0, width = 0] = map.dims;
  const scale = { x: picture.width / width, y: picture.height / height };
  const boxes: Box[] = [];
  for (const runs of connectedComponents((at) => map.data[at]! > pixelThreshold, width, height)) {
    const core = smallestRectangle(outline(runs));
    if (Math.min(core.width, core.height) < leastSide) continue;
    const score = meanInside(map.data, width, height, core);
    if (score < boxThreshold) continue;
    // The detector was trained to mark a shrunken line, so that neighbours do not touch.
    const { width: w, height: h } = core;
    const quad = corners(grow(core, (growth * w * h) / (2 * (w + h))));
    const scaled = quad.map(({ x, y }) => ({ x: x * scale.x, y: y * scale.y }));
    boxes.push({ quad: scaled as unknown as Quad, score });
  }
  return inReadingOrder(boxes);
}

/** The corners of the outermost pixels of each row. */
function outline(runs: readonly Run[]): Point[] {
  const ends = new Map<number, { start: number; end: number }>();
  for (const { y, start, end } of runs) {
    const row = ends.get(y) ?? { start, end };
    ends.set(y, { start: Math.min(row.start, start), end: Math.max(row.end, end) });
  }
  return [...ends].flatMap(([y, { start, end }]) => [
    { x: start, y },
    { x: end, y },
    { x: end, y: y + 1 },
    { x: start, y: y + 1 },
  ]);
}

/** The mean of the pixels whose centres lie in the rectangle. */
function meanInside(data: Float32Array, width: number, height: number, area: Rectangle): number {
  const quad = corners(area);
  const range = (values: number[], limit: number): [number, number] => [
    Math.max(Math.floor(Math.min(...values)), 0),
    Math.min(Math.ceil(Math.max(...values)), limit),
  ];
  const [left, right] = range([...quad.map(({ x }) => x)], width);
  const [top, bottom] = range([...quad.map(({ y }) => y)], height);
  let [sum, count] = [0, 0];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (!contains(area, { x: x + 0.5, y: y + 0.5 })) continue;
      sum += data[y * width + x]!;
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}

/**
 * From top to bottom, and what stands side by side from left to right. Down is what is down for
 * the text: on a picture taken askew the rows are slanted.
 */
export function inReadingOrder(boxes: readonly Box[]): Box[] {
  // The direction of all lines together, in which long ones weigh most.
  const along = boxes.reduce(
    (sum, { quad: [a, b] }) => ({ x: sum.x + b.x - a.x, y: sum.y + b.y - a.y }),
    { x: 0, y: 0 },
  );
  const length = Math.hypot(along.x, along.y) || 1;
  const placed = boxes.map((box) => {
    const [a, , c, d] = box.quad;
    const centre = { x: (a.x + c.x) / 2, y: (a.y + c.y) / 2 };
    return {
      box,
      across: (centre.x * along.x + centre.y * along.y) / length,
      down: (centre.y * along.x - centre.x * along.y) / length,
      height: distance(a, d),
    };
  });
  placed.sort((a, b) => a.down - b.down);

  const rows: (typeof placed)[] = [];
  for (const entry of placed) {
    const row = rows.at(-1);
    const last = row?.at(-1);
    const beside = last && entry.down - last.down < Math.min(entry.height, last.height) / 2;
    if (row && beside) row.push(entry);
    else rows.push([entry]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.across - b.across).map(({ box }) => box));
}
