// f32 models with tensors in f16: against references, at ranges that f16 lacks, and in memory.

import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { load, type LoadOptions, type ModelReport } from '../../runtime/src/node.js';
import { WeightPeaks } from '../../runtime/src/precision.js';
import { runCase } from '../browser/run-model.js';
import type { ReferenceCase } from '../models/reference-file.js';
import { modelReferences } from '../models/references.js';
import { compare, type Tolerance } from '../support/compare.js';
import { dawnGpu } from '../support/dawn.js';
import { node, value, writeModel, type GraphSpec } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';
import type { TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

// A software GPU takes its time to compile what real models need.
vi.setConfig({ testTimeout: 600_000 });

/** All models, not a few: QUERN_LONG=1. */
const long = Boolean(process.env.QUERN_LONG);

const gpu = await dawnGpu();
Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });

const f16: LoadOptions = { device: 'webgpu', precision: 'f16', warm: false };
/** Elements near zero have no relative error to speak of: the whole output counts. */
const tolerance: Tolerance = { relL2: 1e-2, rtol: 0, atol: Infinity };

function noise(name: string, dims: number[], { scale = 1, seed = 1 } = {}): TensorValue {
  let state = seed * 7919;
  const count = dims.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return scale * (state / 2 ** 31 - 1);
  });
  return { name, dtype: 'f32', dims, data };
}

/** Runs a graph with one input in f16; gives the report and what differs from the reference. */
async function checked(graph: GraphSpec, input: TensorValue, options = f16) {
  const bytes = writeModel({ graph });
  const reference = await (await Reference.load(bytes)).run({ [input.name]: input });
  const model = await load(bytes, options);
  try {
    const { data, dims } = input;
    const outputs = await model.run({ [input.name]: { data: data as Float32Array, dims } });
    const comparisons = Object.entries(reference).map(([name, expected]) => {
      const got = outputs[name]!;
      const actual = { name, dtype: 'f32' as const, dims: [...got.dims], data: got.data };
      return compare(expected, actual as TensorValue, tolerance);
    });
    return {
      report: model.report(),
      messages: comparisons.map(({ message }) => message).filter(Boolean),
      relL2: Math.max(...comparisons.map(({ relL2 }) => relL2)),
    };
  } finally {
    model.dispose();
  }
}

const typeOf = (report: ModelReport, name: string) =>
  report.nodes.find((one) => one.name === name)?.precision;

/** x -> [...rows, width] through layers of width x width with Relu. */
function layers(count: number, width: number, rows: (number | string)[]): GraphSpec {
  const nodes = [];
  const initializers = [];
  for (let i = 0; i < count; i++) {
    const from = i === 0 ? 'x' : `h${i - 1}`;
    nodes.push(node('MatMul', [from, `w${i}`], [`p${i}`]));
    nodes.push(node('Relu', [`p${i}`], [i === count - 1 ? 'y' : `h${i}`]));
    initializers.push(noise(`w${i}`, [width, width], { scale: 2 / Math.sqrt(width), seed: i + 2 }));
  }
  return {
    nodes,
    initializers,
    inputs: [value('x', 'f32', [...rows, width])],
    outputs: [value('y', 'f32')],
  };
}

describe('models', () => {
  let references: Map<string, ReferenceCase>;
  beforeAll(async () => {
    references = new Map((await modelReferences()).map((one) => [one.name, one]));
  });

  // A software GPU needs half a minute to compile a larger one.
  const quick = ['silero-vad-v6', 'wakeword-mel', 'wakeword-jarvis'];
  const slow = [
    'hf-bert',
    'ppocr-direction',
    'ppocr-detection',
    'ppocr-recognition',
    'silero-vad',
    'silero-vad-legacy',
    'wakeword-embedding',
  ];
  test.each(long ? [...quick, ...slow] : quick)('%s', async (name) => {
    const reference = references.get(name)!;
    const path = join(repoRoot, reference.model);
    // A state that is carried from step to step in f16 gathers errors.
    const allowed = name === 'silero-vad-legacy' ? { ...tolerance, relL2: 2e-2 } : tolerance;
    const bounded = { ...reference, tolerance: { webgpu: allowed, cpu: allowed } };
    const { differences, report } = await runCase(load, path, bounded, f16);
    expect(differences).toEqual([]);
    expect(report.precision.asked).toBe('f16');
  });
});

test('a length that is new makes no pipeline', async () => {
  const bytes = writeModel({ graph: layers(3, 64, ['batch', 'rows']) });
  const reference = await Reference.load(bytes);
  const model = await load(bytes, { ...f16, warm: true });
  for (const rows of [16, 5, 1, 130]) {
    const x = noise('x', [1, rows, 64], { seed: rows });
    const { y } = await model.run({ x: { data: x.data as Float32Array, dims: x.dims } });
    const { y: expected } = await reference.run({ x });
    const actual = { ...expected!, data: y!.data as Float32Array };
    expect(compare(expected!, actual, tolerance).message).toBe('');
    const { objects, precision } = model.report();
    expect(precision.used).toBe('f16');
    expect([objects.lastRun.pipelines, objects.lastRun.shaderModules], `${rows} rows`).toEqual([
      0, 0,
    ]);
  }
  model.dispose();
});

describe('memory', () => {
  test('weights and temporaries are halved, and the f32 weights freed', async () => {
    const graph = layers(6, 256, [256]);
    const x = noise('x', [256, 256]);
    const wide = await checked(graph, x, { ...f16, precision: 'f32' });
    const narrow = await checked(graph, x);
    expect(wide.messages).toEqual([]);
    expect(narrow.messages).toEqual([]);
    expect(narrow.relL2).toBeGreaterThan(1e-5); // it is f16 indeed
    expect(narrow.report.precision).toEqual({
      asked: 'f16',
      used: 'f16',
      reason: undefined,
      weightBytes: 6 * 256 * 256 * 2,
    });
    expect(wide.report.precision.weightBytes).toBe(6 * 256 * 256 * 4);
    const held = ({ memory: { weights, constants, persistent } }: ModelReport) =>
      weights + constants + persistent;
    expect(held(narrow.report) / held(wide.report)).toBeCloseTo(0.5, 2);
    expect(narrow.report.memory.weights).toBe(0);
    expect(narrow.report.memory.persistent).toBe(6 * 256 * 256 * 2);
    // Input and output stay f32, the five tensors between are f16.
    const one = 256 * 256 * 4;
    expect(wide.report.memory.arenaLive).toBe(2 * one);
    expect(narrow.report.memory.arenaLive).toBe(1.5 * one);
    // In f32 nothing else is dispatched.
    const dispatches = ({ nodes }: ModelReport): number =>
      nodes.flatMap(({ kernels }) => kernels).reduce((sum, one) => sum + one.dispatches, 0);
    expect(dispatches(narrow.report)).toBe(dispatches(wide.report));
  });

  test('so are constants that the graph holds', async () => {
    const { messages, report } = await checked(layers(3, 64, [64]), noise('x', [64, 64]));
    expect(messages).toEqual([]);
    expect(report.precision.weightBytes).toBe(3 * 64 * 64 * 2);
    expect(report.nodes.map(({ precision }) => precision)).toEqual(['f16', 'f16', 'f32']);
  });
});

describe('range', () => {
  /** A layer, then `middle` from %a to %b, then a layer. */
  const between = (middle: GraphSpec['nodes'], more: TensorValue[] = []): GraphSpec => ({
    nodes: [
      { ...node('MatMul', ['x', 'w'], ['a']), name: 'first' },
      ...middle,
      { ...node('MatMul', ['b', 'v'], ['c']), name: 'last' },
      node('Relu', ['c'], ['y']),
    ],
    initializers: [
      noise('w', [256, 256], { scale: 0.1, seed: 2 }),
      noise('v', [256, 256], { scale: 0.1, seed: 3 }),
      ...more,
    ],
    inputs: [value('x', 'f32', [64, 256])],
    outputs: [value('y', 'f32')],
  });
  const scalar = (name: string, number: number): TensorValue => ({
    ...{ name, dtype: 'f32', dims: [] },
    data: Float32Array.of(number),
  });
  const x = noise('x', [64, 256]);

  test('values of 1e5 and more between layers', async () => {
    const scaled = await checked(
      between([node('Mul', ['a', 'large'], ['b'])], [scalar('large', 2e5)]),
      x,
    );
    expect(scaled.messages).toEqual([]);
    const square = await checked(
      between(
        [node('MatMul', ['a', 'v'], ['s']), node('Pow', ['s', 'four'], ['b'])],
        [scalar('four', 4)],
      ),
      noise('x', [64, 256], { scale: 100 }),
    );
    expect(square.messages).toEqual([]);
    const exponents = await checked(between([node('Exp', ['a'], ['b'])]), {
      ...noise('x', [64, 256], { scale: 16 }),
    });
    expect(exponents.messages).toEqual([]);
  });

  test('weights out of range stay f32, and what they give', async () => {
    const large = noise('w', [256, 256], { scale: 1e5, seed: 2 });
    const graph = between([node('Relu', ['a'], ['b'])]);
    const others = graph.initializers!.filter(({ name }) => name !== 'w');
    const { messages, report } = await checked({ ...graph, initializers: [large, ...others] }, x);
    expect(messages).toEqual([]);
    expect(report.weights.find(({ name }) => name === 'w')?.stored).toBeUndefined();
    expect(report.weights.find(({ name }) => name === 'v')?.stored).toBe('f16');
    expect(typeOf(report, 'first')).toBe('f32');
    expect(report.passes['f32 by range']).toBe(2);

    const tiny = noise('w', [256, 256], { scale: 1e-6, seed: 2 });
    const small = await checked({ ...graph, initializers: [tiny, ...others] }, x);
    expect(small.messages).toEqual([]);
    expect(small.report.weights.find(({ name }) => name === 'w')?.stored).toBeUndefined();
  });

  test('what no estimate foresees is bounded, not infinite', async () => {
    // Inputs of 1e6 give values past f16 behind a layer.
    const graph = between([node('Relu', ['a'], ['b'])]);
    const model = await load(writeModel({ graph }), f16);
    const data = (noise('x', [64, 256], { scale: 1e6 }).data as Float32Array).slice();
    const { y } = await model.run({ x: { data, dims: [64, 256] } });
    expect(model.report().nodes.some(({ precision }) => precision === 'f16')).toBe(true);
    const got = [...(y!.data as Float32Array)];
    model.dispose();
    expect(got.every(Number.isFinite)).toBe(true);
    expect(Math.max(...got)).toBeGreaterThan(1e4);
  });

  test('positions past 2048 keep their digits', async () => {
    const graph: GraphSpec = {
      nodes: [
        node('Cast', ['i'], ['at'], { to: { int: 1 } }),
        node('Mul', ['at', 'frequencies'], ['angles']),
        node('Cos', ['angles'], ['cos']),
        node('MatMul', ['cos', 'w'], ['p']),
        node('Relu', ['p'], ['y']),
      ],
      initializers: [
        noise('w', [64, 64], { seed: 2 }),
        { ...noise('frequencies', [4096, 64]), data: new Float32Array(4096 * 64).fill(0.37) },
      ],
      inputs: [value('i', 'i64', [4096, 1])],
      outputs: [value('y', 'f32')],
    };
    const bytes = writeModel({ graph });
    const data = BigInt64Array.from({ length: 4096 }, (_, i) => BigInt(i * 17));
    const i: TensorValue = { name: 'i', dtype: 'i64', dims: [4096, 1], data };
    const { y: expected } = await (await Reference.load(bytes)).run({ i });
    const model = await load(bytes, f16);
    const { y } = await model.run({ i: { data, dims: [4096, 1] } });
    const actual = { ...expected!, data: y!.data as Float32Array };
    expect(compare(expected!, actual, { ...tolerance, relL2: 2e-3 }).message).toBe('');
    model.dispose();
  });
});

describe('choice', () => {
  const bytes = writeModel({ graph: layers(3, 256, [64]) });

  test('auto needs shader-f16', async () => {
    const adapter = (await gpu.requestAdapter())!;
    const has = adapter.features.has('shader-f16');
    const model = await load(bytes, { ...f16, precision: 'auto' });
    const { precision } = model.report();
    expect(precision).toMatchObject({ asked: 'auto', used: has ? 'f16' : 'f32' });
    if (!has) expect(precision.reason).toBe('the GPU lacks shader-f16');
    model.dispose();
  });

  test('WebAssembly says that it stays in f32', async () => {
    const model = await load(bytes, { device: 'wasm', threads: 1, precision: 'f16' });
    const { precision } = model.report();
    expect(precision).toMatchObject({ asked: 'f16', used: 'f32' });
    expect(precision.reason).toContain('WebAssembly');
    model.dispose();
  });

  test('nothing to gain is said; other words are errors', async () => {
    const graph: GraphSpec = {
      nodes: [node('Relu', ['x'], ['y'])],
      inputs: [value('x', 'f32', [64, 64])],
      outputs: [value('y', 'f32')],
    };
    const { report, relL2 } = await checked(graph, noise('x', [64, 64]));
    expect(report.precision).toMatchObject({ asked: 'f16', used: 'f32' });
    expect(report.precision.reason).toContain('no tensor');
    expect(relL2).toBe(0);
    await expect(load(bytes, { precision: 'f8' as 'f16' })).rejects.toThrow(
      "precision: 'f8' is none of f32, f16, auto",
    );
  });
});

test('peaks of weights that come in pieces of any size', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * i);
  values[333] = -70000.25;
  const bytes = new Uint8Array(values.buffer);
  const peaks = new WeightPeaks();
  let seed = 1;
  for (let at = 0; at < bytes.length;) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const length = Math.min(bytes.length - at, 1 + ((seed >>> 8) % 29));
    const shifted = new Uint8Array(length + 3);
    shifted.set(bytes.subarray(at, at + length), at % 4);
    peaks.add(1, at, shifted.subarray(at % 4, (at % 4) + length));
    at += length;
  }
  peaks.add(2, 0, new Uint8Array(Float32Array.of(1, NaN, 2).buffer));
  expect([...peaks.values(4)]).toEqual([NaN, 70000.25, NaN, NaN]);
});
