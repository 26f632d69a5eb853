// Reads and writes the values in ONNX test files: TensorProto, SequenceProto, OptionalProto.

import { readTensorFields, tensorField } from '../../runtime/src/cli/tensor-proto.js';
import {
  bytesOf,
  dataFromBytes,
  dtypeOf,
  elementCount,
  onnxTypeNumber,
  zeroData,
  type DType,
  type NumericData,
  type TensorData,
} from './dtype.js';
import { fields, MessageWriter, payload, text } from './protobuf.js';

/** A named tensor. Strings lie in `string[]`, all else as in `arrayByType` of dtype.ts. */
export interface TensorValue {
  name: string;
  dtype: DType;
  dims: number[];
  data: TensorData;
}

/** Tensors by name: a model's inputs or outputs. */
export type Tensors = Record<string, TensorValue>;

/** A named sequence of values. */
export interface SequenceValue {
  name: string;
  items: OnnxValue[];
}

/** A named optional; `value` is undefined where there is none. */
export interface OptionalValue {
  name: string;
  value: OnnxValue | undefined;
}

export type OnnxValue = TensorValue | SequenceValue | OptionalValue;

export function isTensor(value: OnnxValue): value is TensorValue {
  return 'dims' in value;
}
export function isSequence(value: OnnxValue): value is SequenceValue {
  return 'items' in value;
}

/** What a graph input or output holds; a test file does not say it, the model does. */
export type ValueType =
  | { kind: 'tensor'; dtype: DType; dims: (number | string)[] | undefined }
  | { kind: 'sparse'; dtype: DType; dims: (number | string)[] | undefined }
  | { kind: 'sequence'; element: ValueType }
  | { kind: 'optional'; element: ValueType }
  /** Read from a file, a map says no more. */
  | { kind: 'map'; key?: DType; element?: ValueType };

/** A parsed TensorProto. Throws where the data lies in another file. */
export function readTensor(bytes: Uint8Array): TensorValue {
  const { name, dims, dataType, raw, strings, typed, external } = readTensorFields(bytes);
  if (external) throw new Error(`tensor ${name} has its data in another file`);
  if (dataType === 0) throw new Error(`tensor ${name} has no element type`);
  const dtype = dtypeOf(dataType);
  if (dtype === 'string') return { name, dtype, dims, data: strings };

  const data = raw ? dataFromBytes(dtype, raw) : fill(dtype, elementCount(dims), typed);
  const expected = zeroData(dtype, elementCount(dims)).byteLength;
  if (data.byteLength !== expected) {
    throw new Error(
      `tensor ${name}: ${data.byteLength} bytes, ${dtype}[${dims.join()}] needs ${expected}`,
    );
  }
  return { name, dtype, dims, data };
}

/** Puts the values of float_data, int32_data, ... (bit patterns for small types) in an array. */
function fill(
  dtype: Exclude<DType, 'string'>,
  count: number,
  values: readonly (number | bigint)[],
): NumericData {
  const data = zeroData(dtype, count);
  if (values.length !== data.length) {
    throw new Error(`${values.length} values where ${dtype} needs ${data.length}`);
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    values.forEach((value, i) => (data[i] = BigInt(value)));
  } else {
    values.forEach((value, i) => (data[i] = Number(value)));
  }
  return data;
}

/** The TensorProto of a tensor, its data in raw_data (string_data for strings). */
export function writeTensor(tensor: TensorValue): Uint8Array<ArrayBuffer> {
  return tensorWriter(tensor).finish();
}

/** As `writeTensor`, unfinished, to lie in another message. */
export function tensorWriter(tensor: TensorValue): MessageWriter {
  const writer = tensorHeader(tensor);
  if (tensor.dtype === 'string') {
    for (const value of tensor.data as string[]) writer.string(tensorField.stringData, value);
  } else {
    writer.bytes(tensorField.rawData, bytesOf(tensor.data as NumericData));
  }
  return writer;
}

/** The TensorProto of a tensor whose data lies in another file. */
export function externalTensorWriter(
  tensor: Pick<TensorValue, 'name' | 'dtype' | 'dims'>,
  where: { location: string; offset?: number; length?: number },
): MessageWriter {
  const writer = tensorHeader(tensor);
  for (const [key, value] of Object.entries(where)) {
    if (value === undefined) continue;
    writer.message(
      tensorField.externalData,
      new MessageWriter().string(1, key).string(2, String(value)),
    );
  }
  return writer.integer(tensorField.dataLocation, 1);
}

/** The fields of a TensorProto before its data. */
export function tensorHeader(tensor: Pick<TensorValue, 'name' | 'dtype' | 'dims'>): MessageWriter {
  const writer = new MessageWriter();
  if (tensor.dims.length > 0) writer.packedIntegers(tensorField.dims, tensor.dims);
  writer.integer(tensorField.dataType, onnxTypeNumber[tensor.dtype]);
  if (tensor.name) writer.string(tensorField.name, tensor.name);
  return writer;
}

/** The number of raw_data in a TensorProto, for who writes the payload apart. */
export const rawDataField = tensorField.rawData;

// In SequenceProto and OptionalProto the payloads of one kind share a number less one:
// tensor_values 3 and tensor_value 3, sequence_values 5 and sequence_value 5.
const containerField = { name: 1, elementType: 2, tensor: 3, sparse: 4, sequence: 5, optional: 7 };
const elementKind = { undefined: 0, tensor: 1, sequence: 3 };

function readItem(number: number, bytes: Uint8Array): OnnxValue {
  switch (number) {
    case containerField.tensor:
      return readTensor(bytes);
    case containerField.sequence:
      return readSequence(bytes);
    case containerField.optional:
      return readOptional(bytes);
    default:
      throw new Error(`sequences and optionals of kind ${number} are not read here`);
  }
}

function readContainer(bytes: Uint8Array): { name: string; items: OnnxValue[] } {
  let name = '';
  const items: OnnxValue[] = [];
  for (const field of fields(bytes)) {
    if (field.number === containerField.name) name = text(field);
    else if (field.number !== containerField.elementType) {
      items.push(readItem(field.number, payload(field)));
    }
  }
  return { name, items };
}

/** A parsed SequenceProto. */
export function readSequence(bytes: Uint8Array): SequenceValue {
  return readContainer(bytes);
}

/** A parsed OptionalProto. */
export function readOptional(bytes: Uint8Array): OptionalValue {
  const { name, items } = readContainer(bytes);
  return { name, value: items[0] };
}

/** A parsed test file of the type that the model declares. */
export function readValue(bytes: Uint8Array, type: ValueType): OnnxValue {
  switch (type.kind) {
    case 'tensor':
      return readTensor(bytes);
    case 'sequence':
      return readSequence(bytes);
    case 'optional':
      return readOptional(bytes);
    case 'sparse':
    case 'map':
      throw new Error(`values of kind ${type.kind} are not read here`);
  }
}

function containerWriter(name: string, items: readonly OnnxValue[]): MessageWriter {
  const writer = new MessageWriter();
  if (name) writer.string(containerField.name, name);
  const first = items[0];
  const kind = !first ? 'undefined' : isTensor(first) ? 'tensor' : 'sequence';
  writer.integer(containerField.elementType, elementKind[kind]);
  for (const item of items) {
    if (isTensor(item)) writer.message(containerField.tensor, tensorWriter(item));
    else if (isSequence(item)) {
      writer.message(containerField.sequence, containerWriter(item.name, item.items));
    } else throw new Error('optionals inside a container are not written here');
  }
  return writer;
}

/** The file of a value: TensorProto, SequenceProto or OptionalProto. */
export function writeValue(value: OnnxValue): Uint8Array<ArrayBuffer> {
  if (isTensor(value)) return writeTensor(value);
  const items = isSequence(value) ? value.items : value.value ? [value.value] : [];
  return containerWriter(value.name, items).finish();
}
