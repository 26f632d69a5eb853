// draw.wgsl's picture in TypeScript, to a 2D canvas: for models on WebAssembly.

import { breathe, Lock } from '../async.js';
import { InvalidArgumentError } from '../errors.js';
import type { PixelSource } from '../pixel-feeds.js';
import { f16Value, tensorBytes, type Tensor } from '../tensor.js';
import type { DrawOptions, DrawTarget } from './draw-options.js';
import { planDrawing, stopCount, type DrawPlan } from './draw-plan.js';
import { convertOnHost } from './cpu.js';
import { resolveOptions } from './options.js';
import { describe, readPixels, ready } from './source.js';

/** What is drawn to a canvas comes in the order of the calls. */
const orders = new WeakMap<DrawTarget, Lock>();

export async function drawOnHost(
  tensor: Tensor,
  target: DrawTarget,
  options: DrawOptions,
): Promise<void> {
  const order = orders.get(target) ?? new Lock();
  orders.set(target, order);
  await order.run(() => drawNow(tensor, target, options));
}

async function drawNow(tensor: Tensor, target: DrawTarget, options: DrawOptions): Promise<void> {
  if (!('getContext' in target)) {
    throw new InvalidArgumentError('draw: a GPUTexture needs a model on WebGPU');
  }
  const { width, height } = target;
  if (!(width > 0 && height > 0)) {
    throw new InvalidArgumentError(`draw: a target of ${width}x${height} has no pixels`);
  }
  const plan = planDrawing(tensor, { width, height }, options);
  const context = (target as OffscreenCanvas).getContext('2d');
  if (!context) {
    throw new InvalidArgumentError('draw: the canvas has a context of another kind already');
  }
  const top = await layerOf('draw, foreground', plan.top, width, height);
  const under = await layerOf('draw, picture below', plan.under, width, height);
  const image = context.createImageData(width, height);
  await shade(plan, elementsOf(plan, tensor), top, under, image);
  context.putImageData(image, 0, 0);
}

/** r, g, b, a of a layer's pixels, 0 to 1. */
type Layer = (pixel: number) => ArrayLike<number>;

async function layerOf(
  what: string,
  layer: DrawPlan['top'],
  width: number,
  height: number,
): Promise<Layer> {
  if (Array.isArray(layer)) return () => layer as readonly number[];
  const picture = layer as PixelSource;
  await ready(what, picture);
  const source = describe(what, picture);
  const info = { name: what, dtype: 'f32' as const, dims: [height, width, 4] };
  const conversion = resolveOptions(info, { layout: 'NHWC', channels: 'rgba', antialias: false });
  const pixels = new Float32Array(width * height * 4);
  await convertOnHost(conversion, readPixels(what, source), source, { width, height }, pixels);
  for (let i = 3; i < pixels.length; i += 4) pixels[i] = 1;
  return (pixel) => pixels.subarray(pixel * 4, pixel * 4 + 4);
}

function elementsOf({ kind }: DrawPlan, tensor: Tensor): (at: number) => number {
  const bytes = tensorBytes(tensor);
  const { data } = tensor;
  if (kind === 'f16') {
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    return (at) => f16Value(bits[at]!);
  }
  if (kind === 'bytes') return (at) => bytes[at]!;
  return (at) => Number((data as ArrayLike<number | bigint>)[at]);
}

const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);

async function shade(
  plan: DrawPlan,
  element: (at: number) => number,
  top: Layer,
  under: Layer,
  { width, height, data }: ImageData,
): Promise<void> {
  const { map, inside, range, mode, threshold, stops, matrix, bias } = plan;
  const valueAt = (x: number, y: number, channel: number): number => {
    const column = Math.trunc(clamp(x, inside.x, inside.right - 1));
    const row = Math.trunc(clamp(y, inside.y, inside.bottom - 1));
    const pixel = (row * plan.width + column) * plan.pixelStride;
    return element(plan.firstElement + pixel + channel * plan.channelStride);
  };
  const sample = (x: number, y: number, channel: number): number => {
    if (plan.nearest) return valueAt(Math.floor(x), Math.floor(y), channel);
    const [left, above] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
    const [dx, dy] = [x - 0.5 - left, y - 0.5 - above];
    const line = (row: number): number =>
      valueAt(left, row, channel) * (1 - dx) + valueAt(left + 1, row, channel) * dx;
    return line(above) * (1 - dy) + line(above + 1) * dy;
  };
  for (let pixel = 0; pixel < width * height; pixel++) {
    const pause = pixel % width === 0 ? breathe() : undefined;
    if (pause) await pause;
    const x = ((pixel % width) + 0.5) * map.scale[0] + map.offset[0];
    const y = (Math.floor(pixel / width) + 0.5) * map.scale[1] + map.offset[1];
    const shown = x >= inside.x && y >= inside.y && x < inside.right && y < inside.bottom;
    const values = Array.from(
      { length: plan.channels },
      (_, c) => sample(x, y, c) * range.scale + range.offset,
    );
    let value = clamp(values[0]!, 0, 1);
    if (threshold >= 0) value = Number(values[0]! >= threshold);
    const below = under(pixel);
    let above: ArrayLike<number> = mode === 'image' ? [] : top(pixel);
    let alpha = plan.opacity;
    if (mode === 'image') {
      const color = bias.map((b, c) =>
        clamp(
          values.reduce((sum, v, i) => sum + v * (matrix[c]?.[i] ?? 0), b),
          0,
          1,
        ),
      );
      above = color;
      alpha *= color[3]!;
    } else if (mode === 'heatmap') {
      const at = value * (stopCount - 1);
      const low = Math.min(Math.floor(at), stopCount - 2);
      above = stops[low]!.map((v, c) => v + (stops[low + 1]![c]! - v) * (at - low));
    } else alpha *= value;
    if (!shown) alpha = 0;
    const opaque = alpha + below[3]! * (1 - alpha);
    for (let c = 0; c < 3; c++) {
      const color = below[c]! * below[3]! * (1 - alpha) + above[c]! * alpha;
      data[pixel * 4 + c] = opaque > 0 ? (color / opaque) * 255 : 0;
    }
    data[pixel * 4 + 3] = opaque * 255;
  }
}
