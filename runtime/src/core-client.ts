// This side of a core in a worker.

import type { Core } from './core.js';
import { transferables, type AnswerMessage, type CallMessage } from './core-worker.js';
import { errorOf, InternalError } from './errors.js';
import { scriptThatImports, type WasmOptions } from './wasm.js';

/** A worker, of a page or of Node, that serves a core. */
export interface WorkerPort {
  post(message: CallMessage, transfer: ArrayBuffer[]): void;
  terminate(): void;
  onMessage: ((message: AnswerMessage) => void) | undefined;
  /** Gets why the worker is of no more use. */
  onFailure: ((why: string) => void) | undefined;
}

interface Pending {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
}

/** A core in a module worker of its own. */
export async function workerCore(options: WasmOptions): Promise<Core> {
  const worker = startWorker();
  const port: WorkerPort = {
    post: (message, transfer) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
    onMessage: undefined,
    onFailure: undefined,
  };
  worker.addEventListener('message', ({ data }: MessageEvent<AnswerMessage>) => {
    port.onMessage?.(data);
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    port.onFailure?.(event.message || 'worker.js did not load');
  });
  return clientOf(port, options);
}

function startWorker(): Worker {
  try {
    // This form, spelled out, is what bundlers look for.
    return new Worker(new URL('./worker.js', import.meta.url), {
      type: 'module',
      name: 'quern-core',
    });
  } catch (error) {
    if ((error as Error | undefined)?.name !== 'SecurityError') throw error;
    const url = import.meta.url.replace(/[^/]*$/, 'worker.js');
    return new Worker(scriptThatImports(url), { type: 'module', name: 'quern-core' });
  }
}

/** Starts the core at the other end. */
export async function clientOf(port: WorkerPort, options: WasmOptions): Promise<Core> {
  const pending = new Map<number, Pending>();
  let calls = 0;
  let failure: Error | undefined;

  function fail(message: string): void {
    failure ??= new InternalError(message);
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
    port.terminate();
  }
  port.onFailure = (why) => fail(`core: its worker failed: ${why}`);
  port.onMessage = (answer) => {
    const call = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) call?.reject(errorOf(answer.error.code, answer.error.message));
    else call?.resolve(answer.result as never);
  };

  type Request<T> = T extends unknown ? Omit<T, 'id'> : never;
  function send<T>(message: Request<CallMessage>, transfer: ArrayBuffer[] = []): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (failure) {
        reject(failure);
        return;
      }
      const id = calls++;
      pending.set(id, { resolve, reject });
      port.post({ ...message, id }, transfer);
    });
  }

  try {
    await send({ open: options });
  } catch (error) {
    port.terminate();
    throw error;
  }
  return {
    place: 'worker',
    call(name, ...args) {
      return send({ call: name, args }, transferables(args));
    },
    close() {
      fail('core: it is closed');
    },
  };
}
