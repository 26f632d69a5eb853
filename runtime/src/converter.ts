// The module quern-formats: one WebAssembly instance with one file on its way to ONNX.

import { coreError, InternalError } from './errors.js';
import { startWasm, type FormatsExports, type WasmOptions } from './wasm.js';

/** Bytes [offset, offset + length) of a file. */
export interface ByteRange {
  offset: number;
  length: number;
  /** The file beside the model; '': the model itself. */
  file: string;
  /** Its size is wanted instead, as 8 bytes. */
  isSize: boolean;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The calls of src/api/convert_abi.cc. Errors are thrown as QuernErrors. */
export class WasmConverter {
  readonly #wasm: FormatsExports;
  #converter = 0;

  private constructor(wasm: FormatsExports) {
    this.#wasm = wasm;
  }

  static async start(options: WasmOptions): Promise<WasmConverter> {
    return new WasmConverter((await startWasm(options)) as unknown as FormatsExports);
  }

  /** The format of a file that begins so, "ONNX" among them. */
  formatOf(head: Uint8Array): string {
    this.#withBytes(head, (at, size) => this.#wasm._quern_format_of(at, size));
    return decoder.decode(this.#result());
  }

  /** Begins a file of `size` bytes; tensors below `inlineBelow` bytes go into the model. */
  begin(head: Uint8Array, size: number, inlineBelow: number, memoryLimit: number): void {
    this.#withBytes(head, (at, bytes) =>
      this.#wasm._quern_convert_new(at, bytes, size, inlineBelow, memoryLimit),
    );
    const result = this.#result();
    this.#converter = new DataView(result.buffer).getUint32(0, true);
  }

  /** Takes the bytes of the ranges wanted last, joined; gives those wanted now, none at the end. */
  advance(bytes: Uint8Array): ByteRange[] {
    this.#withBytes(bytes, (at, size) =>
      this.#wasm._quern_convert_advance(this.#converter, at, size),
    );
    const result = this.#result();
    const view = new DataView(result.buffer);
    const wide = (at: number): number =>
      view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    let at = 4;
    return Array.from({ length: view.getUint32(0, true) }, () => {
      const nameBytes = view.getUint32(at + 20, true);
      const range = {
        offset: wide(at),
        length: wide(at + 8),
        isSize: view.getUint32(at + 16, true) === 1,
        file: decoder.decode(result.subarray(at + 24, at + 24 + nameBytes)),
      };
      at += 24 + Math.ceil(nameBytes / 4) * 4;
      return range;
    });
  }

  /** The model as ONNX; what stays in the file is external data of a file `name`. */
  onnx(name: string): Uint8Array<ArrayBuffer> {
    this.#withBytes(encoder.encode(name), (at, size) =>
      this.#wasm._quern_convert_onnx(this.#converter, at, size),
    );
    const result = this.#result();
    this.#wasm._quern_convert_free(this.#converter);
    this.#converter = 0;
    return result;
  }

  /** It has no threads: nothing keeps it. */
  close(): void {}

  #heap(): Uint8Array {
    return new Uint8Array(this.#wasm.wasmMemory.buffer);
  }

  #withBytes(bytes: Uint8Array, call: (at: number, size: number) => number): void {
    const at = this.#wasm._quern_alloc(Math.max(1, bytes.length)) >>> 0;
    if (!at) throw coreError(4, `formats: out of memory, ${bytes.length} bytes were asked for`);
    try {
      this.#heap().set(bytes, at);
      const status = call(at, bytes.length);
      if (status !== 0) throw coreError(status, decoder.decode(this.#result()));
    } finally {
      this.#wasm._quern_free(at);
    }
  }

  #result(): Uint8Array<ArrayBuffer> {
    const at = this.#wasm._quern_result_data() >>> 0;
    return this.#heap().slice(at, at + (this.#wasm._quern_result_size() >>> 0));
  }
}

/** The calls that can be made of a converter, wherever it is. */
export interface Converter {
  call<K extends keyof WasmConverter>(
    name: K,
    ...args: Parameters<WasmConverter[K]>
  ): Promise<ReturnType<WasmConverter[K]>>;
  close(): void;
}

/** The same object as a core has, with other calls. */
export function asConverter(core: { close(): void }): Converter {
  if (!('call' in core)) throw new InternalError('formats: no converter');
  return core as unknown as Converter;
}
