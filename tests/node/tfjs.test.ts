// TensorFlow.js and TensorFlow graphs against TensorFlow.js itself, on WebAssembly and WebGPU.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import type { Tensor } from '../../runtime/src/tensor.js';
import { longModels, nearTies, packagedModel } from '../support/tfjs-models.js';
import { differences } from '../support/tfjs-compare.js';
import { ints, randomData, runGraphModel, text, TfGraph, type } from '../support/tfjs.js';
import { CaseGraph, elementwise, reductions, shapes, windows } from '../support/tfjs-cases.js';
import { branchesOf, branchOperators, control } from '../support/tfjs-control.js';
import { savedModel } from '../support/saved-model.js';

const devices: Record<string, LoadOptions> = {
  wasm: { device: 'wasm', threads: 1 },
  webgpu: { device: 'webgpu' },
};

const encode = (json: object): Uint8Array => new TextEncoder().encode(JSON.stringify(json));

const families = { elementwise, windows, shapes, reductions, control };

/** Every operator takes pipelines of its own on WebGPU, which a software GPU is long about. */
const isLong = Boolean(process.env['QUERN_LONG']);

describe.each(Object.entries(families))('operators: %s', (family, add) => {
  const cases: [string, string, boolean, 'json' | 'pb'][] = [
    ['wasm', 'as model.json', false, 'json'],
    ['wasm', 'with extents that are not known', true, 'json'],
    ['wasm', 'as GraphDef', false, 'pb'],
  ];
  if (isLong || family === 'control' || family === 'shapes')
    cases.push(['webgpu', 'as model.json', false, 'json']);
  test.each(cases)('on %s, %s', async (device, _, unknown, form) => {
    const graph = new CaseGraph(unknown);
    add(graph);
    const { json, weights, loader } = graph.artifacts();
    const want = await runGraphModel(loader, graph.inputs, graph.outputs);
    const files = { model: encode(json), externalData: { 'weights.bin': weights } };
    const format = form === 'pb' ? 'TensorFlow' : 'TensorFlow.js';
    const source = form === 'pb' ? graph.graphDef() : files;
    expect(await differences(source, graph, devices[device]!, want, format)).toEqual([]);
  });
});

describe.each(['Case', 'StatelessCase'])('%s', (op) => {
  const last = branchOperators.length - 1;
  const cases = [-(2 ** 31), 0, 2, last, 2 ** 31 - 1].flatMap((index) => {
    return Object.keys(devices).map((device) => [device, index] as const);
  });
  test.each(cases)('on %s, of branch_index %i', async (device, index) => {
    const graph = new CaseGraph();
    branchesOf(graph, op, index);
    // TensorFlow.js has no such operator, but what the branch computes.
    const branch = new CaseGraph();
    branch.begin('branch');
    const chosen = branchOperators[index] ?? branchOperators[last]!;
    branch.out(chosen, [branch.x([2, 3])], { T: type('DT_FLOAT') });
    branch.inputs['branch/0'] = graph.inputs['case/0']!;
    const want = await runGraphModel(branch.artifacts().loader, branch.inputs, branch.outputs);
    const { json, weights } = graph.artifacts();
    const files = { model: encode(json), externalData: { 'weights.bin': weights } };
    expect(await differences(files, graph, devices[device]!, want, 'TensorFlow.js')).toEqual([]);
    if (device !== 'wasm') return;
    const { 'saved_model.pb': model, ...externalData } = savedModel(graph, 'tf2');
    for (const source of [graph.graphDef(), { model: model!, externalData }]) {
      expect(await differences(source, graph, devices[device]!, want, 'TensorFlow')).toEqual([]);
    }
  });
});

test('inputs of which not even the rank is known', async () => {
  const graph = new TfGraph();
  const f32 = type('DT_FLOAT');
  const bare = (name: string, dims: number[]): string => {
    const count = dims.reduce((a, b) => a * b, 1);
    graph.inputs[name] = { dtype: 'float32', dims, data: randomData(count, -1, 1) };
    return graph.node('Placeholder', name, [], { dtype: f32 });
  };
  const held = (name: string, dims: number[]): string => {
    const count = dims.reduce((a, b) => a * b, 1);
    return graph.constant(name, { dtype: 'float32', dims, data: randomData(count, -1, 1, 2) });
  };
  const keep = bare('keep', []);
  const kept = graph.node('Mul', 'kept', [bare('x', [3, 4]), keep], { T: f32 });
  graph.output(graph.node('MatMul', 'product', [kept, held('w', [4, 5])], { T: f32 }));
  const image = graph.node('Mul', 'image', [bare('pixels', [1, 6, 6, 2]), keep], { T: f32 });
  const window = {
    T: f32,
    strides: ints(1, 1, 1, 1),
    dilations: ints(1, 1, 1, 1),
    padding: text('SAME'),
    data_format: text('NHWC'),
  };
  graph.output(graph.node('Conv2D', 'conv', [image, held('kernel', [3, 3, 2, 4])], window));
  const depth = held('depth', [3, 3, 2, 1]);
  graph.output(graph.node('DepthwiseConv2dNative', 'depthwise', [image, depth], window));
  const want = await runGraphModel(graph.artifacts().loader, graph.inputs, graph.outputs);
  expect(await differences(graph.graphDef(), graph, devices['wasm']!, want, 'TensorFlow')).toEqual(
    [],
  );
});

/** y = x * w + b, with w in several shards and forms. */
function scaled(manifest: object[], topology?: object): object {
  const node = (name: string, op: string, input: string[] = []): object => {
    return { name, op, input, attr: { dtype: { type: 'DT_FLOAT' }, T: { type: 'DT_FLOAT' } } };
  };
  const placeholder = {
    ...node('x', 'Placeholder'),
    attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [{ size: '-1' }] } } },
  };
  const nodes = [placeholder, node('w', 'Const'), node('y', 'Mul', ['x', 'w'])];
  return {
    format: 'graph-model',
    modelTopology: topology ?? { node: nodes },
    weightsManifest: manifest,
  };
}

describe('shards', () => {
  const count = 40_000;
  const values = randomData(count, -1, 1);
  const bytes = new Uint8Array(values.buffer);
  const weight = { name: 'w', shape: [count], dtype: 'float32' };

  async function product(json: object, files: Record<string, Uint8Array>): Promise<Float32Array> {
    const model = await load({ model: encode(json), externalData: files }, devices['wasm']);
    const x = { dtype: 'float32', dims: [count], data: new Float32Array(count).fill(1) } as const;
    const outputs = await model.run({ x });
    model.dispose();
    return (outputs['y'] as Tensor).data as Float32Array;
  }

  test.each([[[80_000]], [[50_001, 100_002]], [[3, 4, 5, 159_999]], [[70_000, 70_000]]])(
    'cut at %j',
    async (cuts) => {
      const ends = [...cuts, bytes.length];
      const names = ends.map((_, i) => `part${String(i)}.bin`);
      const files = names.map((name, i) => [name, bytes.slice(cuts[i - 1] ?? 0, ends[i])]);
      const json = scaled([{ paths: names, weights: [weight] }]);
      const given = Object.fromEntries(files) as Record<string, Uint8Array>;
      expect(await product(json, given)).toEqual(values);
    },
  );

  test.each([
    ['uint8', Uint8Array],
    ['uint16', Uint16Array],
  ] as const)('quantised as %s', async (dtype, Type) => {
    const stored = new Type(count).map((_, i) => i % 251);
    const [scale, min] = [0.01, -1.25];
    const json = scaled([
      { paths: ['a.bin'], weights: [{ ...weight, quantization: { dtype, scale, min } }] },
    ]);
    const got = await product(json, { 'a.bin': new Uint8Array(stored.buffer) });
    const want = Float32Array.from(stored, (value) => value * scale + min);
    expect(Math.max(...got.map((value, i) => Math.abs(value - want[i]!)))).toBeLessThan(1e-6);
  });

  const refused: [string, object, Record<string, Uint8Array>, RegExp][] = [
    [
      'outside of the folder',
      scaled([{ paths: ['../a.bin'], weights: [weight] }]),
      {},
      /the shard '\.\.\/a\.bin' is outside/,
    ],
    [
      'at an absolute path',
      scaled([{ paths: ['/etc/passwd'], weights: [weight] }]),
      {},
      /is outside of the model's folder/,
    ],
    [
      'that end early',
      scaled([{ paths: ['a.bin'], weights: [weight] }]),
      { 'a.bin': bytes.slice(4) },
      /end 4 bytes too early/,
    ],
    [
      'that are not given',
      scaled([{ paths: ['a.bin'], weights: [weight] }]),
      {},
      /externalData: \{'a\.bin'/,
    ],
    [
      'of strings',
      scaled([{ paths: ['a.bin'], weights: [{ ...weight, dtype: 'string' }] }]),
      { 'a.bin': bytes },
      /type string/,
    ],
    [
      'of complex numbers',
      scaled([{ paths: ['a.bin'], weights: [{ ...weight, dtype: 'complex64', shape: [9] }] }]),
      { 'a.bin': bytes },
      /type complex64/,
    ],
    [
      'of a size past all bounds',
      scaled([{ paths: ['a.bin'], weights: [{ ...weight, shape: [1e9, 1e9, 1e9] }] }]),
      { 'a.bin': bytes },
      /weight 'w'/,
    ],
  ];
  test.each(refused)('%s are refused', async (_, json, files, message) => {
    await expect(product(json, files)).rejects.toThrow(message);
  });
});

test('model.json from a URL, its shards from beside it, each fetched once', async () => {
  const folder = dirname(packagedModel('gender-ssrnet-imdb').path);
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end(readFileSync(join(folder, basename(request.url ?? ''))));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${String(port)}/models/gender-ssrnet-imdb.json`;
    const model = await load(url, devices['wasm']);
    expect(model.report().format).toBe('TensorFlow.js');
    model.dispose();
    expect(requests).toEqual(['/models/gender-ssrnet-imdb.json', '/models/gender-ssrnet-imdb.bin']);
  } finally {
    await new Promise((done) => server.close(done));
  }
});

describe('what is not read', () => {
  test('a branch that needs what it is joined to', async () => {
    const node = (name: string, op: string, input: string[], dtype = 'DT_FLOAT'): object => {
      return { name, op, input, attr: { dtype: { type: dtype } } };
    };
    const nodes = [
      node('x', 'Placeholder', []),
      node('p', 'Placeholder', [], 'DT_BOOL'),
      node('s', 'Switch', ['x', 'p']),
      node('a', 'AddV2', ['s:1', 'm']),
      node('m', 'Merge', ['s', 'a']),
      node('y', 'Neg', ['m']),
    ];
    await expect(load(encode(scaled([], { node: nodes })), devices['wasm'])).rejects.toThrow(
      /control flow that needs itself, or is nested too deep/,
    );
  });

  test('unknown operators are named all at once', async () => {
    const node = (name: string, op: string, input: string[]): object => ({ name, op, input });
    const nodes = [
      node('a', 'HashTableV2', []),
      node('b', 'Odd', ['a']),
      node('c', 'Odd', ['b']),
      node('d', 'RFFT', ['c']),
    ];
    await expect(load(encode(scaled([], { node: nodes })), devices['wasm'])).rejects.toThrow(
      /unsupported operators: HashTableV2 at node 'a' \(tables\); Odd at node '.' and 1 more; RFFT at node 'd' \(complex64 numbers\)/,
    );
  });
});

describe('models of others', () => {
  const models = ['gender-ssrnet-imdb', 'emotion', 'facemesh-detection-short', 'selfie', 'rvm'];
  test.each(isLong ? longModels() : models)(
    '%s',
    async (name) => {
      const { path, loader, inputs, outputs } = packagedModel(name);
      const graph = new TfGraph();
      Object.assign(graph.inputs, inputs);
      const { before = [], decided } = nearTies[name] ?? {};
      graph.outputs.push(...[...outputs, ...before].map((output) => output.replace(/:0$/, '')));
      const want = await runGraphModel(loader, inputs, [...outputs, ...before]);
      // Of rvm's branches some are decided by inputs that are on the GPU.
      for (const device of isLong || name === 'rvm' ? ['wasm', 'webgpu'] : ['wasm']) {
        const options = { ...devices[device]!, moreOutputs: before };
        const skipped = device === 'webgpu' ? decided : undefined;
        expect(
          await differences(path, graph, options, want, 'TensorFlow.js', { skipped }),
          device,
        ).toEqual([]);
      }
    },
    600_000,
  );
});
