// GPU timestamps: query sets and what is in them.

import { UnsupportedError } from './errors.js';
import { Usage } from './gpu.js';

/** Throws an UnsupportedError where the device has none; `what` needs them. */
export function requireTimestamps({ features }: GPUDevice, what: string): void {
  if (features.has('timestamp-query')) return;
  throw new UnsupportedError(
    `${what}: the device was made without the feature timestamp-query, or the adapter lacks it`,
  );
}

/** A query set holds so many. */
export const setSize = 4096;

/** The first `count` timestamps of some query sets, in nanoseconds. */
export async function readTimestamps(
  device: GPUDevice,
  sets: readonly GPUQuerySet[],
  count: number,
): Promise<BigUint64Array> {
  if (count === 0) return new BigUint64Array();
  const size = sets.length * setSize * 8;
  const queryResolve = 0x200; // GPUBufferUsage.QUERY_RESOLVE
  const resolved = device.createBuffer({ size, usage: queryResolve | Usage.copySource });
  const staging = device.createBuffer({ size, usage: Usage.mapRead | Usage.copyTarget });
  const encoder = device.createCommandEncoder();
  sets.forEach((set, i) => {
    const some = Math.min(setSize, count - i * setSize);
    encoder.resolveQuerySet(set, 0, some, resolved, i * setSize * 8);
  });
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1); // GPUMapMode.READ
  const times = new BigUint64Array(staging.getMappedRange().slice(0, count * 8));
  resolved.destroy();
  staging.destroy();
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[sorted.length >> 1]!;
}
