// Loading in its variety, with the real core: sources, devices, limits, failures.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  InvalidArgumentError,
  InvalidModelError,
  LimitError,
  load,
  type LoadOptions,
  UnsupportedError,
  type Progress,
} from '../../runtime/src/node.js';
import { countingDevice } from '../support/counting-device.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel, type GraphSpec } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';
import { startServer } from '../support/server.js';
import { syntheticModel } from '../support/synthetic.js';

const devices: GPUDevice[] = [];
let folder: string;
beforeAll(async () => {
  await dawnGpu();
  folder = mkdtempSync(join(tmpdir(), 'quern-load-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  devices.forEach((device) => device.destroy());
});

const targets: LoadOptions[] = [{ device: 'webgpu' }, { device: 'wasm', threads: 1 }];

/** y = x + 1 over a vector of any length. */
const addOne: GraphSpec = {
  nodes: [node('Add', ['x', 'one'], ['y'])],
  initializers: [tensor('one', 'f32', [], [1])],
  inputs: [value('x', 'f32', ['n'])],
  outputs: [value('y', 'f32', ['n'])],
};

const external = Float32Array.from({ length: 50_000 }, (_, i) => i);
const withExternal = writeModel({
  graph: {
    nodes: [node('Add', ['x', 'w'], ['s']), node('Mul', ['s', 'k'], ['y'])],
    initializers: [
      {
        ...{ name: 'w', dtype: 'f32', dims: [40_000] },
        external: { location: 'data/weights.bin', offset: 4096, length: 160_000 },
      },
      {
        name: 'k',
        dtype: 'f32',
        dims: [],
        external: { location: 'data/weights.bin', offset: 8, length: 4 },
      },
    ],
    inputs: [value('x', 'f32', [40_000])],
    outputs: [value('y', 'f32', [40_000])],
  },
});
const externalBytes = new Uint8Array(external.buffer);

describe.each(targets)('%j', (options) => {
  test('weights in another file: given, beside the model, missing, too short', async () => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    writeFileSync(join(folder, 'data/weights.bin'), externalBytes);
    writeFileSync(join(folder, 'model.onnx'), withExternal);
    const files = { model: withExternal, externalData: { 'data/weights.bin': externalBytes } };
    for (const source of [files, join(folder, 'model.onnx')]) {
      const model = await load(source, options);
      const { y } = await model.run({ x: new Float32Array(40_000).fill(1) });
      const expected = external.subarray(1024, 41_024).map((w) => (w + 1) * 2);
      expect([...(y!.data as Float32Array)]).toEqual([...expected]);
      model.dispose();
    }
    await expect(load(withExternal, options)).rejects.toThrow(
      "model: its weights are in 'data/weights.bin' too; give it as externalData",
    );
    const short = { 'data/weights.bin': externalBytes.subarray(0, 10_000) };
    const cut = load({ model: withExternal, externalData: short }, options);
    await expect(cut).rejects.toBeInstanceOf(InvalidModelError);
    await expect(cut).rejects.toThrow(/data\/weights\.bin ends early/);
  });

  test('a file and bytes: weights that nothing reads stay where they are, cut ones are told', async () => {
    const count = 3 << 20;
    const bytes = writeModel({
      graph: {
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        initializers: [
          tensor('dead', 'f32', [count], new Array<number>(count).fill(1)),
          tensor('w', 'f32', [1500, 1500], new Array<number>(1500 * 1500).fill(0.25)),
        ],
        inputs: [value('x', 'f32', [2, 1500])],
        outputs: [value('y', 'f32', [2, 1500])],
      },
    });
    const path = join(folder, 'unused.onnx');
    writeFileSync(path, bytes);
    for (const source of [path, bytes, new Blob([bytes])]) {
      const model = await load(source, options);
      const { y } = await model.run({ x: new Float32Array(3000).fill(1) });
      expect(new Set(y!.data as Float32Array)).toEqual(new Set([375]));
      const { memory } = model.report();
      expect(memory.weights).toBe(1500 * 1500 * 4);
      if (options.device === 'webgpu')
        expect(memory.total).toBeLessThan(1500 * 1500 * 4 + (1 << 20));
      model.dispose();
    }
    for (const length of [5 << 20, bytes.length - 100]) {
      writeFileSync(path, bytes.subarray(0, length));
      for (const source of [path, bytes.subarray(0, length)]) {
        await expect(load(source, options)).rejects.toBeInstanceOf(InvalidModelError);
      }
    }
  });

  test('a Blob that can’t be read any more is told as what it is', async () => {
    const bytes = writeModel({
      graph: {
        nodes: [node('Relu', ['x'], ['y'])],
        inputs: [value('x', 'f32', [4])],
        outputs: [value('y', 'f32', [4])],
      },
    });
    const blob = new Blob([bytes]);
    blob.slice = () => ({ arrayBuffer: () => Promise.reject(new Error('gone')) }) as Blob;
    const broken = load(blob, options);
    await expect(broken).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(broken).rejects.toThrow(
      `model: blob broke off after 0 of ${blob.size} bytes: gone`,
    );
  });

  test('a model much larger than a chunk, over HTTP', async () => {
    const synthetic = syntheticModel({ layers: 6, width: 1500 }); // 54 MB
    const server = await startServer({ routes: { '/m.onnx': () => ({ body: synthetic }) } });
    try {
      const seen: Progress[] = [];
      const model = await load(`${server.url}/m.onnx`, {
        ...options,
        onProgress: (progress) => seen.push(progress),
      });
      const downloads = seen.filter(({ phase }) => phase === 'download');
      expect(downloads.at(-1)).toEqual({
        phase: 'download',
        loaded: synthetic.byteLength,
        total: synthetic.byteLength,
      });
      const row = Float32Array.from({ length: 1500 }, (_, i) => Math.sin(i));
      const { y } = await model.run({ x: row });
      const expected = synthetic.expected(row);
      (y!.data as Float32Array).forEach((got, i) => expect(got).toBeCloseTo(expected[i]!, 3));
      const { memory } = model.report();
      expect(memory.weights).toBe(6 * 1500 * 1500 * 4);
      // On the GPU, weights never lie in the core's memory.
      if (options.device === 'webgpu') expect(memory.core).toBeLessThan(16 << 20);
      model.dispose();
    } finally {
      await server.close();
    }
  });

  test('an abort ends a download', async () => {
    const synthetic = syntheticModel({ layers: 6, width: 1500 });
    const server = await startServer({ routes: { '/m.onnx': () => ({ body: synthetic }) } });
    try {
      const controller = new AbortController();
      const loading = load(`${server.url}/m.onnx`, {
        ...options,
        signal: controller.signal,
        onProgress: ({ loaded }) => {
          if (loaded > 5 << 20) controller.abort();
        },
      });
      await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
    } finally {
      await server.close();
    }
  });

  test('what is no model is refused', async () => {
    const model = writeModel({ graph: addOne });
    for (const bytes of [model.subarray(0, model.length - 3), Uint8Array.of(255, 255, 255)]) {
      await expect(load(bytes, options)).rejects.toBeInstanceOf(InvalidModelError);
    }
  });

  test('what is no input is refused, and the model goes on', async () => {
    const model = await load(writeModel({ graph: addOne }), options);
    const x = Float32Array.of(1, 2);
    const wrong: [Parameters<typeof model.run>, RegExp][] = [
      [[{}], /^input 'x': it is missing$/],
      [[{ x, z: x }], /^input 'z': the model has none, only 'x'$/],
      [[{ x: { data: x, dims: [1, 2] } }], /^input 'x': got f32\[1, ?2\], expected f32\[n\]/],
      [[{ x }, { outputs: ['z'] }], /^output 'z': the model has none, only 'y'$/],
      [[{ x }, { outputs: 'disk' as 'cpu' }], /^outputs: 'disk' is neither cpu nor gpu$/],
      [[{ x }, { state: { y: 'z' } }], /^input 'z': the model has none/],
    ];
    for (const [args, message] of wrong) {
      const run = model.run(...args);
      await expect(run).rejects.toThrow(message);
      await expect(run).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    expect((await model.run({ x })).y!.data).toEqual(Float32Array.of(2, 3));
    model.dispose();
    await expect(model.run({ x })).rejects.toThrow('model: it is disposed');
  });

  test('many runs at once keep their order and their results', async () => {
    const model = await load(writeModel({ graph: addOne }), options);
    const lengths = Array.from({ length: 30 }, (_, i) => 1 + (i % 4));
    const runs = lengths.map((n, i) => model.run({ x: new Float32Array(n).fill(i) }));
    const results = await Promise.all(runs);
    results.forEach(({ y }, i) => {
      expect(y!.data).toEqual(new Float32Array(lengths[i]!).fill(i + 1));
    });
    const state = { y: 'x' };
    await model.run({ x: Float32Array.of(0) }, { state });
    await Promise.all(Array.from({ length: 9 }, () => model.run({}, { state })));
    const { y } = await model.run({}, { state, outputs: ['y'] });
    expect(y!.data).toEqual(Float32Array.of(11));
    expect(await model.run({}, { state })).toEqual({});
    model.dispose();
  });
});

describe('devices', () => {
  test('a caller’s device is used as it is and stays alive', async () => {
    const { device, counts } = countingDevice(await defaultLimitsDevice());
    devices.push(device);
    const model = await load(writeModel({ graph: addOne }), { device });
    expect(model.report().reason).toBe('the caller’s device');
    expect((await model.run({ x: Float32Array.of(1) })).y!.data).toEqual(Float32Array.of(2));
    expect(counts.dispatches).toBe(1);
    model.dispose();
    expect(counts.liveBytes).toBe(0);
    const buffer = device.createBuffer({ size: 16, usage: 8 });
    expect(await Promise.race([device.lost, Promise.resolve(buffer.size)])).toBe(16);
  });

  test('tensors go from model to model on the GPU', async () => {
    const bytes = writeModel({ graph: addOne });
    const [first, second] = await Promise.all([1, 2].map(() => load(bytes, { device: 'webgpu' })));
    const { y } = await first!.run({ x: Float32Array.of(1, 2) }, { outputs: 'gpu' });
    first!.dispose(); // the device is shared, the tensor the caller's
    const { y: z } = await second!.run({ x: y! });
    expect(z!.data).toEqual(Float32Array.of(3, 4));
    y!.dispose();
    second!.dispose();
  });

  test('auto takes no software adapter, and says so', async () => {
    const model = await load(writeModel({ graph: addOne }), { threads: 1 });
    expect(model.report()).toMatchObject({
      device: 'wasm',
      reason: expect.stringMatching(/^the only GPU adapter is software: /) as string,
    });
    model.dispose();
  });

  test('fallback: WebAssembly where the GPU’s limits do not do', async () => {
    const device = await defaultLimitsDevice();
    devices.push(device);
    const { limits } = device;
    const small = new Proxy(limits, {
      get: (target, name) =>
        name === 'maxBufferSize' ? 10_000 : (Reflect.get(target, name) as unknown),
    });
    Object.defineProperty(device, 'limits', { value: small });
    const source = () => new Blob([syntheticBytes]).stream();
    await expect(load(source(), { device })).rejects.toBeInstanceOf(LimitError);
    const model = await load(source(), { device, fallback: 'wasm', threads: 1 });
    expect(model.report().device).toBe('wasm');
    expect(model.report().reason).toMatch(/^fell back: .*10000.* \(WebGPU on .+\)$/);
    const { y } = await model.run({ x: new Float32Array(200).fill(0) });
    expect(y!.data).toEqual(new Float32Array(200));
    model.dispose();
  });

  describe('operators that the GPU lacks', () => {
    // Complex numbers: kernels hold none, the CPU moves them.
    const named = (name: string, op: string, inputs: string[], outputs: string[]) => ({
      ...node(op, inputs, outputs),
      name,
    });
    const complex = writeModel({
      graph: {
        nodes: [
          named('turn', 'Transpose', ['x'], ['t']),
          named('back', 'Transpose', ['t'], ['u']),
          named('flat', 'Flatten', ['x'], ['f']),
          node('Relu', ['r'], ['v']),
          { ...node('Concat', ['u', 'x', 'f'], ['y'], { axis: { int: 0 } }), name: 'join' },
        ],
        inputs: [value('x', 'c64', ['n', 3]), value('r', 'f32', [2])],
        outputs: [value('t', 'c64', [3, 'n']), value('y', 'c64'), value('v', 'f32', [2])],
      },
    });
    const feeds = {
      x: { dtype: 'c64', data: Float32Array.from({ length: 12 }, (_, i) => i), dims: [2, 3] },
      r: Float32Array.of(-1, 2),
    } as const;

    test('are all named at load: node, version, element type, device', async () => {
      const loading = load(complex, { device: 'webgpu' });
      await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
      await expect(loading).rejects.toThrow(
        /^operators that the device lacks: Transpose \(domain ai\.onnx, opset 17\) of c64 at node 'turn'( and 1 more)?; Concat \(domain ai\.onnx, opset 17\) of c64 at node 'join' \(WebGPU on .*\S.*\)$/,
      );
    });

    test('fallback: the model runs on WebAssembly, and the report says why', async () => {
      const model = await load(complex, { device: 'webgpu', fallback: 'wasm', threads: 1 });
      const { t, y, v } = await model.run(feeds);
      expect(t!.dims).toEqual([3, 2]);
      expect([...(t!.data as Float32Array)]).toEqual([0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
      expect(y!.dims).toEqual([6, 3]);
      expect([...(y!.data as Float32Array)]).toEqual(Array.from({ length: 36 }, (_, i) => i % 12));
      expect([...(v!.data as Float32Array)]).toEqual([0, 2]);
      const { device, adapter, reason } = model.report();
      expect({ device, adapter }).toEqual({ device: 'wasm', adapter: undefined });
      expect(reason).toMatch(
        /^fell back: operators that the device lacks: Transpose .* at node 'turn'.*WebGPU on/,
      );
      model.dispose();
    });

    test('views of them are none', async () => {
      const bytes = writeModel({
        graph: {
          nodes: [node('Flatten', ['x'], ['y'])],
          inputs: [value('x', 'c64', ['n', 3])],
          outputs: [value('y', 'c64')],
        },
      });
      const model = await load(bytes, { device: 'webgpu' });
      expect((await model.run({ x: feeds.x })).y!.data).toEqual(feeds.x.data);
      model.dispose();
    });

    test('what no device has is refused with and without fallback, all at once', async () => {
      const unknown = writeModel({
        graph: {
          nodes: [
            named('a', 'Frobnicate', ['x'], ['p']),
            { ...named('b', 'Quux', ['p'], ['q']), domain: 'com.example' },
            named('c', 'Frobnicate', ['q'], ['y']),
          ],
          inputs: [value('x', 'f32', [2])],
          outputs: [value('y', 'f32', [2])],
        },
        opsets: { '': 17, 'com.example': 3 },
      });
      const message =
        "unsupported operators: Frobnicate (domain ai.onnx, opset 17) at node 'a' and 1 more; " +
        "Quux (domain com.example, opset 3) at node 'b'";
      for (const options of [...targets, { device: 'webgpu', fallback: 'wasm' } as const]) {
        const loading = load(unknown, { ...options, threads: 1 });
        await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
        await expect(loading).rejects.toThrow(message);
      }
    });
  });

  let syntheticBytes: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    const parts: Uint8Array[] = [];
    for await (const chunk of syntheticModel({ layers: 1, width: 200 }).chunks()) parts.push(chunk);
    syntheticBytes = new Uint8Array(Buffer.concat(parts));
  });
});

describe('the built package', () => {
  test('runs the core in a worker thread', async () => {
    const path = join(repoRoot, 'runtime/dist/node.js');
    const built = (await import(/* @vite-ignore */ path)) as { load: typeof load };
    for (const options of targets) {
      const model = await built.load(writeModel({ graph: addOne }), { ...options, worker: true });
      expect(model.report().core).toBe('worker');
      expect((await model.run({ x: Float32Array.of(1) })).y!.data).toEqual(Float32Array.of(2));
      model.dispose();
    }
  });
});
