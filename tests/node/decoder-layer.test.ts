// A layer of a decoder as exporters for onnxruntime write it, against onnxruntime: what passes join
// so that a step takes few dispatches, and that the weights they joined are not there twice.

import { beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { dawnGpu } from '../support/dawn.js';
import { node, value, writeModel, type AttributeSpec, type NodeSpec } from '../support/onnx.js';
import type { NumericData } from '../support/dtype.js';
import { floats, numbers, numbersOf, type FloatType } from '../support/layers.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

// So wide that even the smallest matrix, of 4 bits, is no small constant.
const [heads, kvHeads, size, inner, longest, block] = [20, 10, 32, 1024, 32, 32];
const width = heads * size;
const kvWidth = kvHeads * size;
const caches = ['key', 'value'].map((part) => [`past.${part}`, `present.${part}`] as const);

interface Form {
  type: FloatType;
  bits?: 4;
  biases?: boolean;
  interleaved?: boolean;
}

function layer({ type, bits, biases, interleaved }: Form): Uint8Array<ArrayBuffer> {
  const initializers: TensorValue[] = [
    floats('ones', type, [width], new Float32Array(width).fill(1)),
  ];
  const nodes: NodeSpec[] = [];
  const add = (
    op: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, AttributeSpec> = {},
    domain = '',
  ): string => {
    nodes.push({ ...node(op, inputs, outputs, attributes), domain });
    return outputs[0]!;
  };
  const constant = (
    name: string,
    dims: number[],
    dtype: FloatType | 'u8',
    scale: number,
  ): string => {
    const values = numbers(
      dims.reduce((a, b) => a * b, 1),
      initializers.length,
    );
    initializers.push(
      dtype === 'u8'
        ? { name, dtype, dims, data: Uint8Array.from(values, (x) => (x + 1) * 127) }
        : floats(
            name,
            dtype,
            dims,
            values.map((x) => x * scale),
          ),
    );
    return name;
  };
  const product = (x: string, name: string, rows: number, columns: number): string => {
    const scale = 1 / Math.sqrt(rows);
    let y = `${name}_product`;
    if (bits === 4) {
      const blocks = rows / block;
      add(
        'MatMulNBits',
        [
          x,
          constant(`${name}_codes`, [columns, blocks, block / 2], 'u8', 1),
          constant(`${name}_scales`, [columns * blocks], type, scale / 8),
          constant(`${name}_zeros`, [columns * Math.ceil(blocks / 2)], 'u8', 1),
        ],
        [y],
        { K: { int: rows }, N: { int: columns }, bits: { int: 4 }, block_size: { int: block } },
        'com.microsoft',
      );
    } else {
      add('MatMul', [x, constant(`${name}_weight`, [rows, columns], type, scale)], [y]);
    }
    if (biases) y = add('Add', [constant(`${name}_bias`, [columns], type, 1), y], [`${name}_sum`]);
    return y;
  };
  const norm = (x: string, y: string): string =>
    add('SimplifiedLayerNormalization', [x, 'ones'], [y], { epsilon: { float: 1e-5 } });

  const angles = Array.from({ length: (longest * size) / 2 }, (_, i) => {
    const pair = i % (size / 2);
    return Math.floor(i / (size / 2)) * 10000 ** ((-2 * pair) / size);
  });
  initializers.push(floats('cos', type, [longest, size / 2], Float32Array.from(angles, Math.cos)));
  initializers.push(floats('sin', type, [longest, size / 2], Float32Array.from(angles, Math.sin)));

  const n = norm('x', 'n');
  const q = product(n, 'q', width, width);
  const k = product(n, 'k', width, kvWidth);
  const v = product(n, 'v', width, kvWidth);
  add(
    'GroupQueryAttention',
    [q, k, v, 'past.key', 'past.value', 'lengths', 'total', 'cos', 'sin'],
    ['attended', 'present.key', 'present.value'],
    {
      num_heads: { int: heads },
      kv_num_heads: { int: kvHeads },
      do_rotary: { int: 1 },
      rotary_interleaved: { int: interleaved ? 1 : 0 },
    },
    'com.microsoft',
  );
  const sum = add('Add', ['x', product('attended', 'o', width, width)], ['sum']);
  const m = norm(sum, 'm');
  const gate = product(m, 'gate', width, inner);
  const up = product(m, 'up', width, inner);
  add('Sigmoid', [gate], ['sigmoid']);
  add('Mul', [gate, 'sigmoid'], ['silu']);
  add('Mul', ['silu', up], ['gated']);
  add('Add', ['sum', product('gated', 'down', inner, width)], ['y']);

  return writeModel({
    opsets: { '': 17, 'com.microsoft': 1 },
    graph: {
      nodes,
      initializers,
      inputs: [
        value('x', type, ['batch', 'rows', width]),
        value('lengths', 'i32', ['batch']),
        value('total', 'i32', []),
        ...caches.map(([past]) => value(past, type, ['batch', kvHeads, 'past', size])),
      ],
      outputs: [
        value('y', type, ['batch', 'rows', width]),
        ...caches.map(([, present]) => value(present, type, ['batch', kvHeads, 'total', size])),
      ],
    },
  });
}

/** Some rows after caches; `lengths`: of each batch, with these rows. */
function step(
  type: FloatType,
  rows: number,
  lengths: number[],
  pasts: readonly TensorValue[],
): Tensors {
  const total = Math.max(...lengths);
  const batch = lengths.length;
  const data = numbers(batch * rows * width, rows + total);
  const seqlens = Int32Array.from(lengths, (length) => length - 1);
  const all: TensorValue[] = [
    floats('x', type, [batch, rows, width], data),
    { name: 'lengths', dtype: 'i32', dims: [batch], data: seqlens },
    { name: 'total', dtype: 'i32', dims: [], data: Int32Array.of(total) },
    ...pasts.map((past, i) => ({ ...past, name: caches[i]![0] })),
  ];
  return Object.fromEntries(all.map((one) => [one.name, one]));
}

const emptyCaches = (type: FloatType, batch: number): TensorValue[] =>
  caches.map(([name]) => floats(name, type, [batch, kvHeads, 0, size], new Float32Array(0)));

/** Prompts, of their whole length, and what comes after; a step of two lengths is the last. */
const steps: [rows: number, lengths: number[]][] = [
  [5, [5, 5]],
  [1, [6, 6]],
  [1, [7, 4]],
  [4, [4]],
  [3, [7]],
  [1, [8]],
];

beforeAll(async () => {
  await dawnGpu(); // chooses the Vulkan driver
});

describe.each<[string, Form]>([
  ['f32', { type: 'f32' }],
  ['f32, biases, neighbours rotated', { type: 'f32', biases: true, interleaved: true }],
  ['4 bits', { type: 'f32', bits: 4 }],
  ['f16', { type: 'f16' }],
  ['f16, 4 bits', { type: 'f16', bits: 4 }],
])('%s', (_form, form) => {
  const bytes = layer(form);
  test.each(['webgpu', 'wasm'] as const)('%s', async (device) => {
    const reference = await Reference.load(bytes);
    const model = await load(bytes, { device, threads: 1 });
    let pasts: TensorValue[] = [];
    for (const [rows, lengths] of steps) {
      if (rows === lengths[0]) pasts = emptyCaches(form.type, lengths.length);
      const feeds = step(form.type, rows, [...lengths], pasts);
      const wanted = await reference.run(feeds);
      const got = await model.run(feeds);
      for (const [name, { dims, data }] of Object.entries(wanted)) {
        expect(got[name]!.dims, name).toEqual(dims);
        const cache = name.startsWith('present') && lengths[0] !== lengths[1];
        const ours = numbersOf(got[name]!.data as NumericData, form.type);
        const theirs = numbersOf(data as NumericData, form.type);
        const most = form.type === 'f16' ? 2e-2 : 2e-4;
        const stop = cache ? 0 : ours.length; // past a batch's length ours are 0
        for (let i = 0; i < stop; ++i) {
          const distance = Math.abs(ours[i]! - theirs[i]!);
          if (!(distance < most))
            expect.fail(`${name}[${i}] after ${lengths.join()}: off by ${distance}`);
        }
      }
      pasts = caches.map(([, present]) => wanted[present]!);
    }
    if (device === 'webgpu') {
      const report = model.report();
      const kernels = report.nodes.flatMap((one) => one.kernels);
      // One of them for where rows go in caches, which all layers would share; keys enough for
      // slices would be one more. Products with biases are not gated together.
      const dispatches = kernels.reduce((sum, one) => sum + one.dispatches, 0);
      expect(dispatches).toBe(form.biases ? 10 : 9);
      // The parts of what was joined are gone.
      const joined = report.weights.filter(({ loadOnly }) => loadOnly);
      expect(joined.map(({ name }) => name[0])).toEqual(expect.arrayContaining(['q', 'k', 'v']));
      const kept = report.weights.filter(({ used, loadOnly }) => used && !loadOnly);
      expect(report.memory.weights).toBe(kept.reduce((sum, one) => sum + one.bytes, 0));
    }
    model.dispose();
    await reference.release();
  });
});

test('products of a long prompt are gated in ranges of rows', async () => {
  const [rows, depth, columns] = [1100, 8, 8192];
  const weight = (name: string, seed: number): TensorValue =>
    floats(name, 'f32', [depth, columns], numbers(depth * columns, seed));
  const bytes = writeModel({
    opsets: { '': 17 },
    graph: {
      initializers: [weight('gate', 1), weight('up', 2)],
      nodes: [
        node('MatMul', ['x', 'gate'], ['g']),
        node('MatMul', ['x', 'up'], ['u']),
        node('Sigmoid', ['g'], ['s']),
        node('Mul', ['g', 's'], ['silu']),
        node('Mul', ['silu', 'u'], ['gated']),
        node('Add', ['gated', 'residual'], ['y']),
      ],
      inputs: [value('x', 'f32', ['rows', depth]), value('residual', 'f32', ['rows', columns])],
      outputs: [value('y', 'f32', ['rows', columns])],
    },
  });
  const feeds = {
    x: floats('x', 'f32', [rows, depth], numbers(rows * depth, 3)),
    residual: floats('residual', 'f32', [rows, columns], numbers(rows * columns, 4)),
  };
  const model = await load(bytes, { device: 'webgpu' });
  const { y } = await model.run(feeds);
  // Twice two products and what gates them.
  const kernels = model.report().nodes.flatMap((one) => one.kernels);
  expect(kernels.reduce((sum, one) => sum + one.dispatches, 0)).toBe(6);
  model.dispose();
  const reference = await Reference.load(bytes);
  const wanted = (await reference.run(feeds)).y!.data as Float32Array;
  await reference.release();
  const far = wanted.findIndex((x, i) => !(Math.abs(x - (y!.data as Float32Array)[i]!) < 1e-4));
  expect(far).toBe(-1);
});
