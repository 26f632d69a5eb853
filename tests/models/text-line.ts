// The input of PaddleOCR's direction classifier: pictures of text lines.

import type { TensorValue } from '../support/pb.js';
import type { Picture } from '../support/png.js';

/**
 * The tensor x [batch, 3, height, width] as PaddleOCR makes it: each picture resized to the height
 * with its proportions kept, (x / 255 - 0.5) / 0.5, planes in the order blue, green, red, zeros on
 * the right. A line too long for the width is squeezed into it.
 */
export function textLines(
  pictures: readonly Picture[],
  { height, width }: { height: number; width: number },
): TensorValue {
  const plane = height * width;
  const data = new Float32Array(pictures.length * 3 * plane);
  pictures.forEach((picture, n) => {
    const scaled = Math.ceil((height * picture.width) / picture.height);
    const filled = Math.min(scaled, width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < filled; x++) {
        const pixel = sample(picture, (x + 0.5) / filled, (y + 0.5) / height);
        pixel.reverse().forEach((value, channel) => {
          data[(n * 3 + channel) * plane + y * width + x] = (value / 255 - 0.5) / 0.5;
        });
      }
    }
  });
  return { name: 'x', dtype: 'f32', dims: [pictures.length, 3, height, width], data };
}

/** Red, green and blue at a position in [0, 1], interpolated between the four nearest pixels. */
function sample({ width, height, rgb }: Picture, u: number, v: number): number[] {
  const x = Math.min(Math.max(u * width - 0.5, 0), width - 1);
  const y = Math.min(Math.max(v * height - 0.5, 0), height - 1);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
  return [0, 1, 2].map((channel) => {
    const at = (px: number, py: number): number => rgb[(py * width + px) * 3 + channel]!;
    const top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * (x - x0);
    const bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * (x - x0);
    return top + (bottom - top) * (y - y0);
  });
}
