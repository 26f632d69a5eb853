// A drawing's options, checked and resolved to the numbers that its pixels are made with.

import type { DType } from '../dtype.js';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import type { PixelSource } from '../pixel-feeds.js';
import type { Tensor } from '../tensor.js';
import type { Color, DrawOptions } from './draw-options.js';
import { axesOf, channelNames, channelWeights, fits, type Channels } from './options.js';
import { place, type Size } from './taps.js';

export const modes = ['image', 'mask', 'heatmap', 'blend'] as const;
/** How elements lie in memory: numbers of `kind` in draw.wgsl. */
export const kinds = ['f32', 'f16', 'bytes', 'i32', 'i64'] as const;
const kindOf: Partial<Record<DType, (typeof kinds)[number]>> = {
  ...({ f32: 'f32', f16: 'f16', u8: 'bytes', bool: 'bytes' } as const),
  ...({ i32: 'i32', u32: 'i32', i64: 'i64', u64: 'i64' } as const),
};
export const stopCount = 17;

export interface DrawPlan {
  mode: (typeof modes)[number];
  kind: (typeof kinds)[number];
  /** Of the tensor: elements of a row, and what lies between neighbours. */
  width: number;
  pixelStride: number;
  channelStride: number;
  firstElement: number;
  channels: number;
  /** Of r, g, b, a by the tensor's channels. */
  matrix: readonly (readonly number[])[];
  bias: readonly number[];
  stops: readonly (readonly number[])[];
  /** From the target's pixels to the tensor's elements. */
  map: { scale: [number, number]; offset: [number, number] };
  inside: { x: number; y: number; right: number; bottom: number };
  /** value * scale + offset is 0 to 1. */
  range: { scale: number; offset: number };
  /** Below 0: none. */
  threshold: number;
  opacity: number;
  nearest: boolean;
  /** A picture, or r, g, b, a from 0 to 1. */
  top: PixelSource | readonly number[];
  under: PixelSource | readonly number[];
}

const known: Record<keyof DrawOptions, true> = {
  ...{ as: true, range: true, over: true, color: true, opacity: true, colormap: true },
  ...{ threshold: true, foreground: true, background: true, index: true, channel: true },
  ...{ layout: true, channels: true, fit: true, align: true, filter: true },
};

const wrong = (text: string): never => {
  throw new InvalidArgumentError(`draw: ${text}`);
};

export function planDrawing(tensor: Tensor, target: Size, options: DrawOptions): DrawPlan {
  for (const key of Object.keys(options)) {
    if (!(key in known)) wrong(`no option '${key}', only ${Object.keys(known).join(', ')}`);
  }
  const oneOf = <T>(what: string, got: T, all: readonly T[]): T =>
    all.includes(got) ? got : wrong(`${what} '${String(got)}' is none of ${all.join(', ')}`);
  const { dtype, dims } = tensor;
  const shown = `${dtype}[${dims.join(', ')}]`;
  const kind = kindOf[dtype];
  if (!kind) throw new UnsupportedError(`draw: ${shown}: elements of ${dtype} are no pixels`);
  if (dims.length < 2 || dims.length > 4 || dims.includes(0)) {
    wrong(`${shown} is no image of H x W, CHW, HWC, NCHW or NHWC`);
  }
  const mode = oneOf('as', options.as ?? 'image', modes);
  const layout = options.layout && oneOf('layout', options.layout, ['NCHW', 'NHWC'] as const);
  const axes = axesOf(dims, layout);
  const width = dims[axes.width]!;
  const height = dims[axes.height]!;
  const channels = axes.channel < 0 ? 1 : dims[axes.channel]!;
  const last = axes.channel >= 0 && axes.channel === dims.length - 1;
  const [pixelStride, channelStride] = last ? [channels, 1] : [1, width * height];
  const position = (what: 'index' | 'channel', count: number): number => {
    const at = options[what] ?? 0;
    return Number.isInteger(at) && at >= 0 && at < count
      ? at
      : wrong(`${what} ${at} is not within ${count} of ${shown}`);
  };
  let firstElement = position('index', axes.batch < 0 ? 1 : dims[0]!) * channels * width * height;

  const order = options.channels && oneOf('channels', options.channels, channelNames);
  const byCount: Record<number, Channels | undefined> = { 1: 'gray', 3: 'rgb', 4: 'rgba' };
  const names = order ?? byCount[channels];
  if (mode === 'image' && (!names || channelWeights[names].length !== channels)) {
    wrong(`${shown}: ${channels} channels are no ${names ?? 'colours'}`);
  }
  if (mode !== 'image') firstElement += position('channel', channels) * channelStride;

  const [low, high] = options.range ?? [0, mode === 'image' && dtype === 'u8' ? 255 : 1];
  if (!(Number.isFinite(low) && Number.isFinite(high) && low !== high)) {
    wrong(`range [${low}, ${high}] is no range`);
  }
  const { opacity = 1, threshold } = options;
  if (!(opacity >= 0 && opacity <= 1)) wrong(`opacity ${opacity} is not in [0, 1]`);
  if (threshold !== undefined && !(threshold >= 0)) wrong(`threshold ${threshold} is below 0`);
  const placed = place(
    { ...target },
    { width, height },
    {
      crop: undefined,
      centerCrop: 1,
      fit: oneOf('fit', options.fit ?? 'fill', fits),
      align: oneOf('align', options.align ?? 'center', ['center', 'start'] as const),
    },
  );
  const { from, to } = placed;
  const scale: [number, number] = [to.width / from.width, to.height / from.height];
  return {
    mode,
    kind,
    width,
    pixelStride,
    channelStride,
    firstElement,
    channels: mode === 'image' ? channels : 1,
    ...(mode === 'image' ? colorsOf(names!) : { matrix: [], bias: [0, 0, 0, 0] }),
    stops: stopsOf(oneOf('colormap', options.colormap ?? 'turbo', ['turbo', 'viridis', 'gray'])),
    map: { scale, offset: [to.x - from.x * scale[0], to.y - from.y * scale[1]] },
    inside: { x: to.x, y: to.y, right: to.x + to.width, bottom: to.y + to.height },
    range: { scale: 1 / (high - low), offset: -low / (high - low) },
    threshold: threshold ?? -1,
    opacity,
    nearest: oneOf('filter', options.filter ?? 'bilinear', ['nearest', 'bilinear']) === 'nearest',
    top:
      mode === 'blend'
        ? layer('foreground', options.foreground, [0, 0, 0])
        : colorOf('color', options.color ?? [255, 0, 0]),
    under:
      mode === 'blend'
        ? layer('background', options.background, [0, 0, 0])
        : options.over && mode !== 'image'
          ? layer('over', options.over, [])
          : [0, 0, 0, 0],
  };
}

function layer(
  what: string,
  given: PixelSource | Color | undefined,
  otherwise: Color,
): PixelSource | readonly number[] {
  if (given === undefined) return colorOf(what, otherwise);
  return Array.isArray(given) ? colorOf(what, given as Color) : given;
}

function colorOf(what: string, color: Color): readonly number[] {
  if (color.length < 3 || !color.every((v) => v >= 0 && v <= 255)) {
    wrong(`${what} [${color.join(', ')}] is not 3 numbers from 0 to 255`);
  }
  return [...color.slice(0, 3).map((v) => v / 255), 1];
}

/** r, g, b, a of a tensor's channels. */
function colorsOf(names: Channels): Pick<DrawPlan, 'matrix' | 'bias'> {
  if (names === 'gray') {
    return { matrix: [0, 1, 2].map(() => [1, 0, 0, 0]), bias: [0, 0, 0, 1] };
  }
  const matrix = [0, 1, 2, 3].map((out) =>
    [0, 1, 2, 3].map((c) => channelWeights[names][c]?.[out] ?? 0),
  );
  return { matrix, bias: [0, 0, 0, names.endsWith('a') ? 0 : 1] };
}

/** Colours at equal distances. */
function stopsOf(map: 'turbo' | 'viridis' | 'gray'): number[][] {
  return Array.from({ length: stopCount }, (_, i) => {
    const x = i / (stopCount - 1);
    if (map === 'gray') return [x, x, x];
    if (map === 'turbo') {
      return turbo.map((row) => row.reduceRight((sum, term) => sum * x + term, 0));
    }
    const at = i / 2;
    const [a, b] = [viridis[Math.floor(at)]!, viridis[Math.ceil(at)]!];
    return a.map((v, c) => (v + (b[c]! - v) * (at % 1)) / 255);
  });
}

/** Polynomials of r, g, b that its author gives. */
const turbo = [
  [0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
  [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
  [0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
];
const viridis = [
  ...[
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
  ],
  ...[
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
  ],
];
