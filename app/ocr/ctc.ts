// From the recogniser's probabilities to text: connectionist temporal classification, greedily.

import type { FloatTensor } from './network.js';

export interface DecodedLine {
  text: string;
  /** The mean probability of its characters; 0 where there are none. */
  confidence: number;
}

/** Class by class the characters: the blank first, then the dictionary's lines, then a space. */
export function alphabetOf(dictionary: string): string[] {
  return ['', ...dictionary.replace(/\r?\n$/, '').split(/\r?\n/), ' '];
}

/**
 * The text of each line in the recogniser's output [lines, steps, classes]. At each step the
 * likeliest class counts; repetitions are one character, unless a blank stands between them.
 */
export function decodeLines(
  { data, dims }: FloatTensor,
  alphabet: readonly string[],
): DecodedLine[] {
  const [lines = 0, steps = 0, classes = 0] = dims;
  if (classes !== alphabet.length) {
    throw new Error(`the recogniser knows ${classes} classes, the dictionary ${alphabet.length}`);
  }
  return Array.from({ length: lines }, (_, line) => {
    let text = '';
    let [sum, count, previous] = [0, 0, 0];
    for (let step = 0; step < steps; step++) {
      const from = (line * steps + step) * classes;
      const best = likeliest(data, from, classes);
      if (best !== 0 && best !== previous) {
        text += alphabet[best]!;
        sum += data[from + best]!;
        count++;
      }
      previous = best;
    }
    return { text, confidence: count === 0 ? 0 : sum / count };
  });
}

function likeliest(data: Float32Array, from: number, classes: number): number {
  let best = 0;
  for (let i = 1; i < classes; i++) if (data[from + i]! > data[from + best]!) best = i;
  return best;
}
