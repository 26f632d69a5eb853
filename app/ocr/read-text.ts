// Reads the text in a picture: find lines, make them upright, recognise them.

import { alongText, crop } from './crop.js';
import { decodeLines } from './ctc.js';
import { detectionInput, findBoxes } from './detection.js';
import { areUpsideDown, directionInput, directionWidth } from './direction.js';
import type { Quad } from './geometry.js';
import type { FloatTensor, Network } from './network.js';
import { onWhite, upsideDown, type Picture } from './picture.js';
import { batches, lineWidth, recognitionInput } from './recognition.js';

/** The three models, in the order in which a picture passes through them. */
export const stages = ['detection', 'direction', 'recognition'] as const;
export type Stage = (typeof stages)[number];

export interface Line {
  text: string;
  /** Of the characters, 0 to 1. */
  confidence: number;
  /** Where it stands, from the text's own upper left: of a line upside down, the lower right. */
  quad: Quad;
  upsideDown: boolean;
}

export interface Reading {
  /** In reading order. */
  lines: Line[];
  /** Milliseconds: in each model, all its batches together, and from picture to text. */
  times: Record<Stage | 'total', number>;
}

/** Less sure lines are taken for noise, as in PaddleOCR. */
const leastConfidence = 0.5;

export interface ReadOptions {
  /** Ends the reading before the next run of a model. */
  signal?: AbortSignal;
  /** Is told when another model begins. */
  onStage?(stage: Stage): void;
}

export async function readText(
  source: Picture,
  networks: Record<Stage, Network>,
  alphabet: readonly string[],
  options: ReadOptions = {},
): Promise<Reading> {
  const begun = performance.now();
  const times = { detection: 0, direction: 0, recognition: 0, total: 0 };
  const run = async (stage: Stage, input: FloatTensor): Promise<FloatTensor> => {
    options.signal?.throwIfAborted();
    const start = performance.now();
    const output = await networks[stage](input);
    times[stage] += performance.now() - start;
    return output;
  };

  const picture = onWhite(source);
  options.onStage?.('detection');
  const boxes = findBoxes(await run('detection', detectionInput(picture)), picture);
  const quads = boxes.map(({ quad }) => alongText(quad));
  const crops = quads.map((quad) => crop(picture, quad));

  options.onStage?.('direction');
  const turned: boolean[] = [];
  for (const group of batches(crops.map(() => directionWidth))) {
    const answers = await run('direction', directionInput(group.map((i) => crops[i]!)));
    areUpsideDown(answers).forEach((answer, i) => (turned[group[i]!] = answer));
  }
  const upright = crops.map((line, i) => (turned[i] ? upsideDown(line) : line));

  options.onStage?.('recognition');
  const lines: Line[] = [];
  for (const group of batches(upright.map(lineWidth))) {
    const scores = await run('recognition', recognitionInput(group.map((i) => upright[i]!)));
    decodeLines(scores, alphabet).forEach((decoded, i) => {
      const line = group[i]!;
      const [a, b, c, d] = quads[line]!;
      const quad: Quad = turned[line] ? [c, d, a, b] : [a, b, c, d];
      lines[line] = { ...decoded, quad, upsideDown: turned[line]! };
    });
  }
  times.total = performance.now() - begun;
  return { lines: lines.filter(({ confidence }) => confidence >= leastConfidence), times };
}
