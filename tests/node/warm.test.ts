// Programs made ahead of runs: those that a first run most likely needs, then the others.

import { expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { countingDevice } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';

/** A product whose kernel depends on the number of rows. */
const model = writeModel({
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['m']), node('Relu', ['m'], ['y'])],
    initializers: [tensor('w', 'f32', [64, 32], new Array<number>(64 * 32).fill(0.5))],
    inputs: [value('x', 'f32', ['batch', 'rows', 64])],
    outputs: [value('y', 'f32', ['batch', 'rows', 32])],
  },
});

test('load waits for the likely programs; the others compile after the first run', async () => {
  const { device, counts } = countingDevice(await defaultLimitsDevice());
  const phases: [number, number][] = [];
  const loaded = await load(model, {
    device,
    onProgress: ({ phase, loaded, total }) => {
      if (phase === 'compile') phases.push([loaded, total!]);
    },
  });
  const all = loaded.report().programs;
  const likely = counts.calls.createComputePipelineAsync;
  expect(phases.at(-1)).toEqual([likely, likely]);
  expect(likely).toBeGreaterThan(0);
  expect(likely).toBeLessThan(all);

  const run = async (rows: number): Promise<void> => {
    const x = { data: new Float32Array(rows * 64).fill(1), dims: [1, rows, 64] };
    const { y } = await loaded.run({ x });
    expect(new Set(y!.data as Float32Array)).toEqual(new Set([32]));
  };
  await run(160);
  expect(counts.calls.createComputePipelineAsync).toBeLessThanOrEqual(all);
  await expect.poll(() => counts.calls.createComputePipelineAsync, { timeout: 60_000 }).toBe(all);
  counts.reset();
  for (const rows of [1, 8, 33, 300]) {
    await run(rows);
    expect(loaded.report().objects.lastRun.pipelines).toBe(0);
  }
  expect(counts.calls.createComputePipelineAsync).toBe(0);
  loaded.dispose();
  device.destroy();
});

test('a run that needs a program left for later does not wait for the others', async () => {
  const { device, counts } = countingDevice(await defaultLimitsDevice());
  const loaded = await load(model, { device });
  const x = { data: new Float32Array(64).fill(1), dims: [1, 1, 64] };
  const { y } = await loaded.run({ x });
  expect((y!.data as Float32Array)[31]).toBe(32);
  expect(loaded.report().objects.lastRun.pipelines).toBe(0);
  loaded.dispose(); // and ends what goes on
  expect(counts.calls.createComputePipelineAsync).toBeLessThanOrEqual(loaded.report().programs);
  device.destroy();
});

test('a run that is refused on its way leaves the next one whole', async () => {
  const loaded = await load(
    writeModel({
      graph: {
        nodes: [node('Add', ['x', 'c'], ['s']), node('Reshape', ['s', 'pairs'], ['y'])],
        initializers: [tensor('c', 'f32', [1], [0.5]), tensor('pairs', 'i64', [2], [2, -1])],
        inputs: [value('x', 'f32', ['n'])],
        outputs: [value('y', 'f32', [2, 'm'])],
      },
    }),
    { device: await defaultLimitsDevice(), warm: false },
  );
  await expect(loaded.run({ x: new Float32Array(3) })).rejects.toThrow(/Reshape/);
  const { y } = await loaded.run({ x: new Float32Array(4) });
  expect([y!.dims, [...(y!.data as Float32Array)]]).toEqual([
    [2, 2],
    [0.5, 0.5, 0.5, 0.5],
  ]);
  loaded.dispose();
});
