// Pictures among a run's feeds. What converts them (pixels/) is loaded when the first one comes.

import type { ValueInfo } from './backend.js';
import { Lock } from './async.js';
import { InvalidArgumentError } from './errors.js';
import type { Feed } from './feeds.js';
import type { Gpu } from './gpu.js';
import type { DrawOptions, DrawTarget } from './pixels/draw-options.js';
import type { DrawSlot } from './pixels/draw.js';
import type { PixelInputs } from './pixels/inputs.js';
import type { PixelOptions } from './pixels/options.js';
import type { Tensor } from './tensor.js';

/** Pixels in rows without gaps: 1 (gray), 3 (rgb) or 4 (rgba, alpha not multiplied in) bytes each. */
export interface RawPixels {
  /** A GPUBuffer has 4 bytes a pixel, and usage STORAGE. */
  data: Uint8Array | Uint8ClampedArray | GPUBuffer;
  width: number;
  height: number;
}

/** A picture, wherever the platform has it. */
export type PixelSource =
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | ImageData
  | HTMLVideoElement
  | VideoFrame
  | GPUTexture
  | RawPixels;

/** A picture, several for a batch, or with options that go before the declared ones. */
export type PixelFeed =
  | PixelSource
  | readonly PixelSource[]
  | (PixelOptions & { pixels: PixelSource | readonly PixelSource[] });

/** Tells pictures from tensors, in any realm and in Node. */
export function isPixels(feed: unknown): feed is PixelFeed | GPUBuffer {
  if (typeof feed !== 'object' || feed === null || ArrayBuffer.isView(feed)) return false;
  if (Array.isArray(feed)) return feed.length > 0 && isPixels(feed[0]);
  const has = (...names: string[]): boolean => names.every((name) => name in feed);
  return has('pixels') || has('width', 'height') || has('displayWidth') || has('mapAsync');
}

/** The pictures of a model's runs. */
export class PixelFeeds {
  readonly #inputs: readonly ValueInfo[];
  readonly #declared: Record<string, PixelOptions>;
  readonly #order = new Lock();
  #loading: Promise<PixelInputs> | undefined;
  #loaded: PixelInputs | undefined;
  #drawing: DrawSlot | undefined;
  #disposed = false;

  /** `declared`: by input. */
  constructor(inputs: readonly ValueInfo[], declared: Record<string, PixelOptions> = {}) {
    this.#inputs = inputs;
    this.#declared = declared;
    for (const name of Object.keys(declared)) {
      if (!inputs.some((input) => input.name === name)) {
        throw new InvalidArgumentError(`preprocess: the model has no input '${name}'`);
      }
    }
  }

  /** Checks the declared options, and makes ready what they need. */
  async prepare(gpu: Gpu | undefined): Promise<void> {
    if (Object.keys(this.#declared).length > 0) await (await this.#load()).prepare(gpu);
  }

  /** Must runs of these feeds go through `run`? From the first picture on, all must: in order. */
  needed(feeds: Record<string, Feed>): boolean {
    return this.#loading !== undefined || Object.values(feeds).some(isPixels);
  }

  /** Calls `run` with tensors in the place of pictures, in the order of the calls. */
  async run<T>(
    feeds: Record<string, Feed>,
    gpu: Gpu | undefined,
    run: (feeds: Record<string, Feed>) => Promise<T>,
  ): Promise<T> {
    const { begun } = await this.#order.run(async () => {
      const inputs = await this.#load();
      return { begun: run(await inputs.resolve(feeds, gpu)) };
    });
    return begun;
  }

  async draw(
    tensor: Tensor,
    target: DrawTarget,
    options: DrawOptions,
    gpu: Gpu | undefined,
  ): Promise<void> {
    const { draw, DrawSlot } = await import('./pixels/draw.js');
    if (gpu && !this.#disposed && this.#drawing?.gpu !== gpu) {
      this.#drawing?.dispose(); // of a device that was lost
      this.#drawing = new DrawSlot(gpu);
    }
    await draw(gpu && this.#drawing, tensor, target, options);
  }

  dispose(): void {
    this.#disposed = true;
    this.#loaded?.dispose();
    this.#drawing?.dispose();
  }

  #load(): Promise<PixelInputs> {
    this.#loading ??= import('./pixels/inputs.js').then(({ PixelInputs }) => {
      this.#loaded = new PixelInputs(this.#inputs, this.#declared);
      if (this.#disposed) this.#loaded.dispose();
      return this.#loaded;
    });
    return this.#loading;
  }
}
