// Many runs at once, and runs and loads that are called off at any time.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions, type Model } from '../../runtime/src/node.js';
import { countingDevice, type DeviceCounts } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';

/** Two layers over rows of `width`; with `split`, how many rows are positive decides the shape. */
function network(width: number, split: boolean): Uint8Array<ArrayBuffer> {
  const weights = (seed: number): number[] =>
    Array.from({ length: width * width }, (_, i) => (((i * seed) % 17) - 8) / (4 * width));
  const layers = [
    node('MatMul', ['x', 'w'], ['a']),
    node('Relu', ['a'], ['b']),
    node('MatMul', ['b', 'v'], ['c']),
  ];
  const rest = split
    ? [node('NonZero', ['b'], ['nz']), node('Shape', ['nz'], ['s']), node('Add', ['c', 'x'], ['y'])]
    : [node('Shape', ['c'], ['s']), node('Add', ['c', 'x'], ['y'])];
  return writeModel({
    graph: {
      nodes: [...layers, ...rest],
      initializers: [
        tensor('w', 'f32', [width, width], weights(5)),
        tensor('v', 'f32', [width, width], weights(7)),
      ],
      inputs: [value('x', 'f32', ['n', width])],
      outputs: [value('y', 'f32', ['n', width]), value('s', 'i64', [2])],
    },
  });
}

const width = 96;
const rows = (seed: number) => {
  const n = 1 + (seed % 3);
  const data = Float32Array.from(
    { length: n * width },
    (_, i) => (((i + 1) * (seed + 3)) % 23) / 23 - 0.4,
  );
  return { data, dims: [n, width] };
};

interface Result {
  y: number[];
  s: string;
}
async function resultOf(model: Model, seed: number, signal?: AbortSignal): Promise<Result> {
  const { y, s } = await model.run({ x: rows(seed) }, { signal });
  return { y: [...(y!.data as Float32Array)], s: (s!.data as BigInt64Array).join() };
}

let device: GPUDevice;
let counts: DeviceCounts;
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeAll(async () => {
  ({ device, counts } = countingDevice(await defaultLimitsDevice()));
  process.on('unhandledRejection', note);
});
afterAll(async () => {
  await new Promise((done) => setTimeout(done, 50));
  process.off('unhandledRejection', note);
  device.destroy();
  expect(unhandled).toEqual([]);
});

const targets: [string, () => LoadOptions][] = [
  ['webgpu', () => ({ device })],
  ['wasm', () => ({ device: 'wasm', threads: 1 })],
];

describe.each(targets)('on %s', (name, target) => {
  test('32 runs of two models at once equal runs one by one; memory is as declared', async () => {
    const models = [
      await load(network(width, false), target()),
      await load(network(width, true), target()),
    ];
    const serial: Result[] = [];
    for (let i = 0; i < 32; i++) serial.push(await resultOf(models[i % 2]!, i));
    const total = (): number => models.reduce((sum, m) => sum + m.report().memory.total, 0);
    const before = counts.liveBytes;
    if (name === 'webgpu') expect(total()).toBe(before);
    counts.reset();
    for (let round = 0; round < 3; round++) {
      const all = await Promise.all(serial.map((_, i) => resultOf(models[i % 2]!, i)));
      expect(all).toEqual(serial);
    }
    if (name === 'webgpu') {
      // Two runs of each model have memory of their own, however many are asked for.
      const ofRuns = models.reduce((sum, m) => sum + m.report().memory.arenaPeak, 0);
      expect(counts.peakBytes - before).toBeLessThan(2 * ofRuns + 64 * 1024);
      expect(total()).toBe(counts.liveBytes);
    }
    for (const model of models) model.dispose();
    if (name === 'webgpu') expect(counts.liveBytes).toBe(0);
  });

  test('200 runs called off at random times: nothing leaks, the next run is right', async () => {
    const models = [
      await load(network(width, false), target()),
      await load(network(width, true), target()),
    ];
    const expected = [await resultOf(models[0]!, 4), await resultOf(models[1]!, 4)];
    let state = 7;
    const random = (): number => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
    let aborted = 0;
    let early = 0;
    for (let i = 0; i < 200; i++) {
      const model = models[i % 2]!;
      const control = new AbortController();
      const place = i % 4 === 0 && name === 'webgpu' ? 'gpu' : 'cpu';
      const run = model.run({ x: rows(4) }, { signal: control.signal, outputs: place });
      const ended = run.then(
        (outputs) => Object.values(outputs).forEach((tensor) => tensor.dispose()),
        (error: unknown) => {
          aborted++;
          expect((error as Error).name).toBe('AbortError');
        },
      );
      const turns = Math.floor(random() * 40);
      if (i % 3 === 0) await new Promise((done) => setTimeout(done, random() * 6));
      else for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      control.abort();
      await ended;
      if (i % 10 === 9) expect(await resultOf(models[i % 2]!, 4)).toEqual(expected[i % 2]);
      if (i === 59) early = counts.liveBytes;
    }
    // On this thread WebAssembly lets nobody in between.
    expect(aborted).toBeGreaterThan(name === 'webgpu' ? 100 : 10);
    for (const [i, model] of models.entries()) {
      expect(await resultOf(model, 4)).toEqual(expected[i]);
    }
    await new Promise((done) => setTimeout(done, 20));
    if (name === 'webgpu') expect(counts.liveBytes).toBeLessThanOrEqual(early * 1.05);
    for (const model of models) model.dispose();
    if (name === 'webgpu') expect(counts.liveBytes).toBe(0);
  });

  test('a run that waits for others ends when it is called off', async () => {
    const model = await load(network(width, true), target());
    const before = Array.from({ length: 6 }, (_, i) => resultOf(model, i));
    const control = new AbortController();
    let ended = 0;
    const last = resultOf(model, 9, control.signal).finally(() => (ended = performance.now()));
    control.abort();
    await expect(last).rejects.toThrow(/abort/i);
    await Promise.all(before);
    expect(ended).toBeLessThan(performance.now());
    model.dispose();
  });

  test('loads called off at random times leave nothing', async () => {
    const bytes = network(width, true);
    for (let i = 0; i < 12; i++) {
      const control = new AbortController();
      const loading = load(bytes, { ...target(), signal: control.signal });
      const ended = loading.then(
        (model) => model.dispose(),
        (error: unknown) => expect((error as Error).name).toBe('AbortError'),
      );
      await new Promise((done) => setTimeout(done, i * 4));
      control.abort();
      await ended;
    }
    await new Promise((done) => setTimeout(done, 200));
    await device.queue.onSubmittedWorkDone();
    if (name === 'webgpu') expect(counts.liveBytes).toBe(0);
  });
});
