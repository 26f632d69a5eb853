// Quern in Node: paths as sources, WebGPU through the `webgpu` package.

import { Worker } from 'node:worker_threads';

import { clientOf, type WorkerPort } from './core-client.js';
import type { Core } from './core.js';
import { textOf } from './errors.js';
import './node-platform.js';
import { platform } from './platform.js';
import type { WasmOptions } from './wasm.js';

export * from './index.js';

Object.assign(platform, {
  workerCore,
  openFolder: async (path) => (await import('./cache/folder.js')).openFolder(path),
} satisfies Partial<typeof platform>);

async function workerCore(options: WasmOptions): Promise<Core> {
  const worker = new Worker(new URL('./node-worker.js', import.meta.url), { name: 'quern-core' });
  const port: WorkerPort = {
    post: (message, transfer) => worker.postMessage(message, transfer),
    terminate: () => void worker.terminate(),
    onMessage: undefined,
    onFailure: undefined,
  };
  worker.on('message', (answer) => port.onMessage?.(answer as never));
  worker.on('error', (error) => port.onFailure?.(textOf(error)));
  return clientOf(port, options);
}
