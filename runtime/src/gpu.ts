// A GPUDevice in use: it counts and sizes what is made on it, pools buffers, and turns WebGPU's
// ways of failing into errors.

import { watchDevice } from './device-watch.js';
import { DeviceLostError, InternalError, LimitError, textOf } from './errors.js';
import type { ObjectCounts } from './backend.js';
import type { OpenDevice } from './device.js';
import { channelToGpuProcess, Nudger } from './nudge.js';

/** GPUBufferUsage, which Node has no global of. */
export const Usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
} as const;

/** For everything that kernels touch. */
export const storageUsage = Usage.storage | Usage.copySource | Usage.copyTarget;
export const stagingUsage = Usage.mapRead | Usage.copyTarget;
const mapRead = 1; // GPUMapMode.READ

/** A multiple of `to`, which is a power of two, at or above `value`. */
export function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

export class Gpu {
  readonly device: GPUDevice;
  readonly counters: ObjectCounts = { buffers: 0, bindGroups: 0, pipelines: 0, shaderModules: 0 };
  /** Errors that no run or load asked for. */
  readonly uncaptured: string[] = [];
  /** Bytes of buffers that are not destroyed. */
  liveBytes = 0;
  readonly #sizes = new WeakMap<GPUBuffer, number>();
  readonly #nudger: Nudger;
  #lost: DeviceLostError | undefined;
  /** Of a buffer made since the last check. */
  #outOfMemory: LimitError | undefined;
  /** Those who wait for the device: told when it is lost. */
  readonly #waiting = new Set<(error: DeviceLostError) => void>();
  readonly #leave: () => void;

  constructor({ device, borrowed }: Pick<OpenDevice, 'device' | 'borrowed'>) {
    this.device = device;
    this.#nudger = new Nudger(device, channelToGpuProcess());
    this.#leave = watchDevice(device, {
      onLost: (why) => {
        this.#lost = new DeviceLostError(`webgpu: the device is lost: ${why}`);
        for (const tell of this.#waiting) tell(this.#lost);
      },
      onError: (message) => {
        // A device of the caller's has the caller's errors too.
        if (borrowed || this.uncaptured.length >= 10) return;
        this.uncaptured.push(`webgpu: ${message}`);
      },
    });
  }

  get queue(): GPUQueue {
    return this.device.queue;
  }

  /** A buffer of at least `bytes`, a multiple of 16. */
  createBuffer(label: string, bytes: number, usage: number): GPUBuffer {
    this.throwIfLost();
    const size = Math.max(16, align(bytes, 16));
    const { maxBufferSize } = this.device.limits;
    if (size > maxBufferSize) {
      throw new LimitError(
        `webgpu: ${label} takes ${size} bytes, the device's buffers hold ${maxBufferSize} at most`,
      );
    }
    this.device.pushErrorScope('out-of-memory');
    const buffer = this.device.createBuffer({ label: `quern ${label}`, size, usage });
    const held = this.liveBytes;
    this.device.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#outOfMemory ??= new LimitError(
          `webgpu: out of memory: ${label} takes ${size} bytes, the model holds ${held} already` +
            (error.message ? `: ${error.message}` : ''),
        );
      },
      () => {}, // the device is lost
    );
    this.counters.buffers++;
    this.liveBytes += size;
    this.#sizes.set(buffer, size);
    return buffer;
  }

  destroyBuffer(buffer: GPUBuffer): void {
    this.liveBytes -= this.#sizes.get(buffer) ?? 0;
    this.#sizes.delete(buffer);
    buffer.destroy();
  }

  /** A texture of 4 bytes a pixel. */
  createTexture(descriptor: GPUTextureDescriptor): GPUTexture {
    this.throwIfLost();
    const texture = this.device.createTexture(descriptor);
    this.liveBytes += texture.width * texture.height * 4;
    return texture;
  }

  destroyTexture(texture: GPUTexture): void {
    this.liveBytes -= texture.width * texture.height * 4;
    texture.destroy();
  }

  createBindGroup(layout: GPUBindGroupLayout, entries: GPUBindGroupEntry[]): GPUBindGroup {
    this.counters.bindGroups++;
    return this.device.createBindGroup({ layout, entries });
  }

  throwIfLost(): void {
    if (this.#lost) throw this.#lost;
  }

  /** The promise's outcome, or a DeviceLostError where the device is lost first. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    let tell: ((error: DeviceLostError) => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        if (this.#lost) reject(this.#lost);
        tell = reject;
        this.#waiting.add(tell);
        promise.then(resolve, reject);
      });
    } catch (error) {
      this.throwIfLost();
      throw error;
    } finally {
      if (tell) this.#waiting.delete(tell);
    }
  }

  /** The device's events are no longer followed. */
  close(): void {
    this.#leave();
    this.#nudger.close();
  }

  /**
   * Runs `work`, which must not wait, under error scopes; the promise fails with what they catch.
   */
  scoped<T>(what: string, work: () => T): { value: T; checked: Promise<void> } {
    this.throwIfLost();
    const filters = ['validation', 'out-of-memory'] as const;
    for (const filter of filters) this.device.pushErrorScope(filter);
    try {
      const value = work();
      return { value, checked: this.#popScopes(what, filters.length) };
    } catch (error) {
      this.#popScopes(what, filters.length).catch(() => {});
      throw error;
    }
  }

  /** Likewise, and waits. */
  async checked<T>(what: string, work: () => T): Promise<T> {
    const { value, checked } = this.scoped(what, work);
    await checked;
    return value;
  }

  async #popScopes(what: string, count: number): Promise<void> {
    const popped = Array.from({ length: count }, () => this.device.popErrorScope());
    const errors = await this.guard(Promise.all(popped));
    const outOfMemory = this.#outOfMemory;
    this.#outOfMemory = undefined;
    if (outOfMemory) throw outOfMemory;
    const error = errors.find((found) => found !== null);
    if (!error) return;
    // The scope pushed last, for memory, is the first one popped.
    const text = `webgpu: ${what}: ${error.message}`;
    throw errors[0] ? new LimitError(text || 'out of memory') : new InternalError(text);
  }

  /** Maps a staging buffer, has it read, and unmaps it. */
  async readStaging<T>(staging: GPUBuffer, read: (bytes: ArrayBuffer) => T): Promise<T> {
    try {
      await this.guard(this.#nudger.hurry(staging.mapAsync(mapRead)));
    } catch (error) {
      this.throwIfLost();
      throw new InternalError(`webgpu: reading back failed: ${textOf(error)}`, { cause: error });
    }
    try {
      return read(staging.getMappedRange());
    } finally {
      staging.unmap();
    }
  }
}

/** Buffers of one usage that are given back and taken again: a steady state makes none. */
export class BufferPool {
  readonly #gpu: Gpu;
  readonly #label: string;
  readonly #usage: number;
  readonly #keep: number;
  #free: GPUBuffer[] = [];
  #closed = false;

  /** `keep`: how many free buffers are kept. */
  constructor(gpu: Gpu, label: string, usage: number, keep: number) {
    this.#gpu = gpu;
    this.#label = label;
    this.#usage = usage;
    this.#keep = keep;
  }

  /** A buffer of at least `bytes`: the smallest free one, if it is not far too large. */
  take(bytes: number): GPUBuffer {
    const size = Math.max(256, align(bytes, 256));
    let best = -1;
    this.#free.forEach((buffer, i) => {
      if (buffer.size < size || buffer.size > size * 2) return;
      if (best < 0 || buffer.size < this.#free[best]!.size) best = i;
    });
    if (best >= 0) return this.#free.splice(best, 1)[0]!;
    return this.#gpu.createBuffer(this.#label, size, this.#usage);
  }

  /** Takes a buffer back; commands submitted before may still use it. */
  give(buffer: GPUBuffer): void {
    if (this.#closed) {
      this.#gpu.destroyBuffer(buffer);
      return;
    }
    this.#free.push(buffer);
    // The one that was given back first has been of no use for the longest.
    if (this.#free.length > this.#keep) this.#gpu.destroyBuffer(this.#free.shift()!);
  }

  close(): void {
    this.#closed = true;
    for (const buffer of this.#free) this.#gpu.destroyBuffer(buffer);
    this.#free = [];
  }
}
