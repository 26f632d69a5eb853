// A line of text cut out of a picture and made straight.

import { distance, squareToQuad, type Point, type Quad } from './geometry.js';
import { channels, type Picture } from './picture.js';

/** A box so many times higher than wide holds a line that runs down or up. */
const steep = 1.5;

/**
 * The quadrilateral from the upper left of the text in it, which runs down where it is steep. (If
 * it runs up, it is upside down so, and the direction model will say that.)
 */
export function alongText(quad: Quad): Quad {
  const [a, b, c, d] = quad;
  return sideOf(a, d, b, c) >= steep * sideOf(a, b, d, c) ? [b, c, d, a] : quad;
}

/** The longer of two opposite sides. */
function sideOf(a: Point, b: Point, c: Point, d: Point): number {
  return Math.max(distance(a, b), distance(c, d));
}

/** What lies in the quadrilateral, its first corner upper left, in about the same size. */
export function crop(picture: Picture, quad: Quad): Picture {
  const [a, b, c, d] = quad;
  const width = Math.max(1, Math.round(sideOf(a, b, d, c)));
  const height = Math.max(1, Math.round(sideOf(a, d, b, c)));
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
