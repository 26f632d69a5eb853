// A model on WebGPU: plans by input dims, runs in order, outputs read back or kept.

import { abortable, Lock, Semaphore } from './async.js';
import type {
  Backend,
  BackendReport,
  CorePlace,
  Description,
  NodeKernel,
  Probe,
  RunRequest,
  ObjectCounts,
  Tunable,
} from './backend.js';
import type { Core } from './core.js';
import { InternalError, QuernError } from './errors.js';
import type { OpenDevice } from './device.js';
import type { Gpu } from './gpu.js';
import { GpuMemory, type Arena } from './gpu-memory.js';
import { assumedBytes, GpuPlan, paramsBuffer } from './gpu-plan.js';
import { OutputSink, StateStore, type Wanted } from './gpu-outputs.js';
import { encodeInputs, encodeValues, type Shaped } from './messages.js';
import { Pipelines, type CompiledProgram } from './pipelines.js';
import {
  BufferKind,
  decodePlan,
  type BufferRequest,
  type PlanMessage,
  type Segment,
  type Step,
} from './plan.js';
import { LatestPlan, planKey } from './plan-key.js';
import { Recording } from './replay.js';
import type { Tensor } from './tensor.js';
import type { Choice } from './tuning.js';
import { leavesOf, mapTreeAsync, type Tree } from './value.js';
import type { WeightStore } from './weights.js';

/** Plans kept for input dims used before. */
const cachedPlans = 16;
/**
 * Symbolic dims while programs are made ahead: kernels have a few variants by size, and new dims
 * shall find theirs made. Most runs need those of the likely dims, which load() waits for; the
 * others' compile when the first run is done.
 */
const assumedDims = [
  { first: 1, others: 32, likely: true },
  { first: 4, others: 160, likely: true },
  { first: 1, others: 1, likely: false },
  { first: 2, others: 8, likely: false },
  { first: 1, others: 33, likely: false }, // rows that are no whole vectors
];

/** Of all dims known: what a value that is read back is taken to be; and segments at most. */
const assumedValue = 32;
const assumedSegments = 8;

/** A run that has one segment, to be replayed. */
interface CachedPlan {
  plan: GpuPlan;
  arena: Arena | undefined;
}

interface BeginOptions {
  onProgress?: (loaded: number, total: number) => void;
  probe?: Probe | undefined;
}

/** When a message's programs begin to compile: all, those of its steps, or with compileRest(). */
type Compiling = 'now' | 'used' | 'later';

/** What a message left behind once it is applied. */
interface Applied {
  segment: Segment;
  programs: CompiledProgram[];
  params: GPUBuffer | undefined;
  owned: BufferRequest[];
}

export interface GpuSessionOptions {
  open: OpenDevice;
  gpu: Gpu;
  weights: WeightStore;
  core: Core;
  description: Description;
  /** The core's memory so far. */
  coreBytes: number;
  /** Runs under way at once; more wait. */
  maxConcurrent: number;
  /** Milliseconds that one submission may keep the device; Infinity where nobody else needs it. */
  sliceTime?: number;
}

export class GpuSession implements Backend, Tunable {
  readonly kind = 'webgpu';
  readonly threads = 1;
  readonly #open: OpenDevice;
  readonly #gpu: Gpu;
  readonly #core: Core;
  readonly #description: Description;
  readonly #memory: GpuMemory;
  readonly #pipelines: Pipelines;
  readonly #state: StateStore;
  /** Messages of the core, submissions and kept state go in the order of runs. */
  readonly #lock = new Lock();
  readonly #slots: Semaphore;
  readonly #plans = new Map<string, CachedPlan>();
  #latest: LatestPlan<CachedPlan> | undefined;
  #hostElements = new Map<number, number>();
  #last: Segment[] = [];
  #coreBytes: number;

  constructor(options: GpuSessionOptions) {
    const { open, gpu, weights, core, description, maxConcurrent } = options;
    this.#open = open;
    this.#gpu = gpu;
    this.#core = core;
    this.#description = description;
    this.#coreBytes = options.coreBytes;
    this.#memory = new GpuMemory(gpu, weights, options.sliceTime);
    this.#pipelines = new Pipelines(gpu);
    this.#state = new StateStore(this.#memory);
    this.#slots = new Semaphore(maxConcurrent);
  }

  get counters(): ObjectCounts {
    return this.#gpu.counters;
  }

  get gpu(): Gpu {
    return this.#gpu;
  }

  /** Not where plans are a package's. */
  get tunable(): Tunable | undefined {
    return this.#core.place === 'none' ? undefined : this;
  }

  get corePlace(): CorePlace {
    return this.#core.place;
  }

  /**
   * Makes programs ahead of the first run, and where all dims are known the plan too. Models that
   * need input values for it are left as they are.
   */
  async warm(onProgress: (loaded: number, total: number) => void): Promise<void> {
    const { inputs, hostInputs } = this.#description;
    const fixed = inputs.every(
      ({ dims, optional }) => optional ?? dims?.every((dim) => typeof dim === 'number'),
    );
    await this.#lock.run(async () => {
      if (fixed && hostInputs.every((input) => inputs[input]!.optional)) {
        const shapes = inputs.map(({ dtype, dims, optional }) =>
          optional ? undefined : { dtype, dims: dims as number[] },
        );
        const begun = await this.#begin(shapes, { onProgress });
        if ('run' in begun) {
          const programs = await this.#assume(begun.run, begun.applied, assumedValue);
          await awaitPrograms(programs, onProgress);
        }
        return;
      }
      const wanted = new Set<CompiledProgram>();
      for (const { first, others, likely } of assumedDims) {
        const started = await unlessRefused(this.#core.call('warm', first, others));
        if (!started) continue;
        const when = likely ? 'used' : 'later';
        const applied = await this.#apply(started.message, when);
        const used = await this.#assume(started.run, applied, others, when);
        if (likely) for (const program of used) wanted.add(program);
      }
      await awaitPrograms([...wanted], onProgress);
    });
    this.#coreBytes = await this.#core.call('memory');
  }

  /**
   * The programs that a run uses which is not carried out, from its first segment on. Values that it
   * would read back are taken to be `value`: most often they are counts.
   */
  async #assume(
    run: number,
    first: Applied,
    value: number,
    when: Compiling = 'now',
  ): Promise<CompiledProgram[]> {
    const used = new Set<number>();
    const note = ({ segment }: Applied): void => {
      for (const step of segment.steps) if (step.kind === 'dispatch') used.add(step.program);
    };
    let applied = first;
    note(applied);
    try {
      for (let segments = 1; !applied.segment.done && segments < assumedSegments; segments++) {
        const values = applied.segment.reads.map((port) => assumedBytes(port, value));
        const message = await unlessRefused(this.#core.call('advance', run, encodeValues(values)));
        if (!message) break;
        this.#discard(applied);
        applied = await this.#apply(message, when);
        note(applied);
      }
    } finally {
      this.#discard(applied);
      await this.#core.call('endRun', run);
    }
    return [...used].map((program) => this.#pipelines.get(program));
  }

  /** Drops all plans: new ones have the table's forms of kernels, or all that of number `trial`. */
  async retune(table: Uint8Array, trial?: number): Promise<void> {
    await this.#lock.run(async () => {
      await this.#core.call('tune', table, trial);
      for (const key of [...this.#plans.keys()]) this.#forget(key);
    });
  }

  async choices(): Promise<Choice[]> {
    return JSON.parse(await this.#core.call('choices')) as Choice[];
  }

  async run(request: RunRequest): Promise<Map<number, Tree<Tensor>>> {
    const { signal } = request;
    const running = this.#slots.run(async () => {
      signal?.throwIfAborted();
      const sink = new OutputSink(this.#memory, this.#state, request.probe);
      const turn = new Turn(this.#lock);
      await turn.take();
      try {
        await this.#submit(request, turn, sink);
        turn.give();
        const values = await abortable(sink.values(), signal);
        this.#pipelines.compileRest();
        return values;
      } catch (error) {
        void sink.discard();
        throw error;
      } finally {
        turn.give();
      }
    });
    try {
      return await abortable(running, signal); // also while it waits for others
    } catch (error) {
      // It may have ended well just before it was called off.
      const free = (outputs: Map<number, Tree<Tensor>>): void => {
        for (const tensor of [...outputs.values()].flatMap(leavesOf)) tensor.dispose();
      };
      running.then(free, () => {});
      throw error;
    }
  }

  /** Everything up to the last submission; `turn` is held, but for waits in between. */
  async #submit(request: RunRequest, turn: Turn, sink: OutputSink): Promise<void> {
    const { signal } = request;
    const inputs = await this.#inputs(request);
    signal?.throwIfAborted();
    const feeds = inputs.flatMap((tree) => (tree ? leavesOf(tree) : [undefined]));
    const wanted = this.#wanted(request);
    const { hostInputs } = this.#description;
    if (request.probe?.fresh) this.#forget(planKey(inputs, hostInputs));
    let cached = this.#latest?.planFor(inputs);
    if (!cached) {
      const key = planKey(inputs, hostInputs);
      cached = this.#plans.get(key);
      if (cached) {
        this.#plans.delete(key);
        this.#plans.set(key, cached); // the latest used is last
      } else {
        const begun = await this.#begin(inputs, { probe: request.probe });
        if ('run' in begun) {
          await this.#goOn(begun.run, begun.applied, { feeds, wanted, sink, turn, request });
          return;
        }
        cached = begun;
      }
      this.#latest = LatestPlan.of(cached, inputs, hostInputs);
    }
    signal?.throwIfAborted();
    this.#last = [cached.plan.segment];
    void sink.submit(cached.plan, feeds, wanted);
    turn.keepUntil(sink.submitted);
  }

  /** Feeds of the run, with kept state; those that the host reads are in host memory. */
  async #inputs({ feeds, state }: RunRequest): Promise<(Tree<Tensor> | undefined)[]> {
    const { inputs, hostInputs } = this.#description;
    const complete = [...feeds];
    for (const input of state.values()) complete[input] ??= await this.#state.get(input, inputs);
    for (const input of hostInputs) {
      const tree = complete[input];
      if (tree) complete[input] = await mapTreeAsync(tree, (tensor) => tensor.read());
    }
    return complete;
  }

  #wanted({ wanted, state }: RunRequest): Wanted[] {
    const { hostInputs } = this.#description;
    const list: Wanted[] = [...wanted].map(([output, place]) => ({ output, place }));
    for (const [output, input] of state) {
      list.push({ output, state: input, onHost: hostInputs.includes(input) });
    }
    return list;
  }

  /** Asks the core for a plan. One that can be replayed is cached. */
  async #begin(
    shapes: readonly (Tree<Shaped> | undefined)[],
    { onProgress, probe }: BeginOptions,
  ): Promise<CachedPlan | { run: number; applied: Applied }> {
    const { hostInputs } = this.#description;
    const inputs = encodeInputs(shapes, (input) => hostInputs.includes(input));
    const { run, message } = await this.#core.call('start', inputs);
    let applied: Applied;
    try {
      applied = await this.#apply(message);
      if (!applied.segment.done) return { run, applied };
      await this.#hostReport(run);
      probe?.work(await this.#core.call('runWork', run));
    } catch (error) {
      void this.#core.call('endRun', run).catch(() => {});
      throw error;
    }
    await this.#core.call('endRun', run);
    if (onProgress) await awaitPrograms(applied.programs, onProgress);

    const { segment, params, owned } = applied;
    const arena = await this.#gpu.checked('arena', () => this.#memory.shareArena(segment));
    try {
      const plan = await GpuPlan.make(segment, this.#memory, this.#pipelines, params, owned, [
        arena,
      ]);
      this.#memory.throwIfClosed();
      const cached = { plan, arena };
      this.#remember(planKey(shapes, hostInputs), cached);
      return cached;
    } catch (error) {
      this.#memory.unshareArena(arena);
      this.#discard(applied);
      throw error;
    }
  }

  #remember(key: string, cached: CachedPlan): void {
    this.#plans.set(key, cached);
    if (this.#plans.size <= cachedPlans) return;
    this.#forget(this.#plans.keys().next().value!);
  }

  #forget(key: string): void {
    const cached = this.#plans.get(key);
    if (!cached) return;
    this.#plans.delete(key);
    this.#latest = undefined;
    cached.plan.destroy();
    this.#memory.unshareArena(cached.arena);
  }

  /** A run in several segments, from its first message to its last submission. */
  async #goOn(
    run: number,
    applied: Applied,
    {
      feeds,
      wanted,
      sink,
      turn,
      request: { signal, state, probe },
    }: {
      feeds: readonly (Tensor | undefined)[];
      wanted: Wanted[];
      sink: OutputSink;
      turn: Turn;
      request: RunRequest;
    },
  ): Promise<void> {
    const arenas: (Arena | undefined)[] = [];
    const plans: GpuPlan[] = [];
    const segments: Segment[] = [];
    try {
      for (;;) {
        const { segment, params, owned } = applied;
        segments.push(segment);
        arenas.push(this.#memory.takeArena(segment));
        const plan = await GpuPlan.make(
          segment,
          this.#memory,
          this.#pipelines,
          params,
          owned,
          arenas,
        );
        plans.push(plan);
        signal?.throwIfAborted();
        const values = sink.submit(plan, feeds, wanted);
        turn.keepUntil(sink.submitted);
        if (segment.done) break;
        // Others may go on meanwhile, but for runs whose state has to come after this one's.
        if (state.size === 0) turn.give();
        const read = await abortable(values, signal);
        await turn.take();
        signal?.throwIfAborted();
        applied = await this.#apply(await this.#core.call('advance', run, encodeValues(read)));
      }
      await this.#hostReport(run);
      probe?.work(await this.#core.call('runWork', run));
      this.#last = segments;
    } finally {
      await sink.submitted;
      await turn.take();
      await this.#core.call('endRun', run).catch(() => {});
      // The queue carries out what was submitted before others may use this memory.
      for (const arena of arenas) this.#memory.giveArena(arena);
      for (const plan of plans) plan.destroy();
    }
  }

  /** Takes what is new in a message: programs, buffers, and steps that run this once. */
  async #apply(message: Uint8Array | PlanMessage, when: Compiling = 'now'): Promise<Applied> {
    const isEncoded = message instanceof Uint8Array;
    const { programs, buffers, segment } = isEncoded ? decodePlan(message) : message;
    const compiled = await this.#pipelines.add(programs, when !== 'now');
    for (const step of when === 'used' ? segment.steps : []) {
      if (step.kind === 'dispatch') this.#pipelines.begin(step.program);
    }
    const params = await this.#gpu.checked('memory', () => {
      this.#memory.throwIfClosed();
      for (const request of buffers) this.#memory.create(request);
      return paramsBuffer(this.#memory, segment);
    });
    await this.#memory.weights.ready;
    if (segment.once.length > 0) await this.#runOnce(segment.once, params);
    const freed = this.#freeRead(segment.once);
    if (freed && this.#plans.size === 0) await this.#memory.weights.tidy();
    for (const request of buffers) {
      if (request.kind === BufferKind.once) this.#memory.destroy(request);
    }
    const owned = buffers.filter(({ planOwned }) => planOwned);
    // On the device now: the message need not be kept for them.
    for (const request of owned) request.contents = new Uint8Array();
    segment.params = new Uint8Array();
    return { segment, programs: compiled, params, owned };
  }

  async #runOnce(steps: readonly Step[], params: GPUBuffer | undefined): Promise<void> {
    const recording = await Recording.make(this.#gpu, this.#pipelines, steps, params, {
      resolve: (slice) => this.#memory.resolve(slice, []),
      scratch: (bytes) => this.#memory.scratch(bytes),
    });
    await this.#gpu.checked('load program', () => {
      const encoder = this.#gpu.device.createCommandEncoder();
      recording.encode(encoder);
      this.#gpu.queue.submit([encoder.finish()]);
    });
  }

  /** Weights that are f16 from now on, or read by nothing: the steps that read them are submitted. */
  #freeRead(once: readonly Step[]): boolean {
    const read = once.flatMap((step) => (step.kind === 'dispatch' ? step.slices : []));
    const freed = read.filter(({ kind, index }) => {
      const weight = kind === BufferKind.weight && this.#description.weights[index];
      return weight && (weight.stored || weight.loadOnly);
    });
    for (const { index } of freed) this.#memory.weights.free(index);
    return freed.length > 0;
  }

  /** Frees what only the message's own plan would have used. */
  #discard({ params, owned }: Applied): void {
    if (params) this.#gpu.destroyBuffer(params);
    for (const request of owned) this.#memory.destroy(request);
  }

  async #hostReport(run: number): Promise<void> {
    const [json, bytes] = await Promise.all([
      this.#core.call('runReport', run),
      this.#core.call('memory'),
    ]);
    const nodes = JSON.parse(json) as { id: number; elements: number }[];
    this.#hostElements = new Map(nodes.map(({ id, elements }) => [id, elements]));
    this.#coreBytes = bytes;
  }

  resetState(): void {
    void this.#lock.run(async () => this.#state.clear());
  }

  report(): BackendReport {
    const kernels = new Map<number, NodeKernel[]>();
    for (const step of this.#last.flatMap(({ steps }) => steps)) {
      if (step.kind !== 'dispatch') continue;
      const ofNode = kernels.get(step.node) ?? [];
      kernels.set(step.node, ofNode);
      const known = ofNode.find(({ program }) => program === step.program);
      if (known) known.dispatches++;
      else {
        const { label } = this.#pipelines.get(step.program);
        ofNode.push({ program: step.program, label, dispatches: 1 });
      }
    }
    const sum = (get: (segment: Segment) => number): number =>
      this.#last.reduce((total, segment) => total + get(segment), 0);
    return {
      memory: {
        weights: this.#memory.weights.bytes,
        constants: this.#memory.bytesOf(BufferKind.constants),
        persistent: this.#memory.bytesOf(BufferKind.persistent),
        arenaPeak: sum(({ arenaBytes }) => arenaBytes),
        arenaLive: sum(({ liveBytes }) => liveBytes),
        total: this.#gpu.liveBytes,
        core: this.#coreBytes,
      },
      uncaptured: this.#gpu.uncaptured,
      programs: this.#pipelines.count,
      plansCached: this.#plans.size,
      kernels,
      hostElements: this.#hostElements,
    };
  }

  dispose(): void {
    this.#pipelines.close();
    for (const { plan } of this.#plans.values()) plan.destroy();
    this.#plans.clear();
    this.#latest = undefined;
    this.#state.clear();
    this.#memory.close();
    this.#gpu.close();
    this.#core.close();
    this.#open.release();
  }
}

/** A place in the session's lock that can be left and taken up again. */
class Turn {
  readonly #lock: Lock;
  #release: (() => void) | undefined;
  #over: Promise<void> | undefined;

  constructor(lock: Lock) {
    this.#lock = lock;
  }

  async take(): Promise<void> {
    this.#release ??= await this.#lock.acquire();
  }

  /** Holds on to the place until something is over, even if it is given up before. */
  keepUntil(over: Promise<void> | undefined): void {
    this.#over = over;
  }

  give(): void {
    const release = this.#release;
    this.#release = undefined;
    if (release && this.#over) void this.#over.then(release);
    else release?.();
  }
}

/** Nothing where the model's operators refuse what was assumed, or it passes a limit. */
async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof InternalError || !(error instanceof QuernError)) throw error;
    return undefined;
  }
}

async function awaitPrograms(
  programs: readonly CompiledProgram[],
  onProgress: (loaded: number, total: number) => void,
): Promise<void> {
  let ready = 0;
  await Promise.all(
    programs.map(async (program) => {
      await program.compile();
      onProgress(++ready, programs.length);
    }),
  );
}
