// The wire format of the core: little-endian u32 words, 64-bit numbers as two words, blobs with
// their length and padding (docs/plan-format.md, src/api/abi.h).

import { InternalError } from './errors.js';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Reads words in order; a read past the end is an error, never garbage. */
export class WordReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  word(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A 64-bit number below 2^53. */
  wide(): number {
    const low = this.word();
    const value = low + this.word() * 2 ** 32;
    if (!Number.isSafeInteger(value))
      throw new InternalError(`core message: ${value} is too large`);
    return value;
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A view of the message's bytes. */
  blob(): Uint8Array {
    const length = this.word();
    const start = this.#take(Math.ceil(length / 4) * 4);
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return decoder.decode(this.blob());
  }

  list<T>(item: (reader: WordReader) => T): T[] {
    const count = this.word();
    // Every item takes a word at least, so a forged count can't make a huge list.
    if (count * 4 > this.#bytes.byteLength - this.#at) this.#fail();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(this));
    return items;
  }

  /** Asserts that nothing is left. */
  end(): void {
    if (this.#at !== this.#bytes.byteLength) {
      throw new InternalError(
        `core message: ${this.#bytes.byteLength - this.#at} bytes after its end`,
      );
    }
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.byteLength - start) this.#fail();
    this.#at += length;
    return start;
  }

  #fail(): never {
    throw new InternalError(`core message: ends early, at byte ${this.#at}`);
  }
}

/** Writes words in order into one growing array. */
export class WordWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  word(value: number): this {
    const at = this.#grow(4); // which may replace the view
    this.#view.setUint32(at, value, true);
    return this;
  }

  wide(value: number): this {
    return this.word(value % 2 ** 32).word(Math.floor(value / 2 ** 32));
  }

  blob(bytes: Uint8Array): this {
    this.word(bytes.byteLength);
    const at = this.#grow(Math.ceil(bytes.byteLength / 4) * 4);
    this.#bytes.set(bytes, at);
    return this;
  }

  text(text: string): this {
    return this.blob(encoder.encode(text));
  }

  list<T>(items: readonly T[], item: (writer: this, item: T) => void): this {
    this.word(items.length);
    for (const entry of items) item(this, entry);
    return this;
  }

  /** What was written; the writer is done for. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(length: number): number {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.byteLength * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }
}
