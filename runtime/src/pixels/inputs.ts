// Pictures among a run's feeds as tensors that are drawn where the run wants them.

import type { ValueInfo } from '../backend.js';
import { arrayOf } from '../dtype.js';
import { InternalError, InvalidArgumentError } from '../errors.js';
import type { Feed } from '../feeds.js';
import type { Gpu } from '../gpu.js';
import { isPixels, type PixelFeed, type PixelSource } from '../pixel-feeds.js';
import { Tensor, type TensorMemory } from '../tensor.js';
import { prepare, Slot } from './convert.js';
import { convertOnHost } from './cpu.js';
import { dimsFor, resolveOptions, type Conversion, type PixelOptions } from './options.js';
import { describe, readPixels, ready } from './source.js';

export class PixelInputs {
  readonly #inputs: readonly ValueInfo[];
  readonly #declared: Record<string, PixelOptions>;
  readonly #conversions = new Map<string, Conversion>();
  /** By input and number of the picture in it. */
  readonly #slots = new Map<string, Slot>();

  /** Checks the declared options. */
  constructor(inputs: readonly ValueInfo[], declared: Record<string, PixelOptions>) {
    this.#inputs = inputs;
    this.#declared = declared;
    for (const name of Object.keys(declared)) this.#conversion(this.#info(name)!);
  }

  #info(name: string): ValueInfo | undefined {
    return this.#inputs.find((input) => input.name === name);
  }

  /** The declared conversion, or one with these options before them. */
  #conversion(info: ValueInfo, options?: PixelOptions): Conversion {
    const declared = this.#declared[info.name] ?? {};
    if (options && Object.keys(options).length > 0) {
      return resolveOptions(info, { ...declared, ...options });
    }
    let conversion = this.#conversions.get(info.name);
    if (!conversion) {
      conversion = resolveOptions(info, declared);
      this.#conversions.set(info.name, conversion);
    }
    return conversion;
  }

  /** Compiles what pictures need, before the first one comes. */
  async prepare(gpu: Gpu | undefined): Promise<void> {
    if (!gpu) return;
    await Promise.all([prepare(gpu, 'image'), prepare(gpu, 'video')]);
  }

  /** Feeds with tensors in the place of pictures. */
  async resolve(feeds: Record<string, Feed>, gpu: Gpu | undefined): Promise<Record<string, Feed>> {
    const resolved = { ...feeds };
    for (const [name, feed] of Object.entries(feeds)) {
      const info = this.#info(name);
      if (info && isPixels(feed)) resolved[name] = await this.#tensor(info, feed, gpu);
    }
    return resolved;
  }

  async #tensor(
    info: ValueInfo,
    feed: PixelFeed | GPUBuffer,
    gpu: Gpu | undefined,
  ): Promise<Tensor> {
    if ('mapAsync' in feed) return bufferTensor(info, feed);
    const { pixels, ...options } = 'pixels' in feed ? feed : { pixels: feed };
    const pictures: readonly PixelSource[] = Array.isArray(pixels)
      ? (pixels.slice() as PixelSource[])
      : [pixels as PixelSource];
    const conversion = this.#conversion(info, options);
    const whats = pictures.map((_, i) =>
      pictures.length === 1 ? `input '${info.name}'` : `input '${info.name}', picture ${i}`,
    );
    for (const [i, picture] of pictures.entries()) {
      await ready(whats[i]!, picture);
      const { kind } = describe(whats[i]!, picture);
      if (gpu) await prepare(gpu, kind);
    }
    const first = pictures[0];
    const { dims, width, height } = dimsFor(
      conversion,
      pictures.length,
      first ? describe(whats[0]!, first) : { width: 1, height: 1 },
    );
    const size = { width, height };

    const memory: TensorMemory = {
      get buffer(): GPUBuffer {
        throw new InternalError(`input '${info.name}': a picture is no buffer`);
      },
      draw: (ownGpu, encoder, to, bytes) => {
        pictures.forEach((picture, index) => {
          const key = `${index} ${info.name}`;
          let slot = this.#slots.get(key);
          if (slot?.gpu !== ownGpu) {
            slot?.dispose(); // of a device that was lost
            this.#slots.set(key, (slot = new Slot(ownGpu)));
          }
          const what = whats[index]!;
          const source = describe(what, picture);
          slot.encode(encoder, what, conversion, source, { to, bytes, index, size });
        });
      },
      read: async (bytes) => {
        const all = new ArrayBuffer(bytes);
        const elements = new (arrayOf(info.dtype as 'f32'))(all) as Float32Array;
        const each = elements.length / pictures.length;
        // All as they are now; converting them takes a while.
        const shown = pictures.map((picture, index) => {
          const source = describe(whats[index]!, picture);
          return { source, pixels: readPixels(whats[index]!, source) };
        });
        for (const [index, { source, pixels }] of shown.entries()) {
          const into = elements.subarray(index * each, (index + 1) * each);
          await convertOnHost(conversion, pixels, source, size, into);
        }
        return all;
      },
    };
    return new Tensor(info.dtype, dims, undefined, memory);
  }

  dispose(): void {
    for (const slot of this.#slots.values()) slot.dispose();
    this.#slots.clear();
  }
}

/** A buffer of the caller's as the tensor that it holds. */
function bufferTensor({ name, dtype, dims }: ValueInfo, buffer: GPUBuffer): Tensor {
  if (dtype === 'string' || !dims?.every((dim) => typeof dim === 'number')) {
    throw new InvalidArgumentError(
      `input '${name}': a GPUBuffer does not say which dims of ${dtype}[${dims?.join(', ') ?? '...'}] ` +
        'are meant; give Tensor.fromGpuBuffer(buffer, dtype, dims)',
    );
  }
  return Tensor.fromGpuBuffer(buffer, dtype, dims);
}
