// Maps: ZipMap, DictVectorizer and CastMap of ai.onnx.ml on every device, with values that are fed
// and values that the device has computed. ONNX Runtime takes no maps in Node.

import { beforeAll, expect, test } from 'vitest';
import { load, type Tensor } from '../../runtime/src/node.js';
import { dawnGpu } from '../support/dawn.js';
import type { DType } from '../support/dtype.js';
import {
  node,
  tensor,
  value,
  writeModel,
  type GraphSpec,
  type NodeSpec,
  type ValueSpec,
} from '../support/onnx.js';

beforeAll(async () => void (await dawnGpu()));

type Fed = Map<number | bigint | string, number | bigint | string>;

const devices = ['wasm', 'webgpu'] as const;
const domain = 'ai.onnx.ml';
const model = (graph: GraphSpec): Uint8Array =>
  writeModel({ opsets: { '': 17, [domain]: 3 }, graph });
const map = (name: string, key: DType, dtype: DType): ValueSpec => ({
  name,
  type: { kind: 'map', key, element: { kind: 'tensor', dtype, dims: [] } },
});

/** Type, dims and elements of an output. */
function shown(result: unknown): [DType, readonly number[], unknown[]] {
  const { dtype, dims, data } = result as Tensor;
  return [dtype, dims, [...(data as unknown as Iterable<unknown>)]];
}

/** What a node makes of a fed map. */
async function ofMap(
  made: NodeSpec,
  input: ValueSpec,
  fed: Fed,
  output: DType,
): Promise<ReturnType<typeof shown>[]> {
  const bytes = model({ nodes: [made], inputs: [input], outputs: [value('y', output)] });
  return Promise.all(
    devices.map(async (device) => {
      const loaded = await load(bytes, { device });
      const { y } = await loaded.run({ x: fed });
      loaded.dispose();
      return shown(y);
    }),
  );
}

const castMap = (attributes: NodeSpec['attributes']): NodeSpec => ({
  ...node('CastMap', ['x'], ['y'], attributes),
  domain,
});
const numbers: Fed = new Map([
  [5n, 2.75],
  [-1n, -1.5],
  [2n, 8],
]);
const places: Fed = new Map([
  [4n, 2.75],
  [0n, -1.5],
]);
const texts: Fed = new Map([
  [3n, '7'],
  [1n, '-12'],
]);

test.each([
  ['dense floats, in the order of the keys', {}, numbers, 'f32', [-1.5, 8, 2.75]],
  ['dense integers', { cast_to: 'TO_INT64' }, numbers, 'i64', [-1n, 8n, 2n]],
  ['dense strings', { cast_to: 'TO_STRING' }, numbers, 'string', ['-1.5', '8', '2.75']],
  ['sparse floats', { map_form: 'SPARSE' }, places, 'f32', [-1.5, 0, 0, 0, 2.75, 0]],
  [
    'sparse strings',
    { map_form: 'SPARSE', cast_to: 'TO_STRING' },
    places,
    'string',
    ['-1.5', '0', '0', '0', '2.75', '0'],
  ],
  ['strings as numbers', { cast_to: 'TO_FLOAT' }, texts, 'f32', [-12, 7]],
  [
    'strings as integers',
    { cast_to: 'TO_INT64', map_form: 'SPARSE' },
    texts,
    'i64',
    [0n, -12n, 0n, 7n, 0n, 0n],
  ],
] as const)('CastMap: %s', async (_name, attributes, fed, dtype, wanted) => {
  const spec: NodeSpec['attributes'] = { max_map: { int: 6 } };
  for (const [name, text] of Object.entries(attributes)) spec[name] = { string: text };
  const from = fed === texts ? 'string' : 'f32';
  for (const got of await ofMap(castMap(spec), map('x', 'i64', from), fed, dtype)) {
    expect(got).toEqual([dtype, [1, wanted.length], [...wanted]]);
  }
});

test('CastMap: a key past max_map, and a string that is no number, are errors', async () => {
  const sparse = castMap({ map_form: { string: 'SPARSE' }, max_map: { int: 3 } });
  await expect(ofMap(sparse, map('x', 'i64', 'f32'), places, 'f32')).rejects.toThrow(
    /CastMap.*key 4 is outside of max_map, 3/,
  );
  const words: Fed = new Map([[1n, 'seven']]);
  await expect(ofMap(castMap({}), map('x', 'i64', 'string'), words, 'f32')).rejects.toThrow(
    /CastMap.*'seven' is no number/,
  );
  await expect(
    ofMap(castMap({ cast_to: { string: 'TO_DOUBLE' } }), map('x', 'i64', 'f32'), places, 'f32'),
  ).rejects.toThrow(/CastMap.*cast_to is 'TO_DOUBLE', expected TO_FLOAT/);
});

test('DictVectorizer: the vocabulary orders the values, what the map lacks is 0', async () => {
  const fed: Fed = new Map([
    ['c', 8],
    ['a', 4],
  ]);
  const vectorizer: NodeSpec = {
    ...node('DictVectorizer', ['x'], ['y'], { string_vocabulary: { strings: ['a', 'c', 'b'] } }),
    domain,
  };
  for (const got of await ofMap(vectorizer, map('x', 'string', 'f32'), fed, 'f32')) {
    expect(got).toEqual(['f32', [1, 3], [4, 8, 0]]);
  }
});

test('maps whose values the device has computed', async () => {
  const ml = (one: NodeSpec): NodeSpec => ({ ...one, domain });
  const bytes = model({
    initializers: [tensor('one', 'i64', [], [1]), tensor('half', 'f32', [], [0.5])],
    nodes: [
      node('Mul', ['x', 'half'], ['scores']),
      ml(node('ZipMap', ['scores'], ['maps'], { classlabels_int64s: { ints: [4, 0, 2] } })),
      node('SequenceAt', ['maps', 'one'], ['row']),
      ml(node('CastMap', ['row'], ['dense'], {})),
      ml(
        node('CastMap', ['row'], ['sparse'], {
          cast_to: { string: 'TO_INT64' },
          map_form: { string: 'SPARSE' },
          max_map: { int: 6 },
        }),
      ),
      ml(node('DictVectorizer', ['row'], ['picked'], { int64_vocabulary: { ints: [2, 7, 4] } })),
    ],
    inputs: [value('x', 'f32', ['n', 3])],
    outputs: [value('dense', 'f32'), value('sparse', 'i64'), value('picked', 'f32')],
  });
  for (const device of devices) {
    for (const passes of [true, false]) {
      const loaded = await load(bytes, { device, passes });
      for (const rows of [2, 3]) {
        const data = Float32Array.from({ length: rows * 3 }, (_, i) => 10 * i + 1);
        const { dense, sparse, picked } = await loaded.run({ x: { data, dims: [rows, 3] } });
        expect(shown(dense)).toEqual(['f32', [1, 3], [20.5, 25.5, 15.5]]);
        expect(shown(sparse)).toEqual(['i64', [1, 6], [20n, 0n, 25n, 0n, 15n, 0n]]);
        expect(shown(picked)).toEqual(['f32', [1, 3], [25.5, 0, 15.5]]);
      }
      loaded.dispose();
    }
  }
});
