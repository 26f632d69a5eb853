// The weights in GPU memory, filled as the file arrives, before anything is known about them.

import type { WeightRange } from './core.js';
import { LimitError } from './errors.js';
import { align, storageUsage, type Gpu } from './gpu.js';
import type { WeightPeaks } from './precision.js';

const largestPool = 64 << 20;
const smallestPool = 256 << 10;
/** Host bytes on their way to the GPU: half is sent while the other half may still be copied. */
const inFlightLimit = 32 << 20;

/** Where a weight's bytes are; the region is 256-byte aligned and padded to 16. */
export interface Region {
  buffer: GPUBuffer;
  offset: number;
  bytes: number;
}

export interface Pool {
  buffer: GPUBuffer;
  used: number;
  /** Weights in it that are not freed. */
  live: number;
}

export class WeightStore {
  /** Weights below this share buffers. */
  static readonly large = 8 << 20;
  readonly #gpu: Gpu;
  readonly #peaks: WeightPeaks | undefined;
  readonly #regions = new Map<number, Region>();
  readonly #pools = new Map<GPUBuffer, Pool>();
  #pool: Pool | undefined;
  /** Bytes of the weights themselves. */
  bytes = 0;
  /** All is written. */
  ready: Promise<void> | undefined;

  // The first bytes of a word whose rest has not come yet.
  #carryWeight = -1;
  #carryOffset = 0;
  #carry = new Uint8Array(4);
  #carried = 0;

  #unsent = 0;
  #sent: Promise<unknown>[] = [];

  /** `peaks` sees all that is written. */
  constructor(gpu: Gpu, peaks?: WeightPeaks) {
    this.#gpu = gpu;
    this.#peaks = peaks;
  }

  get(weight: number): Region | undefined {
    return this.#regions.get(weight);
  }

  /** Gives a weight its region, at its first bytes. `comingBytes`: of weights still to come. */
  allocate(weight: number, bytes: number, comingBytes?: number): Region {
    const known = this.#regions.get(weight);
    if (known) return known;
    const { maxBufferSize } = this.#gpu.device.limits;
    if (bytes > maxBufferSize) {
      throw new LimitError(
        `weight ${weight} has ${bytes} bytes, the device's buffers hold ${maxBufferSize} at most`,
      );
    }
    const padded = align(Math.max(bytes, 1), 16);
    let region: Region;
    if (padded >= WeightStore.large) {
      const buffer = this.#gpu.createBuffer(`weight ${weight}`, padded, storageUsage);
      region = { buffer, offset: 0, bytes };
    } else {
      const pool = this.#poolFor(padded, comingBytes);
      region = { buffer: pool.buffer, offset: pool.used, bytes };
      pool.used = align(pool.used + padded, 256);
      pool.live++;
    }
    this.#regions.set(weight, region);
    this.bytes += bytes;
    return region;
  }

  #poolFor(bytes: number, comingBytes?: number): Pool {
    if (this.#pool && this.#pool.used + bytes <= this.#pool.buffer.size) return this.#pool;
    // As large as what may come, else each twice as large as the one before.
    const wanted = comingBytes ?? (this.#pool?.buffer.size ?? smallestPool / 2) * 2;
    const size = Math.max(bytes, Math.min(Math.max(wanted, smallestPool), largestPool));
    const buffer = this.#gpu.createBuffer('weights', size, storageUsage);
    this.#pool = { buffer, used: 0, live: 0 };
    this.#pools.set(buffer, this.#pool);
    return this.#pool;
  }

  /**
   * Writes bytes of a weight, which come in order. `bytes` may be used again at once; the promise,
   * where there is one, says when more may be sent.
   */
  write(
    { weight, bytes: whole, offset }: Pick<WeightRange, 'weight' | 'bytes' | 'offset'>,
    bytes: Uint8Array,
    comingBytes?: number,
  ): Promise<void> | undefined {
    const region = this.allocate(weight, whole, comingBytes);
    this.#peaks?.add(weight, offset, bytes);
    let at = offset;
    let rest = bytes;
    if (at % 4 !== 0 && this.#carryWeight === weight && this.#carryOffset + this.#carried === at) {
      const taken = rest.subarray(0, 4 - this.#carried);
      this.#carry.set(taken, this.#carried);
      this.#carried += taken.length;
      rest = rest.subarray(taken.length);
      at += taken.length;
      if (at % 4 === 0 || at === whole) this.#flushCarry(region);
    }
    const direct = rest.length - (rest.length % 4);
    if (direct > 0) this.#send(region, at, rest.subarray(0, direct));
    if (direct < rest.length) {
      this.#carryWeight = weight;
      this.#carryOffset = at + direct;
      this.#carried = rest.length - direct;
      this.#carry.set(rest.subarray(direct));
      if (at + rest.length === whole) this.#flushCarry(region);
    }
    return this.#unsent >= inFlightLimit / 2 ? this.#pace() : undefined;
  }

  #flushCarry(region: Region): void {
    this.#carry.fill(0, this.#carried);
    this.#send(region, this.#carryOffset, this.#carry);
    this.#carryWeight = -1;
    this.#carried = 0;
  }

  #send({ buffer, offset }: Region, at: number, bytes: Uint8Array): void {
    // WebGPU's types want no shared memory; the bytes are copied before this returns.
    this.#gpu.queue.writeBuffer(buffer, offset + at, bytes as Uint8Array<ArrayBuffer>);
    this.#unsent += bytes.length;
  }

  async #pace(): Promise<void> {
    this.#gpu.queue.submit([]);
    this.#sent.push(this.#gpu.queue.onSubmittedWorkDone());
    this.#unsent = 0;
    if (this.#sent.length > 1) await this.#gpu.guard(this.#sent.shift()!);
  }

  /** Weights to come share no buffer with those before. */
  closePool(): void {
    this.#pool = undefined;
  }

  /** Frees a weight that nothing reads. Those in a shared buffer go when all of it is unused. */
  free(weight: number): void {
    const region = this.#regions.get(weight);
    if (!region) return;
    this.#regions.delete(weight);
    this.bytes -= region.bytes;
    const pool = this.#pools.get(region.buffer);
    this.#pool = undefined;
    if (pool && --pool.live > 0) return;
    this.#pools.delete(region.buffer);
    this.#gpu.destroyBuffer(region.buffer);
  }

  /** Gives back what was freed in shared buffers; nothing may hold the places of weights. */
  async tidy(): Promise<void> {
    await (await import('./tidy.js')).tidy(this.#gpu, this.#regions, this.#pools);
  }

  /** Frees everything. */
  close(): void {
    for (const weight of this.#regions.keys()) this.free(weight);
  }
}
