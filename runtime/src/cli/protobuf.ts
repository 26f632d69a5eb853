// The protobuf wire format: just enough to read ONNX files, and to write small ones.

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field as it lies in a message. */
export interface Field {
  number: number;
  /** The value of a varint field, as two's complement in 64 bits; 0 for other wire types. */
  varint: bigint;
  /** The payload of a length-delimited field, or the bytes of a fixed-width one; else undefined. */
  bytes?: Uint8Array;
  /** Bytes of a fixed-width value, 0 for the other wire types. */
  fixed: 0 | 4 | 8;
}

function readVarint(bytes: Uint8Array, offset: number): { value: bigint; next: number } {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[offset++];
    if (byte === undefined) throw new Error('protobuf: varint runs past the end');
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value: BigInt.asUintN(64, value), next: offset };
  }
  throw new Error('protobuf: varint longer than ten bytes');
}

/** The fields of a message, in file order. Payloads are views, not copies. */
export function* fields(message: Uint8Array): Generator<Field> {
  let offset = 0;
  const take = (length: number): Uint8Array => {
    if (offset + length > message.length) throw new Error('protobuf: field runs past the end');
    offset += length;
    return message.subarray(offset - length, offset);
  };
  while (offset < message.length) {
    const tag = readVarint(message, offset);
    offset = tag.next;
    const number = Number(tag.value >> 3n);
    const type = Number(tag.value & 7n);
    if (type === wire.varint) {
      const { value, next } = readVarint(message, offset);
      offset = next;
      yield { number, varint: value, fixed: 0 };
    } else if (type === wire.bytes) {
      const { value, next } = readVarint(message, offset);
      offset = next;
      yield { number, varint: 0n, bytes: take(Number(value)), fixed: 0 };
    } else if (type === wire.fixed32 || type === wire.fixed64) {
      const fixed = type === wire.fixed32 ? 4 : 8;
      yield { number, varint: 0n, bytes: take(fixed), fixed };
    } else {
      throw new Error(`protobuf: wire type ${type} in field ${number}`);
    }
  }
}

/** The payload of a field that must be length-delimited. */
export function payload(field: Field): Uint8Array {
  if (!field.bytes) throw new Error(`protobuf: field ${field.number} is not length-delimited`);
  return field.bytes;
}

export function text(field: Field): string {
  return new TextDecoder().decode(payload(field));
}

/** The values of a repeated integer field, packed or not. */
export function* varints(field: Field): Generator<bigint> {
  if (!field.bytes) {
    yield field.varint;
    return;
  }
  for (let offset = 0; offset < field.bytes.length;) {
    const { value, next } = readVarint(field.bytes, offset);
    offset = next;
    yield value;
  }
}

/** The values of a repeated float field, packed or not. */
export function floats(field: Field): Float32Array {
  return new Float32Array(new Uint8Array(payload(field)).buffer);
}

/** The values of a repeated double field, packed or not. */
export function doubles(field: Field): Float64Array {
  return new Float64Array(new Uint8Array(payload(field)).buffer);
}

/** Writes a message, field by field. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];

  integer(field: number, value: number | bigint): this {
    return this.#key(field, wire.varint).#varint(BigInt.asUintN(64, BigInt(value)));
  }

  bytes(field: number, payload: Uint8Array): this {
    this.#key(field, wire.bytes).#varint(BigInt(payload.length));
    this.#parts.push(payload);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** The fields of another message. */
  append(other: MessageWriter): this {
    this.#parts.push(...other.#parts);
    return this;
  }

  message(field: number, message: MessageWriter): this {
    return this.bytes(field, message.finish());
  }

  finish(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.#parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #key(field: number, type: number): this {
    return this.#varint(BigInt(field * 8 + type));
  }

  #varint(value: bigint): this {
    const bytes: number[] = [];
    for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
    bytes.push(Number(value));
    this.#parts.push(Uint8Array.from(bytes));
    return this;
  }
}
