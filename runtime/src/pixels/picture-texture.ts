// A picture as a texture: the caller's, or a copy that the GPU makes of what the browser shows.

import { LimitError } from '../errors.js';
import type { Gpu } from '../gpu.js';
import { rgba, withOrigin, type Source } from './source.js';

// GPUTextureUsage
const copyTarget = 0x2;
const binding = 0x4;
const attachment = 0x10;

type Shown = Exclude<Source, { kind: 'buffer' }>;

export class PictureTexture {
  readonly #gpu: Gpu;
  #own: GPUTexture | undefined;
  #viewed: { key: GPUTexture; view: GPUTextureView } | undefined;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The picture as it is when commands submitted next are carried out. */
  of(what: string, source: Shown): { key: GPUTexture; view: GPUTextureView } {
    const texture = source.kind === 'texture' ? source.texture : this.#filled(what, source);
    if (this.#viewed?.key !== texture) {
      const view = texture.createView({ dimension: '2d', mipLevelCount: 1, arrayLayerCount: 1 });
      this.#viewed = { key: texture, view };
    }
    return this.#viewed;
  }

  #filled(what: string, source: Exclude<Shown, { kind: 'texture' }>): GPUTexture {
    const { width, height } = source;
    const { queue } = this.#gpu;
    const texture = this.#sized(what, width, height);
    if (source.kind === 'bytes') {
      const bytes = rgba(source) as Uint8Array<ArrayBuffer>;
      queue.writeTexture({ texture }, bytes, { bytesPerRow: width * 4 }, [width, height]);
      return texture;
    }
    const target = { texture, premultipliedAlpha: false };
    const copy = (image: GPUCopyExternalImageSource): void =>
      withOrigin(what, () =>
        queue.copyExternalImageToTexture({ source: image }, target, [width, height]),
      );
    try {
      copy(source.image);
    } catch (error) {
      // Some browsers, and software GPUs, take images and videos by way of a canvas only.
      const refused = error instanceof TypeError || (error as Error).name === 'OperationError';
      if (!refused || typeof OffscreenCanvas === 'undefined') throw error;
      const canvas = new OffscreenCanvas(width, height);
      canvas.getContext('2d')!.drawImage(source.image, 0, 0, width, height);
      copy(canvas);
    }
    return texture;
  }

  #sized(what: string, width: number, height: number): GPUTexture {
    if (this.#own?.width === width && this.#own.height === height) return this.#own;
    const { maxTextureDimension2D: most } = this.#gpu.device.limits;
    if (width > most || height > most) {
      throw new LimitError(
        `${what}: ${width}x${height} pixels, the device's textures have ${most}x${most} at most`,
      );
    }
    this.dispose();
    this.#own = this.#gpu.createTexture({
      label: 'quern picture',
      size: [width, height],
      format: 'rgba8unorm',
      usage: copyTarget | binding | attachment,
    });
    return this.#own;
  }

  dispose(): void {
    if (this.#own) this.#gpu.destroyTexture(this.#own);
    this.#own = this.#viewed = undefined;
  }
}
