// A row by packed weights of many columns, by products of four bytes at once, against onnxruntime:
// where the row becomes digits.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { asHardware } from '../../runtime/src/cli/devices.js';
import { load } from '../../runtime/src/node.js';
import { openDawn } from '../support/dawn.js';
import { floats, numbers } from '../support/layers.js';
import { node, value, writeModel } from '../support/onnx.js';
import type { TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

let device: GPUDevice;
beforeAll(async () => {
  device = asHardware((await openDawn()).device, 'nvidia');
});
afterAll(() => device.destroy());

const columns = 16400; // so many as a head has

test.each([
  { bits: 4, depth: 96, block: 32, zeros: true },
  { bits: 4, depth: 2112, block: 64, zeros: false }, // more groups than are held at a time
  { bits: 8, depth: 80, block: 16, zeros: true }, // a last block that is not whole
  { bits: 8, depth: 256, block: 128, zeros: false },
])('$bits bits, $depth deep', async ({ bits, depth, block, zeros }) => {
  const blocks = Math.ceil(depth / block);
  const bytes = (name: string, dims: number[], seed: number): TensorValue => ({
    name,
    dtype: 'u8',
    dims,
    data: Uint8Array.from(
      numbers(
        dims.reduce((a, b) => a * b, 1),
        seed,
      ),
      (x) => (x + 1) * 128,
    ),
  });
  const scales = numbers(columns * blocks, 2).map((x) => x / Math.sqrt(depth) / 2 ** (bits - 2));
  const initializers = [
    bytes('codes', [columns, blocks, (block * bits) / 8], 1),
    floats('scales', 'f32', [columns * blocks], scales),
  ];
  if (zeros) initializers.push(bytes('zeros', [columns * Math.ceil((blocks * bits) / 8)], 3));
  const attributes = { K: depth, N: columns, bits, block_size: block };
  const product = node(
    'MatMulNBits',
    ['x', ...initializers.map(({ name }) => name)],
    ['y'],
    Object.fromEntries(Object.entries(attributes).map(([name, int]) => [name, { int }])),
  );
  const model = writeModel({
    opsets: { '': 17, 'com.microsoft': 1 },
    graph: {
      nodes: [{ ...product, domain: 'com.microsoft' }],
      initializers,
      inputs: [value('x', 'f32', ['rows', depth])],
      outputs: [value('y', 'f32', ['rows', columns])],
    },
  });
  const reference = await Reference.load(model);
  const loaded = await load(model, { device });
  for (const scale of [1, 1e-20, 1e20]) {
    const row = numbers(depth, 5).map((x) => x * scale);
    row[7] = 0;
    const x = floats('x', 'f32', [1, depth], row);
    const wanted = (await reference.run({ x }))['y']!.data as Float32Array;
    const got = (await loaded.run({ x }))['y']!.data as Float32Array;
    const most = Math.max(...wanted.map(Math.abs)) * 2e-5;
    const far = wanted.findIndex((y, i) => !(Math.abs(y - got[i]!) <= most));
    expect(far, `times ${scale}: ${got[far]} is to be ${wanted[far]}`).toBe(-1);
  }
  const kernels = loaded.report().nodes.flatMap((one) => one.kernels);
  const labels = kernels.map(({ label }) => label.split(' ')[1]);
  expect(labels).toEqual(['matvec_nbits_digits']);
  // What is infinite or no number stays so.
  for (const odd of [Infinity, NaN]) {
    const row = numbers(depth, 6);
    row[3] = odd;
    const { y } = await loaded.run({ x: floats('x', 'f32', [1, depth], row) });
    expect((y!.data as Float32Array).some(Number.isFinite)).toBe(false);
  }
  loaded.dispose();
  await reference.release();
});
