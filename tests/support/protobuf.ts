// The protobuf wire format: just enough to read and write ONNX files in tests, in Node and in a
// browser alike.

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

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

/** Joins chunks into one array. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.length;
  }
  return joined;
}

/** Encodes an integer as a varint; negative ones take ten bytes, as protobuf's int64 does. */
export function encodeVarint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}

/** Collects the fields of one message. Every method returns the writer. */
export class MessageWriter {
  readonly #chunks: Uint8Array[] = [];

  integer(number: number, value: number | bigint): this {
    this.#chunks.push(encodeVarint((number << 3) | wire.varint), encodeVarint(value));
    return this;
  }

  float(number: number, value: number): this {
    this.#chunks.push(
      encodeVarint((number << 3) | wire.fixed32),
      new Uint8Array(Float32Array.of(value).buffer),
    );
    return this;
  }

  bytes(number: number, value: Uint8Array): this {
    this.header(number, value.length);
    this.#chunks.push(value);
    return this;
  }

  string(number: number, value: string): this {
    return this.bytes(number, new TextEncoder().encode(value));
  }

  message(number: number, value: MessageWriter): this {
    return this.bytes(number, value.finish());
  }

  packedIntegers(number: number, values: Iterable<number | bigint>): this {
    return this.bytes(number, concatBytes(Array.from(values, encodeVarint)));
  }

  packedFloats(number: number, values: Iterable<number>): this {
    return this.bytes(number, new Uint8Array(Float32Array.from(values).buffer));
  }

  /** The fields of another writer, after this one's. */
  append(other: MessageWriter): this {
    this.#chunks.push(...other.#chunks);
    return this;
  }

  /** The tag and length of a field whose payload the caller writes elsewhere. */
  header(number: number, length: number): this {
    this.#chunks.push(encodeVarint((number << 3) | wire.bytes), encodeVarint(length));
    return this;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return concatBytes(this.#chunks);
  }
}
