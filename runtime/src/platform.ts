// What differs between a page and Node. node.ts replaces these before anything is loaded.

import { UnsupportedError } from './errors.js';
import type { RecordStore } from './cache/records.js';
import type { Core } from './core.js';
import type { Source } from './sources.js';
import type { WasmOptions } from './wasm.js';

export interface Platform {
  /** Where a core runs if nothing is said. */
  workerByDefault: boolean;
  /** May this thread block while others compute for it? */
  mayBlock: boolean;
  /** Milliseconds that one submission may keep the GPU, which draws the page too. */
  sliceTime: number;
  /** Logical cores. */
  cores(): number;
  /** Can WebAssembly have shared memory here? */
  sharedMemory(): boolean;
  gpu(): Promise<GPU>;
  /** Starts a core in a worker, where that goes another way than in pages (core-client.ts). */
  workerCore?: (options: WasmOptions) => Promise<Core>;
  /** A source for a string that is no URL with a scheme, or for a file: URL. */
  fileSource?: (path: string) => Promise<Source>;
  /** Where a cache's folder may be. */
  openFolder?: (path: string) => Promise<RecordStore>;
  /** Resolves addresses of sources and wasmBase. */
  baseUrl(): string | undefined;
}

/** Is this the main thread of a page? */
const inPage = typeof document !== 'undefined';

export const platform: Platform = {
  workerByDefault: inPage,
  mayBlock: !inPage,
  sliceTime: 8,
  cores: () => globalThis.navigator?.hardwareConcurrency ?? 1,
  sharedMemory: () =>
    typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated === true,
  async gpu() {
    const gpu = (globalThis.navigator as Navigator | undefined)?.gpu;
    if (gpu) return gpu;
    throw new UnsupportedError(
      globalThis.isSecureContext === false
        ? 'webgpu: the page is no secure context (https or localhost)'
        : 'webgpu: this browser has none, or it is turned off',
    );
  },
  baseUrl: () => (inPage ? document.baseURI : globalThis.location?.href),
};
