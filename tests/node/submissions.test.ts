// How a run's commands and its inputs come to the device.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { countingDevice, type DeviceCounts } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';

let device: GPUDevice;
let counts: DeviceCounts;
beforeAll(async () => {
  ({ device, counts } = countingDevice(await defaultLimitsDevice()));
});
afterAll(() => device.destroy());

/** How often the device's method is called while `work` goes on. */
async function callsOf(
  name: keyof DeviceCounts['calls'],
  work: () => Promise<unknown>,
): Promise<number> {
  const before = counts.calls[name];
  await work();
  return counts.calls[name] - before;
}

/** Products by a matrix that swaps two columns, one dispatch each. */
function chain(length: number): Uint8Array<ArrayBuffer> {
  const names = ['x', ...Array.from({ length: length - 1 }, (_, i) => `v${i}`), 'y'];
  return writeModel({
    graph: {
      nodes: Array.from({ length }, (_, i) =>
        node('MatMul', [names[i]!, `w${i}`], [names[i + 1]!]),
      ),
      initializers: Array.from({ length }, (_, i) =>
        tensor(`w${i}`, 'f32', [2, 2], [0, 1 + i / 64, 1, 0]),
      ),
      inputs: [value('x', 'f32', [3, 2])],
      outputs: [value('y', 'f32', [3, 2])],
    },
  });
}

function chained(data: Float32Array, length: number): number[] {
  const rows: number[] = [];
  for (let r = 0; r < data.length; r += 2) {
    let [a, b] = [data[r]!, data[r + 1]!];
    for (let i = 0; i < length; i++) [a, b] = [b, Math.fround(a * (1 + i / 64))];
    rows.push(a, b);
  }
  return rows;
}

describe('commands', () => {
  const data = Float32Array.of(1, 2, 3, -4, 0.5, 6);
  const x = { data, dims: [3, 2] };

  test('of a run that the host waits for are submitted in parts', async () => {
    const model = await load(chain(50), { device, maxConcurrent: 4 });
    const expected = chained(data, 50);
    const check = async (): Promise<void> => {
      const { y } = await model.run({ x });
      [...(y!.data as Float32Array)].forEach((got, i) => expect(got).toBeCloseTo(expected[i]!, 3));
    };
    await check();
    expect(await callsOf('dispatchWorkgroups', check)).toBe(50);
    expect(await callsOf('submit', check)).toBe(3); // 12, 24, 14

    // Others wait behind a second one: it goes at once.
    expect(await callsOf('submit', () => Promise.all([check(), check()]))).toBe(4);
    const stays = async (): Promise<void> => {
      const { y } = await model.run({ x }, { outputs: 'gpu' });
      y!.dispose();
    };
    expect(await callsOf('submit', stays)).toBe(1);
    expect(await callsOf('submit', check)).toBe(3);
    model.dispose();
  });

  test('of a few dispatches are submitted at once', async () => {
    const model = await load(chain(17), { device });
    await model.run({ x });
    expect(await callsOf('submit', () => model.run({ x }))).toBe(1);
    model.dispose();
  });
});

describe('inputs of more than 4 MB', () => {
  // Odd numbers of bytes too: what they lack to whole words must be 0 each time.
  const count = (4 << 20) + 5;
  const bytes = (seed: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, i) => (i * seed) & 255);
  const model = (inputs: string[]): Uint8Array<ArrayBuffer> =>
    writeModel({
      graph: {
        nodes: [
          ...inputs.map((name) => node('Cast', [name], [`${name}_f`], { to: { int: 1 } })),
          ...inputs.map((name) =>
            node('ReduceSum', [`${name}_f`], [`${name}_sum`], { keepdims: { int: 0 } }),
          ),
        ],
        inputs: inputs.map((name) => value(name, 'u8', [count])),
        outputs: inputs.map((name) => value(`${name}_sum`, 'f32', [])),
      },
    });
  const sum = (data: Uint8Array): number => data.reduce((a, b) => a + b, 0);

  test('go by buffers that are kept', async () => {
    const loaded = await load(model(['a', 'b']), { device, maxConcurrent: 4 });
    const check = async (seed: number): Promise<void> => {
      const [a, b] = [bytes(seed), bytes(seed + 2)];
      const sums = await loaded.run({
        a: { dtype: 'u8', data: a, dims: [count] },
        b: { dtype: 'u8', data: b, dims: [count] },
      });
      for (const [name, data] of Object.entries({ a, b })) {
        const [got] = sums[`${name}_sum`]!.data as Float32Array;
        expect(Math.abs(got! / sum(data) - 1)).toBeLessThan(1e-5);
      }
    };
    for (let run = 0; run < 4; run++) await check(2 * run + 1);
    await Promise.all([check(5), check(7), check(11)]);
    await check(13);
    const steady = async (): Promise<void> => {
      for (const seed of [3, 5, 9]) await check(seed);
    };
    const written = counts.calls.writeBuffer;
    expect(await callsOf('createBuffer', steady)).toBe(0);
    expect(counts.calls.writeBuffer).toBe(written);

    // Where more are under way than there are buffers, no more are made.
    const held = counts.liveBytes;
    const feeds = {
      a: { dtype: 'u8', data: bytes(3), dims: [count] },
      b: { dtype: 'u8', data: bytes(5), dims: [count] },
    } as const;
    for (let run = 0; run < 12; run++) {
      const outputs = await loaded.run(feeds, { outputs: 'gpu' });
      for (const tensor of Object.values(outputs)) tensor.dispose();
    }
    expect(counts.liveBytes).toBeLessThan(held + 1e6);
    loaded.dispose();
  });

  test('on their way when a model is disposed or its device destroyed harm nobody', async () => {
    const own = await defaultLimitsDevice();
    const loaded = await load(model(['a']), { device: own });
    const feeds = { a: { dtype: 'u8', data: bytes(3), dims: [count] } } as const;
    for (let run = 0; run < 3; run++) await loaded.run(feeds);
    const running = loaded.run(feeds);
    own.destroy();
    await expect(running).rejects.toThrow(/lost|destroyed/);
    await expect(loaded.run(feeds)).rejects.toThrow(/lost/);
    loaded.dispose();

    const other = await load(model(['a']), { device });
    for (let run = 0; run < 3; run++) await other.run(feeds);
    const last = other.run(feeds);
    other.dispose();
    await Promise.allSettled([last]);
    await device.queue.onSubmittedWorkDone();
  });
});
