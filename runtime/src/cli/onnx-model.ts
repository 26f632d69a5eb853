// An ONNX file as its nodes and initializers lie in it, and smaller models made of some of them.
// Source: onnx.proto3, messages ModelProto, GraphProto, NodeProto, AttributeProto.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { numberOf } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { fields, MessageWriter, payload, text } from './protobuf.js';
import { tensorField } from './tensor-proto.js';

const modelField = { irVersion: 1, graph: 7, opset: 8, functions: 25 } as const;
const graphField = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const nodeField = { input: 1, output: 2, name: 3, op: 4, attribute: 5, domain: 7 } as const;
const attributeField = { graph: 6, graphs: 11 } as const;

export interface OnnxNode {
  name: string;
  op: string;
  domain: string;
  /** With the names that its bodies take from around it. */
  inputs: string[];
  /** Empty where an optional output is absent. */
  outputs: string[];
  bytes: Uint8Array;
}

export interface OnnxModel {
  path: string;
  nodes: OnnxNode[];
  initializers: Map<string, Uint8Array>;
  /** IR version, operator sets and functions, as they lie there. */
  head: MessageWriter;
}

/** `path`: where external data is looked for beside it. */
export function readOnnxModel(path: string, bytes: Uint8Array): OnnxModel {
  const model: OnnxModel = { path, nodes: [], initializers: new Map(), head: new MessageWriter() };
  for (const field of fields(bytes)) {
    if (field.number === modelField.irVersion) model.head.integer(field.number, field.varint);
    else if (field.number === modelField.opset || field.number === modelField.functions) {
      model.head.bytes(field.number, payload(field));
    } else if (field.number === modelField.graph) readGraph(payload(field), model);
  }
  return model;
}

function readGraph(bytes: Uint8Array, model: OnnxModel): void {
  for (const field of fields(bytes)) {
    if (field.number === graphField.node) model.nodes.push(readNode(payload(field)));
    else if (field.number === graphField.initializer) {
      model.initializers.set(nameOf(payload(field), tensorField.name), payload(field));
    }
  }
}

function readNode(bytes: Uint8Array): OnnxNode {
  const node: OnnxNode = { name: '', op: '', domain: '', inputs: [], outputs: [], bytes };
  const captured = new Set<string>();
  for (const field of fields(bytes)) {
    if (field.number === nodeField.input) node.inputs.push(text(field));
    else if (field.number === nodeField.output) node.outputs.push(text(field));
    else if (field.number === nodeField.name) node.name = text(field);
    else if (field.number === nodeField.op) node.op = text(field);
    else if (field.number === nodeField.domain) node.domain = text(field);
    else if (field.number === nodeField.attribute) {
      for (const part of fields(payload(field))) {
        if (part.number !== attributeField.graph && part.number !== attributeField.graphs) continue;
        for (const name of outerNames(payload(part))) captured.add(name);
      }
    }
  }
  for (const name of captured) if (!node.inputs.includes(name)) node.inputs.push(name);
  return node;
}

/** What a body reads that it does not define. */
function outerNames(graph: Uint8Array): Set<string> {
  const own = new Set<string>();
  const read = new Set<string>();
  for (const field of fields(graph)) {
    if (field.number === graphField.node) {
      const { inputs, outputs } = readNode(payload(field));
      for (const name of inputs) if (name && !own.has(name)) read.add(name);
      for (const name of outputs) own.add(name);
    } else if (field.number === graphField.initializer) {
      own.add(nameOf(payload(field), tensorField.name));
    } else if (field.number === graphField.input) own.add(nameOf(payload(field), 1));
    else if (field.number === graphField.output) read.add(nameOf(payload(field), 1));
  }
  for (const name of own) read.delete(name);
  return read;
}

function nameOf(bytes: Uint8Array, number: number): string {
  for (const field of fields(bytes)) if (field.number === number) return text(field);
  return '';
}

/** A model of some nodes, in the order given; initializers that they read come along. */
export function modelOf(
  model: OnnxModel,
  nodes: readonly OnnxNode[],
  inputs: ReadonlyMap<string, Tensor>,
  outputs: ReadonlyMap<string, Tensor | undefined>,
): Uint8Array<ArrayBuffer> {
  const graph = new MessageWriter();
  for (const { bytes } of nodes) graph.bytes(graphField.node, bytes);
  graph.string(graphField.name, 'part');
  const read = new Set(nodes.flatMap((node) => node.inputs));
  for (const [name, bytes] of model.initializers) {
    if (read.has(name)) graph.bytes(graphField.initializer, inlined(bytes, model.path));
  }
  for (const [name, tensor] of inputs) graph.message(graphField.input, valueInfo(name, tensor));
  for (const [name, tensor] of outputs) graph.message(graphField.output, valueInfo(name, tensor));
  return new MessageWriter()
    .append(model.head)
    .string(2, 'quern diff') // the producer
    .message(modelField.graph, graph)
    .finish();
}

function valueInfo(name: string, tensor: Tensor | undefined): MessageWriter {
  const value = new MessageWriter().string(1, name);
  if (!tensor) return value;
  const shape = new MessageWriter();
  for (const dim of tensor.dims) shape.message(1, new MessageWriter().integer(1, dim));
  const type = new MessageWriter().integer(1, numberOf(tensor.dtype)).message(2, shape);
  return value.message(2, new MessageWriter().message(1, type));
}

/** A TensorProto with its data in it, where it lay in another file. */
function inlined(bytes: Uint8Array, modelPath: string): Uint8Array {
  const entries = new Map<string, string>();
  const rest = new MessageWriter();
  for (const field of fields(bytes)) {
    if (field.number === tensorField.externalData) {
      entries.set(nameOf(payload(field), 1), nameOf(payload(field), 2));
    } else if (field.number === tensorField.dataLocation) continue;
    else if (field.bytes && field.fixed === 0) rest.bytes(field.number, field.bytes);
    else if (field.fixed === 0) rest.integer(field.number, field.varint);
  }
  const location = entries.get('location');
  if (location === undefined) return bytes;
  const file = readFileSync(join(dirname(modelPath), location));
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? file.length - offset);
  return rest.bytes(tensorField.rawData, file.subarray(offset, offset + length)).finish();
}
