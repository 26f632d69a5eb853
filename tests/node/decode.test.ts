// A small language model as web exports are: GroupQueryAttention over a cache that grows by a token
// a step and stays on the device.

import { beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import { dawnGpu } from '../support/dawn.js';
import {
  node,
  tensor,
  value,
  writeModel,
  type AttributeSpec,
  type NodeSpec,
} from '../support/onnx.js';
import type { TensorValue } from '../support/pb.js';

const [layers, heads, kvHeads, size, words, longest] = [2, 4, 2, 16, 40, 64];
const width = heads * size;

const microsoft = (
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, AttributeSpec> = {},
): NodeSpec => ({ ...node(op, inputs, outputs, attributes), domain: 'com.microsoft' });

/** Numbers in [-scale, scale) that are the same in every run. */
function numbers(count: number, scale: number, seed: number): number[] {
  let state = seed * 2654435761 + 12345;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
}

/** Embedding, layers of attention and a gated product each, logits. */
function languageModel(): Uint8Array<ArrayBuffer> {
  const initializers: TensorValue[] = [
    tensor('one', 'i64', [1], [1]),
    tensor('axis', 'i64', [], [1]),
  ];
  const weight = (name: string, dims: number[], scale: number): string => {
    const count = dims.reduce((a, b) => a * b, 1);
    const values = numbers(count, scale, initializers.length + 1);
    initializers.push(tensor(name, 'f32', dims, values));
    return name;
  };
  const angles = Array.from({ length: (longest * size) / 2 }, (_, i) => {
    const pair = i % (size / 2);
    return Math.floor(i / (size / 2)) * 10000 ** ((-2 * pair) / size);
  });
  initializers.push(tensor('cos', 'f32', [longest, size / 2], angles.map(Math.cos)));
  initializers.push(tensor('sin', 'f32', [longest, size / 2], angles.map(Math.sin)));
  const norm = (name: string): string => {
    initializers.push(tensor(name, 'f32', [width], Array<number>(width).fill(1)));
    return name;
  };

  const nodes: NodeSpec[] = [
    node('Gather', [weight('embedding', [words, width], 1), 'input_ids'], ['x0']),
    // The lengths, from the mask.
    node('ReduceSum', ['attention_mask', 'one'], ['lengths'], { keepdims: { int: 0 } }),
    node('Sub', ['lengths', 'one'], ['last']),
    node('Cast', ['last'], ['seqlens_k'], { to: { int: 6 } }),
    node('Shape', ['attention_mask'], ['mask_dims']),
    node('Gather', ['mask_dims', 'axis'], ['total_long'], { axis: { int: 0 } }),
    node('Cast', ['total_long'], ['total'], { to: { int: 6 } }),
    node('SimplifiedLayerNormalization', ['x0', norm('norm0')], ['n0'], {
      epsilon: { float: 1e-5 },
    }),
  ];
  const inputs = [
    value('input_ids', 'i64', [1, 'sequence_length']),
    value('attention_mask', 'i64', [1, 'total_sequence_length']),
  ];
  const outputs = [value('logits', 'f32', [1, 'sequence_length', words])];
  for (let layer = 0; layer < layers; ++layer) {
    const at = (name: string): string => `${name}${layer}`;
    const [key, present] = [`past_key_values.${layer}`, `present.${layer}`];
    const product = (x: string, name: string, columns: number, rows: number): string => {
      const matrix = weight(at(`${name}_weight`), [rows, columns], 1 / Math.sqrt(rows));
      nodes.push(node('MatMul', [x, matrix], [at(name)]));
      return at(name);
    };
    const qkv = product(at('n'), 'qkv', (heads + 2 * kvHeads) * size, width);
    nodes.push(
      microsoft(
        'GroupQueryAttention',
        [qkv, '', '', `${key}.key`, `${key}.value`, 'seqlens_k', 'total', 'cos', 'sin'],
        [at('attended'), `${present}.key`, `${present}.value`],
        { num_heads: { int: heads }, kv_num_heads: { int: kvHeads }, do_rotary: { int: 1 } },
      ),
    );
    const projected = product(at('attended'), 'projected', width, width);
    nodes.push(
      microsoft(
        'SkipSimplifiedLayerNormalization',
        [layer === 0 ? 'x0' : `x${layer}`, projected, norm(at('norm_mlp'))],
        [at('m'), '', '', at('sum')],
        { epsilon: { float: 1e-5 } },
      ),
    );
    const gate = product(at('m'), 'gate', 2 * width, width);
    const up = product(at('m'), 'up', 2 * width, width);
    nodes.push(
      node('Sigmoid', [gate], [at('sigmoid')]),
      node('Mul', [gate, at('sigmoid')], [at('silu')]),
      node('Mul', [at('silu'), up], [at('gated')]),
    );
    const down = product(at('gated'), 'down', width, 2 * width);
    nodes.push(
      microsoft(
        'SkipSimplifiedLayerNormalization',
        [at('sum'), down, norm(at('norm_next'))],
        [`n${layer + 1}`, '', '', `x${layer + 1}`],
        { epsilon: { float: 1e-5 } },
      ),
    );
    for (const part of ['key', 'value']) {
      inputs.push(value(`${key}.${part}`, 'f32', [1, kvHeads, 'past_sequence_length', size]));
      outputs.push(value(`${present}.${part}`, 'f32', [1, kvHeads, 'total_sequence_length', size]));
    }
  }
  nodes.push(node('MatMul', [`n${layers}`, weight('head', [width, words], 0.3)], ['logits']));
  return writeModel({
    opsets: { '': 17, 'com.microsoft': 1 },
    graph: { nodes, initializers, inputs, outputs },
  });
}

const caches = Array.from({ length: layers }, (_, layer) =>
  ['key', 'value'].map((part) => [`present.${layer}.${part}`, `past_key_values.${layer}.${part}`]),
).flat() as [string, string][];
const state = Object.fromEntries(caches);
const empty = Object.fromEntries(
  caches.map(([, past]) => [past, { data: new Float32Array(0), dims: [1, kvHeads, 0, size] }]),
);
const feeds = (tokens: number[], total: number) => ({
  input_ids: { data: BigInt64Array.from(tokens, BigInt), dims: [1, tokens.length] },
  attention_mask: { data: new BigInt64Array(total).fill(1n), dims: [1, total] },
});

/** The greedy token after the last row of logits, and that row. */
function best(logits: Float32Array): { token: number; row: Float32Array } {
  const row = logits.slice(-words);
  return { token: row.indexOf(Math.max(...row)), row };
}

beforeAll(async () => {
  await dawnGpu(); // chooses the Vulkan driver
});

describe.each<[string, LoadOptions]>([
  ['webgpu', { device: 'webgpu' }],
  ['webgpu without passes', { device: 'webgpu', passes: false }],
  ['wasm', { device: 'wasm', threads: 1 }],
])('%s', (_name, options) => {
  test('eight steps agree with the whole sequence at once, and make no pipelines', async () => {
    const model = await load(languageModel(), options);
    const sequence = [3, 17, 8, 25, 11];
    const rows: Float32Array[] = [];
    const pipelines: number[] = [];
    let tokens = sequence.slice();
    for (let step = 0; step < 9; ++step) {
      const { logits } = await model.run(
        { ...feeds(tokens, sequence.length), ...(step === 0 && empty) },
        { state, outputs: ['logits'] },
      );
      pipelines.push(model.report().objects.lastRun.pipelines);
      const { token, row } = best(logits!.data as Float32Array);
      rows.push(row);
      tokens = [token];
      sequence.push(token);
    }
    // The first step is of several tokens, the second the first of one.
    expect(pipelines.slice(2)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(new Set(sequence.slice(5)).size).toBeGreaterThan(1);

    model.resetState();
    const all = sequence.slice(0, -1);
    const { logits } = await model.run(
      { ...feeds(all, all.length), ...empty },
      { outputs: ['logits'] },
    );
    const whole = logits!.data as Float32Array;
    rows.forEach((row, step) => {
      const want = whole.subarray((4 + step) * words, (5 + step) * words);
      row.forEach((x, i) => {
        expect(Math.abs(x - want[i]!), `step ${step}, word ${i}`).toBeLessThan(1e-4);
      });
    });
    const places = model.report().nodes.filter(({ op }) => op.includes('Attention'));
    expect(places.length).toBeGreaterThanOrEqual(layers);
    for (const { place } of places) expect(place).toBe('device');
    model.dispose();
  });
});
