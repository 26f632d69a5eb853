// The tuner in Chromium, whose clock goes in steps of 0.1 ms, and what it keeps for the next visit.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TuneResult } from '../../runtime/src/index.js';
import { TestBrowser } from '../support/browser.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';

const [rows, inner, columns] = [24, 256, 48];
const weights = Array.from({ length: inner * columns }, (_, i) => Math.sin(i * 0.7));
const model = writeModel({
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['p']), node('Relu', ['p'], ['y'])],
    initializers: [tensor('w', 'f32', [inner, columns], weights)],
    inputs: [value('x', 'f32', [rows, inner])],
    outputs: [value('y', 'f32', [rows, columns])],
  },
});

interface Visit {
  first: number[];
  y: number[];
  before: Record<string, string>;
  tuning: Record<string, string>;
  notes: string[];
  found?: TuneResult;
}

let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.start({ routes: { '/m.onnx': () => ({ body: model }) } });
});
afterAll(() => browser?.close());

test('a page tunes a model once, the next one has what it found', async () => {
  const opened = await browser.open();
  const visit = (tune: boolean) =>
    opened.evaluateModule<Visit>(
      `import { load } from '/runtime/dist/index.js';
      export default async ([tune, count]) => {
        const model = await load('/m.onnx', { device: 'webgpu', tuning: true });
        const x = Float32Array.from({ length: count }, (_, i) => Math.cos(i));
        const before = model.report().tuning;
        const { y: first } = await model.run({ x });
        const found = tune ? await model.tune({ x }, { runs: 1 }) : undefined;
        const { y } = await model.run({ x });
        const { tuning, notes } = model.report();
        model.dispose();
        return { first: [...first.data], y: [...y.data], before, tuning, notes, found };
      }`,
      [tune, rows * inner],
    );
  const once = await visit(true);
  expect(once.before).toEqual({});
  expect(once.notes).toEqual([]);
  const { kernels, complete, table } = once.found!;
  expect(complete).toBe(true);
  expect(kernels).toHaveLength(1);
  expect(kernels[0]!.problem).toBe(`matmul ${rows}x${columns}x${inner} f32 f32 f32`);
  expect(Object.keys(kernels[0]!.forms).length).toBeGreaterThan(4);
  for (const time of Object.values(kernels[0]!.forms)) expect(time).toBeGreaterThan(0);
  expect(table.device).toContain('Chrome');
  expect(once.tuning).toEqual(table.forms);

  await opened.page.reload();
  const again = await visit(false);
  expect(again.before).toEqual(table.forms);
  expect(again.notes).toEqual([]);
  const largest = Math.max(...once.first.map(Math.abs));
  for (const values of [once.y, again.y]) {
    values.forEach((v, i) => expect(Math.abs(v - once.first[i]!)).toBeLessThan(1e-5 * largest));
  }
  expect(opened.errors).toEqual([]);
  await opened.close();
});
