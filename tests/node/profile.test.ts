// quern profile and Model.profile: GPU time by dispatch, node and kernel.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { load, UnsupportedError, type Profile } from '../../runtime/src/node.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';

const [rows, inner, columns] = [24, 40, 32];
const weights = Array.from({ length: inner * columns }, (_, i) => Math.sin(i));
/** A product with an addition joined to it, and a softmax. */
const bytes = writeModel({
  graph: {
    nodes: [
      { ...node('MatMul', ['x', 'w'], ['p']), name: 'product' },
      { ...node('Add', ['p', 'b'], ['s']), name: 'sum' },
      { ...node('Softmax', ['s'], ['y'], { axis: { int: -1 } }), name: 'shares' },
    ],
    initializers: [
      tensor('w', 'f32', [inner, columns], weights),
      tensor('b', 'f32', [columns], weights.slice(0, columns)),
    ],
    inputs: [value('x', 'f32', ['batch', inner])],
    outputs: [value('y', 'f32', ['batch', columns])],
  },
});
const feeds = { x: { data: new Float32Array(rows * inner).fill(0.5), dims: [rows, inner] } };

let folder: string;
beforeAll(async () => {
  await dawnGpu();
  folder = mkdtempSync(join(tmpdir(), 'quern-profile-'));
  writeFileSync(join(folder, 'model.onnx'), bytes);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a profile has each dispatch, its node, and what that has to compute and to move', async () => {
  const model = await load(bytes, { device: 'webgpu' });
  const { dispatches, nodes, kernels, ceilings, runs } = await model.profile(feeds, { runs: 2 });
  expect(runs).toBe(2);
  expect(dispatches.map(({ kernel }) => kernel.split(' ').slice(0, 2).join(' '))).toEqual([
    expect.stringMatching(/^MatMul mat(mul|vec)/),
    'Softmax softmax',
  ]);
  const product = {
    ...{ op: 'Fused', body: ['MatMul', 'Add'], dispatches: 1 },
    flops: 2 * rows * inner * columns,
    bytes: 4 * (rows * inner + inner * columns + columns + rows * columns),
  };
  expect(nodes).toMatchObject([
    product,
    { name: 'shares', op: 'Softmax', flops: 0, bytes: 2 * 4 * rows * columns },
  ]);
  expect(dispatches.map(({ node }) => node)).toEqual(nodes.map(({ id }) => id));
  expect(kernels).toHaveLength(2);
  expect(kernels.reduce((sum, { flops }) => sum + flops, 0)).toBe(product.flops);
  expect(ceilings.bytesPerSecond).toBeGreaterThan(0);
  expect(ceilings.flopsPerSecond).toBeGreaterThan(0);
  // Runs go on as before it.
  const { y } = await model.run(feeds);
  expect(y!.dims).toEqual([rows, columns]);
  model.dispose();
});

test('where there are no timestamps, the error says so', async () => {
  const device = await defaultLimitsDevice();
  const without = await load(bytes, { device });
  await expect(without.profile(feeds)).rejects.toThrow(UnsupportedError);
  await expect(without.profile(feeds)).rejects.toThrow(/timestamp-query/);
  without.dispose();
  device.destroy();
  const wasm = await load(bytes, { device: 'wasm', threads: 1 });
  await expect(wasm.profile(feeds)).rejects.toThrow(/only WebGPU/);
  wasm.dispose();
});

test('the tool prints tables and writes JSON and a trace', () => {
  const cli = join(repoRoot, 'runtime/dist/cli.js');
  const args = ['profile', 'model.onnx', '--input', `x=random:${rows}x${inner}`, '--runs', '2'];
  const files = ['--json', 'profile.json', '--trace', 'trace.json'];
  const run = spawnSync(process.execPath, [cli, ...args, ...files], {
    encoding: 'utf8',
    cwd: folder,
  });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  expect(run.stdout).toMatch(/^a run +\S+ µs on the GPU \(median of 2, /m);
  expect(run.stdout).toMatch(/^ceilings +copy \S+ \wB\/s, multiply-add \S+ \wFLOP\/s/m);
  expect(run.stdout).toMatch(/ MatMul\+Add \S+ +MatMul mat\w+ .*\[\d+x1x1\]$/m);
  const profile = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')) as Profile;
  expect(profile.time).toBeGreaterThan(0);
  expect(profile.nodes).toHaveLength(2);
  const trace = JSON.parse(readFileSync(join(folder, 'trace.json'), 'utf8')) as {
    traceEvents: { ph: string; cat?: string; ts: number; dur: number }[];
  };
  const events = trace.traceEvents.filter(({ ph }) => ph === 'X');
  expect(events.map(({ cat }) => cat)).toEqual(['Fused', 'Softmax']);
  expect(events[0]!.dur).toBeGreaterThan(0);
  expect(events[1]!.ts).toBeGreaterThanOrEqual(events[0]!.ts + events[0]!.dur);
});
