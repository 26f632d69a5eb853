// Pictures as the text reader handles them, and how they are resampled.

/** Rows of pixels from the top; of each pixel red, green, blue, alpha. An ImageData is one. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

export const channels = 4;

/** What shows through on white paper. */
export function onWhite({ width, height, data }: Picture): Picture {
  const opaque = new Uint8ClampedArray(data);
  for (let at = 0; at < opaque.length; at += channels) {
    const alpha = opaque[at + 3]! / 255;
    for (let channel = 0; channel < 3; channel++) {
      opaque[at + channel] = 255 + (opaque[at + channel]! - 255) * alpha;
    }
    opaque[at + 3] = 255;
  }
  return { width, height, data: opaque };
}

/** The picture turned by 180 degrees. */
export function upsideDown({ width, height, data }: Picture): Picture {
  const turned = new Uint8ClampedArray(data.length);
  for (let at = 0; at < data.length; at += channels) {
    turned.set(data.subarray(at, at + channels), data.length - channels - at);
  }
  return { width, height, data: turned };
}

/** Source pixels that a target pixel is made of, and their weights, whose sum is 1. */
interface Window {
  first: number;
  weights: number[];
}

/**
 * The windows along one axis. A triangle over the two nearest source pixels (linear
 * interpolation), widened where the picture shrinks, so that no pixel is skipped.
 */
function windows(from: number, to: number): Window[] {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, target) => {
    const centre = (target + 0.5) * scale - 0.5;
    const first = Math.max(Math.floor(centre - reach) + 1, 0);
    const end = Math.min(Math.ceil(centre + reach), from);
    const weights: number[] = [];
    for (let at = first; at < end; at++) weights.push(1 - Math.abs(at - centre) / reach);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** The picture in another size: first along the rows, then along the columns. */
export function resize({ width, height, data }: Picture, toWidth: number, toHeight: number) {
  const stride = toWidth * channels;
  const narrowed = new Float32Array(stride * height);
  const across = windows(width, toWidth);
  for (let y = 0; y < height; y++) {
    across.forEach(({ first, weights }, x) => {
      const from = (y * width + first) * channels;
      const to = y * stride + x * channels;
      weights.forEach((weight, i) => {
        const at = from + i * channels;
        for (let c = 0; c < channels; c++) narrowed[to + c]! += weight * data[at + c]!;
      });
    });
  }

  const resized = new Uint8ClampedArray(stride * toHeight);
  const row = new Float32Array(stride);
  windows(height, toHeight).forEach(({ first, weights }, y) => {
    row.fill(0);
    weights.forEach((weight, i) => {
      const from = (first + i) * stride;
      for (let at = 0; at < stride; at++) row[at]! += weight * narrowed[from + at]!;
    });
    resized.set(row, y * stride);
  });
  return { width: toWidth, height: toHeight, data: resized } satisfies Picture;
}
