// quern diff: two ways of running a model, value by value.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DiffResult } from '../../runtime/src/cli/diff.js';
import { load } from '../../runtime/src/node.js';
import { unpack } from '../support/data.js';
import { node, tensor, value, writeModel, type GraphSpec } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';

/** The branch reads `scaled` from around it; exp is not the same everywhere in its last bits. */
const branch = (op: string): GraphSpec => ({
  name: op,
  nodes: [node(op, ['scaled'], [`${op}_y`])],
  outputs: [value(`${op}_y`, 'f32', ['n'])],
});
const bytes = writeModel({
  graph: {
    nodes: [
      { ...node('Mul', ['x', 'k'], ['scaled']), name: 'scale' },
      {
        ...node('If', ['flag'], ['chosen']),
        ...{
          name: 'choice',
          attributes: {
            then_branch: { graph: branch('Exp') },
            else_branch: { graph: branch('Neg') },
          },
        },
      },
      { ...node('Relu', ['chosen'], ['y']), name: 'last' },
    ],
    initializers: [tensor('k', 'f32', [], [7])],
    inputs: [value('x', 'f32', ['n']), value('flag', 'bool', [])],
    outputs: [value('y', 'f32', ['n'])],
  },
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quern-diff-'));
  writeFileSync(join(folder, 'model.onnx'), bytes);
});
afterAll(() => rmSync(folder, { recursive: true }));

function quern(...args: string[]) {
  const cli = join(repoRoot, 'runtime/dist/cli.js');
  const run = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', cwd: folder });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

const inputs = ['--input', 'x=random:64', '--input', 'flag=1', '--threads', '1'];

test('within the tolerance nothing differs', () => {
  const { status, out, err } = quern('diff', 'model.onnx', ...inputs);
  expect(err).toBe('');
  expect(status).toBe(0);
  expect(out).toMatch(/^webgpu beside wasm\/no-passes$/m);
  expect(out).toMatch(/^3 values compared: none differs$/m);
  expect(existsSync(join(folder, 'diff'))).toBe(false);
});

test('the first node that differs is named and saved', () => {
  const ways = ['--a', 'wasm/threads=1', '--b', 'webgpu', '--l2', '1e-12', '--save', 'part'];
  const { status, out, err } = quern('diff', 'model.onnx', ...inputs, ...ways, '--json', 'd.json');
  expect(err).toBe('');
  expect(status).toBe(1);
  expect(out).toMatch(/the first that differs is 'chosen', of If 'choice'$/m);
  const { first, saved } = JSON.parse(readFileSync(join(folder, 'd.json'), 'utf8')) as DiffResult;
  expect(first).toMatchObject({ value: 'chosen', node: 'choice', op: 'If' });
  expect(first!.relativeL2).toBeLessThan(1e-5);
  expect(saved).toEqual({ folder: 'part', nodes: ["If 'choice'"], reproduces: true });
  // A test folder as any other.
  const check = quern('check', 'part', '--device', 'webgpu', '--rtol', '1e-5');
  expect(check.out).toMatch(/^pass +part /m);
  expect(check.status).toBe(0);
});

test('a way that is none is refused', () => {
  expect(quern('diff', 'model.onnx', '--a', 'cpu').err).toMatch(/^quern: cpu: expected webgpu or/);
  const { err, status } = quern('diff', 'model.onnx', '--b', 'webgpu/fast');
  expect(err).toMatch(/'fast' is none of passes, no-passes, threads=N/);
  expect(status).toBe(1);
});

test.each(['webgpu', 'wasm'] as const)('inner values come out on %s', async (device) => {
  const model = await load(join(folder, 'model.onnx'), {
    device,
    threads: 1,
    moreOutputs: ['scaled', 'no such value'],
  });
  expect(model.outputs.map(({ name }) => name)).toEqual(['y', 'scaled']);
  const { scaled } = await model.run({ x: [1, 2], flag: true });
  expect([...(scaled!.data as Float32Array)]).toEqual([7, 14]);
  model.dispose();
});

test('a model of another format is compared, and its part saved, as the ONNX it is read as', () => {
  const model = join(unpack('zoo'), 'superres', 'model.pt2');
  const ways = ['--a', 'wasm/no-passes/threads=1', '--b', 'wasm/threads=1'];
  const near = quern('diff', model, ...ways);
  expect(near.err).toBe('');
  expect(near.out).toMatch(/^\d+ values compared: none differs$/m);
  expect(near.status).toBe(0);
  // Fused nodes round otherwise.
  const exact = quern('diff', model, ...ways, '--l2', '0', '--save', 'pt2', '--json', 'e.json');
  expect(exact.err).toBe('');
  const { saved } = JSON.parse(readFileSync(join(folder, 'e.json'), 'utf8')) as DiffResult;
  expect(exact.status).toBe(saved ? 1 : 0);
  if (saved) expect(quern('check', 'pt2', '--device', 'wasm').status).toBe(0);
});
