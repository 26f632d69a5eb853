// A model on WebAssembly: the core runs it, tensors go in and out as bytes.

import { abortable, Lock } from './async.js';
import type { Backend, BackendReport, CorePlace, Description, RunRequest } from './backend.js';
import type { Core } from './core.js';
import { InternalError, InvalidArgumentError } from './errors.js';
import { decodeOutputs, encodeInputs, initialState } from './messages.js';
import { Tensor } from './tensor.js';
import { mapTreeAsync, type Tree } from './value.js';

export class CpuSession implements Backend {
  readonly kind = 'wasm';
  readonly counters = { buffers: 0, bindGroups: 0, pipelines: 0, shaderModules: 0 };
  readonly threads: number;
  readonly #core: Core;
  readonly #description: Description;
  readonly #lock = new Lock();
  readonly #state = new Map<number, Tensor>();
  #memory: number;

  /** `memory`: the core's, in bytes. */
  constructor(core: Core, description: Description, threads: number, memory: number) {
    this.#core = core;
    this.#description = description;
    this.threads = threads;
    this.#memory = memory;
  }

  get corePlace(): CorePlace {
    return this.#core.place;
  }

  async run(request: RunRequest): Promise<Map<number, Tree<Tensor>>> {
    for (const place of request.wanted.values()) {
      if (place === 'gpu') {
        throw new InvalidArgumentError('outputs: there is no GPU, this model runs on WebAssembly');
      }
    }
    return abortable(
      this.#lock.run(() => this.#run(request)),
      request.signal,
    );
  }

  async #run({ feeds, wanted, state, signal }: RunRequest): Promise<Map<number, Tree<Tensor>>> {
    signal?.throwIfAborted();
    const { inputs } = this.#description;
    const complete = [...feeds];
    for (const input of state.values()) {
      complete[input] ??= this.#state.get(input) ?? initialState(inputs[input]!);
    }
    for (const [input, feed] of complete.entries()) {
      if (feed) complete[input] = await mapTreeAsync(feed, (tensor) => tensor.read());
    }

    const bytes = encodeInputs(complete, () => true);
    const outputs = decodeOutputs(await this.#core.call('runCpu', bytes));
    this.#memory = await this.#core.call('memory');
    if (outputs.length !== this.#description.outputs.length) {
      throw new InternalError(`core message: a run gave ${outputs.length} outputs`);
    }
    for (const [output, input] of state) {
      const kept = outputs[output];
      if (kept instanceof Tensor) this.#state.set(input, kept);
    }
    return new Map([...wanted.keys()].map((output) => [output, outputs[output]!]));
  }

  resetState(): void {
    void this.#lock.run(async () => this.#state.clear());
  }

  report(): BackendReport {
    const { weights } = this.#description;
    return {
      memory: {
        weights: weights.reduce((sum, { bytes, used }) => sum + (used ? bytes : 0), 0),
        constants: 0,
        persistent: 0,
        arenaPeak: 0,
        arenaLive: 0,
        total: this.#memory,
        core: this.#memory,
      },
      programs: 0,
      plansCached: 0,
      uncaptured: [],
      kernels: new Map(),
      hostElements: new Map(),
    };
  }

  dispose(): void {
    this.#core.close();
  }
}
