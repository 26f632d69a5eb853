// The picture with what was found in it.

import { distance } from '../ocr/geometry.js';
import type { Line } from '../ocr/read-text.js';
import { byId, make, makeSvg } from './elements.js';
import type { OpenedPicture } from './open-picture.js';

const stage = byId('stage', HTMLDivElement);

/** Shows a picture, and no text yet. */
export function showPicture({ url, name, pixels }: OpenedPicture): void {
  const { width, height } = pixels;
  const image = make('img', { src: url, alt: `The picture ${name}`, width, height });
  const overlay = makeSvg('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
  stage.replaceChildren(make('div', { className: 'frame' }, image, overlay));
}

/** Draws a box for each line, with its text inside. */
export function showBoxes(lines: readonly Line[]): void {
  stage.querySelector('svg')?.replaceChildren(...lines.map(drawLine));
}

function drawLine({ text, quad }: Line, index: number): SVGElement {
  const [a, b, c, d] = quad;
  const [width, height] = [distance(a, b), distance(a, d)];
  // From a rectangle of that size at the origin to where the text stands.
  const along = [(b.x - a.x) / width, (b.y - a.y) / width];
  const down = [(d.x - a.x) / height, (d.y - a.y) / height];
  const matrix = [...along, ...down, a.x, a.y].map((value) => value.toFixed(4));
  const padding = height * 0.2;
  const label = makeSvg(
    'text',
    {
      transform: `matrix(${matrix.join(' ')})`,
      x: padding,
      y: height * 0.72,
      'font-size': height * 0.62,
      textLength: Math.max(width - 2 * padding, 1),
      lengthAdjust: 'spacingAndGlyphs',
    },
    text,
  );
  const points = [a, b, c, d].map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  return makeSvg(
    'g',
    { 'data-line': index },
    makeSvg('polygon', { points, 'vector-effect': 'non-scaling-stroke' }),
    label,
  );
}
