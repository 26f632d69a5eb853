// A model larger than memory should have to hold: 1.5 GB, made as it is read, to GPU memory.

import { setFlagsFromString } from 'node:v8';
import { ReadableStream } from 'node:stream/web';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { syntheticModel } from '../support/synthetic.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in ArrayBuffers that something still holds. */
function arrayBufferBytes(): number {
  // A collection frees them on another thread; the next one waits until it has.
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

test('1.5 GB stream to the GPU in little host memory', { timeout: 600_000 }, async () => {
  const [layers, width] = [24, 4000];
  const synthetic = syntheticModel({ layers, width });
  expect(synthetic.byteLength).toBeGreaterThan(1.5e9);

  const before = arrayBufferBytes();
  let inFlight = 0;
  let next = 0;
  const model = await load(
    ReadableStream.from(synthetic.chunks()) as globalThis.ReadableStream<Uint8Array>,
    {
      device: 'webgpu',
      warm: false,
      onProgress({ phase, loaded }) {
        if (phase !== 'download' || loaded < next) return;
        next = loaded + 50e6;
        inFlight = Math.max(inFlight, arrayBufferBytes() - before);
      },
    },
  );
  const { memory } = model.report();
  console.log(
    `${megabytes(synthetic.byteLength)} loaded: at most ${megabytes(inFlight)} in ArrayBuffers, ` +
      `WASM heap ${megabytes(memory.core)}`,
  );
  expect(memory.core).toBeGreaterThan(1 << 20);
  expect(memory.weights).toBe(layers * width * width * 4);
  expect(memory.core).toBeLessThanOrEqual(64 << 20);
  expect(inFlight).toBeLessThanOrEqual(32 << 20);

  const row = Float32Array.from({ length: width }, (_, i) => Math.sin(i));
  const { y } = await model.run({ x: { data: row, dims: [1, width] } });
  const expected = synthetic.expected(row);
  let [squares, whole] = [0, 0];
  expected.forEach((want, i) => {
    squares += ((y!.data as Float32Array)[i]! - want) ** 2;
    whole += want ** 2;
  });
  expect(Math.sqrt(squares / whole)).toBeLessThan(1e-4);
  model.dispose();
});
