// load() with a cache in a folder: what the report says, copies that are no good, lost devices.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cache, InvalidModelError, load } from '../../runtime/src/node.js';
import { dawnAdapter, dawnGpu } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { startServer, type TestServer } from '../support/server.js';

const size = 100;
const model = writeModel({
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [tensor('w', 'f32', [size, size], new Array<number>(size * size).fill(0.5))],
    inputs: [value('x', 'f32', [1, size])],
    outputs: [value('y', 'f32', [1, size])],
  },
});
const x = new Float32Array(size).fill(1);

let server: TestServer;
let folder: string;
beforeAll(async () => {
  const headers = { etag: '"1"' };
  server = await startServer({
    routes: {
      '/m.onnx': () => ({ headers, body: model }),
      '/broken.onnx': () => ({ headers, body: model.subarray(0, model.length - 50_000) }),
    },
  });
  folder = mkdtempSync(join(tmpdir(), 'quern-cache-'));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

test('needs a folder', async () => {
  const url = `${server.url}/m.onnx`;
  await expect(load(url, { cache: true })).rejects.toThrow('cache: in Node it needs a folder');
  await expect(load(url, { cache: { folder, maxBytes: -1 } })).rejects.toThrow(
    'cache.maxBytes: -1 is no number of bytes',
  );
});

test('a model that turns out to be invalid is not kept', async () => {
  const loading = load(`${server.url}/broken.onnx`, { device: 'wasm', cache: { folder } });
  await expect(loading).rejects.toThrow(InvalidModelError);
  expect(await cache.list({ folder })).toEqual([]);
});

test('a lost device reads its weights from the cache', async () => {
  const devices: GPUDevice[] = [];
  await dawnGpu();
  const prototype = Object.getPrototypeOf(await dawnAdapter()) as GPUAdapter;
  const requestDevice = Object.getOwnPropertyDescriptor(prototype, 'requestDevice')!;
  const original = requestDevice.value as GPUAdapter['requestDevice'];
  Object.defineProperty(prototype, 'requestDevice', {
    ...requestDevice,
    async value(this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
      const device = await original.call(this, descriptor);
      devices.push(device);
      return device;
    },
  });
  try {
    const url = `${server.url}/m.onnx`;
    const loaded = await load(url, { device: 'webgpu', cache: { folder } });
    const report = () => loaded.report().cache!;
    const file = { url, fromCache: 0, fetched: model.length, kept: true };
    expect(report()).toEqual({ store: 'folder', files: [file], notes: [] });
    expect((await loaded.run({ x })).y!.data[0]).toBe(size / 2);
    devices.at(-1)!.destroy();
    expect((await loaded.run({ x })).y!.data[0]).toBe(size / 2);
    expect(devices.length).toBe(2);
    expect(report().files).toEqual([{ ...file, fromCache: model.length }]);
    expect(server.requests.at(-1)!.headers['if-none-match']).toBe('"1"');
    loaded.dispose();
    expect(await cache.list({ folder })).toMatchObject([{ url, bytes: model.length }]);
    expect(await cache.delete(url, { folder })).toBe(true);
    expect(await cache.list({ folder })).toEqual([]);
  } finally {
    Object.defineProperty(prototype, 'requestDevice', requestDevice);
  }
});
