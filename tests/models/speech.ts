// The input of Silero's voice activity detector: speech in chunks, with the state carried along.

import type { Tensors, TensorValue } from '../support/pb.js';

export interface Sound {
  sampleRate: number;
  samples: Float32Array;
}

/** A WAV file of 16-bit mono PCM as samples in [-1, 1). */
export function readWav(bytes: Uint8Array): Sound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (offset: number): string =>
    String.fromCharCode(...bytes.subarray(offset, offset + 4));
  if (tag(0) !== 'RIFF' || tag(8) !== 'WAVE') throw new Error('wav: wrong signature');
  let sampleRate = 0;
  for (let offset = 12; offset + 8 <= bytes.length;) {
    const length = view.getUint32(offset + 4, true);
    const start = offset + 8;
    if (tag(offset) === 'fmt ') {
      const format = [0, 2, 14].map((field) => view.getUint16(start + field, true));
      if (format.join() !== '1,1,16') {
        throw new Error(`wav: format, channels, bits ${format.join()}`);
      }
      sampleRate = view.getUint32(start + 4, true);
    } else if (tag(offset) === 'data') {
      const samples = new Float32Array(length / 2);
      samples.forEach((_, i) => (samples[i] = view.getInt16(start + i * 2, true) / 32768));
      return { sampleRate, samples };
    }
    offset = start + length + (length % 2);
  }
  throw new Error('wav: no data');
}

/** Half the sample rate, by the mean of each two samples. */
export function halveRate({ sampleRate, samples }: Sound): Sound {
  return {
    sampleRate: sampleRate / 2,
    samples: Float32Array.from(
      { length: samples.length >> 1 },
      (_, i) => (samples[2 * i]! + samples[2 * i + 1]!) / 2,
    ),
  };
}

/**
 * One run's inputs per chunk; the state stands in the first only, later runs take the one before's
 * `stateN`. A chunk is 32 ms (512 samples at 16 kHz). With `context`, as Silero's own wrapper and
 * vad-web do, the 4 ms before it (64 samples; zeros at first) are put in front.
 */
export function speechSteps(
  { sampleRate, samples }: Sound,
  { chunks, context }: { chunks: number; context: boolean },
): { inputs: Tensors }[] {
  const size = sampleRate * 0.032;
  const before = context ? sampleRate * 0.004 : 0;
  if (samples.length < chunks * size) throw new Error(`speech: fewer than ${chunks} chunks`);
  const padded = new Float32Array(before + samples.length);
  padded.set(samples, before);

  const sr: TensorValue = {
    name: 'sr',
    dtype: 'i64',
    dims: [],
    data: BigInt64Array.of(BigInt(sampleRate)),
  };
  const state: TensorValue = {
    name: 'state',
    dtype: 'f32',
    dims: [2, 1, 128],
    data: new Float32Array(2 * 128),
  };
  return Array.from({ length: chunks }, (_, i) => {
    const input: TensorValue = {
      name: 'input',
      dtype: 'f32',
      dims: [1, before + size],
      data: padded.slice(i * size, (i + 1) * size + before),
    };
    const inputs: Tensors = i === 0 ? { input, sr, state } : { input, sr };
    return { inputs };
  });
}

/** Likewise for the version before v5: chunks of 96 ms, and the LSTM's two states. */
export function legacySpeechSteps(
  { sampleRate, samples }: Sound,
  chunks: number,
): { inputs: Tensors }[] {
  const size = sampleRate * 0.096;
  const state = (name: string): TensorValue => {
    return { name, dtype: 'f32', dims: [2, 1, 64], data: new Float32Array(128) };
  };
  return Array.from({ length: chunks }, (_, i) => {
    const inputs: Tensors = {
      input: {
        name: 'input',
        dtype: 'f32',
        dims: [1, size],
        data: samples.slice(i * size, (i + 1) * size),
      },
      sr: { name: 'sr', dtype: 'i64', dims: [], data: BigInt64Array.of(BigInt(sampleRate)) },
    };
    return { inputs: i === 0 ? { ...inputs, h: state('h'), c: state('c') } : inputs };
  });
}
