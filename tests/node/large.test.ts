// Tensors past what a dispatch can bind and arenas past one buffer, against the WASM device. The
// limits are ones that the device is made to say of itself, but for one test at the real ones.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { believedLimits } from '../../runtime/src/cli/devices.js';
import { LimitError, load, type Model, type Tensor } from '../../runtime/src/node.js';
import { compare } from '../support/compare.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { elementCount, zeroData, type DType } from '../support/dtype.js';
import { node, tensor, value, writeModel, type NodeSpec } from '../support/onnx.js';
import type { TensorValue } from '../support/pb.js';

const mebi = 1 << 20;
const bindingLimit = mebi;
const bufferLimit = 8 * mebi;
const tolerance = { relL2: 1e-4, rtol: 1e-3, atol: 1e-3 };

let device: GPUDevice;
let largestBinding = 0;
let largestBuffer = 0;

beforeAll(async () => {
  await dawnGpu();
  device = believedLimits(await defaultLimitsDevice(), {
    maxStorageBufferBindingSize: bindingLimit,
    maxBufferSize: bufferLimit,
  });
  const createBindGroup = device.createBindGroup.bind(device);
  const createBuffer = device.createBuffer.bind(device);
  device.createBindGroup = (descriptor) => {
    for (const { resource } of descriptor.entries) {
      largestBinding = Math.max(largestBinding, (resource as GPUBufferBinding).size ?? Infinity);
    }
    return createBindGroup(descriptor);
  };
  device.createBuffer = (descriptor) => {
    largestBuffer = Math.max(largestBuffer, descriptor.size);
    return createBuffer(descriptor);
  };
});
afterAll(() => device.destroy());

/** Whole numbers: sums of them are exact in any order. */
function numbers(
  dtype: Exclude<DType, 'string'>,
  dims: number[],
  seed = 1,
  below = 7,
): Omit<TensorValue, 'name'> {
  const data = zeroData(dtype, elementCount(dims));
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const number = (state >>> 16) % below;
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(number);
    else if (dtype === 'f16') (data as Uint16Array)[i] = halves[number]!;
    else (data as Float32Array)[i] = number;
  }
  return { dtype, dims, data };
}
/** 0, 1, 2, ... as f16. */
const halves = [0x0000, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600];

interface Case {
  nodes: NodeSpec[];
  inputs: Record<string, Omit<TensorValue, 'name'>>;
  constants?: TensorValue[];
  outputs: Record<string, [DType, number]>;
}

const ints = (name: string, ...list: number[]): TensorValue =>
  tensor(name, 'i64', [list.length], list);

/** A case of one node y = op(inputs...). */
function single(
  op: string,
  inputs: Record<string, Omit<TensorValue, 'name'>>,
  rank: number,
  attributes: NodeSpec['attributes'] = {},
  constants: TensorValue[] = [],
  dtype: DType = Object.values(inputs)[0]!.dtype,
): Case {
  const names = [...Object.keys(inputs), ...constants.map(({ name }) => name)];
  return {
    nodes: [node(op, names, ['y'], attributes)],
    inputs,
    constants,
    outputs: { y: [dtype, rank] },
  };
}

const f32 = (dims: number[], seed?: number) => numbers('f32', dims, seed);

const cases: Record<string, Case> = {
  'elementwise, fused': {
    nodes: [
      node('Add', ['a', 'b'], ['s']),
      node('Relu', ['s'], ['r']),
      node('Mul', ['r', 'a'], ['y']),
    ],
    inputs: { a: f32([600, 1001]), b: f32([600, 1001], 2) },
    outputs: { y: ['f32', 2] },
  },
  'elementwise, broadcast': {
    nodes: [node('Mul', ['a', 'row'], ['s']), node('Add', ['s', 'column'], ['y'])],
    inputs: { a: f32([3, 300, 700]), row: f32([700], 2), column: f32([300, 1], 3) },
    outputs: { y: ['f32', 3] },
  },
  'elementwise, rank 8': single('Neg', { a: f32([2, 3, 1, 5, 7, 4, 11, 50]) }, 8),
  'elementwise, i64': single(
    'Add',
    { a: numbers('i64', [300000]), b: numbers('i64', [300000], 5) },
    1,
  ),
  'elementwise, f16': single(
    'Mul',
    { a: numbers('f16', [800, 1003]), b: numbers('f16', [800, 1003], 5) },
    2,
  ),
  'elementwise, u8 to bool': {
    nodes: [node('Equal', ['a', 'b'], ['y'])],
    inputs: { a: numbers('u8', [1500, 1003]), b: numbers('u8', [1, 1003], 5) },
    outputs: { y: ['bool', 2] },
  },
  Where: {
    nodes: [node('Greater', ['a', 'b'], ['c']), node('Where', ['c', 'b', 'a'], ['y'])],
    inputs: { a: f32([600, 1000]), b: f32([600, 1000], 2) },
    outputs: { y: ['f32', 2] },
  },
  'Gather, a large table': single(
    'Gather',
    { table: f32([5000, 150]), at: numbers('i64', [3, 100], 3, 5000) },
    3,
  ),
  'Gather, a large result': single(
    'Gather',
    { table: f32([50, 1500]), at: numbers('i64', [3, 200], 3, 50) },
    3,
  ),
  'Gather, the last axis': single(
    'Gather',
    { table: f32([700, 1000]), at: numbers('i64', [300], 3, 1000) },
    2,
    { axis: { int: 1 } },
  ),
  'Gather, f64': single(
    'Gather',
    { table: numbers('f64', [500, 700]), at: numbers('i64', [5], 3, 500) },
    2,
  ),
  'Concat, first axis': single(
    'Concat',
    { a: f32([300, 700]), b: f32([41, 700], 2), c: f32([500, 700], 3) },
    2,
    { axis: { int: 0 } },
  ),
  'Concat, last axis': single(
    'Concat',
    { a: f32([300, 700]), b: f32([300, 33], 2), c: f32([300, 1200], 3) },
    2,
    { axis: { int: 1 } },
  ),
  'Slice, both ends': single('Slice', { a: f32([800, 900]) }, 2, {}, [
    ints('starts', 40, 30),
    ints('ends', 780, 880),
  ]),
  'Slice, backwards': single('Slice', { a: f32([800, 900]) }, 2, {}, [
    ints('starts', -1, 800),
    ints('ends', -2000, 3),
    ints('axes', 0, 1),
    ints('steps', -2, -1),
  ]),
  Split: {
    nodes: [node('Split', ['a', 'parts'], ['x', 'y'], { axis: { int: 1 } })],
    inputs: { a: f32([700, 1000]) },
    constants: [ints('parts', 300, 700)],
    outputs: { x: ['f32', 2], y: ['f32', 2] },
  },
  Transpose: single('Transpose', { a: f32([700, 1000]) }, 2),
  'Transpose, rank 4': single('Transpose', { a: f32([8, 50, 30, 60]) }, 4, {
    perm: { ints: [0, 2, 3, 1] },
  }),
  Pad: single('Pad', { a: f32([600, 800]) }, 2, { mode: { string: 'reflect' } }, [
    ints('pads', 3, 5, 7, 1),
  ]),
  Tile: single('Tile', { a: f32([30, 500]) }, 2, {}, [ints('repeats', 20, 3)]),
  Expand: single('Expand', { a: f32([900, 1]) }, 2, {}, [ints('shape', 1, 800)]),
  'ReduceSum, last axis': single('ReduceSum', { a: f32([500, 1200]) }, 2, {}, [ints('axes', 1)]),
  'ReduceMax, first axis': single('ReduceMax', { a: f32([700, 1000]) }, 2, {}, [ints('axes', 0)]),
  'ReduceMean, all': single('ReduceMean', { a: f32([700, 1000]) }, 2, {}, [ints('axes', 0, 1)]),
  'ReduceSum, middle axis': single('ReduceSum', { a: f32([20, 300, 200]) }, 3, {}, [
    ints('axes', 1),
  ]),
  ArgMax: single('ArgMax', { a: f32([500, 1200]) }, 2, { axis: { int: 1 } }, [], 'i64'),
  'MatMul, all large': single('MatMul', { a: f32([700, 900]), b: f32([900, 800], 2) }, 2),
  'MatMul, one row': single('MatMul', { a: f32([1, 1500]), b: f32([1500, 900], 2) }, 2),
  'MatMul, an odd depth': single('MatMul', { a: f32([333, 1111]), b: f32([1111, 77], 2) }, 2),
  'MatMul, a large result': single('MatMul', { a: f32([1500, 20]), b: f32([20, 501], 2) }, 2),
  'MatMul, batches': single('MatMul', { a: f32([2, 6, 130, 200]), b: f32([6, 200, 150], 2) }, 4),
  'MatMul, one matrix for a batch': single(
    'MatMul',
    { a: f32([9, 100, 500]), b: f32([500, 300], 2) },
    3,
  ),
  'MatMul, then elementwise': {
    nodes: [
      node('MatMul', ['a', 'b'], ['p']),
      node('Add', ['p', 'c'], ['s']),
      node('Relu', ['s'], ['y']),
    ],
    inputs: { a: f32([800, 300]), b: f32([300, 500], 2), c: f32([500], 3) },
    outputs: { y: ['f32', 2] },
  },
  'MatMul, f16': single(
    'MatMul',
    { a: numbers('f16', [900, 40], 1, 3), b: numbers('f16', [40, 900], 2, 3) },
    2,
  ),
  'MatMul, i32': single(
    'MatMul',
    { a: numbers('i32', [600, 700]), b: numbers('i32', [700, 30], 2) },
    2,
  ),
  'Gemm, transposed b and a bias': single(
    'Gemm',
    { a: f32([70, 600]), b: f32([1100, 600], 2), c: f32([1100], 3) },
    2,
    { transB: { int: 1 }, alpha: { float: 0.5 }, beta: { float: 2 } },
  ),
  'Gemm, transposed a, a large c': single(
    'Gemm',
    { a: f32([900, 600]), b: f32([900, 700], 2), c: f32([600, 700], 3) },
    2,
    { transA: { int: 1 } },
  ),
  Softmax: single('Softmax', { a: f32([600, 1000]) }, 2, { axis: { int: 1 } }),
  'Softmax, f16': single('Softmax', { a: numbers('f16', [601, 1003]) }, 2),
  LayerNormalization: single(
    'LayerNormalization',
    { a: f32([700, 3, 201]), scale: f32([201], 2), bias: f32([201], 3) },
    3,
  ),
  'a transposed read in a fusion': {
    nodes: [
      node('Transpose', ['a'], ['at'], { perm: { ints: [1, 0] } }),
      node('Transpose', ['b'], ['bt'], { perm: { ints: [1, 0] } }),
      node('Add', ['at', 'bt'], ['s']),
      node('Sub', ['s', 'c'], ['y']),
    ],
    inputs: { a: f32([700, 1000]), b: f32([700, 1000], 2), c: f32([1000, 700], 3) },
    outputs: { y: ['f32', 2] },
  },
  'an arena of several buffers': {
    nodes: [
      node('Transpose', ['a'], ['t'], { perm: { ints: [1, 0] } }),
      node('MatMul', ['t', 'b'], ['p']),
      node('ReduceSum', ['p', 'axes'], ['r']),
      node('Add', ['p', 'r'], ['y']),
    ],
    inputs: { a: f32([40, 1500]), b: f32([40, 1300], 2) },
    constants: [ints('axes', 1)],
    outputs: { y: ['f32', 2] },
  },
};

function modelOf({ nodes, inputs, constants = [], outputs }: Case, symbolic: boolean) {
  return writeModel({
    opsets: { '': 18 },
    graph: {
      nodes,
      initializers: constants,
      inputs: Object.entries(inputs).map(([name, { dtype, dims }]) =>
        value(name, dtype, symbolic ? dims.map((_, axis) => `${name}${axis}`) : dims),
      ),
      outputs: Object.entries(outputs).map(([name, [dtype, rank]]) =>
        value(
          name,
          dtype,
          Array.from({ length: rank }, (_, axis) => `${name}${axis}`),
        ),
      ),
    },
  });
}

async function outputsOf(model: Model, one: Case): Promise<Record<string, Tensor>> {
  return model.run(one.inputs);
}

function check(wanted: Record<string, Tensor>, got: Record<string, Tensor>): void {
  for (const [name, reference] of Object.entries(wanted)) {
    const [a, b] = [reference, got[name]!].map(({ dtype, dims, data }) => ({
      name,
      dtype,
      dims: [...dims],
      data,
    })) as [TensorValue, TensorValue];
    expect(compare(a, b, tolerance).message).toBe('');
  }
}

describe('a device that binds 1 MiB of a buffer of 8 MiB', () => {
  test.each(Object.entries(cases))('%s', async (_, one) => {
    const wasm = await load(modelOf(one, false), { device: 'wasm' });
    const wanted = await outputsOf(wasm, one);
    wasm.dispose();
    for (const symbolic of [false, true]) {
      largestBinding = largestBuffer = 0;
      const model = await load(modelOf(one, symbolic), { device });
      check(wanted, await outputsOf(model, one));
      expect(model.device).toBe('webgpu');
      model.dispose();
      expect(largestBinding).toBeGreaterThan(0);
      expect(largestBinding).toBeLessThanOrEqual(bindingLimit);
      expect(largestBuffer).toBeLessThanOrEqual(bufferLimit);
    }
  });

  test('a large weight of a product', async () => {
    const { data } = f32([1000, 900], 2);
    const model = writeModel({
      graph: {
        nodes: [node('MatMul', ['a', 'w'], ['y'])],
        initializers: [{ name: 'w', dtype: 'f32', dims: [1000, 900], data }],
        inputs: [value('a', 'f32', ['n', 1000])],
        outputs: [value('y', 'f32', ['n', 900])],
      },
    });
    const [gpu, wasm] = await Promise.all([
      load(model, { device }),
      load(model, { device: 'wasm' }),
    ]);
    for (const rows of [1, 30]) {
      const feeds = { a: f32([rows, 1000]) } as Parameters<Model['run']>[0];
      check(await wasm.run(feeds), await gpu.run(feeds));
    }
    gpu.dispose();
    wasm.dispose();
  });

  test('a new length makes programs once, not for each', async () => {
    const model = await load(
      writeModel({
        graph: {
          nodes: [node('Add', ['a', 'b'], ['y'])],
          inputs: [value('a', 'f32', ['n', 500]), value('b', 'f32', ['n', 500])],
          outputs: [value('y', 'f32', ['n', 500])],
        },
      }),
      { device },
    );
    const made: number[] = [];
    for (const rows of [100, 600, 700, 1900, 200]) {
      const feeds = { a: f32([rows, 500]), b: f32([rows, 500], 2) };
      await model.run(feeds);
      made.push(model.report().objects.lastRun.pipelines);
    }
    expect(made).toEqual([0, 1, 0, 0, 0]);
    model.dispose();
  });

  test('what has no parts is an error that names all, before anything runs', async () => {
    const model = await load(
      writeModel({
        graph: {
          nodes: [{ ...node('TopK', ['scores', 'k'], ['best', 'at']), name: 'pick' }],
          initializers: [ints('k', 3)],
          inputs: [value('scores', 'f32', ['n'])],
          outputs: [value('best', 'f32', [3]), value('at', 'i64', [3])],
        },
      }),
      { device },
    );
    const run = model.run({ scores: f32([300000]) });
    await expect(run).rejects.toThrow(LimitError);
    await expect(run).rejects.toThrow(/pick.*TopK.*'scores' has 1200000 bytes.*1048576/);
    const { best } = await model.run({ scores: f32([3000]) });
    expect([...(best!.data as Float32Array)]).toEqual([6, 6, 6]);
    model.dispose();
  });

  test('a tensor that no buffer holds is an error', async () => {
    const model = await load(modelOf(cases.Transpose!, true), { device });
    const run = model.run({ a: f32([3000, 1000]) });
    await expect(run).rejects.toThrow(LimitError);
    await expect(run).rejects.toThrow(/'(a|y)' has 12000000 bytes.*8388608/);
    model.dispose();
  });
});

test('160 MB at the real default limits: add and reduce', { timeout: 300_000 }, async () => {
  const count = 40_000_000;
  const own = await defaultLimitsDevice();
  expect(own.limits.maxStorageBufferBindingSize).toBeLessThan(count * 4);
  const model = await load(
    writeModel({
      graph: {
        nodes: [
          node('Add', ['x', 'one'], ['y']),
          node('ReduceMax', ['y'], ['m'], { axes: { ints: [1] }, keepdims: { int: 0 } }),
        ],
        initializers: [tensor('one', 'f32', [1], [1])],
        inputs: [value('x', 'f32', ['n', 'm'])],
        outputs: [value('y', 'f32', ['n', 'm']), value('m', 'f32', ['n'])],
      },
    }),
    { device: own },
  );
  const data = new Float32Array(count);
  for (let i = 0; i < count; i++) data[i] = i % 16384;
  data[39_999_999] = 1e6;
  const { y, m } = await model.run({ x: { dtype: 'f32', dims: [4000, 10000], data } });
  const sum = y!.data as Float32Array;
  let wrong = 0;
  for (let i = 0; i < count; i++) if (sum[i] !== data[i]! + 1) wrong++;
  expect(wrong).toBe(0);
  const most = m!.data as Float32Array;
  for (let row = 0; row < 4000; row++) {
    let best = 0;
    for (let i = row * 10000; i < (row + 1) * 10000; i++) best = Math.max(best, data[i]! + 1);
    if (most[row] !== best) wrong++;
  }
  expect(wrong).toBe(0);
  model.dispose();
  own.destroy();
});
