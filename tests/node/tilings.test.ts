// Products large enough for the large tile, deep enough for a split depth, and of dims that vary;
// attention of one query, its keys in slices: WebGPU beside the reference.

import { afterAll, describe, expect, test } from 'vitest';
import { asHardware } from '../../runtime/src/cli/devices.js';
import { load } from '../../runtime/src/node.js';
import { compare, webgpuTolerance } from '../support/compare.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, value, writeModel, type GraphSpec } from '../support/onnx.js';
import { Reference } from '../support/reference.js';
import type { TensorValue } from '../support/pb.js';

await dawnGpu();
const device = asHardware(await defaultLimitsDevice());

function noise(name: string, dims: number[], seed = 1): TensorValue {
  let state = seed * 7919;
  const count = dims.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return { name, dtype: 'f32', dims, data };
}

interface Case {
  graph: GraphSpec;
  inputs: TensorValue[][];
  /** Kernels that the report must name. */
  kernels: string[];
}

/** One product, with Relu after it. */
function product(
  op: string,
  x: (number | string)[],
  weights: TensorValue[],
  attributes = {},
): GraphSpec {
  return {
    nodes: [
      node(op, ['x', ...weights.map(({ name }) => name)], ['p'], attributes),
      node('Relu', ['p'], ['y']),
    ],
    inputs: [value('x', 'f32', x)],
    outputs: [value('y', 'f32')],
    initializers: weights,
  };
}

/** softmax(0.2 q k^T + mask) v, then Relu. */
function attention(rows: number | string, keys: number | string): GraphSpec {
  const head = (name: string, length: number | string) => value(name, 'f32', [2, 3, length, 40]);
  return {
    nodes: [
      node('Transpose', ['k'], ['kt'], { perm: { ints: [0, 1, 3, 2] } }),
      node('MatMul', ['q', 'kt'], ['products']),
      node('Mul', ['products', 'scale'], ['scaled']),
      node('Add', ['scaled', 'mask'], ['scores']),
      node('Softmax', ['scores'], ['weights'], { axis: { int: -1 } }),
      node('MatMul', ['weights', 'v'], ['sums']),
      node('Relu', ['sums'], ['y']),
    ],
    inputs: [
      ...[head('q', rows), head('k', keys), head('v', keys)],
      value('mask', 'f32', [2, 1, rows, keys]),
    ],
    outputs: [value('y', 'f32')],
    initializers: [{ name: 'scale', dtype: 'f32', dims: [], data: Float32Array.of(0.2) }],
  };
}
function operands(rows: number, keys: number): TensorValue[] {
  return [
    noise('q', [2, 3, rows, 40], 2),
    ...[noise('k', [2, 3, keys, 40], 3), noise('v', [2, 3, keys, 40], 4)],
    noise('mask', [2, 1, rows, keys], 5),
  ];
}

const cases: Record<string, Case> = {
  'a matrix product, depth split': {
    graph: product('MatMul', [40, 2050], [noise('w', [2050, 52], 2)]),
    inputs: [[noise('x', [40, 2050])]],
    kernels: ['split_sum'],
  },
  'Gemm with a bias of a column, odd sizes, depth split': {
    graph: product('Gemm', [1500, 37], [noise('w', [33, 1500], 2), noise('b', [37, 1], 3)], {
      transA: { int: 1 },
      transB: { int: 1 },
      alpha: { float: 0.5 },
      beta: { float: 2 },
    }),
    inputs: [[noise('x', [1500, 37])]],
    kernels: ['split_sum'],
  },
  'a convolution in groups with a bias, depth split': {
    graph: product('Conv', [2, 256, 7, 7], [noise('w', [48, 128, 3, 3], 2), noise('b', [48], 3)], {
      group: { int: 2 },
      pads: { ints: [1, 1, 1, 1] },
    }),
    inputs: [[noise('x', [2, 256, 7, 7])]],
    kernels: ['split_sum'],
  },
  'a pointwise convolution, depth split': {
    graph: product('Conv', [1, 1200, 6, 6], [noise('w', [40, 1200, 1, 1], 2), noise('b', [40], 3)]),
    inputs: [[noise('x', [1, 1200, 6, 6])]],
    kernels: ['split_sum'],
  },
  'a convolution on large tiles': {
    graph: product('Conv', [1, 24, 70, 171], [noise('w', [66, 24, 3, 3], 2), noise('b', [66], 3)], {
      pads: { ints: [1, 0, 1, 0] },
    }),
    inputs: [[noise('x', [1, 24, 70, 171])]],
    kernels: ['conv'],
  },
  'a product of varying rows: both tiles': {
    graph: product('MatMul', ['rows', 132], [noise('w', [132, 1400], 2)]),
    inputs: [[noise('x', [9, 132])], [noise('x', [700, 132], 4)], [noise('x', [33, 132], 5)]],
    kernels: ['matmul'],
  },
  'a convolution of varying size': {
    graph: product('Conv', ['n', 16, 'h', 'w'], [noise('w', [40, 16, 3, 3], 2)]),
    inputs: [
      [noise('x', [1, 16, 9, 12])],
      [noise('x', [2, 16, 80, 83], 4)],
      [noise('x', [1, 16, 31, 8], 5)],
    ],
    kernels: ['conv'],
  },
  'attention of one query, its keys in slices': {
    graph: attention(1, 500),
    inputs: [operands(1, 500)],
    kernels: ['attention_vector', 'attention_merge'],
  },
  'attention of one query of the keys of a cache': {
    graph: attention(1, 'keys'),
    inputs: [operands(1, 700), operands(1, 701), operands(1, 9), operands(1, 1)],
    kernels: ['attention_vector'],
  },
  'attention of more queries than one, then of one': {
    graph: attention('rows', 'keys'),
    inputs: [operands(6, 8), operands(1, 9), operands(1, 300), operands(70, 300), operands(1, 1)],
    kernels: ['attention'],
  },
};

describe.each(Object.entries(cases))('%s', (_, { graph, inputs, kernels }) => {
  const bytes = writeModel({ graph });
  const models: { dispose(): void }[] = [];
  afterAll(() => models.forEach((model) => model.dispose()));

  test('agrees with the reference, and a change of dims makes no pipeline', async () => {
    const reference = await Reference.load(bytes);
    const model = await load(bytes, { device });
    models.push(model);
    for (const [i, feeds] of inputs.entries()) {
      const tensors = Object.fromEntries(feeds.map((feed) => [feed.name, feed]));
      const expected = (await reference.run(tensors)).y!;
      const { y } = await model.run(
        Object.fromEntries(
          feeds.map(({ name, data, dims }) => [name, { data: data as Float32Array, dims }]),
        ),
      );
      const got: TensorValue = {
        name: 'y',
        dtype: 'f32',
        dims: [...y!.dims],
        data: y!.data as Float32Array<ArrayBuffer>,
      };
      expect(compare(expected, got, webgpuTolerance).message).toBe('');
      const { objects, nodes } = model.report();
      if (i > 0) expect(objects.lastRun.pipelines).toBe(0);
      const labels = nodes.flatMap((one) => one.kernels.map(({ label }) => label));
      for (const kernel of kernels) expect(labels.join()).toContain(kernel);
    }
  });
});
