// Lines of text as the recogniser takes them.

import { centred, toTensor, type FloatTensor } from './network.js';
import { resize, type Picture } from './picture.js';

const lineHeight = 48;
/** Few different widths are few plans to make; the rest of a line is zeros. */
const widthMultiple = 32;
const mostLines = 8;
/** Lines of one batch differ in width by so much at most: else more zeros than text is read. */
const mostWaste = 1.3;

/** The width of a line that is 48 pixels high. */
export function lineWidth({ width, height }: Picture): number {
  return Math.max(Math.round((width * lineHeight) / height), 1);
}

/** Groups lines of similar width: the numbers of each batch's lines. */
export function batches(widths: readonly number[]): number[][] {
  const byWidth = widths.map((_, line) => line).sort((a, b) => widths[a]! - widths[b]!);
  const groups: number[][] = [];
  for (const line of byWidth) {
    const group = groups.at(-1);
    const limit = group && Math.max(widths[group[0]!]! * mostWaste, widthMultiple);
    if (group && group.length < mostLines && widths[line]! <= limit!) group.push(line);
    else groups.push([line]);
  }
  return groups;
}

/** The recogniser's input [lines, 3, 48, width]: as wide as the longest line asks for. */
export function recognitionInput(lines: readonly Picture[]): FloatTensor {
  const widest = Math.max(...lines.map(lineWidth));
  const width = Math.ceil(widest / widthMultiple) * widthMultiple;
  const fitted = lines.map((line) => resize(line, lineWidth(line), lineHeight));
  return toTensor(fitted, lineHeight, width, centred);
}
