// What goes to and comes from the core in a run: inputs, values read back, outputs.

import type { ValueInfo } from './backend.js';
import { byteSize, elementCount, numberOf } from './dtype.js';
import { InternalError, InvalidArgumentError } from './errors.js';
import { readDType } from './plan.js';
import { Tensor, tensorBytes, tensorFromBytes } from './tensor.js';
import { WordReader, WordWriter } from './words.js';

/** Type and dims of an input. */
export type Shaped = Pick<Tensor, 'dtype' | 'dims'>;

/** The inputs of quern_run_start and quern_cpu_run; `contents` gives those whose bytes go along. */
export function encodeInputs(
  shapes: readonly (Shaped | undefined)[],
  contents: (input: number) => Tensor | undefined,
): Uint8Array<ArrayBuffer> {
  const writer = new WordWriter().word(shapes.length);
  shapes.forEach((shape, input) => {
    if (!shape) {
      writer.word(0).word(0).word(0); // left out: no type, no dims, no contents
      return;
    }
    writer.word(numberOf(shape.dtype)).list(shape.dims, (w, dim) => w.wide(dim));
    const tensor = contents(input);
    if (!tensor) {
      writer.word(0);
    } else if (tensor.dtype === 'string') {
      writer.word(1).word(0);
      writer.list(tensor.data as string[], (w, text) => w.text(text));
    } else {
      writer.word(1).blob(tensorBytes(tensor));
    }
  });
  return writer.finish();
}

/** The values of quern_run_advance. */
export function encodeValues(values: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new WordWriter().list(values, (writer, value) => writer.blob(value)).finish();
}

/** The outputs of quern_cpu_run. */
export function decodeOutputs(bytes: Uint8Array<ArrayBuffer>): Tensor[] {
  const reader = new WordReader(bytes);
  const outputs = reader.list((output) => {
    const dtype = readDType(output);
    const dims = output.list((dim) => dim.wide());
    const blob = output.blob();
    const strings = dtype === 'string' ? output.list((item) => item.text()) : undefined;
    return hostTensor(dtype, dims, blob, strings);
  });
  reader.end();
  return outputs;
}

/** A tensor of its own memory from a part of a message. */
export function hostTensor(
  dtype: Tensor['dtype'],
  dims: readonly number[],
  bytes: Uint8Array,
  strings?: readonly string[],
): Tensor {
  if (dtype === 'string') return new Tensor(dtype, dims, [...(strings ?? [])]);
  const expected = byteSize(dtype, elementCount(dims));
  if (bytes.length !== expected) {
    throw new InternalError(`core message: ${bytes.length} bytes for ${dtype}[${dims.join(', ')}]`);
  }
  return tensorFromBytes(dtype, dims, bytes.slice());
}

/** The state before the first run: zeros, where the dims are known. */
export function initialState({ name, dtype, dims }: ValueInfo): Tensor {
  if (dtype === 'string' || !dims?.every((dim) => typeof dim === 'number')) {
    throw new InvalidArgumentError(
      `input '${name}': it has no state yet and no fixed dims, so the first run needs a value`,
    );
  }
  return tensorFromBytes(dtype, dims, new Uint8Array(byteSize(dtype, elementCount(dims))));
}
