// Large inputs on their way to the device, by buffers that are kept. A queue's own write of more
// than 4 MB has Dawn make a buffer for it each time, which takes longer than the copy does
// (docs/performance.md).

import { align, Usage, type Gpu } from './gpu.js';
import { copy, type Place } from './replay.js';

const uploadUsage = 0x2 | Usage.copySource; // GPUBufferUsage.MAP_WRITE
const mapWrite = 2; // GPUMapMode.WRITE
/** Buffers at most: what finds none goes by the queue's own write. */
const most = 4;

export class Uploads {
  readonly #gpu: Gpu;
  /** Mapped, the one that was given back last at the end. */
  #free: GPUBuffer[] = [];
  #made = 0;
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
      if (this.#made === most) this.#destroyFirst();
      if (this.#made === most || this.#closed) return false;
      const buffer = this.#gpu.createBuffer('upload', size, uploadUsage);
      this.#made++;
      void this.#map(buffer);
      return false;
    }
    const buffer = this.#free.splice(at, 1)[0]!;
    let mapped: Uint8Array;
    try {
      mapped = new Uint8Array(buffer.getMappedRange());
    } catch {
      this.#made--;
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
    if (this.#closed) this.close();
  }

  /** Of the free ones, that which was of no use for the longest. */
  #destroyFirst(): void {
    const buffer = this.#free.shift();
    if (!buffer) return;
    this.#made--;
    this.#gpu.destroyBuffer(buffer);
  }

  /** Frees all; those that the device still reads from go when it is done with them. */
  close(): void {
    this.#closed = true;
    while (this.#free.length > 0) this.#destroyFirst();
  }
}
