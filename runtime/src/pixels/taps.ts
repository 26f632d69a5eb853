// Where a picture's pixels go: for each column and each row of the result its first source pixel
// and the weights from there. Crop, fit and every filter are in these tables.

import { InvalidArgumentError } from '../errors.js';

export const filters = ['nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'area'] as const;
export type Filter = (typeof filters)[number];
export type Fit = 'fill' | 'cover' | 'letterbox';

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Placing {
  crop: Rect | undefined;
  fit: Fit;
  centerCrop: number;
  align: 'center' | 'start';
  filter: Filter;
  antialias: boolean;
}

/** The part of the source that is seen, and where it lies in the result, in whole elements. */
export function place(
  source: Size,
  result: Size,
  { crop, fit, centerCrop, align }: Pick<Placing, 'crop' | 'fit' | 'centerCrop' | 'align'>,
): { from: Rect; to: Rect } {
  const from = { x: 0, y: 0, width: source.width, height: source.height, ...crop };
  const { x, y, width, height } = from;
  if (!(x >= 0 && y >= 0 && width > 0 && height > 0)) throw outside(from, source);
  if (x + width > source.width || y + height > source.height) throw outside(from, source);
  const to = { x: 0, y: 0, ...result };
  if (fit === 'cover') {
    const scale = Math.min(width / result.width, height / result.height) * centerCrop;
    const seen = { width: result.width * scale, height: result.height * scale };
    return {
      from: { x: x + (width - seen.width) / 2, y: y + (height - seen.height) / 2, ...seen },
      to,
    };
  }
  if (fit === 'letterbox') {
    const scale = Math.min(result.width / width, result.height / height);
    to.width = Math.min(result.width, Math.max(1, Math.round(width * scale)));
    to.height = Math.min(result.height, Math.max(1, Math.round(height * scale)));
    if (align === 'center') {
      to.x = Math.floor((result.width - to.width) / 2);
      to.y = Math.floor((result.height - to.height) / 2);
    }
  }
  return { from, to };
}

function outside({ x, y, width, height }: Rect, source: Size): InvalidArgumentError {
  return new InvalidArgumentError(
    `crop of ${width}x${height} at ${x}, ${y} is not within ${source.width}x${source.height} pixels`,
  );
}

/** For each element of an axis: `first` source pixel, -1 in bars, and `count` weights. */
export interface Taps {
  count: number;
  first: Int32Array;
  weights: Float32Array;
}

interface Axis {
  /** The source's window, and the pixels that may be read. */
  from: number;
  length: number;
  low: number;
  high: number;
  /** Elements of the result, and those of them that the window fills. */
  result: number;
  start: number;
  filled: number;
}

export function tapsFor(source: Size, result: Size, placing: Placing): { x: Taps; y: Taps } {
  const { from, to } = place(source, result, placing);
  const readable = placing.crop ?? { x: 0, y: 0, ...source };
  const axis = (at: 'x' | 'y', extent: 'width' | 'height'): Taps =>
    tapsOf(
      {
        from: from[at],
        length: from[extent],
        low: Math.floor(readable[at]),
        high: Math.ceil(readable[at] + readable[extent]),
        result: result[extent],
        start: to[at],
        filled: to[extent],
      },
      placing,
    );
  return { x: axis('x', 'width'), y: axis('y', 'height') };
}

/** Weights by distance in pixels, and how far they reach: PIL's. */
const kernels: Partial<Record<Filter, [reach: number, weight: (x: number) => number]>> = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => cubic(x, -0.5)],
  lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
  box: [0.5, (x) => Number(x > -0.5 && x <= 0.5)],
};

function cubic(x: number, a: number): number {
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** [pixel, weight] of one element whose centre is at `center`; they need no order, and may repeat. */
function tapsAt(
  center: number,
  scale: number,
  { low, high }: Axis,
  { filter, antialias }: Placing,
): [number, number][] {
  if (filter === 'nearest') return [[Math.floor(center), 1]];
  if (filter === 'area') {
    const begin = Math.max(low, center - scale / 2);
    const end = Math.min(high, center + scale / 2);
    const taps: [number, number][] = [];
    for (let i = Math.floor(begin); i < end; i++) {
      taps.push([i, Math.min(i + 1, end) - Math.max(i, begin)]);
    }
    return taps;
  }
  if (!antialias && (filter === 'bilinear' || filter === 'bicubic')) {
    const base = Math.floor(center - 0.5);
    const part = center - 0.5 - base;
    if (filter === 'bilinear')
      return [
        [base, 1 - part],
        [base + 1, part],
      ];
    return [-1, 0, 1, 2].map((i) => [base + i, cubic(part - i, -0.75)]);
  }
  const [reach, weight] = kernels[filter]!;
  const stretch = antialias ? Math.max(scale, 1) : 1;
  const begin = Math.max(low, Math.trunc(center - reach * stretch + 0.5));
  const end = Math.min(high, Math.trunc(center + reach * stretch + 0.5));
  const taps: [number, number][] = [];
  for (let i = begin; i < end; i++) taps.push([i, weight((i - center + 0.5) / stretch)]);
  return taps;
}

function tapsOf(axis: Axis, placing: Placing): Taps {
  const { from, length, low, high, result, start, filled } = axis;
  const scale = length / filled;
  const clamp = (i: number): number => Math.min(Math.max(i, low), high - 1);
  const all = Array.from({ length: filled }, (_, i) => {
    const center = from + (i + 0.5) * scale;
    const taps = tapsAt(center, scale, axis, placing).map(([at, w]) => [clamp(at), w] as const);
    const sum = taps.reduce((total, [, w]) => total + w, 0);
    // Rounding may leave a sliver of a window without a pixel.
    return sum === 0
      ? [[clamp(Math.floor(center)), 1] as const]
      : taps.map(([at, w]) => [at, w / sum] as const);
  });
  const extent = (taps: (readonly [number, number])[]): [number, number] => {
    const at = taps.map(([pixel]) => pixel);
    return [Math.min(...at), Math.max(...at)];
  };
  const extents = all.map(extent);
  const count = extents.reduce(
    (most, [lowest, highest]) => Math.max(most, highest - lowest + 1),
    1,
  );
  const first = new Int32Array(result).fill(-1);
  const weights = new Float32Array(result * count);
  all.forEach((taps, i) => {
    // All `count` pixels must exist.
    const begin = Math.max(low, Math.min(extents[i]![0], high - count));
    first[start + i] = begin;
    for (const [at, w] of taps) weights[(start + i) * count + at - begin]! += w;
  });
  return { count, first, weights };
}
