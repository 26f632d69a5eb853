// Tensors from images and images from tensors: on the CPU, bilinear where the size changes.

import { InvalidArgumentError, textOf, UnsupportedError } from '../errors.js';
import type {
  ImageFormat,
  OptionsNormalizationParameters,
  TensorFromImageOptions,
  TensorToDataUrlOptions,
  TensorToImageDataOptions,
} from './tensor-types.js';

/** RGBA bytes, row by row. */
interface Pixels {
  width: number;
  height: number;
  data: ArrayLike<number>;
}

export type ImageSource = ImageData | HTMLImageElement | ImageBitmap | string;

interface ImageTensor {
  type: 'float32' | 'uint8';
  data: Float32Array | Uint8Array;
  dims: [number, number, number, number];
}

/** Dims [1, channels, height, width], or [1, height, width, channels] for 'NHWC'. */
export async function tensorFromImage(
  image: ImageSource,
  options: TensorFromImageOptions = {},
): Promise<ImageTensor> {
  const source = await pixelsOf(image);
  const { resizedWidth, resizedHeight, tensorLayout = 'NCHW', dataType = 'float32' } = options;
  const width = resizedWidth ?? source.width;
  const height = resizedHeight ?? source.height;
  for (const size of [width, height]) {
    if (Number.isSafeInteger(size) && size > 0) continue;
    throw wrong(`a size of ${width} x ${height} is not possible`);
  }
  const same = width === source.width && height === source.height;
  const { data: rgba } = same ? source : resize(source, width, height);

  // As in onnxruntime, elements alone keep their alpha where nothing is said.
  const format = options.tensorFormat ?? (isElement(image) ? 'RGBA' : 'RGB');
  const channels = channelsOf(format);
  // Bytes stay bytes where no norm is given.
  const { mean, bias } = normOf(options.norm, dataType === 'uint8' ? 1 : 255);
  const count = width * height;
  const data =
    dataType === 'uint8'
      ? new Uint8ClampedArray(count * channels.length) // rounds and clamps
      : new Float32Array(count * channels.length);
  const planes = tensorLayout === 'NCHW';
  channels.forEach((channel, c) => {
    for (let i = 0; i < count; i++) {
      const at = planes ? c * count + i : i * channels.length + c;
      data[at] = (rgba[i * 4 + channel]! + bias[channel]!) / mean[channel]!;
    }
  });
  const bytes = data instanceof Float32Array ? data : new Uint8Array(data.buffer);
  const depth = channels.length;
  const dims: ImageTensor['dims'] = planes ? [1, depth, height, width] : [1, height, width, depth];
  return { type: dataType, data: bytes, dims };
}

interface ImageLike {
  dims: readonly number[];
  data: ArrayLike<number>;
}

/** RGBA of a tensor [1, channels, height, width], or [1, height, width, channels] for 'NHWC'. */
export function tensorToPixels(
  { dims, data }: ImageLike,
  { tensorLayout = 'NCHW', format, norm }: TensorToImageDataOptions = {},
): Pixels & { data: Uint8ClampedArray<ArrayBuffer> } {
  const planes = tensorLayout === 'NCHW';
  const [, a = 0, b = 0, c = 0] = dims;
  const [depth, height, width] = planes ? [a, b, c] : [c, a, b];
  const channels = channelsOf(format ?? (depth === 4 ? 'RGBA' : 'RGB'));
  if (dims.length !== 4 || dims[0] !== 1 || depth !== channels.length || !width || !height) {
    throw wrong(`[${dims.join(', ')}] is no ${format ?? 'RGB'} image in ${tensorLayout}`);
  }
  const { mean, bias } = normOf(norm, 255);
  const count = width * height;
  const rgba = new Uint8ClampedArray(count * 4).fill(255);
  channels.forEach((channel, index) => {
    for (let i = 0; i < count; i++) {
      const element = data[planes ? index * count + i : i * depth + index]!;
      rgba[i * 4 + channel] = (element - bias[channel]!) * mean[channel]!;
    }
  });
  return { width, height, data: rgba };
}

export function toImageData(tensor: ImageLike, options?: TensorToImageDataOptions): ImageData {
  const { data, width, height } = tensorToPixels(tensor, options);
  if (typeof ImageData === 'undefined') throw new UnsupportedError('image: ImageData is not there');
  return new ImageData(data, width, height);
}

export function toDataUrl(tensor: ImageLike, options?: TensorToDataUrlOptions): string {
  const image = toImageData(tensor, options);
  if (typeof document === 'undefined') {
    throw new UnsupportedError('image: toDataURL needs a canvas of a page, this is a worker');
  }
  const canvas = document.createElement('canvas');
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError(`image: ${message}`);
}

/** Where in RGBA each of a format's channels is. */
function channelsOf(format: ImageFormat): number[] {
  const channels = [...format].map((letter) => 'RGBA'.indexOf(letter));
  if (['RGB', 'RGBA', 'BGR', 'RBG'].includes(format)) return channels;
  throw wrong(`there is no format '${format}'`);
}

/** By channel of RGBA. */
function normOf(
  { mean, bias }: NonNullable<OptionsNormalizationParameters['norm']> = {},
  fallback: number,
): { mean: number[]; bias: number[] } {
  const four = (value: number | number[] | undefined, missing: number): number[] =>
    Array.isArray(value)
      ? [0, 1, 2, 3].map((i) => value[i] ?? missing)
      : new Array<number>(4).fill(value ?? missing);
  return { mean: four(mean, fallback), bias: four(bias, 0) };
}

function isElement(image: unknown): image is HTMLImageElement {
  return typeof HTMLImageElement !== 'undefined' && image instanceof HTMLImageElement;
}

async function pixelsOf(image: ImageSource): Promise<Pixels> {
  if (typeof image === 'string') {
    const bitmap = await bitmapAt(image);
    try {
      return draw(bitmap, bitmap.width, bitmap.height);
    } finally {
      bitmap.close();
    }
  }
  if (isElement(image)) return draw(image, image.naturalWidth, image.naturalHeight);
  if (typeof ImageBitmap !== 'undefined' && image instanceof ImageBitmap) {
    return draw(image, image.width, image.height);
  }
  // Also what packages for Node make in the form of an ImageData.
  const { width, height, data } = (image ?? {}) as Partial<ImageData>;
  if (data && width && height && data.length === width * height * 4) {
    return { width, height, data };
  }
  throw wrong('it is no ImageData, HTMLImageElement, ImageBitmap or address of one');
}

async function bitmapAt(url: string): Promise<ImageBitmap> {
  if (typeof createImageBitmap === 'undefined') {
    throw new UnsupportedError('image: nothing here decodes images, give an ImageData');
  }
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await createImageBitmap(await response.blob());
  } catch (error) {
    throw new InvalidArgumentError(`image: ${url} can't be read: ${textOf(error)}`, {
      cause: error,
    });
  }
}

function draw(image: CanvasImageSource, width: number, height: number): Pixels {
  if (!width || !height) throw wrong('it has no size: await its decode() before');
  let canvas: OffscreenCanvas | HTMLCanvasElement;
  if (typeof OffscreenCanvas !== 'undefined') canvas = new OffscreenCanvas(width, height);
  else {
    canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d', { willReadFrequently: true }) as
    CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Bilinear, pixel centres aligned, edges repeated. */
export function resize(source: Pixels, width: number, height: number): Pixels {
  const taps = (from: number, to: number): [number, number, number][] =>
    Array.from({ length: to }, (_, i) => {
      const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
      const low = Math.floor(at);
      return [low, Math.min(from - 1, low + 1), at - low];
    });
  const columns = taps(source.width, width);
  const rows = taps(source.height, height);
  const data = new Float32Array(width * height * 4);
  let at = 0;
  for (const [top, bottom, v] of rows) {
    for (const [left, right, u] of columns) {
      for (let channel = 0; channel < 4; channel++) {
        const pixel = (y: number, x: number): number =>
          source.data[(y * source.width + x) * 4 + channel]!;
        const upper = pixel(top, left) * (1 - u) + pixel(top, right) * u;
        const lower = pixel(bottom, left) * (1 - u) + pixel(bottom, right) * u;
        data[at++] = upper * (1 - v) + lower * v;
      }
    }
  }
  return { width, height, data };
}
