// A line of text cut out of a picture and made straight.

import { distance, squareToQuad, type Quad } from './geometry.js';
import { channels, type Picture } from './picture.js';

/** A box so many times higher than wide holds a line that runs upwards. */
const steep = 1.5;

/** What lies in the quadrilateral, as an upright picture of about the same size. */
export function crop(picture: Picture, quad: Quad): Picture {
  const [a, b, c, d] = quad;
  const width = Math.max(1, Math.round(Math.max(distance(a, b), distance(d, c))));
  const height = Math.max(1, Math.round(Math.max(distance(a, d), distance(b, c))));
  if (height >= steep * width) return straighten(picture, [b, c, d, a], height, width);
  return straighten(picture, quad, width, height);
}

function straighten(picture: Picture, quad: Quad, width: number, height: number): Picture {
  const place = squareToQuad(quad);
  const data = new Uint8ClampedArray(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const point = place((x + 0.5) / width, (y + 0.5) / height);
      sample(picture, point.x - 0.5, point.y - 0.5, data, (y * width + x) * channels);
    }
  }
  return { width, height, data };
}

/** Writes the colour between the four nearest pixels; beyond the picture its border goes on. */
function sample(
  { width, height, data }: Picture,
  x: number,
  y: number,
  out: Uint8ClampedArray,
  at: number,
): void {
  x = Math.min(Math.max(x, 0), width - 1);
  y = Math.min(Math.max(y, 0), height - 1);
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [u, v] = [x - left, y - top];
  for (let c = 0; c < channels; c++) {
    const pixel = (px: number, py: number): number => data[(py * width + px) * channels + c]!;
    const above = pixel(left, top) * (1 - u) + pixel(right, top) * u;
    const below = pixel(left, bottom) * (1 - u) + pixel(right, bottom) * u;
    out[at + c] = above * (1 - v) + below * v;
  }
}
