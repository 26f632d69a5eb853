// PNG pictures as inputs of a model.

import { inflateSync } from 'node:zlib';

import type { ValueInfo } from '../backend.js';
import { InvalidArgumentError } from '../errors.js';
import type { Feed } from '../feeds.js';

interface Picture {
  width: number;
  height: number;
  /** Of each pixel: red, green, blue, alpha. */
  rgba: Uint8Array;
}

/** Samples a pixel by PNG colour type: grey, RGB, palette, grey and alpha, RGBA. */
const samplesByType: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

function fail(what: string): never {
  throw new InvalidArgumentError(`png: ${what}`);
}

export function decodePng(file: Uint8Array): Picture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 33 || view.getUint32(0) !== 0x89504e47) fail('wrong signature');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, type, , , interlace] = file.subarray(24, 29);
  const samples = samplesByType[type!] ?? fail(`colour type ${type}`);
  if (depth !== 8 || interlace !== 0) fail('only 8 bits a sample, not interlaced, are read');
  const parts: Uint8Array[] = [];
  let palette = new Uint8Array();
  for (let at = 8; at + 12 <= file.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const data = file.subarray(at + 8, at + 8 + length);
    if (name === 'IDAT') parts.push(data);
    if (name === 'PLTE') palette = data.slice();
    at += length + 12;
  }
  const stride = width * samples;
  const raw = inflateSync(Buffer.concat(parts), { maxOutputLength: (stride + 1) * height + 1 });
  if (raw.length !== (stride + 1) * height) fail('it ends early');

  const rows = unfilter(raw, stride, height, samples);
  const rgba = new Uint8Array(width * height * 4);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = rows.subarray(pixel * samples, (pixel + 1) * samples);
    const grey = [from[0]!, from[0]!, from[0]!];
    const colour =
      type === 3
        ? palette.subarray(from[0]! * 3, from[0]! * 3 + 3)
        : samples < 3
          ? grey
          : from.subarray(0, 3);
    rgba.set(colour, pixel * 4);
    rgba[pixel * 4 + 3] = samples % 2 === 0 ? from[samples - 1]! : 255;
  }
  return { width, height, rgba };
}

/** Undoes the filter of each row, which the byte before the row names. */
function unfilter(raw: Uint8Array, stride: number, height: number, samples: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x < samples ? 0 : out[at - samples]!;
      const up = y === 0 ? 0 : out[at - stride]!;
      const corner = x < samples || y === 0 ? 0 : out[at - stride - samples]!;
      let guess = [0, left, up, (left + up) >> 1][filter];
      if (filter === 4) {
        const [a, b, c] = [left, up, corner].map((near) => Math.abs(left + up - corner - near));
        guess = a! <= b! && a! <= c! ? left : b! <= c! ? up : corner;
      }
      out[at] = raw[at + y + 1]! + (guess ?? fail(`filter ${filter}`));
    }
  }
  return out;
}

/** The picture as the model takes it: channels first or last, [0, 1] where it takes floats. */
export function pictureFeed(info: ValueInfo, file: Uint8Array): Feed {
  const { width, height, rgba } = decodePng(file);
  const dims = info.dims ?? [1, 3, 'height', 'width'];
  const shape = dims.slice(-3);
  const isChannels = (dim: number | string | undefined): boolean =>
    dim === 1 || dim === 3 || dim === 4;
  const last = shape.length === 3 && !isChannels(shape[0]) && isChannels(shape[2]);
  const channelDim = last ? shape[2] : shape[0];
  if (shape.length < 3) fail(`input '${info.name}' has ${shape.length} dims, a picture has 3`);
  const channels = isChannels(channelDim) ? Number(channelDim) : 3;
  const [high, wide] = last ? shape : shape.slice(1);
  if ((Number(high) || height) !== height || (Number(wide) || width) !== width) {
    fail(`the picture is ${width} x ${height}, input '${info.name}' takes ${wide} x ${high}`);
  }
  const whole = /^[iu]/.test(info.dtype);
  const data: number[] = new Array<number>(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      const at = pixel * 4;
      // ITU-R BT.601, as most tools make grey of colours.
      const grey = 0.299 * rgba[at]! + 0.587 * rgba[at + 1]! + 0.114 * rgba[at + 2]!;
      const sample = channels === 1 ? grey : rgba[at + channel]!;
      const to = last ? pixel * channels + channel : channel * width * height + pixel;
      data[to] = whole ? Math.round(sample) : sample / 255;
    }
  }
  const batch = dims.slice(0, -3).map(() => 1);
  const picture = last ? [height, width, channels] : [channels, height, width];
  return { data, dims: [...batch, ...picture] };
}
