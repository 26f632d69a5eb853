// Reads the text in a picture: find lines, make them upright, recognise them.

import { crop } from './crop.js';
import { decodeLines } from './ctc.js';
import { detectionInput, findBoxes, type Box } from './detection.js';
import { areUpsideDown, directionInput, directionWidth } from './direction.js';
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
  /** Where it is, and how sure the detector was. */
  box: Box;
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

/** `onStage` is told when another model begins. */
export async function readText(
  source: Picture,
  networks: Record<Stage, Network>,
  alphabet: readonly string[],
  onStage: (stage: Stage) => void = () => {},
): Promise<Reading> {
  const begun = performance.now();
  const times = { detection: 0, direction: 0, recognition: 0, total: 0 };
  const run = async (stage: Stage, input: FloatTensor): Promise<FloatTensor> => {
    const start = performance.now();
    const output = await networks[stage](input);
    times[stage] += performance.now() - start;
    return output;
  };

  const picture = onWhite(source);
  onStage('detection');
  const boxes = findBoxes(await run('detection', detectionInput(picture)), picture);
  const crops = boxes.map(({ quad }) => crop(picture, quad));

  onStage('direction');
  const turned: boolean[] = [];
  for (const group of batches(crops.map(() => directionWidth))) {
    const answers = await run('direction', directionInput(group.map((i) => crops[i]!)));
    areUpsideDown(answers).forEach((answer, i) => (turned[group[i]!] = answer));
  }
  const upright = crops.map((line, i) => (turned[i] ? upsideDown(line) : line));

  onStage('recognition');
  const lines: Line[] = [];
  for (const group of batches(upright.map(lineWidth))) {
    const scores = await run('recognition', recognitionInput(group.map((i) => upright[i]!)));
    decodeLines(scores, alphabet).forEach((decoded, i) => {
      const line = group[i]!;
      lines[line] = { ...decoded, box: boxes[line]!, upsideDown: turned[line]! };
    });
  }
  times.total = performance.now() - begun;
  return { lines: lines.filter(({ confidence }) => confidence >= leastConfidence), times };
}
