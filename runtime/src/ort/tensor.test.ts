import * as original from 'onnxruntime-common';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../errors.js';
import { registerBackend, InferenceSession, Tensor, env, type Backend } from './api.js';
import { providersOf } from './providers.js';
import { isTensor } from './tensor.js';

const float16Array = (globalThis as { Float16Array?: unknown }).Float16Array;

describe('constructors give what onnxruntime-common’s give', () => {
  const forms: [string, ...unknown[]][] = [
    ['typed data and its type', 'float32', Float32Array.of(1, 2, 3, 4), [2, 2]],
    ['numbers', 'float32', [1, 2.5, -3], [3, 1]],
    ['no dims', 'int32', [1, 2, 3]],
    ['a scalar', 'float64', [7], []],
    ['no elements', 'uint8', [], [0, 4]],
    ['int64 of numbers', 'int64', [1, -2], [2]],
    ['int64 of bigints', 'int64', [1n, -(2n ** 63n)], [2]],
    ['uint64', 'uint64', [2n ** 64n - 1n], [1]],
    ['bool of booleans', 'bool', [true, false], [2]],
    ['bool of bytes', 'bool', Uint8Array.of(1, 0), [1, 2]],
    ['strings', 'string', ['a', 'β'], [2]],
    ['float16 as bits', 'float16', Uint16Array.of(0x3c00, 0xc000), [2]],
    ['packed uint4', 'uint4', Uint8Array.of(0x21, 3), [3]],
    ['pixels', 'uint8', Uint8ClampedArray.of(1, 2), [2]],
    ['a view into a buffer', 'float32', new Float32Array([1, 2, 3, 4]).subarray(1, 3), [2]],
    ['inferred float32', Float32Array.of(1, 2), [1, 2]],
    ['inferred int8', Int8Array.of(1, 2)],
    ['inferred uint8', Uint8ClampedArray.of(1, 2)],
    ['inferred uint16', Uint16Array.of(1, 2)],
    ['inferred int16', Int16Array.of(-1)],
    ['inferred uint32', Uint32Array.of(1)],
    ['inferred int64', BigInt64Array.of(1n)],
    ['inferred uint64', BigUint64Array.of(1n)],
    ['inferred float64', Float64Array.of(1)],
    ['inferred string', ['x', 'y'], [2, 1]],
    ['inferred bool', [true, false]],
  ];
  test.each(forms)('%s', (_, ...args) => {
    const make = (Type: unknown): Tensor => new (Type as new (...a: unknown[]) => Tensor)(...args);
    const [ours, theirs] = [make(Tensor), make(original.Tensor)];
    for (const key of ['type', 'dims', 'data', 'location', 'size'] as const) {
      expect(ours[key], key).toEqual(theirs[key]);
    }
  });

  const wrong: [string, ...unknown[]][] = [
    ['too few elements', 'float32', [1, 2, 3], [2, 2]],
    ['an unknown type', 'float128', [1]],
    ['another array', 'int32', Float32Array.of(1), [1]],
    ['a negative dim', 'float32', [1], [-1, -1]],
    ['a broken dim', 'float32', [1], [1.5]],
    ['dims that are no array', Float32Array.of(1), 1],
    ['an empty array', []],
    ['an array of numbers alone', [1, 2]],
    ['strings that are none', 'string', Uint8Array.of(1)],
    ['numbers for packed types', 'uint4', [1, 2], [2]],
    ['a DataView', new DataView(new ArrayBuffer(4))],
    ['null', 'float32', null],
  ];
  test.each(wrong)('refused as there: %s', (_, ...args) => {
    const make = (Type: unknown): Tensor => new (Type as new (...a: unknown[]) => Tensor)(...args);
    expect(() => make(original.Tensor)).toThrow();
    expect(() => make(Tensor)).toThrow(InvalidArgumentError);
    expect(() => make(Tensor)).toThrow(/^tensor: /);
  });

  test('float16 of numbers, where there is no Float16Array too', () => {
    const bits = new Uint16Array(new Tensor('float16', [1, -2]).data.buffer);
    expect([...bits]).toEqual([0x3c00, 0xc000]);
    expect(float16Array === undefined).toBe(new Tensor('float16', [1]).data instanceof Uint16Array);
  });
});

describe('tensors elsewhere', () => {
  const buffer = { size: 16 } as GPUBuffer;

  test('a GPUBuffer that is read back and given back', async () => {
    const calls: string[] = [];
    const tensor = Tensor.fromGpuBuffer(buffer, {
      dataType: 'float32',
      dims: [2, 2],
      download: async () => (calls.push('download'), Float32Array.of(1, 2, 3, 4)),
      dispose: () => void calls.push('dispose'),
    });
    expect(tensor).toMatchObject({ location: 'gpu-buffer', type: 'float32', size: 4 });
    expect(tensor.gpuBuffer).toBe(buffer);
    expect(() => tensor.data).toThrow('tensor: its data is not in host memory but in a gpu-buffer');
    expect(() => tensor.texture).toThrow('its data is in gpu-buffer, not in a texture');
    expect(() => tensor.reshape([4])).toThrow('reshape: it owns memory of the GPU');
    const reading = tensor.getData(true);
    expect(() => tensor.dispose()).toThrow('it is being read back');
    expect([...(await reading)]).toEqual([1, 2, 3, 4]);
    expect(tensor.location).toBe('cpu');
    expect([...tensor.data]).toEqual([1, 2, 3, 4]);
    tensor.dispose();
    expect(calls).toEqual(['download', 'dispose']);
    expect(tensor.location).toBe('none');
    await expect(tensor.getData()).rejects.toThrow('tensor: it is disposed');
  });

  test('a caller’s GPUBuffer, a texture, pinned memory', async () => {
    const plain = Tensor.fromGpuBuffer(buffer, { dims: [4] });
    expect(plain.type).toBe('float32');
    expect(plain.reshape([2, 2]).dims).toEqual([2, 2]);
    await expect(plain.getData()).rejects.toThrow('no download() for it was given');
    const texture = Tensor.fromTexture({}, { width: 3, height: 2 });
    expect(texture.dims).toEqual([1, 2, 3, 4]);
    const pinned = Tensor.fromPinnedBuffer('int32', Int32Array.of(1, 2), [2, 1]);
    expect(pinned.location).toBe('cpu-pinned');
    expect(pinned.reshape([2]).location).toBe('cpu-pinned');
    expect(() => Tensor.fromPinnedBuffer('int32', [1] as never)).toThrow('is not possible');
  });

  test('those of onnxruntime-common are taken for tensors', () => {
    expect(isTensor(new original.Tensor('float32', [1]))).toBe(true);
    expect(isTensor({ dims: [1], data: [1] })).toBe(false);
    expect(isTensor(null)).toBe(false);
  });

  test('reshape keeps the elements and their number', () => {
    const tensor = new Tensor('int32', [1, 2, 3, 4, 5, 6], [2, 3]);
    expect(tensor.reshape([3, 2]).data).toBe(tensor.data);
    expect(() => tensor.reshape([4, 2])).toThrow('[2, 3] and [4, 2] differ in size');
  });
});

describe('providers', () => {
  test('names and objects become devices, in their order', () => {
    const device = {} as GPUDevice;
    expect(
      providersOf(
        ['webgpu', { name: 'webgpu', device }, 'cpu', 'webgl', { name: 'webnn' }, 'cuda'],
        'wasm',
      ),
    ).toEqual([
      { name: 'webgpu', device: 'shared' },
      { name: 'webgpu', device },
      { name: 'cpu', device: 'wasm' },
      { name: 'webgl', device: 'shared' },
      { name: 'webnn', device: 'wasm' },
      { name: 'cuda', missing: true },
    ]);
    expect(providersOf([{ name: 'webnn', deviceType: 'npu' }], 'wasm')[0]).toMatchObject({
      device: 'shared',
    });
    expect(providersOf(undefined, 'wasm')).toEqual([{ name: 'wasm', device: 'wasm' }]);
    expect(() => providersOf([null as never], 'wasm')).toThrow(InvalidArgumentError);
  });

  test('a registered backend runs what names it', async () => {
    const result = new Tensor('float32', [2]);
    const backend: Backend = {
      init: async () => {},
      createInferenceSessionHandler: async () => ({
        inputNames: ['x'],
        outputNames: ['y'],
        inputMetadata: [],
        outputMetadata: [],
        dispose: async () => {},
        startProfiling() {},
        endProfiling() {},
        run: async (feeds, fetches) => ({ y: fetches['y'] ?? feeds['x'] ?? result }),
      }),
    };
    registerBackend('mine', backend, 1);
    const session = await InferenceSession.create('m.onnx', { executionProviders: ['mine'] });
    const x = new Tensor('float32', [1]);
    expect((await session.run({ x })).y).toBe(x);
    expect((await session.run({ x }, { y: result })).y).toBe(result);
    expect((await session.run({ x }, ['y'])).y).toBe(x);
    await expect(session.run({})).rejects.toThrow("input 'x': it is missing in feeds");
    await expect(session.run({ x }, ['z'])).rejects.toThrow("fetches name 'z', the model has 'y'");
    await expect(session.run({ x }, [])).rejects.toThrow('fetches name no output');
    await expect(session.run(x as never)).rejects.toThrow('feeds are an object');
    expect(() => registerBackend('other', {} as Backend, 1)).toThrow('it lacks init');
  });

  test('what is not there is told', async () => {
    const bytes = Uint8Array.of(1);
    const create = InferenceSession.create(bytes, { executionProviders: ['cuda', 'dml'] });
    await expect(create).rejects.toThrow(
      'no available backend found. ERR: [cuda] there is no such backend, [dml]',
    );
    await expect(InferenceSession.create(new ArrayBuffer(4), 5)).rejects.toThrow('byteOffset 5');
    await expect(InferenceSession.create(new ArrayBuffer(4), 2, 3)).rejects.toThrow('(0, 2]');
    await expect(InferenceSession.create({} as never)).rejects.toThrow('the first argument');
    await expect(InferenceSession.create('x', 'fast' as never)).rejects.toThrow('are an object');
  });
});

test('env', () => {
  expect(env.versions.web).toBe(original.env.versions.common);
  expect(() => (env.logLevel = 'loud' as never)).toThrow("there is no logLevel 'loud'");
  env.logLevel = 'error';
  expect({ ...env }.logLevel).toBe('error');
  env.logLevel = 'warning';
  expect(() => (env.webgpu.device = {} as never)).toThrow('webgpu.device takes a GPUDevice');
  expect(JSON.stringify(env.webgpu)).toBe('{"profiling":{}}'); // copying it opens no device
});
