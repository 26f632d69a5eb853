// What can be drawn, and where to (docs/pixels.md).

import type { PixelSource } from '../pixel-feeds.js';
import type { Channels, Layout } from './options.js';
import type { Fit } from './taps.js';

export type DrawTarget = HTMLCanvasElement | OffscreenCanvas | GPUTexture;

/** r, g, b from 0 to 255. */
export type Color = readonly number[];

export interface DrawOptions {
  /**
   * 'image' (the default): the tensor's channels are colours. 'mask': a colour, as opaque as the
   * value. 'heatmap': a colour for each value. 'blend': from background to foreground by the value.
   */
  as?: 'image' | 'mask' | 'heatmap' | 'blend';
  /** The values that are shown as 0 and 1: [0, 1], for images of u8 [0, 255]. */
  range?: readonly [number, number];
  /** Below a mask or heat map; without it the target stays see-through. */
  over?: PixelSource | Color;
  /** Of a mask. */
  color?: Color;
  /** Of a mask or heat map, 0 to 1. */
  opacity?: number;
  colormap?: 'turbo' | 'viridis' | 'gray';
  /** Of a mask or blend: values at or above it, after `range`, count as 1, others as 0. */
  threshold?: number;
  /** Of a blend. */
  foreground?: PixelSource | Color;
  background?: PixelSource | Color;
  /** Which image of a batch. */
  index?: number;
  /** Which channel is the value of a mask, heat map or blend. */
  channel?: number;
  layout?: Layout;
  /** The order of an image's channels. */
  channels?: Channels;
  /** How the model's input was made of a picture of the target's shape. */
  fit?: Fit;
  align?: 'center' | 'start';
  /** Between the tensor's elements. */
  filter?: 'nearest' | 'bilinear';
}
