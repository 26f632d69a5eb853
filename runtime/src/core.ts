// A C++ core: one WebAssembly instance with one loader, then one session. Calls are synchronous;
// bytes come out as copies. Other files talk to it through `Core`, here or in a worker.

import type { CorePlace } from './backend.js';
import { coreError, InternalError } from './errors.js';
import { startWasm, type WasmExports, type WasmOptions } from './wasm.js';

const abiVersion = 6;

const noTrial = 0xffffffff;

/** Words of one event: a part of a chunk that belongs to a weight. */
const eventWords = 7;

/** Bytes of a chunk that belong to a weight. */
export interface WeightRange {
  weight: number;
  /** The whole weight's. */
  bytes: number;
  /** Inside the weight. */
  offset: number;
  /** Inside the chunk. */
  chunkOffset: number;
  length: number;
}

export interface Fed {
  ranges: WeightRange[];
  /** So many of the coming bytes belong to the last weight of `ranges`: skip() may pass them. */
  ahead: number;
}

/** A started run and its first plan message. */
export interface Started {
  run: number;
  message: Uint8Array<ArrayBuffer>;
}

const decoder = new TextDecoder();

/** The calls of src/api/abi.h. Errors of the core are thrown as QuernErrors. */
export class WasmCore {
  readonly #wasm: WasmExports;
  #loader = 0;
  #session = 0;

  private constructor(wasm: WasmExports) {
    this.#wasm = wasm;
    const version = wasm._quern_abi_version();
    if (version !== abiVersion) {
      throw new InternalError(`core: interface version ${version}, expected ${abiVersion}`);
    }
  }

  static async start(options: WasmOptions): Promise<WasmCore> {
    return new WasmCore(await startWasm(options));
  }

  /** Ends the module's threads, which would keep its memory; nothing can be called any more. */
  close(): void {
    this.#wasm.PThread?.terminateAllThreads();
  }

  /** Begins a file. `keepWeights`: its large payloads stay here, for the CPU device. */
  begin(keepWeights: boolean, structureLimit: number): void {
    if (this.#loader) this.#wasm._quern_loader_free(this.#loader);
    this.#loader = this.#wasm._quern_loader_new(keepWeights ? 1 : 0, structureLimit) >>> 0;
    if (!this.#loader) throw new InternalError('core: out of memory');
  }

  feed(chunk: Uint8Array): Fed {
    this.#withBytes(chunk, (at, size) => this.#wasm._quern_loader_feed(this.#loader, at, size));
    const result = this.#result();
    const view = new DataView(result.buffer);
    const ranges: WeightRange[] = [];
    for (let at = 0; at + eventWords * 4 <= result.length; at += eventWords * 4) {
      const word = (index: number): number => view.getUint32(at + index * 4, true);
      const wide = (index: number): number => word(index) + word(index + 1) * 2 ** 32;
      ranges.push({
        weight: word(0),
        bytes: wide(1),
        offset: wide(3),
        chunkOffset: word(5),
        length: word(6),
      });
    }
    return { ranges, ahead: this.#wasm._quern_loader_payload_ahead(this.#loader) };
  }

  /** Passes over bytes of the present weight. */
  skip(size: number): void {
    this.#check(this.#wasm._quern_loader_skip(this.#loader, size));
  }

  /** Inner values to give out too; before `finish`. */
  moreOutputs(names: readonly string[]): void {
    const bytes = new TextEncoder().encode(names.join('\0'));
    this.#withBytes(bytes, (at, size) => this.#wasm._quern_loader_outputs(this.#loader, at, size));
  }

  /** Ends the file and makes the session; gives its description, JSON. */
  finish(options: Uint32Array): string {
    const bytes = new Uint8Array(options.buffer, options.byteOffset, options.byteLength);
    this.#withBytes(bytes, (at) =>
      this.#wasm._quern_loader_finish(this.#loader, at, options.length),
    );
    this.#session = this.#wasm._quern_loader_session(this.#loader) >>> 0;
    this.#wasm._quern_loader_free(this.#loader);
    this.#loader = 0;
    this.#check(this.#wasm._quern_session_describe(this.#session));
    return this.#resultText();
  }

  /** CPU device: fills a part of a weight that lies in an external file. */
  fillWeight(weight: number, offset: number, bytes: Uint8Array): void {
    const memory = this.#wasm._quern_session_weight(this.#session, weight) >>> 0;
    if (!memory) throw new InternalError(`core: weight ${weight} has no memory`);
    this.#heap().set(bytes, memory + offset);
  }

  /**
   * WebGPU device: f16 in memory for f32 tensors (docs/precision.md); gives the new description.
   * `automatic`: only where nothing in the model speaks against it.
   */
  narrow(weightPeaks: Float32Array, automatic: boolean): string {
    const { buffer, byteOffset, byteLength, length } = weightPeaks;
    this.#withBytes(new Uint8Array(buffer, byteOffset, byteLength), (at) =>
      this.#wasm._quern_session_narrow(this.#session, at, length, automatic ? 1 : 0),
    );
    this.#check(this.#wasm._quern_session_describe(this.#session));
    return this.#resultText();
  }

  /**
   * WebGPU device: plans from now on have the forms of kernels that the table names, or where
   * `trial` is given all the form of that number.
   */
  tune(table: Uint8Array, trial?: number): void {
    this.#withBytes(table, (at, size) =>
      this.#wasm._quern_session_tune(this.#session, at, size, trial ?? noTrial),
    );
  }

  /** JSON: the choices of plans made since the last call; after `tune`. */
  choices(): string {
    this.#check(this.#wasm._quern_session_choices(this.#session));
    return this.#resultText();
  }

  /** WebGPU device: begins a run with assumed dims, for its programs. */
  warm(batch: number, dim: number): Started {
    this.#check(this.#wasm._quern_session_warm(this.#session, batch, dim));
    return this.#takeStarted();
  }

  /** WebGPU device: begins a run. */
  start(inputs: Uint8Array): Started {
    this.#withBytes(inputs, (at, size) => this.#wasm._quern_run_start(this.#session, at, size));
    return this.#takeStarted();
  }

  #takeStarted(): Started {
    const run = this.#wasm._quern_run_take(this.#session) >>> 0;
    try {
      return { run, message: this.advance(run, new Uint8Array(4)) };
    } catch (error) {
      this.endRun(run);
      throw error;
    }
  }

  /** Goes on with the values that the last segment asked for: a count, then blobs. */
  advance(run: number, values: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#withBytes(values, (at, size) => this.#wasm._quern_run_advance(run, at, size));
    return this.#result();
  }

  /** Which node reads an input's contents on the host, in words. */
  hostReader(input: number): string {
    this.#check(this.#wasm._quern_session_host_reader(this.#session, input));
    return this.#resultText();
  }

  /** Which node waits for what the last segment reads, in words. */
  waiting(run: number): string {
    this.#check(this.#wasm._quern_run_waiting(run));
    return this.#resultText();
  }

  /** JSON: what ran on the host. */
  runReport(run: number): string {
    this.#check(this.#wasm._quern_run_report(run));
    return this.#resultText();
  }

  /** JSON: the nodes that work for the device, for a profile. */
  runWork(run: number): string {
    this.#check(this.#wasm._quern_run_work(run));
    return this.#resultText();
  }

  endRun(run: number): void {
    this.#wasm._quern_run_free(run);
  }

  /** CPU device: a whole run. */
  runCpu(inputs: Uint8Array): Uint8Array<ArrayBuffer> {
    const { _quern_cpu_run: run } = this.#wasm;
    if (!run) throw new InternalError('core: this module has no CPU kernels');
    this.#withBytes(inputs, (at, size) => run(this.#session, at, size));
    return this.#result();
  }

  /** Bytes of the module's memory. */
  memory(): number {
    return this.#wasm.wasmMemory.buffer.byteLength;
  }

  /** Memory may grow, and its views with it, at any call. */
  #heap(): Uint8Array {
    return new Uint8Array(this.#wasm.wasmMemory.buffer);
  }

  #withBytes(bytes: Uint8Array, call: (at: number, size: number) => number): void {
    const at = this.#wasm._quern_alloc(Math.max(1, bytes.length)) >>> 0;
    if (!at) throw coreError(4, `core: out of memory, ${bytes.length} bytes were asked for`);
    try {
      this.#heap().set(bytes, at);
      this.#check(call(at, bytes.length));
    } finally {
      this.#wasm._quern_free(at);
    }
  }

  #check(status: number): void {
    if (status !== 0) throw coreError(status, this.#resultText());
  }

  #result(): Uint8Array<ArrayBuffer> {
    const at = this.#wasm._quern_result_data() >>> 0;
    // slice() of shared memory gives plain memory.
    return this.#heap().slice(at, at + (this.#wasm._quern_result_size() >>> 0));
  }

  #resultText(): string {
    return decoder.decode(this.#result());
  }
}

/** The calls that can be made of a core, wherever it is. */
export type CoreCall = keyof WasmCore;

/** A core here or in a worker. Calls are carried out in the order they are made. */
export interface Core {
  readonly place: CorePlace;
  /** Typed arrays among the arguments are given away. */
  call<K extends CoreCall>(
    name: K,
    ...args: Parameters<WasmCore[K]>
  ): Promise<ReturnType<WasmCore[K]>>;
  /** Ends the core; calls still open fail. */
  close(): void;
}

/** Starts a module; that of other formats has calls of its own (converter.ts). */
export async function startCore(options: WasmOptions): Promise<WasmCore> {
  if (options.name !== 'quern-formats') return WasmCore.start(options);
  const { WasmConverter } = await import('./converter.js');
  return (await WasmConverter.start(options)) as unknown as WasmCore;
}

/** A core on this thread. */
export async function inlineCore(options: WasmOptions): Promise<Core> {
  let core: WasmCore | undefined = await startCore(options);
  return {
    place: 'inline',
    async call(name, ...args) {
      return invoke(core, name, args);
    },
    close() {
      core?.close();
      core = undefined;
    },
  };
}

/** Makes a call by name. */
export function invoke<K extends CoreCall>(
  core: WasmCore | undefined,
  name: K,
  args: Parameters<WasmCore[K]>,
): ReturnType<WasmCore[K]> {
  if (!core) throw new InternalError('core: it is closed');
  const method = core[name] as (...args: Parameters<WasmCore[K]>) => ReturnType<WasmCore[K]>;
  try {
    return method.apply(core, args);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) {
      throw new InternalError(`core: it crashed in ${name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
