// Writes small ONNX models for tests and reads a model's inputs and outputs, in Node and in a
// browser alike.

import { dtypeOf, elementCount, onnxTypeNumber, zeroData, type DType } from './dtype.js';
import { externalTensorWriter, tensorWriter, type TensorValue, type ValueType } from './pb.js';
import { fields, MessageWriter, payload, text } from './protobuf.js';

/** A named and typed value: a graph's input or output, or a value_info entry. */
export interface ValueSpec {
  name: string;
  type: ValueType;
}

/** An attribute, tagged with its ONNX type, since 1 may be an int or a float. */
export type AttributeSpec =
  | { int: number | bigint }
  | { float: number }
  | { string: string }
  | { tensor: TensorValue }
  | { graph: GraphSpec }
  | { type: ValueType }
  | { ints: readonly (number | bigint)[] }
  | { floats: readonly number[] }
  | { strings: readonly string[] }
  | { tensors: readonly TensorValue[] }
  | { graphs: readonly GraphSpec[] };

export interface NodeSpec {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Record<string, AttributeSpec>;
  name?: string;
  domain?: string;
}

/** An initializer whose data lies in another file. */
export interface ExternalInitializer {
  name: string;
  dtype: DType;
  dims: number[];
  external: { location: string; offset?: number; length?: number };
}

export interface GraphSpec {
  name?: string;
  nodes: readonly NodeSpec[];
  initializers?: readonly (TensorValue | ExternalInitializer)[];
  inputs?: readonly ValueSpec[];
  outputs: readonly ValueSpec[];
  values?: readonly ValueSpec[];
}

export interface ModelSpec {
  graph: GraphSpec;
  /** Version by domain; ONNX's own domain is ''. */
  opsets?: Record<string, number>;
  irVersion?: number;
  metadata?: Record<string, string>;
}

/** A tensor-typed input or output; a string dim is symbolic, undefined dims are an unknown rank. */
export function value(name: string, dtype: DType, dims?: (number | string)[]): ValueSpec {
  return { name, type: { kind: 'tensor', dtype, dims } };
}

export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Record<string, AttributeSpec> = {},
): NodeSpec {
  return { op, inputs, outputs, attributes };
}

/** A tensor from plain values: numbers, bigints (i64, u64) or strings. */
export function tensor(
  name: string,
  dtype: DType,
  dims: number[],
  values: readonly (number | bigint | string)[],
): TensorValue {
  if (dtype === 'string') return { name, dtype, dims, data: values.map(String) };
  const data = zeroData(dtype, elementCount(dims));
  if (values.length !== data.length) {
    throw new Error(`${name}: ${values.length} values for ${dtype}[${dims.join()}]`);
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    data.set(values.map((element) => BigInt(element)));
  } else {
    data.set(values.map(Number));
  }
  return { name, dtype, dims, data };
}

const modelField = { irVersion: 1, producer: 2, graph: 7, opset: 8, metadata: 14 } as const;
const graphField = { node: 1, name: 2, initializer: 5, input: 11, output: 12, value: 13 } as const;

/** The default opset of models made here. */
export const defaultOpset = 17;

/** The bytes of a model: nodes first, then initializers, inputs, outputs, as exporters write them. */
export function writeModel(model: ModelSpec): Uint8Array<ArrayBuffer> {
  return modelHeader(model).message(modelField.graph, graphWriter(model.graph)).finish();
}

/** The fields of a ModelProto before its graph. */
export function modelHeader(model: Omit<ModelSpec, 'graph'>): MessageWriter {
  const writer = new MessageWriter()
    .integer(modelField.irVersion, model.irVersion ?? 8)
    .string(modelField.producer, 'quern-tests');
  for (const [domain, version] of Object.entries(model.opsets ?? { '': defaultOpset })) {
    writer.message(modelField.opset, new MessageWriter().string(1, domain).integer(2, version));
  }
  for (const [key, entry] of Object.entries(model.metadata ?? {})) {
    writer.message(modelField.metadata, new MessageWriter().string(1, key).string(2, entry));
  }
  return writer;
}

/** The numbers of the fields that a streaming writer heads itself. */
export const streamedField = { graph: modelField.graph, initializer: graphField.initializer };

/** The fields of a GraphProto before its initializers. */
export function graphHead(graph: Pick<GraphSpec, 'name' | 'nodes'>): MessageWriter {
  const writer = new MessageWriter();
  for (const entry of graph.nodes) writer.message(graphField.node, nodeWriter(entry));
  return writer.string(graphField.name, graph.name ?? 'graph');
}

/** The fields of a GraphProto after its initializers. */
export function graphTail(graph: Pick<GraphSpec, 'inputs' | 'outputs' | 'values'>): MessageWriter {
  const writer = new MessageWriter();
  for (const entry of graph.inputs ?? []) writer.message(graphField.input, valueWriter(entry));
  for (const entry of graph.outputs) writer.message(graphField.output, valueWriter(entry));
  for (const entry of graph.values ?? []) writer.message(graphField.value, valueWriter(entry));
  return writer;
}

function graphWriter(graph: GraphSpec): MessageWriter {
  const writer = graphHead(graph);
  for (const entry of graph.initializers ?? []) {
    writer.message(
      graphField.initializer,
      'external' in entry ? externalTensorWriter(entry, entry.external) : tensorWriter(entry),
    );
  }
  return writer.append(graphTail(graph));
}

function nodeWriter(spec: NodeSpec): MessageWriter {
  const writer = new MessageWriter();
  for (const name of spec.inputs) writer.string(1, name);
  for (const name of spec.outputs) writer.string(2, name);
  if (spec.name) writer.string(3, spec.name);
  writer.string(4, spec.op);
  for (const [name, attribute] of Object.entries(spec.attributes ?? {})) {
    writer.message(5, attributeWriter(name, attribute));
  }
  if (spec.domain) writer.string(7, spec.domain);
  return writer;
}

const attributeTypeField = 20;

function attributeWriter(name: string, spec: AttributeSpec): MessageWriter {
  const writer = new MessageWriter().string(1, name);
  const typed = (type: number): MessageWriter => writer.integer(attributeTypeField, type);
  if ('float' in spec) return typed(1).float(2, spec.float);
  if ('int' in spec) return typed(2).integer(3, spec.int);
  if ('string' in spec) return typed(3).string(4, spec.string);
  if ('tensor' in spec) return typed(4).message(5, tensorWriter(spec.tensor));
  if ('graph' in spec) return typed(5).message(6, graphWriter(spec.graph));
  if ('floats' in spec) return typed(6).packedFloats(7, spec.floats);
  if ('ints' in spec) return typed(7).packedIntegers(8, spec.ints);
  if ('type' in spec) return typed(13).message(14, typeWriter(spec.type));
  if ('strings' in spec) {
    typed(8);
    for (const item of spec.strings) writer.string(9, item);
  } else if ('tensors' in spec) {
    typed(9);
    for (const item of spec.tensors) writer.message(10, tensorWriter(item));
  } else {
    typed(10);
    for (const item of spec.graphs) writer.message(11, graphWriter(item));
  }
  return writer;
}

const typeField = { tensor: 1, sequence: 4, map: 5, sparse: 8, optional: 9 } as const;

function typeWriter(type: ValueType): MessageWriter {
  const writer = new MessageWriter();
  switch (type.kind) {
    case 'tensor':
    case 'sparse': {
      const inner = new MessageWriter().integer(1, onnxTypeNumber[type.dtype]);
      if (type.dims) {
        const shape = new MessageWriter();
        for (const dim of type.dims) {
          const entry = new MessageWriter();
          if (typeof dim === 'number') entry.integer(1, dim);
          else if (dim !== '') entry.string(2, dim);
          shape.message(1, entry);
        }
        inner.message(2, shape);
      }
      return writer.message(typeField[type.kind], inner);
    }
    case 'sequence':
    case 'optional':
      return writer.message(
        typeField[type.kind],
        new MessageWriter().message(1, typeWriter(type.element)),
      );
    case 'map': {
      if (!type.key || !type.element) throw new Error('a map type without key or element');
      const inner = new MessageWriter().integer(1, onnxTypeNumber[type.key]);
      return writer.message(typeField.map, inner.message(2, typeWriter(type.element)));
    }
  }
}

function valueWriter(spec: ValueSpec): MessageWriter {
  return new MessageWriter().string(1, spec.name).message(2, typeWriter(spec.type));
}

/** What goes into and out of a model; inputs that are initializers are left out. */
export interface Signature {
  inputs: ValueSpec[];
  outputs: ValueSpec[];
}

/** Reads a model's signature. An unnamed unknown dim reads as ''. */
export function readSignature(model: Uint8Array): Signature {
  const inputs: ValueSpec[] = [];
  const outputs: ValueSpec[] = [];
  const initializers = new Set<string>();
  for (const field of fields(model)) {
    if (field.number !== modelField.graph) continue;
    for (const part of fields(payload(field))) {
      if (part.number === graphField.input) inputs.push(readValueInfo(payload(part)));
      else if (part.number === graphField.output) outputs.push(readValueInfo(payload(part)));
      else if (part.number === graphField.initializer) initializers.add(tensorName(payload(part)));
    }
  }
  return { inputs: inputs.filter(({ name }) => !initializers.has(name)), outputs };
}

function tensorName(bytes: Uint8Array): string {
  for (const field of fields(bytes)) if (field.number === 8) return text(field);
  return '';
}

function readValueInfo(bytes: Uint8Array): ValueSpec {
  let name = '';
  let type: ValueType | undefined;
  for (const field of fields(bytes)) {
    if (field.number === 1) name = text(field);
    else if (field.number === 2) type = readType(payload(field));
  }
  if (!type) throw new Error(`value ${name} has no type`);
  return { name, type };
}

function readType(bytes: Uint8Array): ValueType {
  for (const field of fields(bytes)) {
    switch (field.number) {
      case typeField.tensor:
        return readTensorType('tensor', payload(field));
      case typeField.sparse:
        return readTensorType('sparse', payload(field));
      case typeField.sequence:
        return { kind: 'sequence', element: readElementType(payload(field)) };
      case typeField.optional:
        return { kind: 'optional', element: readElementType(payload(field)) };
      case typeField.map:
        return { kind: 'map' };
    }
  }
  throw new Error('a TypeProto without a known type');
}

function readElementType(bytes: Uint8Array): ValueType {
  for (const field of fields(bytes)) if (field.number === 1) return readType(payload(field));
  throw new Error('a sequence or optional without an element type');
}

function readTensorType(kind: 'tensor' | 'sparse', bytes: Uint8Array): ValueType {
  let dtype: DType | undefined;
  let dims: (number | string)[] | undefined;
  for (const field of fields(bytes)) {
    if (field.number === 1) dtype = dtypeOf(Number(field.varint));
    else if (field.number === 2) {
      dims = Array.from(fields(payload(field)), (dim) => readDim(payload(dim)));
    }
  }
  if (!dtype) throw new Error('a tensor type without an element type');
  return { kind, dtype, dims };
}

function readDim(bytes: Uint8Array): number | string {
  for (const field of fields(bytes)) {
    if (field.number === 1) return Number(BigInt.asIntN(64, field.varint));
    if (field.number === 2) return text(field);
  }
  return '';
}
