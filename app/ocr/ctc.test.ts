import { expect, test } from 'vitest';

import { alphabetOf, decodeLines } from './ctc.js';

const alphabet = alphabetOf('a\nb\nc\n');

/** Probabilities in which each step's class, by its character (- is the blank), has `sure`. */
function scores(lines: readonly string[], sure = 0.8) {
  const classes = alphabet.length;
  const steps = lines[0]!.length;
  const data = new Float32Array(lines.length * steps * classes).fill((1 - sure) / (classes - 1));
  lines.forEach((line, n) =>
    [...line].forEach((character, step) => {
      const best = character === '-' ? 0 : alphabet.indexOf(character);
      data[(n * steps + step) * classes + best] = sure;
    }),
  );
  return { data, dims: [lines.length, steps, classes] };
}

test('the alphabet begins with the blank and ends with a space', () => {
  expect(alphabet).toEqual(['', 'a', 'b', 'c', ' ']);
  expect(alphabetOf('a\r\n字')).toEqual(['', 'a', '字', ' ']);
});

test('repetitions are one character, unless a blank stands between them', () => {
  const texts = decodeLines(scores(['aab-bb--', '--c  c--', '--------']), alphabet);
  expect(texts.map(({ text }) => text)).toEqual(['abb', 'c c', '']);
});

test('the confidence is the mean over characters, not over steps', () => {
  const tensor = scores(['a-b-']);
  tensor.data[0 * 5 + 1] = 0.6;
  const [line] = decodeLines(tensor, alphabet);
  expect(line!.confidence).toBeCloseTo(0.7);
  expect(decodeLines(scores(['--']), alphabet)[0]!.confidence).toBe(0);
});

test('a dictionary of another model is refused', () => {
  expect(() => decodeLines(scores(['a']), ['', 'a'])).toThrow(/5 classes, the dictionary 2/);
});
