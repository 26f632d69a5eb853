// Quantised TFLite models against LiteRT: results are stored numbers, and differ by a rounding.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { litert } from '../support/tflite-models.js';
import { byte, int, real, TfliteWriter, type TensorSpec } from '../support/tflite-writer.js';

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const numbers = (count: number, reach: number): number[] =>
  Array.from({ length: count }, () => Math.round((2 * random() - 1) * reach));

/** Weights of one scale for each of the outputs, along `axis`, and a bias. */
function weights(dims: number[], axis: number, inputScale: number): [TensorSpec, TensorSpec] {
  const count = dims[axis]!;
  const scale = Array.from({ length: count }, () => 0.002 + 0.004 * random());
  const data = Int8Array.from(
    numbers(
      dims.reduce((a, b) => a * b, 1),
      127,
    ),
  );
  return [
    { type: 'int8', dims, scale, axis, data },
    {
      type: 'int32',
      dims: [count],
      scale: scale.map((one) => one * inputScale),
      data: Int32Array.from(numbers(count, 2000)),
    },
  ];
}

const image = (size: number, channels: number, scale: number, zero: number): TensorSpec => ({
  type: 'int8',
  dims: [1, size, size, channels],
  scale: [scale],
  zero: [zero],
});

interface Made {
  writer: TfliteWriter;
  /** What a step of each output is. */
  steps: number[];
}

/** Convolutions per channel, a sum, a concatenation of other scales, pooling, a dense layer. */
function int8Model(): Made {
  const w = new TfliteWriter();
  // LiteRT in a page takes and gives floats and bytes without sign.
  const real32 = w.input({ type: 'float32', dims: [1, 9, 9, 4] });
  const x = w.op(114, 1, [real32], image(9, 4, 0.02, 3), 0, {});
  const [filter, bias] = weights([8, 3, 3, 4], 0, 0.02).map((spec) => w.tensor(spec));
  // SAME, strides of 2, RELU6
  const conv = w.op(3, 3, [x, filter!, bias!], image(5, 8, 6 / 255, -128), 1, {
    ...{ 0: byte(0), 1: int(2), 2: int(2), 3: byte(3) },
  });
  const [depth, depthBias] = weights([1, 3, 3, 8], 3, 6 / 255).map((spec) => w.tensor(spec));
  const narrow = w.op(4, 3, [conv, depth!, depthBias!], image(5, 8, 0.03, 10), 2, {
    ...{ 0: byte(0), 1: int(1), 2: int(1), 3: int(1), 4: byte(0) },
  });
  const sum = w.op(0, 2, [conv, narrow], image(5, 8, 0.05, -20), 11, { 0: byte(1) });
  const pooled = w.op(1, 2, [sum], image(2, 8, 0.05, -20), 5, {
    ...{ 0: byte(1), 1: int(2), 2: int(2), 3: int(2), 4: int(2), 5: byte(0) },
  });
  const flat: TensorSpec = { type: 'int8', dims: [1, 32], scale: [0.05], zero: [-20] };
  const shape = w.tensor({ type: 'int32', dims: [2], data: Int32Array.of(1, 32) });
  const row = w.op(22, 1, [pooled, shape], flat, 17, {});
  const [matrix, last] = weights([6, 32], 0, 0.05).map((spec) => w.tensor(spec));
  const dense = w.op(9, 4, [row, matrix!, last!], { ...flat, dims: [1, 6], scale: [0.1] }, 8, {
    0: byte(0),
  });
  const sigmoid: TensorSpec = { type: 'int8', dims: [1, 6], scale: [1 / 256], zero: [-128] };
  const ends = [
    w.op(25, 2, [dense], sigmoid, 9, { 0: real(1) }),
    w.op(14, 2, [dense], sigmoid, 0, {}),
  ];
  const results: [number, number[], number][] = [
    [conv, [1, 5, 5, 8], 6 / 255],
    [narrow, [1, 5, 5, 8], 0.03],
    [sum, [1, 5, 5, 8], 0.05],
    [dense, [1, 6], 0.1],
    ...ends.map((end): [number, number[], number] => [end, [1, 6], 1 / 256]),
  ];
  for (const [tensor, dims] of results) {
    w.output(w.op(6, 2, [tensor], { type: 'float32', dims }, 0, {}));
  }
  return { writer: w, steps: results.map(([, , step]) => step) };
}

/** uint8, one scale for all. */
function uint8Model(): Made {
  const w = new TfliteWriter();
  const x = w.input({ type: 'uint8', dims: [2, 16], scale: [0.02], zero: [120] });
  const matrix = w.tensor({
    ...{ type: 'uint8', dims: [8, 16], scale: [0.01], zero: [131] },
    data: Uint8Array.from({ length: 128 }, () => Math.floor(random() * 256)),
  });
  const bias = w.tensor({
    ...{ type: 'int32', dims: [8], scale: [0.0002] },
    data: Int32Array.from(numbers(8, 3000)),
  });
  const out: TensorSpec = { type: 'uint8', dims: [2, 8], scale: [0.03], zero: [100] };
  const dense = w.op(9, 1, [x, matrix, bias], out, 8, { 0: byte(1) });
  const mean = w.tensor({ type: 'int32', dims: [1], data: Int32Array.of(0) });
  w.output(dense);
  w.output(w.op(40, 1, [dense, mean], { ...out, dims: [8] }, 27, { 0: byte(0) }));
  return { writer: w, steps: [1, 1] };
}

test.each([
  ['int8', int8Model],
  ['uint8', uint8Model],
])('%s', async (name, make) => {
  const folder = mkdtempSync(join(tmpdir(), 'quern-quantized-'));
  try {
    const { writer, steps } = make();
    const file = writer.file();
    const path = join(folder, 'model.tflite');
    writeFileSync(path, file);
    const { inputs, outputs } = await litert({ name, path, start: 0, end: file.length });
    const model = await load(file, { device: 'wasm', threads: 1 });
    const got = await model.run(inputs);
    expect(Object.keys(got)).toEqual(Object.keys(outputs));
    Object.entries(outputs).forEach(([output, want], i) => {
      const { dtype, dims, data } = got[output]!;
      expect([dtype, dims]).toEqual([want.dtype, want.dims]);
      const values = Array.from(data as Float32Array | Uint8Array);
      const wanted = Array.from(want.data as Float32Array | Uint8Array);
      const errors = wanted.map((value, k) => Math.abs(value - values[k]!) / steps[i]!);
      expect(Math.max(...errors)).toBeLessThan(1.001);
      // All the same would show nothing.
      expect(new Set(values).size).toBeGreaterThan(3);
    });
    model.dispose();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
