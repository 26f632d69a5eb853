// Model.tune, load's option tuning, and quern tune.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  InvalidArgumentError,
  load,
  UnsupportedError,
  type TuneResult,
  type TuningTable,
} from '../../runtime/src/node.js';
import { compare, webgpuTolerance } from '../support/compare.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';
import type { Tensors } from '../support/pb.js';
import { runReference } from '../support/reference.js';

const noise = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(i * seed + seed));

/** A product with a fused addition, one of a row, and a convolution of 3x3. */
const bytes = writeModel({
  graph: {
    nodes: [
      node('MatMul', ['a', 'w'], ['p']),
      node('Add', ['p', 'b'], ['product']),
      node('MatMul', ['row', 'w'], ['vector']),
      node('Conv', ['image', 'k'], ['c'], { pads: { ints: [1, 1, 1, 1] } }),
      node('Relu', ['c'], ['conv']),
    ],
    initializers: [
      tensor('w', 'f32', [520, 64], noise(520 * 64, 0.7)),
      tensor('b', 'f32', [64], noise(64, 0.3)),
      tensor('k', 'f32', [24, 16, 3, 3], noise(24 * 16 * 9, 1.3)),
    ],
    inputs: [
      value('a', 'f32', [48, 520]),
      value('row', 'f32', [1, 520]),
      value('image', 'f32', [1, 16, 10, 12]),
    ],
    outputs: [value('product', 'f32'), value('vector', 'f32'), value('conv', 'f32')],
  },
});
const feeds = {
  a: { dims: [48, 520], data: Float32Array.from(noise(48 * 520, 0.9)) },
  row: { dims: [1, 520], data: Float32Array.from(noise(520, 1.9)) },
  image: { dims: [1, 16, 10, 12], data: Float32Array.from(noise(1920, 0.4)) },
};
const references: Tensors = Object.fromEntries(
  Object.entries(feeds).map(([name, feed]) => [name, { name, dtype: 'f32', ...feed }]),
);

let folder: string;
let want: Tensors;
let tuned: TuneResult;

beforeAll(async () => {
  await dawnGpu();
  folder = mkdtempSync(join(tmpdir(), 'quern-tune-'));
  writeFileSync(join(folder, 'model.onnx'), bytes);
  want = await runReference(bytes, references);
  const model = await load(bytes, { device: 'webgpu', tuning: { folder: join(folder, 'kept') } });
  const progress: [number, number][] = [];
  tuned = await model.tune(feeds, {
    runs: 1,
    onProgress: (tried, total) => progress.push([tried, total]),
  });
  const [tried, total] = progress.at(-1)!;
  expect(tried).toBe(total);
  await expectRight(model, 'after tuning');
  expect(model.report().tuning).toEqual(tuned.table.forms);
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function expectRight(model: Awaited<ReturnType<typeof load>>, what: string): Promise<void> {
  const got = await model.run(feeds);
  for (const [name, reference] of Object.entries(want)) {
    const { dims, data } = got[name]!;
    const actual = {
      name,
      dtype: 'f32' as const,
      dims: [...dims],
      data: data as Float32Array<ArrayBuffer>,
    };
    const { ok, message } = compare(reference, actual, webgpuTolerance);
    expect(ok, `${what}: ${message}`).toBe(true);
  }
}

test('every kernel with a choice is found, and none gets a slower form', () => {
  expect(tuned.complete).toBe(true);
  const { kernels, gpuTime } = tuned;
  const problems = kernels.map(({ problem }) => problem).sort();
  expect(problems).toEqual([
    expect.stringMatching(/^conv 1x1x24x16 10:10:3:1:1 12:12:3:1:1 f32 f32 f32$/),
    expect.stringMatching(/^matmul 48x64x520 f32 f32 f32$/),
    expect.stringMatching(/^matvec 1x64x520 f32 f32 f32$/),
  ]);
  expect(gpuTime.tuned).toBeLessThanOrEqual(gpuTime.usual);
  for (const { problem, form, time, usual, usualTime, forms } of kernels) {
    expect(Object.keys(forms).length, problem).toBeGreaterThan(4);
    expect(time).toBe(forms[form]);
    expect(usualTime).toBe(forms[usual]);
    if (form !== usual) expect(time).toBeLessThan(usualTime);
    expect(tuned.table.forms[problem]).toBe(form === usual ? undefined : form);
  }
  const conv = kernels.find(({ problem }) => problem.startsWith('conv'))!;
  expect(conv.forms).toHaveProperty('winograd');
});

test('all forms give the same results, without a program or plan of another one', async () => {
  const most = Math.max(...tuned.kernels.map(({ forms }) => Object.keys(forms).length));
  for (let i = 0; i < most; i++) {
    const forms: Record<string, string> = {};
    for (const { problem, forms: all } of tuned.kernels) {
      const names = Object.keys(all);
      if (i < names.length) forms[problem] = names[i]!;
    }
    const model = await load(bytes, { device: 'webgpu', tuning: { ...tuned.table, forms } });
    await expectRight(model, JSON.stringify(forms));
    expect(model.report().tuning).toEqual(forms);
    if (Object.values(forms).includes('winograd')) {
      const labels = model
        .report()
        .nodes.flatMap(({ kernels }) => kernels.map(({ label }) => label));
      expect(labels.join()).toContain('winograd');
    }
    model.dispose();
  }
});

test('what was found is kept for the next load; a damaged table counts as none', async () => {
  const place = join(folder, 'kept');
  const again = await load(bytes, { device: 'webgpu', tuning: { folder: place } });
  expect(again.report().tuning).toEqual(tuned.table.forms);
  expect(again.report().notes).toEqual([]);
  again.dispose();
  const [record] = readdirSync(join(place, 'tuning'));
  const file = join(place, 'tuning', record!);
  const text = readFileSync(file, 'utf8');
  expect(JSON.parse(text)).toEqual(tuned.table);
  const faults = {
    [text.slice(0, 40)]: /damaged/,
    '{}': /its version is undefined/,
    [JSON.stringify({ ...tuned.table, device: 'abacus' })]: /of another device/,
    [JSON.stringify({ ...tuned.table, forms: { p: 'a\nq\tb' } })]: /its form of 'p' is no name/,
  };
  for (const [damaged, note] of Object.entries(faults)) {
    writeFileSync(file, damaged);
    const model = await load(bytes, { device: 'webgpu', tuning: { folder: place } });
    expect(model.report().notes.join()).toMatch(note);
    expect(model.report().tuning).toEqual({});
    model.dispose();
  }
});

test('tables of another device are not used, malformed ones are errors', async () => {
  const other = { ...tuned.table, device: 'abacus', forms: { p: 'q' } };
  const model = await load(bytes, { device: 'webgpu', tuning: other });
  expect(model.report().notes.join()).toMatch(/the table is of another device, abacus/);
  expect(model.report().tuning).toEqual({});
  model.dispose();
  for (const bad of [{ forms: {} }, { version: 1, forms: {} }, { ...other, forms: { p: 3 } }]) {
    const loading = load(bytes, { device: 'webgpu', tuning: bad as unknown as TuningTable });
    await expect(loading).rejects.toThrow(InvalidArgumentError);
    await expect(loading).rejects.toThrow(/^tuning: it/);
  }
  await expect(load(bytes, { device: 'webgpu', tuning: true })).rejects.toThrow(/needs a folder/);
});

test('a tuner that is called off leaves the model as it was', async () => {
  const model = await load(bytes, { device: 'webgpu' });
  const control = new AbortController();
  const tuning = model.tune(feeds, {
    runs: 1,
    signal: control.signal,
    onProgress: (tried) => tried === 3 && control.abort(new Error('enough')),
  });
  await expect(tuning).rejects.toThrow('enough');
  expect(model.report().tuning).toEqual({});
  await expectRight(model, 'after it');
  const short = await model.tune(feeds, { runs: 1, budget: 0 });
  expect(short.complete).toBe(false);
  model.dispose();
});

test('in the background it begins after the first run, beside others', async () => {
  const place = join(folder, 'background');
  const model = await load(bytes, {
    device: 'webgpu',
    tuning: { folder: place, background: true },
  });
  await expectRight(model, 'first run');
  const kept = (): string[] => {
    try {
      return readdirSync(join(place, 'tuning'));
    } catch {
      return [];
    }
  };
  await expect
    .poll(
      async () => {
        await expectRight(model, 'a run beside it');
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return kept().length;
      },
      { timeout: 120_000 },
    )
    .toBe(1);
  expect(model.report().notes).toEqual([]);
  model.dispose();
});

test('without WebGPU or its timestamps, an error says so', async () => {
  const device = await defaultLimitsDevice();
  const without = await load(bytes, { device });
  await expect(without.tune(feeds)).rejects.toThrow(UnsupportedError);
  await expect(without.tune(feeds)).rejects.toThrow(/timestamp-query/);
  without.dispose();
  device.destroy();
  const wasm = await load(bytes, { device: 'wasm', threads: 1 });
  await expect(wasm.tune(feeds)).rejects.toThrow(/only models that WebGPU runs/);
  wasm.dispose();
});

test('quern tune shows what it found and writes a table that run and compile take', () => {
  const quern = (...args: string[]) =>
    spawnSync('node', [join(repoRoot, 'runtime', 'dist', 'cli.js'), ...args], {
      encoding: 'utf8',
      env: process.env,
    });
  const model = join(folder, 'model.onnx');
  const file = join(folder, 'table.json');
  const made = quern('tune', model, '-o', file);
  expect(made.stderr).toBe('');
  expect(made.stdout).toMatch(/^device +webgpu/);
  expect(made.stdout).toMatch(/a run +[\d.]+ µs on the GPU, tuned [\d.]+ \(-\d+ %\)/);
  expect(made.stdout).toMatch(/kernels +3 with a choice, \d have another form now/);
  const table = JSON.parse(readFileSync(file, 'utf8')) as TuningTable;
  table.forms = { 'conv 1x1x24x16 10:10:3:1:1 12:12:3:1:1 f32 f32 f32': 'winograd' };
  writeFileSync(file, JSON.stringify(table));
  const ran = quern('run', model, '--device', 'webgpu', '--tuning', file, '--json');
  expect(ran.stderr).toBe('');
  const packed = quern('compile', model, '-o', join(folder, 'packed'), '--tuning', file);
  expect(packed.stderr).toBe('');
  const plain = quern('compile', model, '-o', join(folder, 'plain'));
  const programs = (text: string) => Number(/(\d+) programs/.exec(text)?.[1]);
  // Winograd's transforms and product in the place of one kernel.
  expect(programs(packed.stdout)).toBeGreaterThan(programs(plain.stdout));
  const none = quern('tune', join(folder, 'nothing.onnx'));
  expect(none.status).toBe(1);
});
