// More workgroups than a dispatch may have along an axis, against the WASM device: at a limit that
// the device is made to say of itself, and at the real 65,535.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHardware, believedLimits } from '../../runtime/src/cli/devices.js';
import { load, type LoadOptions, type Model } from '../../runtime/src/node.js';
import { feedsOf, valuesOf } from '../browser/run-model.js';
import { compare } from '../support/compare.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { elementCount } from '../support/dtype.js';
import { node, tensor, value, writeModel, type NodeSpec } from '../support/onnx.js';
import type { Tensors, TensorValue } from '../support/pb.js';

const tolerance = { relL2: 1e-4, rtol: 1e-3, atol: 1e-3 };
const believed = 9;

let few: GPUDevice;
let plain: GPUDevice;
let widest = 0;

beforeAll(async () => {
  await dawnGpu();
  plain = asHardware(await defaultLimitsDevice());
  few = believedLimits(asHardware(await defaultLimitsDevice()), {
    maxComputeWorkgroupsPerDimension: believed,
  });
  for (const device of [few, plain]) {
    const createCommandEncoder = device.createCommandEncoder.bind(device);
    device.createCommandEncoder = (descriptor) => {
      const encoder = createCommandEncoder(descriptor);
      const beginComputePass = encoder.beginComputePass.bind(encoder);
      encoder.beginComputePass = (pass) => {
        const made = beginComputePass(pass);
        const dispatchWorkgroups = made.dispatchWorkgroups.bind(made);
        made.dispatchWorkgroups = (x, y = 1, z = 1) => {
          widest = Math.max(widest, y, z);
          dispatchWorkgroups(x, y, z);
        };
        return made;
      };
      return encoder;
    };
  }
});
afterAll(() => {
  few.destroy();
  plain.destroy();
});

function f32(name: string, dims: number[], seed = 1): TensorValue {
  const data = new Float32Array(elementCount(dims));
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state >>> 16) % 7;
  }
  return { name, dtype: 'f32', dims, data };
}

interface Case {
  node: NodeSpec;
  inputs: TensorValue[];
  constants?: TensorValue[];
  rank: number;
}

const at = (count: number, below: number): TensorValue =>
  tensor(
    'at',
    'i64',
    [count],
    Array.from({ length: count }, (_, i) => (i * 37) % below),
  );

const folded: Record<string, Case> = {
  elementwise: {
    node: node('Add', ['a', 'b'], ['y']),
    inputs: [f32('a', [50, 601]), f32('b', [50, 601], 2)],
    rank: 2,
  },
  'a product': {
    node: node('MatMul', ['a', 'b'], ['y']),
    inputs: [f32('a', [300, 40]), f32('b', [40, 333], 2)],
    rank: 2,
  },
  'a product of one row': {
    node: node('MatMul', ['a', 'b'], ['y']),
    inputs: [f32('a', [1, 40]), f32('b', [40, 3001], 2)],
    rank: 2,
  },
  convolution: {
    node: node('Conv', ['x', 'w', 'b'], ['y'], { pads: { ints: [1, 1, 1, 1] } }),
    inputs: [f32('x', [3, 5, 41, 37]), f32('w', [20, 5, 3, 3], 2), f32('b', [20], 3)],
    rank: 4,
  },
  'a depthwise convolution': {
    node: node('Conv', ['x', 'w'], ['y'], { group: { int: 12 } }),
    inputs: [f32('x', [2, 12, 33, 37]), f32('w', [12, 1, 3, 3], 2)],
    rank: 4,
  },
  'a reduction of rows': {
    node: node('ReduceSum', ['a', 'axes'], ['y']),
    inputs: [f32('a', [500, 100])],
    constants: [tensor('axes', 'i64', [1], [1])],
    rank: 2,
  },
  'a reduction of columns': {
    node: node('ReduceMax', ['a'], ['y'], { axes: { ints: [0] } }),
    inputs: [f32('a', [40, 9001])],
    rank: 2,
  },
  Transpose: { node: node('Transpose', ['a'], ['y']), inputs: [f32('a', [301, 97])], rank: 2 },
  Gather: {
    node: node('Gather', ['a', 'at'], ['y']),
    inputs: [f32('a', [100, 77]), at(500, 100)],
    rank: 2,
  },
  Softmax: { node: node('Softmax', ['a'], ['y']), inputs: [f32('a', [700, 90])], rank: 2 },
  LayerNormalization: {
    node: node('LayerNormalization', ['a', 's'], ['y']),
    inputs: [f32('a', [700, 90]), f32('s', [90], 2)],
    rank: 2,
  },
  CumSum: {
    node: node('CumSum', ['a', 'axis'], ['y']),
    inputs: [f32('a', [300, 200])],
    constants: [tensor('axis', 'i64', [], [1])],
    rank: 2,
  },
  ScatterElements: {
    node: node('ScatterElements', ['a', 'at', 'u'], ['y']),
    inputs: [
      f32('a', [5000]),
      tensor(
        'at',
        'i64',
        [4000],
        Array.from({ length: 4000 }, (_, i) => i + 500),
      ),
      f32('u', [4000], 2),
    ],
    rank: 1,
  },
};

/** The real limit: a workgroup for a row. Elements would have to be 17 million. */
const real: Record<string, Case> = {
  'Softmax of 70,000 rows': {
    node: node('Softmax', ['a'], ['y']),
    inputs: [f32('a', [70_000, 70])],
    rank: 2,
  },
  'sums of 70,000 rows': {
    node: node('ReduceSum', ['a', 'axes'], ['y']),
    inputs: [f32('a', [70_000, 70])],
    constants: [tensor('axes', 'i64', [1], [1])],
    rank: 2,
  },
};

function modelOf({ node: one, inputs, constants = [], rank }: Case, symbolic: boolean) {
  return writeModel({
    graph: {
      nodes: [one],
      initializers: constants,
      inputs: inputs.map(({ name, dtype, dims }) =>
        value(name, dtype, symbolic ? dims.map((_, axis) => `${name}${axis}`) : dims),
      ),
      outputs: [
        value(
          'y',
          'f32',
          Array.from({ length: rank }, (_, axis) => `y${axis}`),
        ),
      ],
    },
  });
}

async function outputOf(one: Case, symbolic: boolean, options: LoadOptions): Promise<TensorValue> {
  const model: Model = await load(modelOf(one, symbolic), options);
  const feeds: Tensors = Object.fromEntries(one.inputs.map((input) => [input.name, input]));
  const { y } = valuesOf(await model.run(feedsOf(feeds)));
  model.dispose();
  return y!;
}

/** Of millions of elements: quickly, and a little stricter than compare(). */
function alike({ data: wanted, dims }: TensorValue, got: TensorValue): boolean {
  const [a, b] = [wanted as Float32Array, got.data as Float32Array];
  return dims.join() === got.dims.join() && a.every((x, i) => Math.abs(x - b[i]!) <= 1e-6);
}

async function check(one: Case, device: GPUDevice): Promise<void> {
  const wanted = await outputOf(one, false, { device: 'wasm' });
  for (const symbolic of [false, true]) {
    widest = 0;
    const got = await outputOf(one, symbolic, { device, warm: false });
    if (!alike(wanted, got)) expect(compare(wanted, got, tolerance).message).toBe('');
    // It was folded.
    expect(widest).toBeGreaterThan(1);
  }
}

describe(`a device that takes ${believed} workgroups`, () => {
  test.each(Object.entries(folded))('%s', (_, one) => check(one, few));
});

describe('the real limit', () => {
  test.each(Object.entries(real))('%s', { timeout: 300_000 }, (_, one) => check(one, plain));
});
