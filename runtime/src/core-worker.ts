// The worker's side of a core in a worker: one message a call, answered by one message.

import { invoke, startCore, type CoreCall, type WasmCore } from './core.js';
import { toMessage, type ErrorMessage } from './errors.js';
import type { WasmOptions } from './wasm.js';

export type CallMessage =
  { id: number; open: WasmOptions } | { id: number; call: CoreCall; args: unknown[] };

export type AnswerMessage = { id: number } & ({ result: unknown } | { error: ErrorMessage });

/** Of a worker's global scope, what is used here. */
interface WorkerScope {
  postMessage(message: AnswerMessage, transfer: ArrayBuffer[]): void;
  addEventListener(type: 'message', listener: (event: { data: CallMessage }) => void): void;
}

/** The memory in a message, one level deep, that can move instead of being copied. */
export function transferables(values: Iterable<unknown>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const value of values) {
    if (ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer) buffers.add(value.buffer);
  }
  return [...buffers];
}

/** Serves calls in the order they come. */
export function serveCore(scope: WorkerScope): void {
  let core: WasmCore | undefined;
  let last: Promise<void> = Promise.resolve();
  scope.addEventListener('message', ({ data }) => {
    last = last.then(() => answer(data));
  });

  async function answer(message: CallMessage): Promise<void> {
    const { id } = message;
    try {
      let result: unknown;
      if ('open' in message) core = await startCore(message.open);
      else result = invoke(core, message.call, message.args as never);
      const parts = isRecord(result) ? [result, ...Object.values(result)] : [];
      scope.postMessage({ id, result }, transferables(parts));
    } catch (error) {
      scope.postMessage({ id, error: toMessage(error) }, []);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
