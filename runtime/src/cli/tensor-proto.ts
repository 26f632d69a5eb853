// Reads and writes the values in ONNX test folders: TensorProto files, input_0.pb and so on.
// Source: onnx.proto3, message TensorProto.

import {
  arrayOf,
  bitWidth,
  byteSize,
  dtypeOf,
  elementCount,
  numberOf,
  type DType,
} from '../dtype.js';
import { InvalidModelError } from '../errors.js';
import { Tensor, tensorBytes, tensorFromBytes } from '../tensor.js';
import { doubles, fields, floats, MessageWriter, payload, text, varints } from './protobuf.js';

export const tensorField = {
  dims: 1,
  dataType: 2,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;

export interface NamedTensor {
  /** Empty where the file does not say it. */
  name: string;
  tensor: Tensor;
}

/** The tensor in a TensorProto; `file` is for messages. */
export function readTensorProto(bytes: Uint8Array, file: string): NamedTensor {
  try {
    return parse(bytes);
  } catch (error) {
    throw new InvalidModelError(`${file}: no tensor: ${(error as Error).message}`);
  }
}

/** A TensorProto's fields as they lie there. */
export interface TensorFields {
  name: string;
  dims: number[];
  /** ONNX's number of the element type; 0 where it is absent. */
  dataType: number;
  raw: Uint8Array | undefined;
  strings: string[];
  /** Of float_data, int32_data, ...: bit patterns for small types. */
  typed: (number | bigint)[];
  /** The data lies in another file. */
  external: boolean;
}

export function readTensorFields(bytes: Uint8Array): TensorFields {
  const found: TensorFields = {
    name: '',
    dims: [],
    dataType: 0,
    raw: undefined,
    strings: [],
    typed: [],
    external: false,
  };
  for (const item of fields(bytes)) {
    switch (item.number) {
      case tensorField.dims:
        for (const dim of varints(item)) found.dims.push(Number(BigInt.asIntN(64, dim)));
        break;
      case tensorField.dataType:
        found.dataType = Number(item.varint);
        break;
      case tensorField.name:
        found.name = text(item);
        break;
      case tensorField.rawData:
        found.raw = payload(item);
        break;
      case tensorField.stringData:
        found.strings.push(text(item));
        break;
      case tensorField.floatData:
        for (const value of floats(item)) found.typed.push(value);
        break;
      case tensorField.doubleData:
        for (const value of doubles(item)) found.typed.push(value);
        break;
      case tensorField.int32Data:
        for (const value of varints(item)) found.typed.push(Number(BigInt.asIntN(32, value)));
        break;
      case tensorField.int64Data:
      case tensorField.uint64Data:
        for (const value of varints(item)) found.typed.push(value);
        break;
      case tensorField.dataLocation:
        found.external = item.varint !== 0n;
        break;
    }
  }
  return found;
}

function parse(bytes: Uint8Array): NamedTensor {
  const { name, dims, dataType, raw, strings, typed, external } = readTensorFields(bytes);
  if (external) throw new Error('its data lies in another file');
  const dtype = dtypeOf(dataType);
  if (!dtype) throw new Error('its element type is unknown');
  if (dtype === 'string') return { name, tensor: new Tensor(dtype, dims, strings) };
  const data = raw ? new Uint8Array(raw) : packed(dtype, elementCount(dims), typed);
  return { name, tensor: tensorFromBytes(dtype, dims, data) };
}

/** The bytes of numbers that lie in the fields of their kind. */
function packed(
  dtype: Exclude<DType, 'string'>,
  count: number,
  values: readonly (number | bigint)[],
): Uint8Array<ArrayBuffer> {
  // Of sub-byte types a number holds a whole byte; f16 and bf16 lie there as bits.
  const units = bitWidth(dtype) < 8 ? byteSize(dtype, count) : count;
  const parts = dtype === 'c64' || dtype === 'c128' ? 2 * units : units;
  if (values.length !== parts) throw new Error(`${values.length} of ${parts} numbers are there`);
  const array = dtype === 'f16' ? Uint16Array : arrayOf(dtype);
  const data = new array(new ArrayBuffer(byteSize(dtype, count)));
  const target = data as unknown as { [index: number]: number | bigint };
  const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
  values.forEach((value, i) => (target[i] = big ? BigInt(value) : Number(value)));
  return new Uint8Array(data.buffer);
}

/** A TensorProto with its data as raw bytes, or as texts. */
export function writeTensorProto(name: string, tensor: Tensor): Uint8Array<ArrayBuffer> {
  const { dtype, dims, data } = tensor;
  const writer = new MessageWriter();
  for (const dim of dims) writer.integer(tensorField.dims, dim);
  writer.integer(tensorField.dataType, numberOf(dtype)).string(tensorField.name, name);
  if (dtype === 'string') {
    for (const text of data as string[]) writer.string(tensorField.stringData, text);
  } else {
    writer.bytes(tensorField.rawData, tensorBytes(tensor));
  }
  return writer.finish();
}
