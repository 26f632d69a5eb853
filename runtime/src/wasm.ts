// eslint-disable-next-line @typescript-eslint/triple-slash-reference -- there is nothing to import
/// <reference path="./wasm-modules.d.ts" />
// The WebAssembly modules that the build leaves in runtime/wasm.

import { InternalError, textOf } from './errors.js';

/**
 * quern-core has no CPU kernels and is small; quern-cpu and quern-cpu-threads run models without a
 * GPU; quern-formats reads other formats than ONNX, and nothing else.
 */
export type WasmName = 'quern-core' | 'quern-cpu' | 'quern-cpu-threads' | 'quern-formats';

/** What the Emscripten modules export: src/api/abi.h. */
export interface WasmExports {
  wasmMemory: WebAssembly.Memory;
  /** Emscripten's workers, in the module with threads. */
  PThread?: { terminateAllThreads(): void };
  _quern_abi_version(): number;
  _quern_has_cpu(): number;
  _quern_alloc(size: number): number;
  _quern_free(memory: number): void;
  _quern_result_data(): number;
  _quern_result_size(): number;
  _quern_loader_new(keepWeights: number, structureLimit: number): number;
  _quern_loader_free(loader: number): void;
  _quern_loader_feed(loader: number, chunk: number, size: number): number;
  _quern_loader_payload_ahead(loader: number): number;
  _quern_loader_skip(loader: number, size: number): number;
  _quern_loader_outputs(loader: number, names: number, size: number): number;
  _quern_loader_finish(loader: number, options: number, count: number): number;
  _quern_loader_session(loader: number): number;
  _quern_session_free(session: number): void;
  _quern_session_describe(session: number): number;
  _quern_session_host_reader(session: number, input: number): number;
  _quern_session_weight(session: number, weight: number): number;
  _quern_session_narrow(session: number, peaks: number, count: number, automatic: number): number;
  _quern_session_tune(session: number, table: number, size: number, trial: number): number;
  _quern_session_choices(session: number): number;
  _quern_session_warm(session: number, batch: number, dim: number): number;
  _quern_run_start(session: number, inputs: number, size: number): number;
  _quern_run_take(session: number): number;
  _quern_run_advance(run: number, values: number, size: number): number;
  _quern_run_waiting(run: number): number;
  _quern_run_report(run: number): number;
  _quern_run_work(run: number): number;
  _quern_run_free(run: number): void;
  _quern_cpu_run?: (session: number, inputs: number, size: number) => number;
}

/** What quern-formats exports: src/api/convert_abi.cc. */
export interface FormatsExports {
  wasmMemory: WebAssembly.Memory;
  _quern_alloc(size: number): number;
  _quern_free(memory: number): void;
  _quern_result_data(): number;
  _quern_result_size(): number;
  _quern_format_of(head: number, size: number): number;
  _quern_convert_new(
    head: number,
    headSize: number,
    size: number,
    inlineBelow: number,
    memoryLimit: number,
  ): number;
  _quern_convert_free(converter: number): void;
  _quern_convert_advance(converter: number, bytes: number, size: number): number;
  _quern_convert_onnx(converter: number, name: number, size: number): number;
}

/** What the factory takes of Emscripten's many options. */
interface ModuleOptions {
  threads: number;
  onAbort(what: unknown): void;
  /** Starts a thread, not in Node; `script` is where the module's script takes itself to be. */
  startThread?: (script: string) => Worker;
}

export type WasmFactory = (options: ModuleOptions) => Promise<WasmExports>;

export interface WasmOptions {
  name: WasmName;
  /** Size of the thread pool, where the module has one. */
  threads: number;
  /** A folder with the modules; by default they lie beside this package's dist. */
  base?: string | undefined;
}

/** Compiles and starts a module. */
export async function startWasm({ name, threads, base }: WasmOptions): Promise<WasmExports> {
  try {
    const { default: create } = await (base ? importFrom(base, name) : importOwn(name));
    return await create({ threads, onAbort() {}, ...(base ? {} : { startThread }) });
  } catch (error) {
    throw new InternalError(`core: ${name} does not start: ${textOf(error)}`, { cause: error });
  }
}

type WasmModule = Promise<{ default: WasmFactory }>;

function importFrom(base: string, name: WasmName): WasmModule {
  const url = new URL(`${name}.js`, base).href;
  return import(
    /* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ url
  ) as WasmModule;
}

/** Literal names, so that bundlers find the modules, and with them the .wasm files. */
function importOwn(name: WasmName): WasmModule {
  switch (name) {
    case 'quern-core':
      return import('../wasm/quern-core.js');
    case 'quern-cpu':
      return import('../wasm/quern-cpu.js');
    case 'quern-cpu-threads':
      return import('../wasm/quern-cpu-threads.js');
    case 'quern-formats':
      return import('../wasm/quern-formats.js');
  }
}

/** In pages, and in their workers; Emscripten knows its threads by their name. */
function startThread(script: string): Worker {
  const options: WorkerOptions = { type: 'module', name: 'em-pthread' };
  // Bundlers that move scripts leave in them where they lay: there this form, spelled out, tells.
  if (script.startsWith('file:')) {
    return new Worker(new URL('./thread.js', import.meta.url), {
      type: 'module',
      name: 'em-pthread',
    });
  }
  try {
    return new Worker(script, options);
  } catch (error) {
    if ((error as Error | undefined)?.name !== 'SecurityError') throw error;
    return new Worker(scriptThatImports(script), options);
  }
}

const importing = new Map<string, string>();

/** Workers must be of the page's origin: a script of it that imports one of another. */
export function scriptThatImports(url: string): string {
  let script = importing.get(url);
  if (script === undefined) {
    const text = `import ${JSON.stringify(url)};`;
    script = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
    importing.set(url, script);
  }
  return script;
}
