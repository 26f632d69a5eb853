// The device memory of a session: weights, constants, results of load programs, arenas.

import { InternalError } from './errors.js';
import { BufferPool, stagingUsage, storageUsage, type Gpu } from './gpu.js';
import { BufferKind, type BufferRequest, type Slice } from './plan.js';
import type { Place } from './replay.js';
import type { WeightStore } from './weights.js';

/** Free buffers that a pool keeps. */
const kept = 8;

interface SessionBuffer {
  buffer: GPUBuffer;
  kind: BufferKind;
  bytes: number;
}

interface SharedArena {
  buffer: GPUBuffer;
  /** Plans that are bound to it. */
  users: number;
}

export class GpuMemory {
  readonly gpu: Gpu;
  readonly weights: WeightStore;
  /** For outputs on the device, kept state, and arenas of runs in several segments. */
  readonly tensors: BufferPool;
  readonly staging: BufferPool;
  readonly #buffers = new Map<string, SessionBuffer>();
  readonly #arenas: SharedArena[] = [];
  readonly #scratch: GPUBuffer[] = [];

  constructor(gpu: Gpu, weights: WeightStore) {
    this.gpu = gpu;
    this.weights = weights;
    this.tensors = new BufferPool(gpu, 'tensor', storageUsage, kept);
    this.staging = new BufferPool(gpu, 'staging', stagingUsage, kept);
  }

  /** Makes what a message asks for; to be called under error scopes. */
  create({ kind, index, bytes, contents }: BufferRequest): void {
    if (kind === BufferKind.arena || kind === BufferKind.weight) {
      throw new InternalError(`core message: buffer ${index} is of kind ${kind}`);
    }
    const key = keyOf(kind, index);
    if (this.#buffers.has(key)) throw new InternalError(`core message: buffer ${key} comes twice`);
    const label = ['', '', 'constants', 'persistent', 'once'][kind]!;
    const buffer = this.gpu.createBuffer(`${label} ${index}`, bytes, storageUsage);
    this.#buffers.set(key, { buffer, kind, bytes });
    this.write(buffer, 0, contents);
  }

  /** Writes bytes; what they lack to whole words becomes 0. */
  write(buffer: GPUBuffer, offset: number, bytes: Uint8Array): void {
    // WebGPU's types want no shared memory, WebGPU takes it.
    const plain = bytes as Uint8Array<ArrayBuffer>;
    const { queue } = this.gpu;
    const whole = bytes.length - (bytes.length % 4);
    if (whole > 0) queue.writeBuffer(buffer, offset, plain, 0, whole);
    if (whole === bytes.length) return;
    const tail = new Uint8Array(4);
    tail.set(bytes.subarray(whole));
    queue.writeBuffer(buffer, offset + whole, tail);
  }

  /** Frees a buffer; commands submitted before may still use it. */
  destroy({ kind, index }: Pick<BufferRequest, 'kind' | 'index'>): void {
    const key = keyOf(kind, index);
    const found = this.#buffers.get(key);
    if (found) this.gpu.destroyBuffer(found.buffer);
    this.#buffers.delete(key);
  }

  /** `arenas`: those of the run, by segment. */
  resolve(slice: Slice, arenas: readonly (GPUBuffer | undefined)[]): Place {
    let place: Place | undefined;
    if (slice.kind === BufferKind.arena) {
      const buffer = arenas[slice.index];
      place = buffer && { buffer, offset: slice.offset };
    } else if (slice.kind === BufferKind.weight) {
      const region = this.weights.get(slice.index);
      place = region && { buffer: region.buffer, offset: region.offset + slice.offset };
    } else {
      const found = this.#buffers.get(keyOf(slice.kind, slice.index));
      place = found && { buffer: found.buffer, offset: slice.offset };
    }
    if (place && place.offset + slice.bytes <= place.buffer.size) return place;
    throw new InternalError(
      `core message: no memory for ${slice.kind}:${slice.index} at ${slice.offset}`,
    );
  }

  /**
   * The arena for runs that are submitted in one piece. The queue keeps their order, so plans of
   * all dims share it, and any number of runs may be under way. It is given back with unshare().
   */
  shareArena(bytes: number): GPUBuffer | undefined {
    if (bytes === 0) return undefined;
    let best: SharedArena | undefined;
    for (const arena of this.#arenas) {
      const { size } = arena.buffer;
      if (size >= bytes && (!best || size < best.buffer.size)) best = arena;
    }
    if (!best) {
      best = { buffer: this.gpu.createBuffer('arena', bytes, storageUsage), users: 0 };
      this.#arenas.push(best);
    }
    best.users++;
    return best.buffer;
  }

  unshareArena(buffer: GPUBuffer | undefined): void {
    const at = this.#arenas.findIndex((arena) => arena.buffer === buffer);
    const arena = this.#arenas[at];
    if (!arena || --arena.users > 0) return;
    this.#arenas.splice(at, 1);
    this.gpu.destroyBuffer(arena.buffer);
  }

  /** For copies inside a buffer: all of them may share it, since commands go in order. */
  scratch(bytes: number): GPUBuffer {
    let found = this.#scratch.find(({ size }) => size >= bytes);
    if (!found) {
      found = this.gpu.createBuffer('scratch', bytes, storageUsage);
      this.#scratch.push(found);
    }
    return found;
  }

  bytesOf(kind: BufferKind): number {
    let sum = 0;
    for (const entry of this.#buffers.values()) if (entry.kind === kind) sum += entry.bytes;
    return sum;
  }

  close(): void {
    this.tensors.close();
    this.staging.close();
    this.weights.close();
    const arenas = this.#arenas.map(({ buffer }) => buffer);
    const buffers = [...this.#buffers.values()].map(({ buffer }) => buffer);
    for (const buffer of [...arenas, ...buffers, ...this.#scratch]) this.gpu.destroyBuffer(buffer);
    this.#arenas.length = this.#scratch.length = 0;
    this.#buffers.clear();
  }
}

function keyOf(kind: BufferKind, index: number): string {
  return `${kind}:${index}`;
}
