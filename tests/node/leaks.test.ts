// Loading and disposing again and again: nothing stays.

import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import { countingDevice, type DeviceCounts } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const rounds = 1000;

/** A weight, a kernel of its own, an expression, a shape: something of each kind. */
const model = writeModel({
  graph: {
    nodes: [
      node('MatMul', ['x', 'w'], ['m']),
      node('Relu', ['m'], ['r']),
      node('Shape', ['r'], ['s']),
      node('Expand', ['one', 's'], ['e']),
      node('Add', ['r', 'e'], ['y']),
    ],
    initializers: [
      tensor('w', 'f32', [200, 100], new Array<number>(20_000).fill(0.5)),
      tensor('one', 'f32', [], [1]),
    ],
    inputs: [value('x', 'f32', ['batch', 200])],
    outputs: [value('y', 'f32', ['batch', 100])],
  },
});

interface Memory {
  heap: number;
  buffers: number;
}

async function memory(): Promise<Memory> {
  // V8 frees the bytes of dead ArrayBuffers on a thread of its own, and ends that before it collects again.
  collect();
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

async function once(options: LoadOptions): Promise<void> {
  const loaded = await load(model, { warm: false, ...options });
  const { y } = await loaded.run({ x: { data: new Float32Array(400).fill(1), dims: [2, 200] } });
  expect((y!.data as Float32Array)[0]).toBe(101);
  loaded.dispose();
}

/** Memory after some rounds, and after all. */
async function repeat(options: LoadOptions): Promise<[Memory, Memory]> {
  for (let i = 0; i < 100; i++) await once(options);
  const early = await memory();
  for (let i = 100; i < rounds; i++) await once(options);
  return [early, await memory()];
}

function expectFlat([early, late]: [Memory, Memory]): void {
  console.log(
    `after 100 and ${rounds} rounds: heap ${(early.heap / 1e6).toFixed(1)} and ` +
      `${(late.heap / 1e6).toFixed(1)} MB, buffers ${early.buffers} and ${late.buffers} bytes`,
  );
  // A kilobyte a round would show.
  expect(late.heap - early.heap).toBeLessThan(1e6);
  expect(late.buffers - early.buffers).toBeLessThan(1e6);
}

describe(`${rounds} rounds of load, run and dispose`, () => {
  let device: GPUDevice;
  let counts: DeviceCounts;
  beforeAll(async () => {
    ({ device, counts } = countingDevice(await defaultLimitsDevice()));
  });
  afterAll(() => device.destroy());

  test('on the caller’s GPU device', { timeout: 300_000 }, async () => {
    expectFlat(await repeat({ device }));
    await device.queue.onSubmittedWorkDone();
    expect(counts.liveBytes).toBe(0);
  });

  test('on WebAssembly', { timeout: 300_000 }, async () => {
    expectFlat(await repeat({ device: 'wasm', threads: 1 }));
  });
});

test('threads of WebAssembly end with their model', { timeout: 120_000 }, async () => {
  const count = (): number => readdirSync('/proc/self/task').length;
  await once({ device: 'wasm', threads: 2 });
  const before = count();
  for (let i = 0; i < 20; i++) await once({ device: 'wasm', threads: 2 });
  // They end by themselves, soon after they were told to.
  await expect.poll(count, { timeout: 10_000 }).toBeLessThanOrEqual(before);
});
