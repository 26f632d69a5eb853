// What a caller declares about a picture's way into an input, checked and resolved.

import type { ValueInfo } from '../backend.js';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import { filters, type Filter, type Fit, type Placing } from './taps.js';

export type Channels = 'rgb' | 'bgr' | 'rgba' | 'bgra' | 'gray';
export type Layout = 'NCHW' | 'NHWC';

/** How a picture becomes an input's elements (docs/pixels.md). */
export interface PixelOptions {
  /** Of the input, in elements: the model's where it fixes them, else by default the picture's. */
  width?: number;
  height?: number;
  /** Sizes that the model leaves open are rounded to multiples of it. */
  multipleOf?: number;
  /** The part of the picture that is used, in its pixels; all of it by default. */
  crop?: { x: number; y: number; width: number; height: number };
  /** 'fill' (the default) stretches, 'cover' cuts off at the sides, 'letterbox' adds bars. */
  fit?: Fit;
  /** With 'cover': the part of each side that is kept, above 0 and up to 1 (224 / 256). */
  centerCrop?: number;
  /** With 'letterbox': where the picture lies between the bars. */
  align?: 'center' | 'start';
  /** With 'letterbox': the bars' colour, 0 to 255; one number is a gray. */
  padColor?: number | readonly number[];
  filter?: Filter;
  /** true (the default): the filter grows with the reduction, as PIL and torchvision do. */
  antialias?: boolean;
  /** By default what the number of channels in the model's dims says. */
  channels?: Channels;
  layout?: Layout;
  /** Elements are (pixel * scale - mean) / std: scale is 1/255 for floats and 1 for u8. */
  scale?: number;
  /** One number, or one for each channel in the model's order. */
  mean?: number | readonly number[];
  std?: number | readonly number[];
}

/** Options that have been checked against an input. */
export interface Conversion {
  name: string;
  dtype: 'f32' | 'f16' | 'u8';
  /** Bytes of an element. */
  elementBytes: 1 | 2 | 4;
  dims: (number | string)[];
  channels: number;
  /** Axes in `dims`; batch and channel may be missing. */
  axes: { batch: number; channel: number; height: number; width: number };
  /** Of the input, where known before the picture is. */
  width: number | undefined;
  height: number | undefined;
  multipleOf: number;
  placing: Placing;
  /** For each of 4 channels of the input: weights of r, g, b, a (0 to 1). */
  matrix: readonly (readonly number[])[];
  bias: readonly number[];
  /** r, g, b, a of bars, 0 to 1. */
  padColor: readonly number[];
}

const known: Record<keyof PixelOptions, true> = {
  ...{ width: true, height: true, multipleOf: true, crop: true, fit: true, centerCrop: true },
  ...{ align: true, padColor: true, filter: true, antialias: true, channels: true, layout: true },
  ...{ scale: true, mean: true, std: true },
};

const luma = [0.299, 0.587, 0.114, 0];
const unit = [0, 1, 2, 3].map((at) => [0, 1, 2, 3].map((i) => Number(i === at)));
/** The weights of r, g, b, a in each channel of an input. */
export const channelWeights: Record<Channels, readonly (readonly number[])[]> = {
  rgb: [unit[0]!, unit[1]!, unit[2]!],
  bgr: [unit[2]!, unit[1]!, unit[0]!],
  rgba: [unit[0]!, unit[1]!, unit[2]!, unit[3]!],
  bgra: [unit[2]!, unit[1]!, unit[0]!, unit[3]!],
  gray: [luma],
};

/** Throws what is wrong, with the input's name. */
export function resolveOptions(info: ValueInfo, options: PixelOptions): Conversion {
  const { name } = info;
  const wrong = (text: string): never => {
    throw new InvalidArgumentError(`input '${name}': ${text}`);
  };
  for (const key of Object.keys(options)) {
    if (!(key in known)) {
      wrong(`pixels have no option '${key}', only ${Object.keys(known).join(', ')}`);
    }
  }
  const oneOf = <T>(what: string, got: T, all: readonly T[]): T =>
    all.includes(got) ? got : wrong(`${what} '${String(got)}' is none of ${all.join(', ')}`);
  const whole = (what: string, got: number | undefined): number | undefined =>
    got === undefined || (Number.isInteger(got) && got > 0 && got <= 1 << 20)
      ? got
      : wrong(`${what} ${String(got)} is no positive whole number`);

  const { dtype, dims, kind } = info;
  if (kind ?? (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'u8')) {
    throw new UnsupportedError(
      `input '${name}': pixels go into tensors of f32, f16 or u8, this one is ${kind ?? dtype}`,
    );
  }
  if (!dims || dims.length < 2 || dims.length > 4) {
    return wrong(`pixels go into 2 to 4 dims, the model has [${dims?.join(', ') ?? '...'}]`);
  }
  const order = options.channels && oneOf('channels', options.channels, channelNames);
  const layout = options.layout && oneOf('layout', options.layout, ['NCHW', 'NHWC'] as const);
  const axes = axesOf(dims, layout, order);
  const channelDim = axes.channel < 0 ? 1 : dims[axes.channel]!;
  const fixed = typeof channelDim === 'number' ? channelDim : undefined;
  const channels =
    order ?? (fixed === 1 ? 'gray' : fixed === 4 ? 'rgba' : fixed === 2 ? undefined : 'rgb');
  const weights = channels && channelWeights[channels];
  if (!weights || (fixed !== undefined && fixed !== weights.length)) {
    return wrong(
      `channels ${channels ?? 'of pictures'} do not fit in [${dims.join(', ')}] as ` +
        axisNames(axes, dims.length),
    );
  }

  const size = (axis: number, what: 'width' | 'height'): number | undefined => {
    const dim = dims[axis]!;
    const asked = whole(what, options[what]);
    if (typeof dim !== 'number') return asked;
    if (asked !== undefined && asked !== dim) {
      wrong(`${what} ${asked} is not that of the model, [${dims.join(', ')}]`);
    }
    if (dim === 0) wrong(`[${dims.join(', ')}] has no elements`);
    return dim;
  };
  const perChannel = (what: 'mean' | 'std', otherwise: number): number[] => {
    const got = options[what] ?? otherwise;
    const list = typeof got === 'number' ? weights.map(() => got) : [...got];
    if (list.length !== weights.length || !list.every((v) => Number.isFinite(v))) {
      wrong(`${what} [${list.join(', ')}] are not ${weights.length} numbers`);
    }
    return list;
  };
  const scale = options.scale ?? (dtype === 'u8' ? 1 : 1 / 255);
  if (!Number.isFinite(scale)) wrong(`scale ${scale} is no number`);
  const mean = perChannel('mean', 0);
  const std = perChannel('std', 1);
  if (std.includes(0)) wrong('std is 0');
  const { crop, centerCrop = 1, padColor = 0 } = options;
  if (crop && ![crop.x, crop.y, crop.width, crop.height].every((v) => Number.isFinite(v))) {
    wrong('crop is not { x, y, width, height }');
  }
  if (!(centerCrop > 0 && centerCrop <= 1)) wrong(`centerCrop ${centerCrop} is not in (0, 1]`);
  const pad = typeof padColor === 'number' ? [padColor, padColor, padColor] : padColor;
  if (pad.length < 3 || !pad.every((v) => v >= 0 && v <= 255)) {
    wrong(`padColor [${pad.join(', ')}] is not 3 numbers from 0 to 255`);
  }
  return {
    name,
    dtype: dtype,
    elementBytes: dtype === 'f32' ? 4 : dtype === 'f16' ? 2 : 1,
    dims,
    channels: weights.length,
    axes,
    width: size(axes.width, 'width'),
    height: size(axes.height, 'height'),
    multipleOf: whole('multipleOf', options.multipleOf) ?? 1,
    placing: {
      crop,
      fit: oneOf('fit', options.fit ?? 'fill', fits),
      centerCrop,
      align: oneOf('align', options.align ?? 'center', ['center', 'start'] as const),
      filter: oneOf('filter', options.filter ?? 'bilinear', filters),
      antialias: options.antialias ?? true,
    },
    matrix: weights.map((row, c) => row.map((w) => (w * 255 * scale) / std[c]!)),
    bias: mean.map((m, c) => -m / std[c]!),
    padColor: [...pad.slice(0, 3).map((v) => v / 255), 1],
  };
}

export const channelNames = Object.keys(channelWeights) as Channels[];
export const fits = ['fill', 'cover', 'letterbox'] as const;

/** Which axis is what, where the layout is given or can be told from channel counts. */
export function axesOf(
  dims: readonly (number | string)[],
  layout: Layout | undefined,
  order?: Channels,
): Conversion['axes'] {
  if (dims.length === 2) return { batch: -1, channel: -1, height: 0, width: 1 };
  const batch = dims.length === 4 ? 0 : -1;
  const first = batch + 1;
  const last = dims.length - 1;
  const wanted = order && channelWeights[order].length;
  const fits = (axis: number): boolean =>
    wanted ? dims[axis] === wanted : [1, 3, 4].includes(dims[axis] as number);
  const nhwc = layout ? layout === 'NHWC' : !fits(first) && fits(last);
  return nhwc
    ? { batch, channel: last, height: first, width: first + 1 }
    : { batch, channel: first, height: first + 1, width: last };
}

function axisNames({ channel }: Conversion['axes'], rank: number): string {
  if (channel < 0) return 'HW';
  const name = channel === rank - 1 ? 'NHWC' : 'NCHW';
  return rank === 4 ? name : name.slice(1);
}

/** Dims of the input for `count` pictures, the first of which has this size. */
export function dimsFor(
  conversion: Conversion,
  count: number,
  source: { width: number; height: number },
): { dims: number[]; width: number; height: number } {
  const { axes, dims, name, multipleOf } = conversion;
  const shown = conversion.placing.crop ?? source;
  let { width, height } = conversion;
  const round = (value: number): number => Math.max(1, Math.round(value / multipleOf)) * multipleOf;
  const openWidth = typeof dims[axes.width] !== 'number';
  const openHeight = typeof dims[axes.height] !== 'number';
  width ??= height ? Math.max(1, Math.round((shown.width * height) / shown.height)) : undefined;
  height ??= width ? Math.max(1, Math.round((shown.height * width) / shown.width)) : undefined;
  width ??= Math.round(shown.width);
  height ??= Math.round(shown.height);
  if (openWidth) width = round(width);
  if (openHeight) height = round(height);
  const made: number[] = dims.map(() => 1);
  if (axes.batch >= 0) made[axes.batch] = count;
  if (axes.channel >= 0) made[axes.channel] = conversion.channels;
  made[axes.height] = height;
  made[axes.width] = width;
  const batch = axes.batch >= 0 ? dims[axes.batch] : 1;
  if (typeof batch === 'number' ? batch !== count : count === 0) {
    throw new InvalidArgumentError(
      `input '${name}': ${count} pictures do not fill [${dims.join(', ')}]`,
    );
  }
  return { dims: made, width, height };
}
