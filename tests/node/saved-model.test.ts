// SavedModels of TensorFlow, written from TensorFlow.js's graphs, against TensorFlow.js.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { load } from '../../runtime/src/node.js';
import { type LoadOptions } from '../../runtime/src/node.js';
import { repoRoot } from '../support/paths.js';
import { savedModel, type FolderFiles } from '../support/saved-model.js';
import { CaseGraph, shapes, windows } from '../support/tfjs-cases.js';
import { differences } from '../support/tfjs-compare.js';
import { control } from '../support/tfjs-control.js';
import { packagedModel } from '../support/tfjs-models.js';
import { runGraphModel, type, type Sample } from '../support/tfjs.js';

const wasm: LoadOptions = { device: 'wasm', threads: 1 };
const styles = ['tf1', 'tf2'] as const;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'quern-saved-model-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function write(name: string, files: FolderFiles): string {
  const folder = join(root, name);
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

const { graph: build, loader } = packagedModel('gender-ssrnet-imdb');
const graph = build();
let want: Sample[];
beforeAll(async () => {
  want = await runGraphModel(loader, graph.inputs, graph.outputs);
});
const check = (source: Parameters<typeof load>[0], options = wasm): Promise<string[]> =>
  differences(source, graph, options, want, 'TensorFlow');

describe.each(styles)('%s', (style) => {
  test('from its folder, and from saved_model.pb', async () => {
    const folder = write(`folder-${style}`, savedModel(graph, style, 3));
    expect(await check(folder)).toEqual([]);
    // A software GPU is long about the pipelines.
    const device = process.env['QUERN_LONG'] ? ({ device: 'webgpu' } as const) : wasm;
    expect(await check(join(folder, 'saved_model.pb'), device)).toEqual([]);
  });

  test('from bytes, with the other files beside them', async () => {
    const { 'saved_model.pb': model, ...externalData } = savedModel(graph, style);
    expect(await check({ model: model!, externalData })).toEqual([]);
    const { 'variables/variables.index': index, ...shards } = externalData;
    const missing = check({ model: model!, externalData: shards });
    await expect(missing).rejects.toThrow(/externalData: \{'variables\/variables.index'/);
    const cut = { ...externalData, 'variables/variables.index': index!.slice(1) };
    await expect(check({ model: model!, externalData: cut })).rejects.toThrow(/index is damaged/);
  });

  const families: [string, (graph: CaseGraph) => void][] = [
    ['control', control],
    ['shapes', shapes],
    ['windows', windows],
  ];
  test.each(families)('operators: %s', async (_, add) => {
    const cases = new CaseGraph();
    add(cases);
    const { loader } = cases.artifacts();
    const expected = await runGraphModel(loader, cases.inputs, cases.outputs);
    const { 'saved_model.pb': model, ...externalData } = savedModel(cases, style);
    const source = { model: model!, externalData };
    expect(await differences(source, cases, wasm, expected, 'TensorFlow')).toEqual([]);
  });
});

test('from a URL, each file fetched once', async () => {
  const files = savedModel(graph, 'tf2');
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace('/model/', '');
    requests.push(path);
    response.statusCode = path in files ? 200 : 404;
    response.end(files[path]);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const { port } = server.address() as AddressInfo;
    expect(await check(`http://127.0.0.1:${String(port)}/model/saved_model.pb`)).toEqual([]);
    expect(requests.sort()).toEqual(Object.keys(files).sort());
  } finally {
    await new Promise((done) => server.close(done));
  }
});

describe('quern', () => {
  const cli = join(repoRoot, 'runtime/dist/cli.js');
  const quern = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', cwd: root });

  test('inspect, run, diff and convert take the folder', () => {
    const small = new CaseGraph();
    small.out('MatMul', [small.x([2, 3]), small.k([3, 4])], { T: type('DT_FLOAT') });
    const folder = write('cli', savedModel(small, 'tf2', 1));
    const inspected = quern('inspect', folder, '--device', 'wasm');
    expect(inspected.stderr).toBe('');
    expect(inspected.stdout).toMatch(/TensorFlow/);
    expect(inspected.stdout).toMatch(/serving_default/);
    expect(quern('run', folder, '--device', 'wasm').status).toBe(0);
    expect(quern('convert', folder, 'out.onnx').stdout).toMatch(/out.onnx/);
    expect(quern('run', 'out.onnx', '--device', 'wasm').status).toBe(0);
    const diff = quern('diff', folder, '--a', 'wasm', '--b', 'wasm/no-passes');
    expect(diff.stderr + String(diff.status)).toBe('0');
    const empty = join(root, 'cli', 'variables');
    expect(quern('inspect', empty).stderr).toMatch(/saved_model.pb can't be read/);
  });

  test('what convert writes onnxruntime runs, with the same results', async () => {
    const folder = write('whole', savedModel(graph, 'tf1'));
    expect(quern('convert', folder, 'whole.onnx').status).toBe(0);
    // 3: errors alone; it warns of constants that nothing takes.
    const session = await InferenceSession.create(join(root, 'whole.onnx'), {
      logSeverityLevel: 3,
    });
    const feeds = Object.entries(graph.inputs).map(([name, { dtype, data, dims }]) => {
      return [name, new OrtTensor(dtype as 'float32', data as Float32Array, dims)] as const;
    });
    const outputs = await session.run(Object.fromEntries(feeds));
    for (const [index, name] of graph.outputs.entries()) {
      const data = outputs[name]!.data as Float32Array;
      const expected = want[index]!.data;
      expect(data.length).toBe(expected.length);
      const furthest = Math.max(...data.map((value, i) => Math.abs(value - expected[i]!)));
      expect(furthest).toBeLessThan(1e-5);
    }
    await session.release();
  });
});
