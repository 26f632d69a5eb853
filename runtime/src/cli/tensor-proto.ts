// Reads the values in ONNX test folders: TensorProto files, input_0.pb and so on.
// Source: onnx.proto3, message TensorProto.

import { arrayOf, bitWidth, byteSize, dtypeOf, elementCount, type DType } from '../dtype.js';
import { InvalidModelError } from '../errors.js';
import { Tensor, tensorFromBytes } from '../tensor.js';
import { doubles, fields, floats, payload, text, varints } from './protobuf.js';

const field = {
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

function parse(bytes: Uint8Array): NamedTensor {
  const dims: number[] = [];
  const strings: string[] = [];
  const typed: (number | bigint)[] = [];
  let dtype: DType | undefined;
  let name = '';
  let raw: Uint8Array | undefined;
  for (const item of fields(bytes)) {
    switch (item.number) {
      case field.dims:
        for (const dim of varints(item)) dims.push(Number(BigInt.asIntN(64, dim)));
        break;
      case field.dataType:
        dtype = dtypeOf(Number(item.varint));
        break;
      case field.name:
        name = text(item);
        break;
      case field.rawData:
        raw = payload(item);
        break;
      case field.stringData:
        strings.push(text(item));
        break;
      case field.floatData:
        typed.push(...floats(item));
        break;
      case field.doubleData:
        typed.push(...doubles(item));
        break;
      case field.int32Data:
        for (const value of varints(item)) typed.push(Number(BigInt.asIntN(32, value)));
        break;
      case field.int64Data:
      case field.uint64Data:
        typed.push(...varints(item));
        break;
      case field.dataLocation:
        if (item.varint !== 0n) throw new Error('its data lies in another file');
        break;
    }
  }
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
