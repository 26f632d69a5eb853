// What goes to and comes from the core in a run: inputs, values read back, outputs.

import type { ContainerKind, ValueInfo } from './backend.js';
import { byteSize, dtypeOf, elementCount, numberOf } from './dtype.js';
import { InternalError, InvalidArgumentError } from './errors.js';
import { containerKinds, mostNested, readDType } from './plan.js';
import { Tensor, tensorBytes, tensorFromBytes } from './tensor.js';
import { isContainer, type Tree } from './value.js';
import { WordReader, WordWriter } from './words.js';

/** Type and dims of an input. */
export type Shaped = Pick<Tensor, 'dtype' | 'dims'>;

/** The first word of a container: this and the kind's number. Below are numbers of types. */
const containerWord = 63;

/**
 * The inputs of quern_run_start and quern_cpu_run; `hasContents` tells those whose bytes go along.
 */
export function encodeInputs(
  inputs: readonly (Tree<Shaped> | undefined)[],
  hasContents: (input: number) => boolean,
): Uint8Array<ArrayBuffer> {
  const writer = new WordWriter().word(inputs.length);
  inputs.forEach((tree, input) => {
    if (tree) encodeInput(writer, tree, hasContents(input));
    else writer.word(0).word(0).word(0); // left out: no type, no dims, no contents
  });
  return writer.finish();
}

function encodeInput(writer: WordWriter, tree: Tree<Shaped>, contents: boolean): void {
  if (isContainer(tree)) {
    writer.word(containerWord + 1 + containerKinds.indexOf(tree.kind)).word(numberOf(tree.dtype));
    writer.list(tree.items, (w, item) => encodeInput(w, item, contents));
    return;
  }
  writer.word(numberOf(tree.dtype)).list(tree.dims, (w, dim) => w.wide(dim));
  if (!contents || !(tree instanceof Tensor)) {
    writer.word(0);
  } else if (tree.dtype === 'string') {
    writer.word(1).word(0);
    writer.list(tree.data as string[], (w, text) => w.text(text));
  } else {
    writer.word(1).blob(tensorBytes(tree as Tensor));
  }
}

/** The values of quern_run_advance. */
export function encodeValues(values: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new WordWriter().list(values, (writer, value) => writer.blob(value)).finish();
}

/** The outputs of quern_cpu_run. */
export function decodeOutputs(bytes: Uint8Array<ArrayBuffer>): Tree<Tensor>[] {
  const reader = new WordReader(bytes);
  const outputs = reader.list((output) => decodeOutput(output, 0));
  reader.end();
  return outputs;
}

function decodeOutput(reader: WordReader, depth: number): Tree<Tensor> {
  const first = reader.word();
  const kind: ContainerKind | undefined = containerKinds[first - containerWord - 1];
  if (kind) {
    if (depth >= mostNested) throw new InternalError('core message: a value is nested too deep');
    const dtype = readDType(reader);
    return { kind, dtype, items: reader.list((item) => decodeOutput(item, depth + 1)) };
  }
  const dtype = dtypeOf(first);
  if (!dtype) throw new InternalError(`core message: element type ${first}`);
  const dims = reader.list((dim) => dim.wide());
  const blob = reader.blob();
  const strings = dtype === 'string' ? reader.list((item) => item.text()) : undefined;
  return hostTensor(dtype, dims, blob, strings);
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
  return tensorFromBytes(dtype, dims, new Uint8Array(bytes)); // twice as fast as slice()
}

/** The state before the first run: zeros, where the dims are known. */
export function initialState({ name, dtype, dims, kind }: ValueInfo): Tensor {
  if (kind || dtype === 'string' || !dims?.every((dim) => typeof dim === 'number')) {
    throw new InvalidArgumentError(
      `input '${name}': it has no state yet and no fixed dims, so the first run needs a value`,
    );
  }
  return tensorFromBytes(dtype, dims, new Uint8Array(byteSize(dtype, elementCount(dims))));
}
