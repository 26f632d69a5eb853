// A loaded model, as a caller sees it.

import { abortable } from './async.js';
import type {
  Backend,
  ObjectCounts,
  OutputPlace,
  Probe,
  RunRequest,
  ValueInfo,
} from './backend.js';
import type { CacheReport } from './cache/types.js';
import { lackOf, type AdapterInfo } from './device.js';
import {
  DeviceLostError,
  InvalidArgumentError,
  isLack,
  textOf,
  UnsupportedError,
} from './errors.js';
import { toTree, type Feed } from './feeds.js';
import type { Loaded } from './load.js';
import type { PixelFeeds } from './pixel-feeds.js';
import type { DrawOptions, DrawTarget } from './pixels/draw-options.js';
import type { Profile, ProfileOptions } from './profile.js';
import { difference, type ModelReport } from './report.js';
import { Tensor } from './tensor.js';
import type { TuneOptions, TuneResult } from './tune.js';
import type { TuningState } from './tuning.js';
import { leavesOf, valueOf, type Tree, type Value } from './value.js';

export interface RunOptions {
  /**
   * Where outputs go: all to host memory ('cpu', the default), all to GPUBuffers of their own
   * ('gpu'), or only those named, to host memory or as said.
   */
  outputs?: OutputPlace | readonly string[] | Record<string, OutputPlace>;
  /**
   * Outputs to keep on the device and the inputs that get them in the next run with this option:
   * { present: 'past' }. In the first run such an input is zeros, or what is fed; a value fed in
   * a later run goes before the kept one. Kept outputs are returned only where `outputs` names
   * them.
   */
  state?: Record<string, string>;
  /** Ends the wait; what the GPU has begun, it finishes. */
  signal?: AbortSignal;
}

/** How a model came to be, and how to get one without a GPU. */
export interface ModelOrigin {
  reason: string;
  adapter: AdapterInfo | undefined;
  notes: string[];
  loadTime: number;
  phases: Record<string, number>;
  cache: (() => CacheReport) | undefined;
  tuning?: TuningState | undefined;
  /** Where the caller wants it: loads the model again, for WebAssembly. */
  fallBack: ((why: string) => Promise<LoadedModel>) | undefined;
  /** Loads it again, on another device, where this one is lost. */
  reload: (() => Promise<LoadedModel>) | undefined;
}

export type LoadedModel = Loaded & ModelOrigin;

type Outputs = Map<number, Tree<Tensor>>;

/** Of one run, on devices that are lost one after the other. */
const mostAttempts = 3;
/** Pauses between loads of a model whose device is lost, in milliseconds. */
const reloadPauses = [100, 200, 400];

/** A browser whose GPU process starts again may offer no adapter for a while. */
async function reloaded(reload: () => Promise<LoadedModel>): Promise<LoadedModel> {
  for (const pause of reloadPauses) {
    try {
      return await reload();
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return reload();
}

const noObjects: ObjectCounts = { buffers: 0, bindGroups: 0, pipelines: 0, shaderModules: 0 };

export class Model {
  /** Survives minification: consoles show it. */
  static readonly name = 'Model';

  #loaded: Loaded;
  readonly #pixels: PixelFeeds;
  #origin: ModelOrigin;
  #switching: Promise<void> | undefined;
  /** Under way: after the loss of a device. */
  #recovering: Promise<void> | undefined;
  /** Inputs that have kept values, and those whose values went with a device. */
  readonly #kept = new Set<string>();
  readonly #lostState = new Set<string>();
  #disposed = false;
  #runs = 0;
  /** Runs under way. */
  #active = 0;
  #firstRun: number | undefined;
  #lastRun: number | undefined;
  #lastObjects = noObjects;

  /** @internal */
  constructor(loaded: Loaded, origin: ModelOrigin, pixels: PixelFeeds) {
    this.#loaded = loaded;
    this.#pixels = pixels;
    this.#origin = origin;
  }

  get inputs(): readonly ValueInfo[] {
    return this.#loaded.description.inputs;
  }

  get outputs(): readonly ValueInfo[] {
    return this.#loaded.description.outputs;
  }

  /** What it runs on. */
  get device(): 'webgpu' | 'wasm' {
    return this.#loaded.backend.kind;
  }

  /**
   * Runs the model. Feeds must not change before the promise is settled. Runs take effect in the
   * order they are made; a few may be under way at once. Models with outputs that are no tensors:
   * `run<Value>(...)`.
   */
  async run<V extends Value = Tensor>(
    feeds: Record<string, Feed>,
    options: RunOptions = {},
  ): Promise<Record<string, V>> {
    if (this.#disposed) throw disposed();
    options.signal?.throwIfAborted();
    const start = performance.now();
    this.#active++;
    const { outputs, made } = await this.#outputs(feeds, options).finally(() => this.#active--);
    this.#lastRun = performance.now() - start;
    this.#firstRun ??= this.#lastRun;
    this.#lastObjects = made;
    this.#runs++;
    for (const input of Object.values(options.state ?? {})) {
      this.#kept.add(input);
      this.#lostState.delete(input);
    }
    return Object.fromEntries(
      [...outputs].map(([output, tree]) => [this.outputs[output]!.name, valueOf(tree) as V]),
    );
  }

  /** Runs; where the device is lost on the way, again on another one. */
  async #outputs(
    feeds: Record<string, Feed>,
    options: RunOptions,
  ): Promise<{ outputs: Outputs; made: ObjectCounts }> {
    for (let attempt = 1; ; attempt++) {
      if (this.#recovering) await abortable(this.#recovering, options.signal).catch(() => {});
      options.signal?.throwIfAborted();
      for (const input of Object.values(options.state ?? {})) {
        if (!this.#lostState.has(input) || input in feeds) continue;
        throw new DeviceLostError(
          `state: what was kept for input '${input}' went with a lost device; feed it, or call ` +
            'resetState() to begin anew',
        );
      }
      let used = this.#loaded.backend;
      const before = { ...used.counters };
      const begin = (tensors: Record<string, Feed>): Promise<Outputs> => {
        used = this.#loaded.backend;
        const request = this.#request(tensors, options);
        if (this.#origin.tuning?.background) void this.#tuneLater(request.feeds);
        return this.#withFallBack(request);
      };
      try {
        const outputs = await this.#begin(feeds, begin);
        return { outputs, made: difference(this.#loaded.backend.counters, before) };
      } catch (error) {
        if (this.#disposed) throw disposed();
        // A backend that was replaced meanwhile may fail in any way.
        const lost = error instanceof DeviceLostError || used !== this.#loaded.backend;
        if (!lost || options.signal?.aborted || attempt === mostAttempts) throw error;
        await abortable(this.#recover(used, error), options.signal);
        const gone = Object.entries(feeds).find(
          ([, feed]) => feed instanceof Tensor && feed.location === 'gpu',
        );
        if (!gone) continue;
        throw new DeviceLostError(`input '${gone[0]}': its tensor went with a lost device`, {
          cause: error,
        });
      }
    }
  }

  /** Once, with inputs like these: they themselves are the caller's. */
  async #tuneLater(feeds: RunRequest['feeds']): Promise<void> {
    const { tuning, notes } = this.#origin;
    tuning!.background = false;
    const { likeFeeds, whenIdle } = await import('./tune.js');
    const like = likeFeeds(this.inputs, feeds);
    if (typeof like === 'string') return void notes.push(`tuning: ${like}`);
    const pause = (): Promise<void> => whenIdle(() => this.#active === 0 || this.#disposed);
    await this.tune(like, { pause } as TuneOptions).catch((error: unknown) => {
      if (!this.#disposed) notes.push(`tuning: ${textOf(error)}`);
    });
  }

  async #withFallBack(request: RunRequest): Promise<Outputs> {
    const { adapter } = this.#origin;
    try {
      return await this.#loaded.backend.run(request);
    } catch (error) {
      if (this.#disposed || !adapter || !isLack(error)) throw error;
      const lack = lackOf(error, adapter);
      if (!(await this.#fallBack(lack.message))) throw lack;
      return this.#loaded.backend.run(request);
    }
  }

  /** Loads the model again, once for all runs that lost this backend's device. */
  async #recover(used: Backend, error: unknown): Promise<void> {
    if (used === this.#loaded.backend) {
      const { reload } = this.#origin;
      if (!reload) throw error;
      this.#recovering ??= reloaded(reload)
        .then(
          (fresh) => {
            used.dispose();
            if (this.#disposed) fresh.backend.dispose();
            for (const input of this.#kept) this.#lostState.add(input);
            this.#kept.clear();
            this.#loaded = fresh;
            fresh.notes.push(...this.#origin.notes, `loaded again: ${textOf(error)}`);
            this.#origin = fresh;
          },
          (cause: unknown) => {
            const why = `${textOf(error)}; loading the model again failed: ${textOf(cause)}`;
            throw new DeviceLostError(why, { cause });
          },
        )
        .finally(() => (this.#recovering = undefined));
      this.#recovering.catch(() => {}); // every run that waits hears of it
    }
    await this.#recovering;
    if (this.#disposed) throw disposed();
  }

  /** Calls `begin` with tensors in the place of pictures: at once where there are none. */
  #begin(
    feeds: Record<string, Feed>,
    begin: (tensors: Record<string, Feed>) => Promise<Outputs>,
  ): Promise<Outputs> {
    if (!this.#pixels.needed(feeds)) return begin(feeds);
    return this.#pixels.run(feeds, this.#loaded.backend.gpu, begin);
  }

  /** Once for all runs that fail; false where there is nothing to fall back to. */
  async #fallBack(why: string): Promise<boolean> {
    const { fallBack } = this.#origin;
    if (fallBack) {
      this.#switching ??= fallBack(why).then((fresh) => {
        this.#loaded.backend.dispose();
        this.#loaded = fresh;
        this.#origin = fresh;
      });
    }
    await this.#switching;
    return this.#switching !== undefined;
  }

  #request(feeds: Record<string, Feed>, { outputs = 'cpu', state = {}, signal }: RunOptions) {
    const request: RunRequest = {
      feeds: this.inputs.map(() => undefined),
      wanted: new Map(),
      state: new Map(),
      signal,
    };
    for (const [name, feed] of Object.entries(feeds)) {
      const input = indexOf(this.inputs, name, 'input');
      request.feeds[input] = toTree(this.inputs[input]!, feed);
    }
    for (const [from, to] of Object.entries(state)) {
      const output = indexOf(this.outputs, from, 'output');
      const input = indexOf(this.inputs, to, 'input');
      if (this.outputs[output]!.dtype !== this.inputs[input]!.dtype) {
        throw new InvalidArgumentError(
          `state: output '${from}' is ${this.outputs[output]!.dtype}, input '${to}' ` +
            this.inputs[input]!.dtype,
        );
      }
      if (this.outputs[output]!.kind ?? this.inputs[input]!.kind) {
        throw new UnsupportedError(`state: '${from}' or '${to}' is no tensor`);
      }
      request.state.set(output, input);
    }
    this.inputs.forEach(({ name, optional }, input) => {
      if (request.feeds[input] || optional) return;
      if (![...request.state.values()].includes(input)) {
        throw new InvalidArgumentError(`input '${name}': it is missing`);
      }
    });

    if (typeof outputs === 'string') {
      if (outputs !== 'cpu' && outputs !== 'gpu') throw noPlace(outputs);
      this.outputs.forEach((_, output) => {
        if (!request.state.has(output)) request.wanted.set(output, outputs);
      });
    } else {
      const named: [string, OutputPlace][] = Array.isArray(outputs)
        ? (outputs as string[]).map((name) => [name, 'cpu'])
        : Object.entries(outputs as Record<string, OutputPlace>);
      for (const [name, place] of named) {
        if (place !== 'cpu' && place !== 'gpu') throw noPlace(place);
        request.wanted.set(indexOf(this.outputs, name, 'output'), place);
      }
    }
    return request;
  }

  /**
   * Runs the model, outputs left on the device, and times each dispatch by GPU timestamps, in a pass
   * of its own: passes cost a little, so the sum is above `gpuTime`. WebGPU only, and only where the
   * device has the feature timestamp-query.
   */
  async profile(feeds: Record<string, Feed>, options: ProfileOptions = {}): Promise<Profile> {
    if (this.#disposed) throw disposed();
    const { gpu } = this.#loaded.backend;
    if (!gpu) throw new UnsupportedError('profile: only WebGPU has timestamps of dispatches');
    if (!this.#pixels.needed(feeds)) this.#request(feeds, {}); // what is wrong shows at once
    // Pages that never ask don't load it.
    const { profileRuns } = await import('./profile.js');
    return this.#timedRuns(feeds, gpu.device, (run) => profileRuns(gpu.device, options, run));
  }

  /**
   * Tries other forms of the model's GPU kernels on this device and keeps the fastest: for this model
   * at once, for later loads where `tuning` says so (docs/tuning.md). Runs may go on meanwhile. WebGPU
   * only, and only where the device has the feature timestamp-query.
   */
  async tune(feeds: Record<string, Feed>, options: TuneOptions = {}): Promise<TuneResult> {
    if (this.#disposed) throw disposed();
    const { backend } = this.#loaded;
    const { adapter } = this.#origin;
    const { gpu, tunable } = backend;
    if (!gpu || !tunable || !adapter) {
      throw new UnsupportedError('tune: only models that WebGPU runs have kernels to choose from');
    }
    if (!this.#pixels.needed(feeds)) this.#request(feeds, {}); // what is wrong shows at once
    const { tuneModel } = await import('./tune.js');
    const state = (this.#origin.tuning ??= { forms: {}, background: false });
    return this.#timedRuns(feeds, gpu.device, (run) =>
      tuneModel({ device: gpu.device, adapter, session: tunable, state }, options, run),
    );
  }

  /** Calls `measure` with a function that makes a run under a probe, its outputs left on the device. */
  async #timedRuns<T>(
    feeds: Record<string, Feed>,
    device: GPUDevice,
    measure: (run: (probe: Probe) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const { uploaded } = await import('./profile.js');
    const { kept, release } = uploaded(device, feeds);
    try {
      return await measure(async (probe) => {
        const begin = (tensors: Record<string, Feed>): Promise<Outputs> =>
          this.#loaded.backend.run({ ...this.#request(tensors, { outputs: 'gpu' }), probe });
        const outputs = await this.#begin(kept, begin);
        for (const tensor of [...outputs.values()].flatMap(leavesOf)) tensor.dispose();
      });
    } finally {
      release();
    }
  }

  /**
   * Draws an output as image, mask, heat map or blend to a canvas or GPUTexture, on the GPU where the
   * model is on one: nothing is read back (docs/pixels.md).
   */
  async draw(tensor: Tensor, target: DrawTarget, options: DrawOptions = {}): Promise<void> {
    if (this.#disposed) throw disposed();
    await this.#pixels.draw(tensor, target, options, this.#loaded.backend.gpu);
  }

  /** Forgets kept outputs: the next run with `state` begins anew. */
  resetState(): void {
    this.#kept.clear();
    this.#lostState.clear();
    this.#loaded.backend.resetState();
  }

  report(): ModelReport {
    const { backend, description, precision } = this.#loaded;
    const { memory, uncaptured, programs, plansCached, kernels, hostElements } = backend.report();
    const { reason, adapter, notes, loadTime, phases, cache } = this.#origin;
    return {
      device: backend.kind,
      reason,
      adapter,
      threads: backend.threads,
      core: backend.corePlace,
      notes: [...notes, ...uncaptured],
      format: description.format,
      producer: description.producer,
      opsets: { ...description.opsets },
      signatures: { ...description.signatures },
      nodes: description.nodes.map((node) => ({
        ...node,
        kernels: kernels.get(node.id) ?? [],
        hostElements: hostElements.get(node.id) ?? 0,
      })),
      weights: description.weights.map((weight) => ({ ...weight })),
      precision: { ...precision },
      passes: { ...description.hits },
      programs,
      plansCached,
      objects: { total: { ...backend.counters }, lastRun: this.#lastObjects },
      memory,
      cache: cache?.(),
      tuning: { ...this.#origin.tuning?.forms },
      timings: {
        load: loadTime,
        phases: { ...phases },
        firstRun: this.#firstRun,
        lastRun: this.#lastRun,
      },
      runs: this.#runs,
    };
  }

  /** Frees memory, worker and device; tensors on a device of the model's own end with it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#pixels.dispose();
    this.#loaded.backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

function indexOf(values: readonly ValueInfo[], name: string, what: string): number {
  const index = values.findIndex((value) => value.name === name);
  if (index >= 0) return index;
  const known = values.map((value) => `'${value.name}'`).join(', ');
  throw new InvalidArgumentError(`${what} '${name}': the model has none, only ${known || 'none'}`);
}

function disposed(): InvalidArgumentError {
  return new InvalidArgumentError('model: it is disposed');
}

function noPlace(place: string): InvalidArgumentError {
  return new InvalidArgumentError(`outputs: '${place}' is neither cpu nor gpu`);
}
