// TensorFlow.js as the reference engine, and graphs for it: as model.json, and as a GraphDef.

import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import * as converter from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';

import { concatBytes, MessageWriter } from './protobuf.js';

export { layers, tf };

export type Data = Float32Array | Int32Array | Uint8Array;
/** A tensor as both engines take it. */
export interface Sample {
  dtype: 'float32' | 'int32' | 'bool';
  dims: number[];
  data: Data;
}

/** An AttrValue in protobuf's JSON. */
export type Attr = Record<string, unknown>;
export const type = (name: string): Attr => ({ type: name });
export const int = (value: number): Attr => ({ i: String(value) });
export const float = (value: number): Attr => ({ f: value });
export const bool = (value: boolean): Attr => ({ b: value });
export const text = (value: string): Attr => ({ s: btoa(value) });
export const ints = (...values: number[]): Attr => ({ list: { i: values.map(String) } });
export const texts = (...values: string[]): Attr => ({ list: { s: values.map((v) => btoa(v)) } });
export const shape = (dims: readonly number[]): Attr => ({
  shape: { dim: dims.map((size) => ({ size: String(size) })) },
});
export const func = (name: string): Attr => ({ func: { name } });
export const funcs = (...names: string[]): Attr => ({
  list: { func: names.map((name) => ({ name })) },
});

export interface NodeJson {
  name: string;
  op: string;
  input: string[];
  attr: Record<string, Attr>;
}

export interface FunctionJson {
  signature: { name: string; inputArg: object[]; outputArg: object[] };
  nodeDef: NodeJson[];
  ret: Record<string, string>;
}

const typeNames = { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL' } as const;
export const typeOf = (sample: Sample): Attr => type(typeNames[sample.dtype]);

/** A graph under construction. */
export class TfGraph {
  readonly nodes: NodeJson[] = [];
  readonly functions: FunctionJson[] = [];
  readonly inputs: Record<string, Sample> = {};
  readonly constants: Record<string, Sample> = {};
  readonly outputs: string[] = [];

  node(op: string, name: string, input: string[], attr: Record<string, Attr> = {}): string {
    this.nodes.push({ name, op, input, attr });
    return name;
  }

  /** `dims`: as the placeholder declares them, -1 for unknown ones. */
  placeholder(name: string, sample: Sample, dims: readonly number[] = sample.dims): string {
    this.inputs[name] = sample;
    return this.node('Placeholder', name, [], { dtype: typeOf(sample), shape: shape(dims) });
  }

  constant(name: string, sample: Sample): string {
    this.constants[name] = sample;
    return this.node('Const', name, [], { dtype: typeOf(sample) });
  }

  output(name: string): void {
    this.outputs.push(name);
  }

  /** What tfjs's loader takes, and model.json with one shard "weights.bin". */
  artifacts(): { json: object; weights: Uint8Array<ArrayBuffer>; loader: tf.io.IOHandler } {
    const specs = Object.entries(this.constants).map(([name, { dtype, dims }]) => {
      return { name, shape: dims, dtype };
    });
    const weights = concatBytes(Object.values(this.constants).map(({ data }) => bytesOf(data)));
    const modelTopology = { node: this.nodes, library: { function: this.functions }, versions: {} };
    const json = {
      format: 'graph-model',
      modelTopology,
      weightsManifest: [{ paths: ['weights.bin'], weights: specs }],
      signature: this.#signature(),
    };
    const artifacts = {
      modelTopology,
      weightSpecs: specs,
      weightData: weights.buffer,
      signature: json.signature,
    };
    return {
      json,
      weights,
      loader: { load: () => Promise.resolve(artifacts as tf.io.ModelArtifacts) },
    };
  }

  /** The same as a GraphDef, constants within. */
  graphDef(): Uint8Array<ArrayBuffer> {
    const out = new MessageWriter();
    for (const node of this.nodes) out.message(1, this.#nodeDef(node));
    const library = new MessageWriter();
    for (const { signature, nodeDef, ret } of this.functions) {
      const opDef = new MessageWriter().string(1, signature.name);
      const argument = (one: object): MessageWriter => {
        const { name, type } = one as { name: string; type: string };
        return new MessageWriter().string(1, name).integer(3, dtypeNumber(type));
      };
      for (const one of signature.inputArg) opDef.message(2, argument(one));
      for (const one of signature.outputArg) opDef.message(3, argument(one));
      const body = new MessageWriter().message(1, opDef);
      for (const node of nodeDef) body.message(3, this.#nodeDef(node));
      for (const [key, value] of Object.entries(ret)) {
        body.message(4, new MessageWriter().string(1, key).string(2, value));
      }
      library.message(1, body);
    }
    return out.message(2, library).finish();
  }

  #nodeDef({ name, op, input, attr }: NodeJson): MessageWriter {
    const out = new MessageWriter().string(1, name).string(2, op);
    for (const one of input) out.string(3, one);
    for (const [key, value] of Object.entries(attr)) {
      out.message(5, new MessageWriter().string(1, key).message(2, attrValue(value)));
    }
    const sample = this.constants[name];
    if (op === 'Const' && sample) {
      const tensor = new MessageWriter().integer(1, dtypeNumber(typeNames[sample.dtype]));
      tensor.message(2, shapeProto(sample.dims)).bytes(4, bytesOf(sample.data));
      const value = new MessageWriter().message(8, tensor);
      out.message(5, new MessageWriter().string(1, 'value').message(2, value));
    }
    return out;
  }

  #signature(): object {
    const port = (name: string): object => ({ name: name.includes(':') ? name : `${name}:0` });
    const ports = (names: string[]): object => Object.fromEntries(names.map((n) => [n, port(n)]));
    return { inputs: ports(Object.keys(this.inputs)), outputs: ports(this.outputs) };
  }
}

const bytesOf = (data: Data): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const dtypeNumbers: Record<string, number> = {
  DT_FLOAT: 1,
  DT_INT32: 3,
  DT_STRING: 7,
  DT_INT64: 9,
  DT_BOOL: 10,
  DT_RESOURCE: 20,
  DT_VARIANT: 21,
};
function dtypeNumber(name: string): number {
  const found = dtypeNumbers[name];
  if (found === undefined) throw new Error(`no number for ${name}`);
  return found;
}

function shapeProto(dims: readonly number[]): MessageWriter {
  const out = new MessageWriter();
  for (const size of dims) out.message(2, new MessageWriter().integer(1, size));
  return out;
}

interface ListJson {
  i?: string[];
  s?: string[];
  type?: string[];
  func?: { name: string }[];
}

function attrValue(json: Attr): MessageWriter {
  const out = new MessageWriter();
  const binary = (value: string): Uint8Array =>
    Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
  if ('s' in json) out.bytes(2, binary(json.s as string));
  if ('i' in json) out.integer(3, BigInt(json.i as string));
  if ('f' in json) out.float(4, json.f as number);
  if ('b' in json) out.integer(5, json.b ? 1 : 0);
  if ('type' in json) out.integer(6, dtypeNumber(json.type as string));
  if ('shape' in json) {
    const { dim } = json.shape as { dim: { size: string }[] };
    out.message(7, shapeProto(dim.map(({ size }) => Number(size))));
  }
  if ('tensor' in json && 'strings' in (json.tensor as object)) {
    const { strings } = json.tensor as { strings: string[] };
    const tensor = new MessageWriter().integer(1, dtypeNumber('DT_STRING'));
    tensor.message(2, shapeProto([strings.length]));
    for (const value of strings) tensor.string(8, value);
    out.message(8, tensor);
  }
  if ('func' in json) {
    out.message(10, new MessageWriter().string(1, (json.func as { name: string }).name));
  }
  if ('list' in json) {
    const list = new MessageWriter();
    const { i = [], s = [], type: types = [], func: functions = [] } = json.list as ListJson;
    for (const value of s) list.bytes(2, binary(value));
    for (const value of i) list.integer(3, BigInt(value));
    for (const value of types) list.integer(6, dtypeNumber(value));
    for (const { name } of functions) list.message(9, new MessageWriter().string(1, name));
    out.message(1, list);
  }
  return out;
}

export function sampleOf(tensor: tf.Tensor, data: Data): Sample {
  return { dtype: tensor.dtype as Sample['dtype'], dims: tensor.shape, data };
}

/** What TensorFlow.js computes for these outputs. */
export async function runGraphModel(
  loader: tf.io.IOHandler,
  inputs: Record<string, Sample>,
  outputs: string[],
): Promise<Sample[]> {
  await tf.setBackend('cpu');
  const model = await converter.loadGraphModel(loader);
  const feeds = mapTensors(inputs);
  const results = await model.executeAsync(feeds, outputs);
  const list = Array.isArray(results) ? results : [results];
  const samples = await Promise.all(list.map(async (t) => sampleOf(t, await t.data<never>())));
  model.dispose();
  tf.dispose([feeds, list]);
  return samples;
}

export function mapTensors(inputs: Record<string, Sample>): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dims, dtype }]) => [
      name,
      tf.tensor(data, dims, dtype),
    ]),
  );
}

/** Numbers in [low, high), the same on every machine. */
export function randomData(count: number, low: number, high: number, seed = 1): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return low + ((state >>> 8) / 0x800000) * (high - low);
  });
}
