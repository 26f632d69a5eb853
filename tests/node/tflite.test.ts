// TFLite models of other people's packages, as they lie there, against LiteRT.

import { beforeAll, describe, expect, test } from 'vitest';
import { compare } from '../../runtime/src/cli/compare.js';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import { dawnGpu } from '../support/dawn.js';
import { onHost } from '../support/places.js';
import { bytesOf, litert, tfliteModels, type Reference } from '../support/tflite-models.js';

const models = tfliteModels();
const small = ['alexa_v0.1', 'hey_jarvis_v0.1'];
const quick: Record<string, string[]> = {
  wasm: [...small, 'embedding_model', 'selfie_segmentation'],
  webgpu: [...small, 'embedding_model'], // others take minutes on a software GPU
};
const isLong = process.env['QUERN_LONG'] === '1';
// LiteRT in a page does not run dims that the file leaves open: those are tested below.
const names = [...models.keys()].filter((name) => name !== 'melspectrogram');

const targets: Record<string, LoadOptions> = {
  wasm: { device: 'wasm', threads: 1 },
  webgpu: { device: 'webgpu' },
};

beforeAll(async () => {
  await dawnGpu(); // chooses the Vulkan driver
});

const references = new Map<string, Promise<Reference>>();
function referenceOf(name: string): Promise<Reference> {
  let reference = references.get(name);
  if (!reference) references.set(name, (reference = litert(models.get(name)!)));
  return reference;
}

describe.each(Object.entries(targets))('%s', (target, options) => {
  test.each(isLong ? names : quick[target]!)('%s', { timeout: 900_000 }, async (name) => {
    const { inputs, outputs: expected } = await referenceOf(name);
    const model = await load(bytesOf(models.get(name)!), { warm: false, ...options });
    try {
      expect(model.report().format).toBe('TFLite');
      expect(onHost(model)).toEqual([]);
      const outputs = await model.run(inputs);
      const tolerance = { rtol: 0, atol: Number.MAX_VALUE, l2: 1e-4 };
      for (const [output, got] of Object.entries(outputs)) {
        const result = compare(got, expected[output]!, tolerance);
        if (isLong) console.log(`${name} ${target} ${output}: ${result.relativeL2}`);
        expect.soft(result.difference).toBeUndefined();
      }
    } finally {
      model.dispose();
    }
  });
});

test('every package has its models', () => {
  expect(models.size).toBe(21);
});

describe('dims that the file leaves open', () => {
  const wasm = targets['wasm']!;
  const noise = (size: number): Float32Array =>
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * i * 0.7) * 0.5);

  test('a batch is its rows', async () => {
    const model = await load(bytesOf(models.get('embedding_model')!), wasm);
    const row = 76 * 32;
    const data = noise(3 * row);
    const run = async (from: number, to: number): Promise<Float32Array> => {
      const dims = [to - from, 76, 32, 1];
      const inputs = { input_1: { dims, data: data.slice(from * row, to * row) } };
      const { conv2d_19: result } = await model.run(inputs);
      expect(result!.dims).toEqual([to - from, 1, 1, 96]);
      return result!.data as Float32Array;
    };
    const all = await run(0, 3);
    for (let i = 0; i < 3; i++) {
      const one = await run(i, i + 1);
      const error = Math.max(...one.map((value, k) => Math.abs(value - all[96 * i + k]!)));
      expect(error).toBeLessThan(1e-4);
    }
    model.dispose();
  });

  test('a spectrogram is that of the same model as ONNX', async () => {
    const spectrogram = models.get('melspectrogram')!;
    const [lite, onnx] = await Promise.all([
      load(bytesOf(spectrogram), wasm),
      load(spectrogram.path.replace('.tflite', '.onnx'), wasm),
    ]);
    for (const samples of [1280, 1760]) {
      const input = { dims: [1, samples], data: noise(samples).map((x) => 3000 * x) };
      const { output: got } = await lite.run({ [lite.inputs[0]!.name]: input });
      const { output: want } = await onnx.run({ [onnx.inputs[0]!.name]: input });
      const tolerance = { rtol: 0, atol: Number.MAX_VALUE, l2: 1e-4 };
      expect(compare(got!, want!, tolerance).difference).toBeUndefined();
    }
    lite.dispose();
    onnx.dispose();
  });
});
