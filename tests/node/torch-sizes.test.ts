// torch.export archives whose dims are open, at sizes that they were not exported with: the same
// model's ONNX file in onnxruntime says what they give. The conformance runner has two sizes of each.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import { feedsOf, valuesOf } from '../browser/run-model.js';
import { compare, cpuTolerance, webgpuTolerance, type Tolerance } from '../support/compare.js';
import { dataCases } from '../support/data.js';
import { dawnGpu } from '../support/dawn.js';
import { tensor } from '../support/onnx.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { onHost } from '../support/places.js';
import { Reference } from '../support/reference.js';
import { randomData } from '../support/tfjs.js';

const devices: Record<string, LoadOptions> = {
  wasm: { device: 'wasm', threads: 1 },
  webgpu: { device: 'webgpu' },
};

const tolerances: Record<string, Tolerance> = { wasm: cpuTolerance, webgpu: webgpuTolerance };

beforeAll(async () => void (await dawnGpu()));

const floats = (dims: number[], seed: number): TensorValue => {
  const count = dims.reduce((a, b) => a * b, 1);
  return tensor('', 'f32', dims, Array.from(randomData(count, -1, 1, seed)));
};
const ids = (dims: number[], high: number, low = 0): TensorValue => {
  const count = dims.reduce((a, b) => a * b, 1);
  return tensor('', 'i64', dims, Array.from(randomData(count, low, high, count), Math.floor));
};
/** Ones, but for the last third of the last row: padding. */
const mask = (rows: number, length: number): TensorValue => {
  const kept = rows * length - (rows > 1 ? Math.floor(length / 3) : 0);
  const data = Array.from({ length: rows * length }, (_, i) => Number(i < kept));
  return tensor('', 'i64', [rows, length], data);
};
/** A step of `tokens` after `past` others, with keys and values of two layers. */
const step = (heads: number, [tokens, past]: number[]): TensorValue[] => [
  ids([1, tokens!], 300),
  mask(1, tokens! + past!),
  ...[1, 2, 3, 4].map((seed) => floats([1, heads, past!, 16], seed)),
];

/** Tokens of a step, and those before it. */
const steps = [
  [7, 0],
  [1, 7],
  [2, 13],
  [5, 3],
  [1, 40],
];

interface Sizes {
  sizes: number[][];
  /** Inputs in the model's order. */
  inputs: (size: number[]) => TensorValue[];
}

const models: Record<string, Sizes> = {
  hf_bert_dynamo: {
    sizes: [
      [2, 2],
      [3, 17],
      [5, 33],
      [2, 64],
      [1, 9],
      [4, 1],
    ],
    inputs: ([batch, length]) => [ids([batch!, length!], 300), mask(batch!, length!)],
  },
  hf_gpt2_step: {
    sizes: steps,
    inputs: (size) => step(4, size),
  },
  hf_llama_step: {
    sizes: steps,
    inputs: (size) => step(2, size),
  },
  superres: {
    sizes: [
      [17, 31],
      [2, 3],
      [40, 24],
      [1, 1],
      [5, 64],
    ],
    inputs: ([height, width]) => [floats([1, 3, height!, width!], 5)],
  },
};

const archiveOf = (folder: string): string => join(folder, 'model.pt2');

describe.each(Object.entries(models))('%s', (name, { sizes, inputs }) => {
  const { folder, modelPath } = dataCases('zoo').find((one) => one.name === name)!;

  // A software GPU takes seconds for the pipelines of each size.
  const onBoth = Boolean(process.env['QUERN_LONG']) || name === 'superres';
  test.each(onBoth ? ['wasm', 'webgpu'] : ['wasm'])('%s', async (device) => {
    const reference = await Reference.load(modelPath);
    const onnx = await load(modelPath, { ...devices['wasm'], warm: false });
    const names = onnx.inputs.map((input) => input.name);
    const results = onnx.outputs.map((output) => output.name);
    onnx.dispose();
    const model = await load(archiveOf(folder), devices[device]);
    const rename = (all: TensorValue[], by: string[]): Tensors =>
      Object.fromEntries(all.map((one, i) => [by[i]!, { ...one, name: by[i]! }]));
    expect(model.outputs).toHaveLength(results.length);
    // Each size twice, in two orders: what a size leaves behind is no part of another's results.
    for (const size of [...sizes, ...[...sizes].reverse()]) {
      const given = inputs(size);
      const wanted = await reference.run(rename(given, names));
      const fed = model.inputs.map((input) => input.name);
      const got = valuesOf(await model.run(feedsOf(rename(given, fed))));
      for (const [i, result] of results.entries()) {
        const own = got[model.outputs[i]!.name]!;
        const { message, relL2 } = compare(wanted[result]!, own, tolerances[device]!);
        if (process.env['QUERN_LONG']) {
          console.log(`${name} ${device} ${size.join('x')} ${result}: ${relL2.toExponential(2)}`);
        }
        expect.soft(message, `${result} of ${size.join('x')}`).toBe('');
      }
    }
    expect(onHost(model)).toEqual([]);
    await reference.release();
    model.dispose();
  });
});

test('all archives of the zoo that have open dims are here', async () => {
  const open: string[] = [];
  for (const { name, folder } of dataCases('zoo')) {
    if (!existsSync(archiveOf(folder))) continue;
    const model = await load(archiveOf(folder), { ...devices['wasm'], warm: false });
    if (model.inputs.some(({ dims }) => dims?.some((dim) => typeof dim !== 'number'))) {
      open.push(name);
    }
    model.dispose();
  }
  expect(open).toEqual(Object.keys(models));
});
