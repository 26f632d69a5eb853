// quern/ort as an application uses it, on WebAssembly and on WebGPU.

import * as original from 'onnxruntime-web';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache } from '../../runtime/src/node.js';
import ort, { env, InferenceSession, Tensor } from '../../runtime/src/ort/node.js';
import { dawnGpu } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { startServer } from '../support/server.js';

env.wasm.numThreads = 1;

/** y = a * x + b, and the number of x's elements. b has a default; 'rate' is a scalar. */
const scale = writeModel({
  graph: {
    nodes: [
      node('Mul', ['x', 'a'], ['ax']),
      node('Add', ['ax', 'b'], ['y']),
      node('Size', ['x'], ['count']),
      node('Neg', ['rate'], ['minus']),
    ],
    initializers: [tensor('b', 'f32', [1], [10])],
    inputs: [
      value('x', 'f32', ['rows', 3]),
      value('a', 'f32', [1]),
      value('b', 'f32', [1]),
      value('rate', 'i64', []),
    ],
    outputs: [value('y', 'f32', ['rows', 3]), value('count', 'i64', []), value('minus', 'i64', [])],
  },
});
const feeds = () => ({
  x: new Tensor('float32', [1, 2, 3, 4, 5, 6], [2, 3]),
  a: new Tensor('float32', [2]),
  rate: new Tensor('int64', [16000n]),
});

let folder: string;
beforeAll(async () => {
  await dawnGpu();
  folder = mkdtempSync(join(tmpdir(), 'quern-ort-'));
  writeFileSync(join(folder, 'scale.onnx'), scale);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['wasm', 'webgpu'] as const)('on %s', (name) => {
  const executionProviders = [name];
  let session: InferenceSession;
  beforeAll(async () => {
    session = await InferenceSession.create(scale, { executionProviders });
  });
  afterAll(() => session?.release());

  test('names and metadata', () => {
    expect(session.inputNames).toEqual(['x', 'a', 'rate']); // b has a default
    expect(session.outputNames).toEqual(['y', 'count', 'minus']);
    expect(session.inputMetadata).toEqual([
      { name: 'x', isTensor: true, type: 'float32', shape: ['rows', 3] },
      { name: 'a', isTensor: true, type: 'float32', shape: [1] },
      { name: 'rate', isTensor: true, type: 'int64', shape: [] },
    ]);
    expect(session.outputMetadata[1]).toMatchObject({ name: 'count', type: 'int64' });
  });

  test('feeds, fetches by name and by value', async () => {
    const all = await session.run(feeds());
    expect(Object.keys(all)).toEqual(['y', 'count', 'minus']);
    expect(all['y']).toBeInstanceOf(Tensor);
    expect(all['y']).toMatchObject({ type: 'float32', dims: [2, 3], location: 'cpu', size: 6 });
    expect([...(all['y']!.data as Float32Array)]).toEqual([12, 14, 16, 18, 20, 22]);
    expect([...(all['count']!.data as BigInt64Array)]).toEqual([6n]);
    expect([...(all['minus']!.data as BigInt64Array)]).toEqual([-16000n]);

    expect(Object.keys(await session.run(feeds(), ['count']))).toEqual(['count']);
    const y = new Tensor('float32', new Float32Array(6), [2, 3]);
    const filled = await session.run(feeds(), { y, count: null }, { tag: 'filled' });
    expect(filled['y']).toBe(y);
    expect([...y.data]).toEqual([12, 14, 16, 18, 20, 22]);
    expect(Object.keys(filled)).toEqual(['y', 'count']);
    const b = new Tensor('float32', [0]);
    expect((await session.run({ ...feeds(), b }, ['y']))['y']!.data[0]).toBe(2);
  });

  test('tensors of onnxruntime-common are fed as they are', async () => {
    const x = new original.Tensor('float32', [1, 1, 1], [1, 3]) as unknown as Tensor;
    const { y } = await session.run({ ...feeds(), x });
    expect([...(y!.data as Float32Array)]).toEqual([12, 12, 12]);
  });

  test('what is wrong is told', async () => {
    const run = (changes: Record<string, unknown>, more?: object) =>
      session.run({ ...feeds(), ...changes }, more);
    await expect(run({ x: new Tensor('int32', [1, 2, 3], [1, 3]) })).rejects.toThrow(
      "input 'x': expected float32, got int32",
    );
    await expect(run({ z: new Tensor('int32', [1]) })).rejects.toThrow("input 'z'");
    await expect(run({ a: undefined })).rejects.toThrow("input 'a': it is missing");
    await expect(run({ a: [2] })).rejects.toThrow("input 'a': it is no Tensor");
    await expect(run({ a: new Tensor('float32', [1, 2]) })).rejects.toThrow("input 'a'");
    await expect(run({}, { terminate: true })).rejects.toThrow('terminate');
    const y = new Tensor('float32', [1], [1, 1]);
    await expect(run({}, { y })).rejects.toThrow("output 'y': it is [2, 3]");
  });

  test('many runs at once, and none after release', async () => {
    const runs = await Promise.all(
      [1, 2, 3, 4, 5].map((a) => session.run({ ...feeds(), a: new Tensor('float32', [a]) })),
    );
    expect(runs.map(({ y }) => y!.data[0])).toEqual([11, 12, 13, 14, 15]);
    const other = await InferenceSession.create(scale, { executionProviders });
    await other.release();
    await expect(other.run(feeds())).rejects.toThrow('session: it is released');
  });

  test('an overridden dim is a number, and held to', async () => {
    const fixed = await InferenceSession.create(scale, {
      executionProviders,
      freeDimensionOverrides: { rows: 1 },
      graphOptimizationLevel: 'disabled',
    });
    expect(fixed.inputMetadata[0]).toMatchObject({ shape: [1, 3] });
    await expect(fixed.run(feeds())).rejects.toThrow("dim 0, 'rows', is overridden to 1");
    await fixed.release();
  });
});

test('a path, a file URL, a part of a buffer, shared memory', async () => {
  const path = join(folder, 'scale.onnx');
  const whole = new Uint8Array(scale.length + 7);
  whole.set(scale, 3);
  const shared = new SharedArrayBuffer(scale.length);
  new Uint8Array(shared).set(scale);
  const sessions = await Promise.all([
    ort.InferenceSession.create(path),
    ort.InferenceSession.create(pathToFileURL(path)),
    ort.InferenceSession.create(whole.buffer, 3, scale.length),
    ort.InferenceSession.create(shared, { executionProviders: ['cuda', 'cpu'] }),
  ]);
  for (const session of sessions) {
    expect((await session.run(feeds(), ['y']))['y']!.data[0]).toBe(12);
    await session.release();
  }
});

test('weights in another file', async () => {
  const model = writeModel({
    graph: {
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializers: [
        { name: 'w', dtype: 'f32', dims: [2], external: { location: './w.bin', length: 8 } },
      ],
      inputs: [value('x', 'f32', [2])],
      outputs: [value('y', 'f32', [2])],
    },
  });
  const data = new Uint8Array(Float32Array.of(5, 7).buffer);
  const session = await InferenceSession.create(model, { externalData: [{ path: 'w.bin', data }] });
  const { y } = await session.run({ x: new Tensor('float32', [1, 2]) });
  expect([...(y!.data as Float32Array)]).toEqual([6, 9]);
  await session.release();
});

describe('the cache', () => {
  afterEach(() => delete env.quern.cache);

  test.each(['env.quern.cache', 'the option cache'])(
    'by %s: the server is needed once',
    async (by) => {
      const kept = { folder: join(folder, by.replaceAll(/\W/g, '-')) };
      const options: InferenceSession.SessionOptions = {};
      if (by === 'the option cache') options.cache = kept;
      else env.quern.cache = kept;
      const server = await startServer();
      const file = { headers: { etag: '"1"' }, body: scale };
      server.routes.set('/scale.onnx', () => file);
      const url = `${server.url}/scale.onnx`;
      const y = async (): Promise<unknown> => {
        const session = await InferenceSession.create(url, options);
        const { y } = await session.run(feeds());
        await session.release();
        return [...(y!.data as Float32Array)];
      };
      try {
        expect(await y()).toEqual([12, 14, 16, 18, 20, 22]);
        expect(await cache.list(kept)).toMatchObject([{ url, complete: true, store: 'folder' }]);
      } finally {
        await server.close();
      }
      expect(await y()).toEqual([12, 14, 16, 18, 20, 22]);
      const without = InferenceSession.create(url, { ...options, cache: false });
      await expect(without).rejects.toThrow("scale.onnx can't be fetched");
    },
  );

  test('what load() refuses is refused', async () => {
    await expect(InferenceSession.create('x.onnx', { cache: true })).rejects.toThrow(
      'cache: in Node it needs a folder',
    );
  });
});

describe('on the GPU', () => {
  const executionProviders = ['webgpu', 'wasm'];

  test('outputs stay there, are fed again, are read back, fill a caller’s buffer', async () => {
    const session = await InferenceSession.create(scale, {
      executionProviders,
      preferredOutputLocation: { y: 'gpu-buffer' },
      enableGraphCapture: true,
    });
    const { y, count } = await session.run(feeds());
    expect(y!.location).toBe('gpu-buffer');
    expect(count!.location).toBe('cpu');
    const again = await session.run({ ...feeds(), x: y! });
    expect([...((await again['y']!.getData(true)) as Float32Array)]).toEqual(
      [12, 14, 16, 18, 20, 22].map((v) => 2 * v + 10),
    );
    y!.dispose();

    const device = await env.webgpu.device;
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE;
    const buffer = device.createBuffer({ size: 24, usage });
    const target = Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [2, 3] });
    expect((await session.run(feeds(), { y: target }))['y']).toBe(target);
    const fed = await session.run(
      { ...feeds(), x: target },
      { y: new Tensor(new Float32Array(6), [2, 3]) },
    );
    expect(fed['y']!.data[5]).toBe(54);
    buffer.destroy();
    await session.release();
  });

  test('one device for all, or one of the caller’s', async () => {
    const device = await env.webgpu.device;
    expect(await env.webgpu.device).toBe(device);
    expect(env.webgpu.adapter).toBeDefined();
    const own = await env.webgpu.adapter.requestDevice().catch(() => undefined);
    if (own) {
      const provider = { name: 'webgpu', device: own };
      const session = await InferenceSession.create(scale, { executionProviders: [provider] });
      expect((await session.run(feeds()))['y']!.data[0]).toBe(12);
      await session.release();
      own.destroy();
    }
  });

  test('places that are not possible', async () => {
    const create = (options: InferenceSession.SessionOptions) =>
      InferenceSession.create(scale, options);
    const preferredOutputLocation = 'gpu-buffer';
    await expect(create({ preferredOutputLocation })).rejects.toThrow('the session is on wasm');
    await expect(create({ preferredOutputLocation: 'texture' })).rejects.toThrow("'texture'");
    await expect(
      create({ executionProviders, preferredOutputLocation: { z: 'cpu' } }),
    ).rejects.toThrow("no output 'z'");
  });
});
