// What kind of picture a source is, how large, and its pixels in host memory.

import { InvalidArgumentError } from '../errors.js';
import type { PixelSource, RawPixels } from '../pixel-feeds.js';
import type { Size } from './taps.js';

/** What WebGPU takes as external image, video and frames too. */
type Image = Exclude<PixelSource, GPUTexture | RawPixels>;

export type Source = Size &
  (
    | { kind: 'video'; image: HTMLVideoElement | VideoFrame }
    | { kind: 'image'; image: Image }
    | { kind: 'bytes'; bytes: Uint8Array | Uint8ClampedArray; channels: 1 | 3 | 4 }
    | { kind: 'buffer'; buffer: GPUBuffer }
    | { kind: 'texture'; texture: GPUTexture }
  );

const textureBinding = 0x4; // GPUTextureUsage.TEXTURE_BINDING

/** Describes a picture as it is now; `what` begins the message of an error. */
export function describe(what: string, picture: PixelSource): Source {
  const wrong = (text: string): never => {
    throw new InvalidArgumentError(`${what}: ${text}`);
  };
  const described = kindOf(picture, wrong);
  const { width, height } = described;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    wrong(`a picture of ${width}x${height} pixels has none`);
  }
  return described;
}

function kindOf(picture: PixelSource, wrong: (text: string) => never): Source {
  if (typeof picture !== 'object' || picture === null) return wrong('this is no picture');
  if ('displayWidth' in picture) {
    if (picture.codedWidth === 0) wrong('the VideoFrame is closed');
    const { displayWidth: width, displayHeight: height } = picture;
    return { kind: 'video', image: picture, width, height };
  }
  if ('videoWidth' in picture) {
    const { videoWidth: width, videoHeight: height, readyState } = picture;
    if (readyState < 2) wrong('the video has no frame yet');
    return { kind: 'video', image: picture, width, height };
  }
  if ('createView' in picture) return textureSource(picture, wrong);
  if ('naturalWidth' in picture) {
    const { naturalWidth: width, naturalHeight: height } = picture;
    if (width === 0) wrong('the image is broken, not loaded, or of no size');
    return { kind: 'image', image: picture, width, height };
  }
  const { width, height } = picture;
  if ('data' in picture) {
    const { data } = picture as RawPixels;
    return rawSource(data, { width, height }, wrong);
  }
  if (!('getContext' in picture) && !('close' in picture)) return wrong('this is no picture');
  if (width === 0 && 'close' in picture) wrong('the ImageBitmap is closed');
  return { kind: 'image', image: picture, width, height };
}

function rawSource(
  data: RawPixels['data'],
  { width, height }: Size,
  wrong: (text: string) => never,
): Source {
  const pixels = width * height;
  if ('mapAsync' in data) {
    if (!(data.usage & 0x80)) wrong('the GPUBuffer lacks the usage STORAGE');
    if (data.size < pixels * 4) {
      wrong(`${width}x${height} pixels take ${pixels * 4} bytes, the GPUBuffer has ${data.size}`);
    }
    return { kind: 'buffer', buffer: data, width, height };
  }
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (!bytes) return wrong('the data of pixels is no Uint8Array, Uint8ClampedArray or GPUBuffer');
  const channels = data.length / pixels;
  if (pixels > 0 && channels !== 1 && channels !== 3 && channels !== 4) {
    wrong(`${data.length} bytes are not 1, 3 or 4 for each of ${width}x${height} pixels`);
  }
  return { kind: 'bytes', bytes: data, channels: channels as 1 | 3 | 4, width, height };
}

function textureSource(texture: GPUTexture, wrong: (text: string) => never): Source {
  const { width, height, usage, format, dimension, sampleCount } = texture;
  if (!(usage & textureBinding)) wrong('the GPUTexture lacks the usage TEXTURE_BINDING');
  if (dimension !== '2d' || sampleCount !== 1) {
    wrong(`a GPUTexture of dimension ${dimension} with ${sampleCount} samples is no picture`);
  }
  if (/[us]int$|^(depth|stencil)/.test(format)) {
    wrong(`a GPUTexture of format ${format} has no colours`);
  }
  return { kind: 'texture', texture, width, height };
}

/** Waits until images can be drawn, and videos that load or seek have a frame. */
export async function ready(what: string, picture: PixelSource): Promise<void> {
  if (typeof picture !== 'object' || picture === null) return;
  if ('videoWidth' in picture) return videoReady(picture);
  if (!('decode' in picture) || !('complete' in picture) || picture.complete) return;
  try {
    await picture.decode();
  } catch (error) {
    throw new InvalidArgumentError(`${what}: the image does not load`, { cause: error });
  }
}

async function videoReady(video: HTMLVideoElement): Promise<void> {
  const empty = video.networkState === 0 || video.networkState === 3;
  if (video.readyState >= 2 || video.error || (empty && !video.srcObject)) return;
  const events = ['loadeddata', 'canplay', 'seeked', 'error', 'emptied'];
  await new Promise<void>((resolve) => {
    const done = (): void => {
      if (video.readyState < 2 && !video.error && video.networkState !== 0) return;
      for (const name of events) video.removeEventListener(name, done);
      resolve();
    };
    for (const name of events) video.addEventListener(name, done);
  });
}

/** The pixels as r, g, b, a in host memory. */
export function readPixels(what: string, source: Source): Uint8Array | Uint8ClampedArray {
  const { width, height } = source;
  switch (source.kind) {
    case 'bytes':
      return rgba(source);
    case 'texture':
    case 'buffer':
      throw new InvalidArgumentError(
        `${what}: pixels on a GPU are for WebGPU alone, and inputs that the host need not read`,
      );
    case 'image':
    case 'video': {
      const canvas = makeCanvas(width, height);
      // The types of the two canvases' contexts differ.
      const context = canvas.getContext('2d', {
        willReadFrequently: true,
      }) as OffscreenCanvasRenderingContext2D | null;
      if (!context) throw new InvalidArgumentError(`${what}: no canvas for ${width}x${height}`);
      return withOrigin(what, () => {
        context.drawImage(source.image, 0, 0, width, height);
        return context.getImageData(0, 0, width, height).data;
      });
    }
  }
}

function makeCanvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas !== 'undefined') return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement('canvas'), { width, height });
}

/** Does what a picture of another origin forbids. */
export function withOrigin<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const name = (error as { name?: unknown } | null)?.name;
    if (name === 'SecurityError') {
      throw new InvalidArgumentError(
        `${what}: the picture is of another origin, which does not allow its use (CORS)`,
        { cause: error },
      );
    }
    if (name === 'InvalidStateError') {
      throw new InvalidArgumentError(`${what}: the picture is closed, broken or has no frame`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Four bytes a pixel. */
export function rgba({
  bytes,
  channels,
}: Extract<Source, { kind: 'bytes' }>): Uint8Array | Uint8ClampedArray {
  if (channels === 4) return bytes;
  const count = bytes.length / channels;
  const wide = new Uint8Array(count * 4).fill(255);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) wide[i * 4 + c] = bytes[i * channels + (channels === 3 ? c : 0)]!;
  }
  return wide;
}
