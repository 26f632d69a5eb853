// Reads the values in ONNX test folders that are not tensors: SequenceProto, OptionalProto,
// MapProto. Source: onnx-data.proto3.

import type { ValueType } from '../backend.js';
import { InvalidModelError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { elementAt } from '../tensor.js';
import type { Value } from '../value.js';
import { fields, payload, text, varints } from './protobuf.js';
import { readTensorProto } from './tensor-proto.js';

// In SequenceProto and OptionalProto the payloads of one kind have one number, but for tensors of
// optionals, whose field is called tensor_value, no other is used here.
const item = { tensor: 3, sequence: 5, map: 6, optional: 7 };
const mapField = { keys: 3, stringKeys: 4, values: 5 };

/** The value in a file, of the type that the model declares; `file` is for messages. */
export function readValueProto(bytes: Uint8Array, file: string, { kind }: ValueType): Value {
  if (!kind) return readTensorProto(bytes, file).tensor;
  try {
    if (kind === 'map') return readMap(bytes, file);
    const items = readItems(bytes, file);
    return kind === 'sequence' ? items : (items[0] ?? null);
  } catch (error) {
    if (error instanceof InvalidModelError) throw error;
    throw new InvalidModelError(`${file}: no ${kind}: ${(error as Error).message}`);
  }
}

function readItems(bytes: Uint8Array, file: string): Value[] {
  const items: Value[] = [];
  for (const field of fields(bytes)) {
    switch (field.number) {
      case item.tensor:
        items.push(readTensorProto(payload(field), file).tensor);
        break;
      case item.sequence:
        items.push(readItems(payload(field), file));
        break;
      case item.map:
        items.push(readMap(payload(field), file));
        break;
      case item.optional:
        items.push(readItems(payload(field), file)[0] ?? null);
        break;
    }
  }
  return items;
}

function readMap(bytes: Uint8Array, file: string): Value {
  const keys: (bigint | string)[] = [];
  let values: Value[] = [];
  for (const field of fields(bytes)) {
    if (field.number === mapField.keys) {
      keys.push(...[...varints(field)].map((key) => BigInt.asIntN(64, key)));
    } else if (field.number === mapField.stringKeys) {
      keys.push(text(field));
    } else if (field.number === mapField.values) {
      values = readItems(payload(field), file);
    }
  }
  return new Map(keys.map((key, i) => [key, elementAt(values[i] as Tensor, 0)]));
}
