// Attention of an encoder as exporters write it, against onnxruntime: heads split and merged
// without kernels, products of one input by one, keys in slices where there are few heads.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHardware } from '../../runtime/src/cli/devices.js';
import { load } from '../../runtime/src/node.js';
import { openDawn } from '../support/dawn.js';
import type { NumericData } from '../support/dtype.js';
import { floats, numbers, numbersOf, type FloatType } from '../support/layers.js';
import { node, value, writeModel, type AttributeSpec, type NodeSpec } from '../support/onnx.js';
import type { TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

const [heads, size] = [3, 64];
const width = heads * size;

interface Form {
  type?: FloatType;
  /** One projection for queries, keys and values, its parts before or behind its heads. */
  packed?: 'parts first' | 'heads first';
  /** Keys and values are of another input. */
  cross?: boolean;
  scaled?: boolean;
  mask?: boolean;
}

function layer({ type = 'f32', packed, cross, scaled, mask }: Form): Uint8Array<ArrayBuffer> {
  const initializers: TensorValue[] = [];
  const nodes: NodeSpec[] = [];
  const add = (
    op: string,
    inputs: string[],
    output: string,
    attributes: Record<string, AttributeSpec> = {},
  ): string => {
    nodes.push(node(op, inputs, [output], attributes));
    return output;
  };
  const ints = (name: string, dims: number[], data: number[]): string => {
    initializers.push({ name, dtype: 'i64', dims, data: BigInt64Array.from(data, BigInt) });
    return name;
  };
  const constant = (name: string, dims: number[], scale: number): string => {
    const data = numbers(
      dims.reduce((a, b) => a * b, 1),
      initializers.length + 1,
    );
    initializers.push(
      floats(
        name,
        type,
        dims,
        data.map((x) => x * scale),
      ),
    );
    return name;
  };
  const scalar = (name: string, x: number): string => {
    initializers.push(floats(name, type, [], Float32Array.of(x)));
    return name;
  };
  const project = (x: string, name: string, columns: number, bias = true): string => {
    const weight = constant(`${name}.weight`, [width, columns], 2 / Math.sqrt(width));
    if (!bias) return add('MatMul', [x, weight], name);
    const y = add('MatMul', [x, weight], `${name}.product`);
    return add('Add', [constant(`${name}.bias`, [columns], 0.5), y], name);
  };
  const split = (x: string): string => {
    const rows = add('Reshape', [x, 'heads'], `${x}.rows`);
    return add('Transpose', [rows], `${x}.heads`, { perm: { ints: [0, 2, 1, 3] } });
  };
  ints('heads', [4], [0, 0, heads, size]);
  ints('merged', [3], [0, 0, width]);

  let q: string, k: string, v: string;
  if (packed) {
    const first = packed === 'parts first';
    ints('parts', [5], [0, 0, first ? 3 : heads, first ? heads : 3, size]);
    const rows = add('Reshape', [project('x', 'qkv', 3 * width), 'parts'], 'qkv.rows');
    const perm = first ? [2, 0, 3, 1, 4] : [3, 0, 2, 1, 4];
    add('Transpose', [rows], 'qkv.parts', { perm: { ints: perm } });
    [q, k, v] = ['q', 'k', 'v'].map((name, i) =>
      add('Gather', ['qkv.parts', ints(`${name}.index`, [], [i])], name),
    ) as [string, string, string];
  } else {
    q = project('x', 'q', width);
    if (scaled) q = add('Mul', [q, scalar('factor', 0.25)], 'q.scaled');
    q = split(q);
    k = split(project(cross ? 'z' : 'x', 'k', width, false));
    v = split(project(cross ? 'z' : 'x', 'v', width));
  }
  const keys = add('Transpose', [k], 'keys', { perm: { ints: [0, 1, 3, 2] } });
  let scores = add('MatMul', [q, keys], 'scores');
  if (!scaled) scores = add('Div', [scores, scalar('root', Math.sqrt(size))], 'scores.scaled');
  if (mask) scores = add('Add', [scores, 'mask'], 'scores.masked');
  const weights = add('Softmax', [scores], 'weights', { axis: { int: -1 } });
  const out = add('MatMul', [weights, v], 'out');
  const rows = add('Transpose', [out], 'out.rows', { perm: { ints: [0, 2, 1, 3] } });
  add('Add', [project(add('Reshape', [rows, 'merged'], 'out.merged'), 'o', width), 'x'], 'y');

  return writeModel({
    opsets: { '': 17 },
    graph: {
      nodes,
      initializers,
      inputs: [
        value('x', type, ['batch', 'rows', width]),
        ...(cross ? [value('z', type, ['batch', 'keys', width])] : []),
        ...(mask ? [value('mask', type, ['batch', 1, 1, 'rows'])] : []),
      ],
      outputs: [value('y', type, ['batch', 'rows', width])],
    },
  });
}

let hardware: GPUDevice;
beforeAll(async () => {
  hardware = asHardware((await openDawn()).device);
});
afterAll(() => hardware.destroy());

const lengths: [batch: number, rows: number, keys: number][] = [
  [1, 600, 520],
  [2, 37, 300],
  [1, 1, 70],
];

describe.each<[string, Form, number]>([
  ['three products', {}, 3],
  ['a factor of queries', { scaled: true }, 3],
  ['a mask', { mask: true }, 3],
  ['f16', { type: 'f16' }, 3],
  ['parts of one product', { packed: 'parts first' }, 3],
  ['heads of one product', { packed: 'heads first' }, 3],
  ['keys of another input', { cross: true }, 4],
])('%s', (_name, form, dispatches) => {
  const bytes = layer(form);
  const type = form.type ?? 'f32';
  const feedsOf = (batch: number, rows: number, keys: number): Record<string, TensorValue> => {
    const feeds: Record<string, TensorValue> = {
      x: floats('x', type, [batch, rows, width], numbers(batch * rows * width, rows)),
    };
    if (form.cross) {
      feeds['z'] = floats('z', type, [batch, keys, width], numbers(batch * keys * width, keys + 1));
    }
    if (form.mask) {
      const hidden = numbers(batch * rows, 3).map((x) => (x < -0.5 ? -1e4 : 0));
      hidden[0] = 0;
      feeds['mask'] = floats('mask', type, [batch, 1, 1, rows], hidden);
    }
    return feeds;
  };

  test.each(['hardware', 'emulated', 'wasm'] as const)('%s', async (kind) => {
    const reference = await Reference.load(bytes);
    const device = kind === 'hardware' ? hardware : kind === 'wasm' ? 'wasm' : 'webgpu';
    const model = await load(bytes, { device, threads: 1 });
    for (const [batch, rows, keys] of lengths) {
      const feeds = feedsOf(batch, rows, keys);
      const wanted = numbersOf((await reference.run(feeds))['y']!.data as NumericData, type);
      const { y } = await model.run(feeds);
      const got = numbersOf(y!.data as NumericData, type);
      expect(got.length).toBe(wanted.length);
      const most = type === 'f16' ? 2e-2 : 2e-4;
      for (let i = 0; i < got.length; ++i) {
        const distance = Math.abs(got[i]! - wanted[i]!);
        if (!(distance < most)) expect.fail(`y[${i}] of ${rows} rows: off by ${distance}`);
      }
      if (kind === 'wasm') continue;
      const { nodes, weights, memory } = model.report();
      const kernels = nodes.flatMap((one) => one.kernels);
      const sliced = kernels.filter(({ label }) => label.includes('attention_merge'));
      // Many keys of few heads: a dispatch that puts their slices together.
      const few = rows === 600 || (rows === 1 && form.cross);
      expect(sliced.length, `${rows} rows`).toBe(kind === 'hardware' && few ? 1 : 0);
      // The kernel of few rows gives f32, so that one of f16 needs a cast.
      const others = kernels.filter(
        (one) => !sliced.includes(one) && !/Attention expr/.test(one.label),
      );
      expect(
        others.reduce((sum, one) => sum + one.dispatches, 0),
        `${rows} rows`,
      ).toBe(dispatches);
      // The parts of what was joined are gone.
      const joined = weights.filter(({ loadOnly }) => loadOnly).map(({ name }) => name[0]);
      const parts = form.packed ? [] : form.cross ? ['k', 'v'] : ['q', 'k', 'v'];
      expect([...new Set(joined)].sort()).toEqual(parts.sort());
      const kept = weights.filter(({ used, loadOnly }) => used && !loadOnly);
      expect(memory.weights).toBe(kept.reduce((sum, one) => sum + one.bytes, 0));
    }
    model.dispose();
    await reference.release();
  });
});
