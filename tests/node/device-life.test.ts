// The life of a device: lost at any point of load and run, the caller's left alone, memory that
// there is not; runs at once, and runs that are called off.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { compileModel } from '../../runtime/src/compile/compile.js';
import { DeviceLostError, LimitError, load, type Model } from '../../runtime/src/node.js';
import { loadPackage } from '../../runtime/src/package/node.js';
import { dawnAdapter, dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { compileOptions } from '../support/package-model.js';

/** A weight that goes to the GPU, a result computed at load, shape arithmetic, state. */
const bytes = writeModel({
  graph: {
    nodes: [
      node('Transpose', ['w'], ['wt']),
      node('MatMul', ['x', 'wt'], ['m']),
      node('Shape', ['m'], ['s']),
      node('Expand', ['one', 's'], ['e']),
      node('Add', ['m', 'e'], ['y']),
      node('Add', ['past', 'x'], ['present']),
    ],
    initializers: [
      tensor(
        'w',
        'f32',
        [150, 200],
        Array.from({ length: 30_000 }, (_, i) => (i % 13) / 16),
      ),
      tensor('one', 'f32', [], [1]),
    ],
    inputs: [value('x', 'f32', [1, 200]), value('past', 'f32', [1, 200])],
    outputs: [value('y', 'f32', [1, 150]), value('present', 'f32', [1, 200])],
  },
});

const row = (seed: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 200 }, (_, i) => ((i * seed) % 7) / 8);
const feeds = (seed: number) => ({ x: row(seed), past: row(seed + 1) });

function expectedOf(seed: number): Float32Array {
  const x = row(seed);
  return Float32Array.from({ length: 150 }, (_, j) =>
    x.reduce((sum, v, i) => sum + v * (((j * 200 + i) % 13) / 16), 1),
  );
}

function expectNear(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < got.length; i++) expect(Math.abs(got[i]! - expected[i]!)).toBeLessThan(1e-2);
}

async function check(model: Model, seed = 3): Promise<void> {
  const { y } = await model.run(feeds(seed), { outputs: ['y'] });
  expectNear(y!.data as Float32Array, expectedOf(seed));
}

type Method = (this: object, ...args: unknown[]) => unknown;

/** Puts another method in the place of an object's own or its prototype's; gives what undoes it. */
function replaced(
  target: object,
  name: string,
  make: (original: Method) => (target: object, ...args: unknown[]) => unknown,
): () => void {
  const original = Reflect.get(target, name) as Method;
  const method = make(original);
  const value = function (this: object, ...args: unknown[]): unknown {
    return method(this, ...args);
  };
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => Object.defineProperty(target, name, { value: original, configurable: true });
}

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
let folder: string;
let path: string;
/** Called with each device that Quern asks for. */
let onDevice: (device: GPUDevice) => void = () => {};
let restore: () => void;

beforeAll(async () => {
  process.on('unhandledRejection', note);
  folder = mkdtempSync(join(tmpdir(), 'quern-life-'));
  path = join(folder, 'model.onnx');
  writeFileSync(path, bytes);
  await dawnGpu();
  const prototype = Object.getPrototypeOf(await dawnAdapter()) as GPUAdapter;
  restore = replaced(prototype, 'requestDevice', (original) => async (adapter, ...args) => {
    const device = (await original.apply(adapter, args)) as GPUDevice;
    onDevice(device);
    return device;
  });
});
afterEach(() => {
  onDevice = () => {};
});
afterAll(async () => {
  await new Promise((done) => setTimeout(done, 50));
  process.off('unhandledRejection', note);
  restore();
  rmSync(folder, { recursive: true });
  expect(unhandled).toEqual([]);
});

type Name = keyof GPUDevice | 'submit' | 'writeBuffer' | 'onSubmittedWorkDone' | 'mapAsync';

/** Destroys the device before its call number `count` of a method. */
function destroyAt(device: GPUDevice, name: Name, count: number): { done: boolean } {
  const state = { done: false };
  let calls = 0;
  const wrap = (target: object): void => {
    replaced(target, name, (original) => (self, ...args) => {
      if (++calls === count && !state.done) {
        state.done = true;
        device.destroy();
      }
      return original.apply(self, args);
    });
  };
  if (name !== 'mapAsync') wrap(name in device ? device : device.queue);
  else {
    replaced(device, 'createBuffer', (original) => (self, ...args) => {
      const buffer = original.apply(self, args) as GPUBuffer;
      wrap(buffer);
      return buffer;
    });
  }
  return state;
}

const points: [Name, number][] = [
  ['createBuffer', 1],
  ['writeBuffer', 1],
  ['createBuffer', 3],
  ['createShaderModule', 1],
  ['createComputePipelineAsync', 2],
  ['popErrorScope', 4],
  ['submit', 1],
  ['createBindGroup', 2],
  ['createBuffer', 5],
  ['createCommandEncoder', 2],
  ['mapAsync', 1],
  ['mapAsync', 2],
];

describe('a device of Quern’s own is lost', () => {
  test.each(points)('before %s number %i: the model goes on', async (name, count) => {
    const states: { done: boolean }[] = [];
    onDevice = (device) => {
      if (states.length === 0) states.push(destroyAt(device, name, count));
    };
    const model = await load(path, { device: 'webgpu' });
    for (const seed of [2, 3, 5]) await check(model, seed);
    expect(states).toEqual([{ done: true }]);
    expect(model.report().notes.join()).toMatch(/loaded again: .*device is lost/);
    model.dispose();
  });

  test('between runs, and with runs under way', async () => {
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    const model = await load(path, { device: 'webgpu' });
    await check(model);
    devices.at(-1)!.destroy();
    await check(model);
    const runs = [2, 3, 4, 5, 6, 7].map((seed) => check(model, seed));
    devices.at(-1)!.destroy();
    await Promise.all(runs);
    expect(devices).toHaveLength(3);
    model.dispose();
  });

  test('a package is loaded again, and frees its device in the end', async () => {
    const out = join(folder, 'package');
    await compileModel(path, compileOptions(out, {}));
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    const model = await loadPackage(out);
    await check(model);
    devices[0]!.destroy();
    await Promise.all([2, 3, 4].map((seed) => check(model, seed)));
    expect(devices).toHaveLength(2);
    expect(model.report().notes.join()).toMatch(/loaded again: .*device is lost/);
    model.dispose();
    await devices[1]!.lost;
    const fixed = await loadPackage(out, { recover: false });
    devices[2]!.destroy();
    await expect(check(fixed)).rejects.toBeInstanceOf(DeviceLostError);
    fixed.dispose();
  });

  test('two models on it go on, on one device', async () => {
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    const models = await Promise.all([
      load(path, { device: 'webgpu' }),
      load(path, { device: 'webgpu' }),
    ]);
    expect(devices).toHaveLength(1);
    devices[0]!.destroy();
    await Promise.all(models.map((model) => check(model)));
    expect(devices).toHaveLength(2);
    for (const model of models) model.dispose();
    await devices[1]!.lost; // nobody uses it
  });

  test('kept state is reported lost, not begun anew in silence', async () => {
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    const model = await load(path, { device: 'webgpu' });
    const options = { state: { present: 'past' }, outputs: ['present'] };
    const first = { x: { data: row(2), dims: [1, 200] }, past: row(3) };
    await model.run(first, options);
    devices[0]!.destroy();
    await expect(model.run({ x: row(2) }, options)).rejects.toThrow(
      /kept for input 'past' went with a lost device/,
    );
    await expect(model.run({ x: row(2) }, options)).rejects.toBeInstanceOf(DeviceLostError);
    await check(model);
    await model.run(first, options); // fed, it goes on
    const { present } = await model.run({ x: row(2) }, options);
    expectNear(
      present!.data as Float32Array,
      row(2).map((v, i) => 2 * v + row(3)[i]!),
    );
    model.dispose();
  });

  test('where the source can’t be read again, runs fail with a DeviceLostError', async () => {
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    for (const source of [bytes, new Response(bytes)]) {
      const model = await load(source, { device: 'webgpu' });
      devices.at(-1)!.destroy();
      await expect(model.run(feeds(3))).rejects.toBeInstanceOf(DeviceLostError);
      await expect(model.run(feeds(3))).rejects.toBeInstanceOf(DeviceLostError);
      model.dispose();
    }
    const kept = await load(bytes, { device: 'webgpu', recover: true });
    devices.at(-1)!.destroy();
    await check(kept);
    kept.dispose();
  });

  test('a tensor that went with it is named', async () => {
    const devices: GPUDevice[] = [];
    onDevice = (device) => devices.push(device);
    const model = await load(path, { device: 'webgpu' });
    const { present } = await model.run(feeds(2), { outputs: 'gpu' });
    devices[0]!.destroy();
    const run = model.run({ x: present!, past: row(1) });
    await expect(run).rejects.toThrow(/input 'x': its tensor went with a lost device/);
    await check(model);
    model.dispose();
  });
});

describe('a device of the caller’s', () => {
  test('is not destroyed, and not replaced where it is lost', async () => {
    const device = await defaultLimitsDevice();
    const [one, two] = [await load(path, { device }), await load(path, { device })];
    await Promise.all([check(one), check(two)]);
    one.dispose();
    await check(two);
    two.dispose();
    const buffer = device.createBuffer({ size: 16, usage: 0x8 });
    await device.queue.onSubmittedWorkDone();
    expect(await Promise.race([device.lost, Promise.resolve(buffer.size)])).toBe(16);
    const three = await load(path, { device });
    device.destroy();
    await expect(check(three)).rejects.toBeInstanceOf(DeviceLostError);
    await expect(load(path, { device })).rejects.toBeInstanceOf(DeviceLostError);
    three.dispose();
  });

  /** Buffers of that label are more than the device has. */
  function short(device: GPUDevice, label: string): void {
    let failed = false;
    replaced(device, 'createBuffer', (original) => (self, descriptor) => {
      if ((descriptor as GPUBufferDescriptor).label?.includes(label)) failed = true;
      return original.call(self, descriptor);
    });
    replaced(device, 'popErrorScope', (original) => async (self) => {
      const error = failed ? { message: 'no memory left' } : null;
      failed = false;
      return (await original.call(self)) ?? error;
    });
  }

  test.each([
    ['weight', /out of memory: weights takes \d{6,} bytes, the model holds \d+ already: no memory/],
    ['arena', /out of memory: arena takes \d+ bytes, the model holds \d{6,} already/],
  ])('without memory for its %s: a LimitError with sizes', async (label, message) => {
    const device = await defaultLimitsDevice();
    short(device, label);
    const run = (async () => {
      const model = await load(path, { device });
      try {
        await check(model);
      } finally {
        model.dispose();
      }
    })();
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toBeInstanceOf(LimitError);
    device.destroy();
  });
});
