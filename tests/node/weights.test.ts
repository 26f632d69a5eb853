// Weights on their way into GPU memory.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gpu } from '../../runtime/src/gpu.js';
import { WeightStore } from '../../runtime/src/weights.js';
import { countingDevice, type DeviceCounts } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';

describe('WeightStore', () => {
  let device: GPUDevice;
  let counts: DeviceCounts;
  beforeAll(async () => {
    ({ device, counts } = countingDevice(await defaultLimitsDevice()));
  });
  afterAll(() => device.destroy());

  async function readBack(buffer: GPUBuffer, offset: number, bytes: number): Promise<Uint8Array> {
    const size = Math.ceil(bytes / 4) * 4;
    const staging = device.createBuffer({ size, usage: 9 });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const copy = new Uint8Array(staging.getMappedRange().slice(0, bytes));
    staging.destroy();
    return copy;
  }

  test('weights of any size arrive in pieces of any size', async () => {
    const store = new WeightStore(new Gpu({ device, borrowed: true }));
    const sizes = [1, 2, 3, 4, 5, 15, 16, 17, 1000, 70_001, 300_003, 9_000_002];
    let seed = 1;
    const random = (limit: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % limit;
    };
    const contents = sizes.map((size) => Uint8Array.from({ length: size }, () => random(256)));
    for (const [weight, bytes] of contents.entries()) {
      for (let at = 0; at < bytes.length;) {
        const length = Math.min(bytes.length - at, 1 + random(bytes.length > 1e5 ? 99_999 : 9));
        const part = bytes.slice(at, at + length);
        await store.write({ weight, bytes: bytes.length, offset: at }, part);
        part.fill(0); // the caller's again
        at += length;
      }
    }
    for (const [weight, bytes] of contents.entries()) {
      const region = store.get(weight)!;
      expect(region.offset % 256).toBe(0);
      const got = await readBack(region.buffer, region.offset, bytes.length);
      expect(Buffer.compare(got, bytes), `weight ${weight}`).toBe(0);
    }
    expect(store.bytes).toBe(sizes.reduce((sum, size) => sum + size));
    store.close();
    expect(counts.liveBytes).toBe(0);
  });

  test('small weights share buffers; a buffer goes when all in it are unused', async () => {
    const store = new WeightStore(new Gpu({ device, borrowed: true }));
    counts.reset();
    for (let weight = 0; weight < 100; weight++) store.allocate(weight, 1000, 100 * 1024);
    expect(counts.calls.createBuffer).toBe(1);
    expect(counts.liveBytes).toBe(256 << 10);
    for (let weight = 0; weight < 99; weight++) store.free(weight);
    expect(counts.liveBytes).toBe(256 << 10);
    store.free(99);
    expect(counts.liveBytes).toBe(0);
  });

  test('a border of pools keeps weights apart that go at different times', async () => {
    const store = new WeightStore(new Gpu({ device, borrowed: true }));
    counts.reset();
    store.allocate(0, 1000, 2000);
    store.closePool();
    store.allocate(1, 1000, 2000);
    expect(counts.calls.createBuffer).toBe(2);
    store.free(0);
    expect(counts.liveBytes).toBe(256 << 10);
    store.close();
    expect(counts.liveBytes).toBe(0);
  });

  test('what is left in buffers of which much was freed moves to one of its size', async () => {
    const store = new WeightStore(new Gpu({ device, borrowed: true }));
    counts.reset();
    const contents = Array.from({ length: 100 }, (_, i) => new Uint8Array(50_000 + i).fill(i));
    for (const [weight, bytes] of contents.entries()) {
      await store.write({ weight, bytes: bytes.length, offset: 0 }, bytes);
    }
    const before = counts.liveBytes;
    for (let weight = 0; weight < 100; weight++) if (weight % 5 !== 2) store.free(weight);
    expect(counts.liveBytes).toBe(before);
    await store.tidy();
    expect(counts.liveBytes).toBeLessThan(before / 4);
    for (let weight = 2; weight < 100; weight += 5) {
      const { buffer, offset, bytes } = store.get(weight)!;
      expect(offset % 256).toBe(0);
      const got = await readBack(buffer, offset, bytes);
      expect(Buffer.compare(got, contents[weight]!), `weight ${weight}`).toBe(0);
    }
    // Nothing more to gain, and later weights are as they would be.
    const tidied = counts.liveBytes;
    await store.tidy();
    expect(counts.liveBytes).toBe(tidied);
    await store.write({ weight: 100, bytes: 8, offset: 0 }, new Uint8Array(8));
    store.close();
    expect(counts.liveBytes).toBe(0);
  });

  test('a large upload waits for the device', async () => {
    const store = new WeightStore(new Gpu({ device, borrowed: true }));
    const chunk = new Uint8Array(1 << 20);
    const bytes = 100 << 20;
    counts.reset();
    let waits = 0;
    for (let offset = 0; offset < bytes; offset += chunk.length) {
      const wait = store.write({ weight: 0, bytes, offset }, chunk);
      if (wait) waits++;
      await wait;
    }
    expect(waits).toBe(6);
    expect(counts.calls.submit).toBe(6);
    store.close();
  });
});
