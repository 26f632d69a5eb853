// A picture to an input's elements in host memory: rows first, then columns.

import { breathe } from '../async.js';
import { f16Bits } from '../dtype.js';
import type { Conversion } from './options.js';
import { tapsFor, type Size, type Taps } from './taps.js';

const planes = 4;

/**
 * Writes the elements of one picture, rgba in `pixels`, to `into`: the part of the input's array
 * that is this picture's. A page keeps its thread: it takes a few milliseconds at a time.
 */
export async function convertOnHost(
  conversion: Conversion,
  pixels: ArrayLike<number>,
  source: Size,
  result: Size,
  into: { [index: number]: number; length: number },
): Promise<void> {
  const { x, y } = tapsFor(source, result, conversion.placing);
  const { channels, matrix, bias, padColor, axes, dims, dtype } = conversion;
  const plane = result.width * result.height;
  const last = axes.channel === dims.length - 1 && axes.channel >= 0;
  const [pixelStride, channelStride] = last ? [channels, 1] : [1, plane];
  const toBits = dtype === 'f16' && into instanceof Uint16Array;

  const rows = new Rows(pixels, source.width, x);
  const color = new Float64Array(planes);
  for (let row = 0; row < result.height; row++) {
    const pause = breathe();
    if (pause) await pause;
    const firstRow = y.first[row]!;
    for (let column = 0; column < result.width; column++) {
      const bar = firstRow < 0 || x.first[column]! < 0;
      for (let c = 0; c < planes; c++) color[c] = bar ? padColor[c]! : 0;
      for (let j = 0; j < y.count && !bar; j++) {
        const weight = y.weights[row * y.count + j]!;
        if (weight === 0) continue;
        const line = rows.get(firstRow + j);
        for (let c = 0; c < planes; c++) color[c]! += weight * line[column * planes + c]!;
      }
      for (let channel = 0; channel < channels; channel++) {
        const weights = matrix[channel]!;
        let value = bias[channel]!;
        for (let c = 0; c < planes; c++) value += weights[c]! * color[c]!;
        const at = (row * result.width + column) * pixelStride + channel * channelStride;
        if (dtype === 'u8') into[at] = Math.floor(Math.min(Math.max(value, 0), 255) + 0.5);
        else into[at] = toBits ? f16Bits(value) : value;
      }
    }
    if (firstRow >= 0) rows.forgetBefore(firstRow);
  }
}

/** Rows of the source at the result's width, made when asked for, 0 to 1. */
class Rows {
  readonly #pixels: ArrayLike<number>;
  readonly #width: number;
  readonly #taps: Taps;
  readonly #made = new Map<number, Float32Array>();

  constructor(pixels: ArrayLike<number>, width: number, taps: Taps) {
    this.#pixels = pixels;
    this.#width = width;
    this.#taps = taps;
  }

  get(row: number): Float32Array {
    const known = this.#made.get(row);
    if (known) return known;
    const { first, weights, count } = this.#taps;
    const line = new Float32Array(first.length * planes);
    for (let column = 0; column < first.length; column++) {
      if (first[column]! < 0) continue;
      const start = (row * this.#width + first[column]!) * planes;
      for (let c = 0; c < planes; c++) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          sum += weights[column * count + i]! * this.#pixels[start + i * planes + c]!;
        }
        line[column * planes + c] = sum / 255;
      }
    }
    this.#made.set(row, line);
    return line;
  }

  /** Results come from top to bottom: rows above the first one read now are done with. */
  forgetBefore(row: number): void {
    for (const made of this.#made.keys()) if (made < row) this.#made.delete(made);
  }
}
