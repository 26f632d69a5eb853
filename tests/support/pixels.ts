// What pictures must become, written down plainly in f64: each element by itself from the
// definitions of its filter, without tables. In Node and in a page alike.

import type { PixelOptions } from '../../runtime/src/index.js';

export interface Picture {
  width: number;
  height: number;
  /** r, g, b, a of each pixel. */
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture of smooth colours with noise and edges, opaque where not asked otherwise. */
export function testPicture(width: number, height: number, seed = 1, opaque = true): Picture {
  const data = new Uint8ClampedArray(width * height * 4);
  let state = seed;
  const random = (): number => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let i = 0; i < width * height; i++) {
    const x = (i % width) / width;
    const y = Math.floor(i / width) / height;
    const edge = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1 ? 90 : 0;
    data[i * 4] = 40 + 120 * x + edge + 20 * random();
    data[i * 4 + 1] = 200 - 150 * y + 30 * random();
    data[i * 4 + 2] = 128 + 100 * Math.sin(9 * x * y) - edge + 25 * random();
    data[i * 4 + 3] = opaque ? 255 : 60 + 195 * random();
  }
  return { width, height, data };
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Keys' cubic convolution. */
function keys(x: number, a: number): number {
  const d = Math.abs(x);
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}

/** How much of pixel `i` is in the element whose centre is at `center`; not normalised. */
function weightOf(i: number, center: number, scale: number, options: PixelOptions): number {
  const { filter = 'bilinear', antialias = true } = options;
  const stretch = antialias ? Math.max(1, scale) : 1;
  const d = i + 0.5 - center;
  switch (filter) {
    case 'nearest':
      return Number(i === Math.floor(center));
    case 'area':
      return Math.max(0, Math.min(i + 1, center + scale / 2) - Math.max(i, center - scale / 2));
    case 'box':
      return Number(d / stretch > -0.5 && d / stretch <= 0.5);
    case 'bilinear':
      return Math.max(0, 1 - Math.abs(d / stretch));
    case 'bicubic':
      return keys(d / stretch, antialias ? -0.5 : -0.75);
    case 'lanczos':
      return Math.abs(d / stretch) < 3 ? sinc(d / stretch) * sinc(d / stretch / 3) : 0;
  }
}

/** Where a picture is seen, and where it lies in the result: one axis. */
interface Seen {
  from: number;
  length: number;
  low: number;
  high: number;
  start: number;
  filled: number;
}

function axesOf(picture: Picture, width: number, height: number, options: PixelOptions) {
  const { fit = 'fill', centerCrop = 1, align = 'center' } = options;
  const crop = options.crop ?? { x: 0, y: 0, width: picture.width, height: picture.height };
  const x: Seen = {
    ...{ from: crop.x, length: crop.width, start: 0, filled: width },
    ...{ low: crop.x, high: crop.x + crop.width },
  };
  const y: Seen = {
    ...{ from: crop.y, length: crop.height, start: 0, filled: height },
    ...{ low: crop.y, high: crop.y + crop.height },
  };
  const across = crop.width / width;
  const down = crop.height / height;
  if (fit === 'cover') {
    const unit = Math.min(across, down) * centerCrop;
    x.length = width * unit;
    y.length = height * unit;
    x.from += (crop.width - x.length) / 2;
    y.from += (crop.height - y.length) / 2;
  }
  if (fit === 'letterbox') {
    const unit = Math.max(across, down);
    x.filled = Math.round(crop.width / unit);
    y.filled = Math.round(crop.height / unit);
    if (align === 'center') {
      x.start = Math.floor((width - x.filled) / 2);
      y.start = Math.floor((height - y.filled) / 2);
    }
  }
  return { x, y };
}

/** [pixel, weight] of element `at`; undefined in bars. */
function tapsOf(at: number, seen: Seen, options: PixelOptions): [number, number][] | undefined {
  const i = at - seen.start;
  if (i < 0 || i >= seen.filled) return undefined;
  const scale = seen.length / seen.filled;
  const center = seen.from + (i + 0.5) * scale;
  const { filter = 'bilinear', antialias = true } = options;
  // Interpolation repeats the edge; filters that grow are cut off at it.
  const repeats = !antialias && (filter === 'bilinear' || filter === 'bicubic');
  const taps: [number, number][] = [];
  for (let pixel = seen.low - 3; pixel < seen.high + 3; pixel++) {
    const inside = pixel >= seen.low && pixel < seen.high;
    const weight = inside || repeats ? weightOf(pixel, center, scale, options) : 0;
    if (weight !== 0) taps.push([Math.min(Math.max(pixel, seen.low), seen.high - 1), weight]);
  }
  const sum = taps.reduce((total, [, weight]) => total + weight, 0);
  return taps.map(([pixel, weight]) => [pixel, weight / sum]);
}

/** r, g, b, a of all elements, 0 to 255. */
export function resized(
  picture: Picture,
  width: number,
  height: number,
  options: PixelOptions,
): Float64Array {
  const { x, y } = axesOf(picture, width, height, options);
  const { padColor = 0 } = options;
  const pad = typeof padColor === 'number' ? [padColor, padColor, padColor] : padColor;
  const result = new Float64Array(width * height * 4);
  const columns = Array.from({ length: width }, (_, i) => tapsOf(i, x, options));
  for (let row = 0; row < height; row++) {
    const down = tapsOf(row, y, options);
    for (let column = 0; column < width; column++) {
      const across = columns[column];
      for (let c = 0; c < 4; c++) {
        let value = c < 3 ? pad[c]! : 255;
        if (across && down) {
          value = 0;
          for (const [sy, wy] of down) {
            for (const [sx, wx] of across) {
              value += wx * wy * picture.data[(sy * picture.width + sx) * 4 + c]!;
            }
          }
        }
        result[(row * width + column) * 4 + c] = value;
      }
    }
  }
  return result;
}

/** The elements of an input of one picture, in `layout`. */
export function expectedElements(
  picture: Picture,
  width: number,
  height: number,
  options: PixelOptions,
  dtype: 'f32' | 'f16' | 'u8' = 'f32',
): Float64Array {
  const { channels = 'rgb', layout = 'NCHW', mean = 0, std = 1 } = options;
  const scale = options.scale ?? (dtype === 'u8' ? 1 : 1 / 255);
  const colors = resized(picture, width, height, options);
  const order = channels === 'gray' ? 'y' : channels;
  const plane = width * height;
  const result = new Float64Array(plane * order.length);
  for (let pixel = 0; pixel < plane; pixel++) {
    const [r, g, b, a] = colors.subarray(pixel * 4, pixel * 4 + 4) as unknown as number[];
    const byName: Record<string, number> = {
      ...{ r: r!, g: g!, b: b!, a: a! },
      y: 0.299 * r! + 0.587 * g! + 0.114 * b!,
    };
    [...order].forEach((name, c) => {
      const m = typeof mean === 'number' ? mean : mean[c]!;
      const s = typeof std === 'number' ? std : std[c]!;
      let value = (byName[name]! * scale - m) / s;
      if (dtype === 'u8') value = Math.min(255, Math.max(0, Math.round(value)));
      result[layout === 'NCHW' ? c * plane + pixel : pixel * order.length + c] = value;
    });
  }
  return result;
}

/** The largest difference, and what the two hold there. */
export function farthest(
  expected: ArrayLike<number>,
  got: ArrayLike<number>,
): { difference: number; text: string } {
  if (expected.length !== got.length) {
    return { difference: Infinity, text: `${got.length} elements, not ${expected.length}` };
  }
  let difference = 0;
  let text = 'equal';
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(expected[i]! - got[i]!);
    if (d <= difference) continue;
    difference = Number.isNaN(d) ? Infinity : d;
    text = `element ${i}: ${got[i]}, not ${expected[i]}`;
  }
  return { difference, text };
}
