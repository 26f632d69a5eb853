// In how many bits tensors of type f32 lie in the device's memory: docs/precision.md.

import type { Description } from './backend.js';
import type { PrecisionReport } from './report.js';

/**
 * f32: as the model has it. f16: memory of half the size for weights and values between kernels,
 * where that is safe; all arithmetic is in f32. auto: f16 on GPUs with shader-f16 for models that
 * nothing speaks against.
 */
export type Precision = 'f32' | 'f16' | 'auto';

export const precisions: readonly Precision[] = ['f32', 'f16', 'auto'];

/** `reason`: why f16 was not even tried. */
export function precisionReport(
  asked: Precision,
  { precision, weights }: Description,
  reason?: string,
): PrecisionReport {
  const bytes = weights
    .filter(({ used }) => used)
    .map((weight) => (weight.stored ? weight.bytes / 2 : weight.bytes));
  return {
    asked,
    used: precision.used,
    reason: reason ?? precision.reason,
    weightBytes: bytes.reduce((sum, one) => sum + one, precision.constantBytes),
  };
}

/** The largest magnitude in each weight, taken from its bytes as they pass, as those of f32. */
export class WeightPeaks {
  readonly #bits = new Map<number, number>();
  /** A word of which bytes are missing yet. */
  readonly #word = new DataView(new ArrayBuffer(4));

  /** Bytes of a weight, which come in order, from byte `offset` on. */
  add(weight: number, offset: number, bytes: Uint8Array): void {
    let peak = this.#bits.get(weight) ?? 0;
    let at = 0;
    for (; at < bytes.length && (offset + at) % 4 !== 0; at++) {
      this.#word.setUint8((offset + at) % 4, bytes[at]!);
      if ((offset + at) % 4 === 3) peak = Math.max(peak, this.#word.getUint32(0, true) & mask);
    }
    const whole = Math.floor((bytes.length - at) / 4);
    const start = bytes.byteOffset + at;
    if (start % 4 === 0) {
      for (const bits of new Uint32Array(bytes.buffer, start, whole)) {
        if ((bits & mask) > peak) peak = bits & mask;
      }
    } else {
      const view = new DataView(bytes.buffer, start, whole * 4);
      for (let i = 0; i < whole * 4; i += 4) {
        const bits = view.getUint32(i, true) & mask;
        if (bits > peak) peak = bits;
      }
    }
    for (at += whole * 4; at < bytes.length; at++) {
      this.#word.setUint8((offset + at) % 4, bytes[at]!);
    }
    this.#bits.set(weight, peak);
  }

  /** For weights up to `count`; NaN for those that nothing came of. */
  values(count: number): Float32Array<ArrayBuffer> {
    const peaks = new Float32Array(count).fill(NaN);
    const words = new Uint32Array(peaks.buffer);
    for (const [weight, bits] of this.#bits) if (weight < count) words[weight] = bits;
    return peaks;
  }
}

/** All but the sign. */
const mask = 0x7fffffff;
