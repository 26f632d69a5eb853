// The device memory of a session: weights, constants, results of load programs, arenas.

import { InternalError, InvalidArgumentError } from './errors.js';
import { BufferPool, stagingUsage, storageUsage, type Gpu } from './gpu.js';
import { BufferKind, type BufferRequest, type Segment, type Slice } from './plan.js';
import type { Place } from './replay.js';
import type { Uploads } from './uploads.js';
import type { WeightStore } from './weights.js';

/** Dawn makes a buffer for a larger write. */
const largeWrite = 4 << 20;

/** Free buffers that a pool keeps. */
const kept = 8;

interface SessionBuffer {
  buffer: GPUBuffer;
  kind: BufferKind;
  bytes: number;
}

type ArenaSize = Pick<Segment, 'arenaBytes' | 'arenaBufferBytes'>;

/** The memory of a segment's temporaries: one buffer, or several of one size where one is too small. */
export class Arena {
  readonly buffers: readonly GPUBuffer[];
  readonly bytes: number;
  /** Plans that are bound to it. */
  users = 0;
  readonly #bufferBytes: number;

  /** `make`: gives a buffer of a size, or a larger one. */
  constructor({ arenaBytes, arenaBufferBytes }: ArenaSize, make: (bytes: number) => GPUBuffer) {
    this.bytes = arenaBytes;
    this.#bufferBytes = arenaBufferBytes || arenaBytes;
    const buffers: GPUBuffer[] = [];
    for (let rest = arenaBytes; rest > 0; rest -= this.#bufferBytes) {
      buffers.push(make(Math.min(rest, this.#bufferBytes)));
    }
    this.buffers = buffers;
  }

  /** Offsets count through the buffers. */
  at(offset: number): Place | undefined {
    if (this.buffers.length === 1) return { buffer: this.buffers[0]!, offset };
    const buffer = this.buffers[Math.floor(offset / this.#bufferBytes)];
    return buffer && { buffer, offset: offset % this.#bufferBytes };
  }
}

export class GpuMemory {
  readonly gpu: Gpu;
  readonly weights: WeightStore;
  /** For outputs on the device, kept state, and arenas of runs in several segments. */
  readonly tensors: BufferPool;
  readonly staging: BufferPool;
  /** Runs whose outputs are on their way to the host. */
  reading = 0;
  #uploads: Uploads | undefined;
  readonly #buffers = new Map<string, SessionBuffer>();
  readonly #arenas: Arena[] = [];
  readonly #scratch: GPUBuffer[] = [];
  #closed = false;

  /** Milliseconds that one submission may keep the device. */
  readonly sliceTime: number;
  /** When the device was last known to be done with something. */
  #lastDone = 0;

  constructor(gpu: Gpu, weights: WeightStore, sliceTime = Infinity) {
    this.gpu = gpu;
    this.weights = weights;
    this.sliceTime = sliceTime;
    this.tensors = new BufferPool(gpu, 'tensor', storageUsage, kept);
    this.staging = new BufferPool(gpu, 'staging', stagingUsage, kept);
  }

  /** What still goes on after a model is disposed must make nothing more. */
  throwIfClosed(): void {
    if (this.#closed) throw new InvalidArgumentError('model: it is disposed');
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

  /** The same as `write`, but that it may be done by a command of `encoder`. */
  upload(encoder: GPUCommandEncoder, to: Place, bytes: Uint8Array): void {
    if (bytes.length > largeWrite) {
      if (this.#uploads?.encode(encoder, to, bytes)) return;
      if (!this.#uploads) {
        import('./uploads.js').then(
          ({ Uploads }) => (this.#uploads ??= new Uploads(this.gpu)),
          () => {}, // all goes on without
        );
      }
    }
    this.write(to.buffer, to.offset, bytes);
  }

  /** Frees a buffer; commands submitted before may still use it. */
  destroy({ kind, index }: Pick<BufferRequest, 'kind' | 'index'>): void {
    const key = keyOf(kind, index);
    const found = this.#buffers.get(key);
    if (found) this.gpu.destroyBuffer(found.buffer);
    this.#buffers.delete(key);
  }

  /** `arenas`: those of the run, by segment. */
  resolve(slice: Slice, arenas: readonly (Arena | undefined)[]): Place {
    let place: Place | undefined;
    if (slice.kind === BufferKind.arena) {
      place = arenas[slice.index]?.at(slice.offset);
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
  shareArena(segment: ArenaSize): Arena | undefined {
    this.throwIfClosed();
    if (segment.arenaBytes === 0) return undefined;
    let best: Arena | undefined;
    for (const arena of this.#arenas) {
      if (arena.bytes >= segment.arenaBytes && (!best || arena.bytes < best.bytes)) best = arena;
    }
    if (!best) {
      best = new Arena(segment, (size) => this.gpu.createBuffer('arena', size, storageUsage));
      this.#arenas.push(best);
    }
    best.users++;
    return best;
  }

  unshareArena(arena: Arena | undefined): void {
    if (!arena || --arena.users > 0) return;
    const at = this.#arenas.indexOf(arena);
    if (at < 0) return;
    this.#arenas.splice(at, 1);
    for (const buffer of arena.buffers) this.gpu.destroyBuffer(buffer);
  }

  /** An arena of one run alone, from the pool of tensors. */
  takeArena(segment: ArenaSize): Arena | undefined {
    this.throwIfClosed();
    if (segment.arenaBytes === 0) return undefined;
    return new Arena(segment, (size) => this.tensors.take(size));
  }

  giveArena(arena: Arena | undefined): void {
    for (const buffer of arena?.buffers ?? []) this.tensors.give(buffer);
  }

  /** Milliseconds that what was just submitted keeps the device, after what came before. */
  async timeSubmitted(): Promise<number> {
    const submitted = performance.now();
    await this.gpu.guard(this.gpu.queue.onSubmittedWorkDone());
    const done = performance.now();
    const time = done - Math.max(submitted, this.#lastDone);
    this.#lastDone = done;
    return time;
  }

  /** For copies inside a buffer: all of them may share it, since commands go in order. */
  scratch(bytes: number): GPUBuffer {
    this.throwIfClosed();
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
    this.#closed = true;
    this.tensors.close();
    this.staging.close();
    this.#uploads?.close();
    this.weights.close();
    const arenas = this.#arenas.flatMap(({ buffers }) => buffers);
    const buffers = [...this.#buffers.values()].map(({ buffer }) => buffer);
    for (const buffer of [...arenas, ...buffers, ...this.#scratch]) this.gpu.destroyBuffer(buffer);
    this.#arenas.length = this.#scratch.length = 0;
    this.#buffers.clear();
  }
}

function keyOf(kind: BufferKind, index: number): string {
  return `${kind}:${index}`;
}
