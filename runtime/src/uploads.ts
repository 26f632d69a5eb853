// Large inputs on their way to the device, by buffers that are kept. A queue's own write of more
// than 4 MB has Dawn make a buffer for it each time, which takes longer than the copy does
// (docs/performance.md).

import { align, Usage, type Gpu } from './gpu.js';
import { copy, type Place } from './replay.js';

const uploadUsage = 0x2 | Usage.copySource; // GPUBufferUsage.MAP_WRITE
const mapWrite = 2; // GPUMapMode.WRITE
/** Buffers that wait for their next use. */
const kept = 4;

export class Uploads {
  readonly #gpu: Gpu;
  /** Mapped, the one that was given back last at the end. */
  #free: GPUBuffer[] = [];
  #closed = false;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Has `encoder`, whose commands are to be submitted before the caller waits for anything, put the
   * bytes in their place. What they lack to whole words becomes 0. False where no buffer is ready.
   */
  encode(encoder: GPUCommandEncoder, to: Place, bytes: Uint8Array): boolean {
    const size = align(bytes.length, 16);
    const at = this.#free.findLastIndex((buffer) => buffer.size >= size && buffer.size <= size * 2);
    if (at < 0) {
      if (this.#closed) return false;
      void this.#map(this.#gpu.createBuffer('upload', size, uploadUsage));
      return false;
    }
    const buffer = this.#free.splice(at, 1)[0]!;
    let mapped: Uint8Array;
    try {
      mapped = new Uint8Array(buffer.getMappedRange());
    } catch {
      this.#gpu.destroyBuffer(buffer); // the device was destroyed a moment ago
      return false;
    }
    mapped.set(bytes);
    mapped.fill(0, bytes.length, size);
    buffer.unmap();
    copy(encoder, { buffer, offset: 0 }, to, bytes.length);
    void Promise.resolve().then(() => this.#map(buffer));
    return true;
  }

  /** Has it mapped once the device is done with it. */
  async #map(buffer: GPUBuffer): Promise<void> {
    try {
      await this.#gpu.guard(buffer.mapAsync(mapWrite));
    } catch {
      this.close(); // the device is lost, which runs hear of by other ways
    }
    this.#free.push(buffer);
    while (this.#free.length > (this.#closed ? 0 : kept)) {
      this.#gpu.destroyBuffer(this.#free.shift()!);
    }
  }

  /** Frees all; those that the device still reads from go when it is done with them. */
  close(): void {
    this.#closed = true;
    for (const buffer of this.#free) this.#gpu.destroyBuffer(buffer);
    this.#free = [];
  }
}
