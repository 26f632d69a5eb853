// Which lines stand upside down?

import { centred, toTensor, type FloatTensor } from './network.js';
import { resize, type Picture } from './picture.js';

// PaddleOCR's own settings for this model.
const height = 48;
export const directionWidth = 192;
const threshold = 0.9;

/** The classifier's input [lines, 3, 48, 192]; a longer line is squeezed into it. */
export function directionInput(lines: readonly Picture[]): FloatTensor {
  const fitted = lines.map((line) => {
    const natural = Math.ceil((line.width * height) / line.height);
    return resize(line, Math.min(natural, directionWidth), height);
  });
  return toTensor(fitted, height, directionWidth, centred);
}

/** Of each line, from the classifier's output [lines, 2]: probabilities of 0 and 180 degrees. */
export function areUpsideDown({ data, dims }: FloatTensor): boolean[] {
  return Array.from({ length: dims[0] ?? 0 }, (_, line) => data[line * 2 + 1]! > threshold);
}
