// Operators that only move elements move them exactly, also those of types that a GPU computes in
// f32: against the WASM device, bit for bit.

import { beforeAll, expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { feedsOf, valuesOf } from '../browser/run-model.js';
import { dawnGpu } from '../support/dawn.js';
import { bytesOf, elementCount, type NumericData } from '../support/dtype.js';
import { node, tensor, value, writeModel, type NodeSpec } from '../support/onnx.js';
import type { TensorValue } from '../support/pb.js';

beforeAll(async () => void (await dawnGpu()));

/** Numbers that f32 has not. */
function f64(name: string, dims: number[]): TensorValue {
  const numbers = Array.from({ length: elementCount(dims) }, (_, i) => (i % 5) * 1e250 + i + 0.1);
  return tensor(name, 'f64', dims, numbers);
}
const ints = (name: string, dims: number[], list: number[]): TensorValue =>
  tensor(name, 'i64', dims, list);
const bools = (name: string, dims: number[], list: number[]): TensorValue =>
  tensor(name, 'bool', dims, list);

type Moved = [attributes: NodeSpec['attributes'], inputs: TensorValue[], constants?: TensorValue[]];

const x = f64('x', [4, 6]);
const cases: Record<string, Moved> = {
  Gather: [{}, [x, ints('at', [3], [3, 0, -1])]],
  GatherElements: [{ axis: { int: 1 } }, [x, ints('at', [4, 2], [0, 1, 2, 3, 4, 5, -1, -2])]],
  GatherND: [{}, [x, ints('at', [3, 2], [0, 0, 3, 5, -1, 2])]],
  ScatterND: [{}, [x, ints('at', [2, 1], [1, 3]), f64('u', [2, 6])]],
  ScatterElements: [{}, [x, ints('at', [1, 3], [1, 3, 0]), f64('u', [1, 3])]],
  Slice: [
    {},
    [x],
    [
      ints('s', [2], [1, -1]),
      ints('e', [2], [9, -7]),
      ints('a', [2], [0, 1]),
      ints('t', [2], [1, -2]),
    ],
  ],
  Concat: [{ axis: { int: 1 } }, [x, f64('z', [4, 3])]],
  Transpose: [{}, [x]],
  Reshape: [{}, [x], [ints('s', [2], [3, 8])]],
  Flatten: [{}, [x]],
  Expand: [{}, [f64('r', [4, 1])], [ints('s', [2], [1, 5])]],
  Where: [{}, [bools('c', [6], [1, 0, 1, 1, 0, 0]), x, f64('z', [1])]],
  Pad: [{}, [x, ints('p', [4], [1, 2, 0, 1]), f64('v', [])]],
  Tile: [{}, [x], [ints('s', [2], [2, 3])]],
  Identity: [{}, [x]],
  Cast: [{ to: { int: 11 } }, [x]],
  Compress: [{ axis: { int: 1 } }, [x, bools('c', [6], [1, 0, 1, 1, 0, 0])]],
  Trilu: [{}, [x]],
  DepthToSpace: [{ blocksize: { int: 2 } }, [f64('d', [1, 8, 2, 3])]],
  ReverseSequence: [
    { batch_axis: { int: 1 }, time_axis: { int: 0 } },
    [x, ints('n', [6], [1, 2, 3, 4, 2, 1])],
  ],
  OneHot: [{}, [ints('at', [3], [1, 0, 2]), ints('n', [1], [3]), f64('v', [2])]],
};

test.each(Object.entries(cases))('%s of f64', async (op, [attributes, inputs, constants = []]) => {
  const names = [...inputs, ...constants].map(({ name }) => name);
  const nodes = [node(op, names, ['y'], attributes)];
  for (const symbolic of [false, true]) {
    const model = writeModel({
      opsets: { '': 18 },
      graph: {
        nodes,
        initializers: constants,
        inputs: inputs.map(({ name, dtype, dims }) =>
          value(name, dtype, symbolic ? dims.map((_, axis) => `${name}${axis}`) : dims),
        ),
        outputs: [value('y', 'f64')],
      },
    });
    const feeds = feedsOf(Object.fromEntries(inputs.map((input) => [input.name, input])));
    const [wanted, got] = await Promise.all(
      (['wasm', 'webgpu'] as const).map(async (device) => {
        const loaded = await load(model, { device, warm: false });
        const { y } = valuesOf(await loaded.run(feeds));
        loaded.dispose();
        return y!;
      }),
    );
    expect(got!.dims).toEqual(wanted!.dims);
    expect(Buffer.from(bytesOf(got!.data as NumericData))).toEqual(
      Buffer.from(bytesOf(wanted!.data as NumericData)),
    );
  }
});
