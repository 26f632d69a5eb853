// How a model case travels with its reference outputs: a JSON index and one file of bytes, made in
// Node and fetched by browser tests.

import { type Tolerance } from '../support/compare.js';
import { bytesOf, dataFromBytes, type DType, type NumericData } from '../support/dtype.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { concatBytes } from '../support/protobuf.js';

/** A model case with what it must give. */
export interface ReferenceCase {
  name: string;
  /** The model's path from the root of the repository, with slashes: also its path at the server. */
  model: string;
  steps: { inputs: Tensors; outputs: Tensors }[];
  /** Outputs of one step that are inputs of the next, by output name. */
  carry: Record<string, string>;
  tolerance: { webgpu: Tolerance; cpu: Tolerance };
}

interface TensorEntry {
  dtype: Exclude<DType, 'string'>;
  dims: number[];
  offset: number;
  byteLength: number;
}

type Entries = Record<string, TensorEntry>;

interface Index extends Omit<ReferenceCase, 'steps'> {
  steps: { inputs: Entries; outputs: Entries }[];
}

/** The two files of a case. */
export function encodeReference(reference: ReferenceCase): { json: string; bin: Uint8Array } {
  const chunks: Uint8Array[] = [];
  let offset = 0;
  const entries = (tensors: Tensors): Entries =>
    mapValues(tensors, ({ name, dtype, dims, data }) => {
      if (dtype === 'string') throw new Error(`${name}: strings have no place in a reference file`);
      const bytes = bytesOf(data as NumericData);
      const entry = { dtype, dims, offset, byteLength: bytes.length };
      chunks.push(bytes);
      offset += bytes.length;
      return entry;
    });
  const index: Index = {
    ...reference,
    steps: reference.steps.map(({ inputs, outputs }) => ({
      inputs: entries(inputs),
      outputs: entries(outputs),
    })),
  };
  return { json: JSON.stringify(index), bin: concatBytes(chunks) };
}

export function decodeReference(json: string, bin: Uint8Array): ReferenceCase {
  const index = JSON.parse(json) as Index;
  const tensors = (entries: Entries): Tensors =>
    mapValues(entries, ({ dtype, dims, offset, byteLength }, name): TensorValue => ({
      name,
      dtype,
      dims,
      data: dataFromBytes(dtype, bin.subarray(offset, offset + byteLength)),
    }));
  return {
    ...index,
    steps: index.steps.map(({ inputs, outputs }) => ({
      inputs: tensors(inputs),
      outputs: tensors(outputs),
    })),
  };
}

/** Where the server of the browser tests has the references. */
export const referencesPath = '/build/test-data/references';

/** A case by name, over HTTP, in a page or worker. */
export async function fetchReference(name: string): Promise<ReferenceCase> {
  const get = async (extension: string): Promise<Response> => {
    const response = await fetch(`${referencesPath}/${name}.${extension}`);
    if (!response.ok) throw new Error(`no reference ${name}.${extension}: ${response.status}`);
    return response;
  };
  const [json, bin] = await Promise.all([get('json'), get('bin')]);
  return decodeReference(await json.text(), new Uint8Array(await bin.arrayBuffer()));
}

/** The inputs of a step, with those carried over from the outputs of the step before. */
export function stepInputs(
  { carry, steps }: Pick<ReferenceCase, 'carry'> & { steps: { inputs: Tensors }[] },
  step: number,
  previous: Tensors | undefined,
): Tensors {
  const inputs = { ...steps[step]?.inputs };
  if (!previous) return inputs;
  for (const [output, input] of Object.entries(carry)) {
    const value = previous[output];
    if (!value) throw new Error(`output ${output}, to be carried over, is missing`);
    inputs[input] = { ...value, name: input };
  }
  return inputs;
}

/** The record with every value mapped. */
export function mapValues<A, B>(
  record: Record<string, A>,
  map: (value: A, key: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, entry]) => [key, map(entry, key)]));
}
