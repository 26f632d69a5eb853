// The protobuf wire format: just enough to read and write ONNX files in tests, in Node and in a
// browser alike.

import { wire } from '../../runtime/src/cli/protobuf.js';

export * from '../../runtime/src/cli/protobuf.js';

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
