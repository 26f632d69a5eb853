// What the reader asks of an inference engine, and how pictures become its input.

import { channels, type Picture } from './picture.js';

/** A dense tensor of floats, the last dim innermost. */
export interface FloatTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** A model with one input and one output. */
export type Network = (input: FloatTensor) => Promise<FloatTensor>;

/** (sample / 255 - mean) / deviation, for the planes blue, green, red. */
export interface Normalisation {
  mean: readonly [number, number, number];
  deviation: readonly [number, number, number];
}

/** To [-1, 1]. */
export const centred: Normalisation = { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] };

/**
 * Pictures as a tensor [pictures, 3, height, width]: each in the upper left corner, zeros beyond
 * it. The planes are blue, green, red, since PaddleOCR was trained with OpenCV's order.
 */
export function toTensor(
  pictures: readonly Picture[],
  height: number,
  width: number,
  { mean, deviation }: Normalisation,
): FloatTensor {
  const plane = height * width;
  const data = new Float32Array(pictures.length * 3 * plane);
  pictures.forEach((picture, n) => {
    for (let c = 0; c < 3; c++) {
      const scale = 1 / (255 * deviation[c]!);
      const shift = mean[c]! / deviation[c]!;
      for (let y = 0; y < picture.height; y++) {
        const to = (n * 3 + c) * plane + y * width;
        const from = y * picture.width * channels + 2 - c;
        for (let x = 0; x < picture.width; x++) {
          data[to + x] = picture.data[from + x * channels]! * scale - shift;
        }
      }
    }
  });
  return { data, dims: [pictures.length, 3, height, width] };
}
