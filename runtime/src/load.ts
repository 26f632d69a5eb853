// Loading: the file streams through the core, which keeps its structure, and to the device, which
// gets the weights.

import { abortable, breathe } from './async.js';
import { parseDescription, type Backend, type Description } from './backend.js';
import { workerCore } from './core-client.js';
import { inlineCore, type Core, type WeightRange } from './core.js';
import { CpuSession } from './cpu-session.js';
import { targetWords, type OpenDevice } from './device.js';
import { InvalidArgumentError } from './errors.js';
import { Gpu } from './gpu.js';
import { GpuSession } from './gpu-session.js';
import { mayBeForeign, type OpenedModel } from './model-files.js';
import { platform } from './platform.js';
import { precisionReport, WeightPeaks, type Precision } from './precision.js';
import type { PrecisionReport } from './report.js';
import { brokeOff, parts, type Chunk } from './sources.js';
import { tableBytes, type TuningState } from './tuning.js';
import type { WasmOptions } from './wasm.js';
import { externalPieces, readPieces, type Piece } from './weight-files.js';
import { WeightStore } from './weights.js';

/**
 * What a load is doing. download: bytes; compile: GPU programs. Of a file at hand (bytes, a Blob, a
 * path) it is the weights' bytes, while programs compile.
 */
export interface Progress {
  phase: 'download' | 'compile';
  loaded: number;
  /** Where it is known. */
  total: number | undefined;
}

export interface LoadContext {
  source: OpenedModel;
  signal: AbortSignal | undefined;
  onProgress(progress: Progress): void;
  /** In a worker, or on this thread; undefined: where the platform likes it. */
  worker: boolean | undefined;
  threads: number | undefined;
  passes: boolean;
  precision: Precision;
  moreOutputs: readonly string[];
  wasmBase: string | undefined;
  warm: boolean;
  maxConcurrent: number;
  sliceTime: number;
  /** Of kernels' forms; filled in where the device is known. */
  tuning: TuningState | undefined;
  /** Milliseconds of the phases are put here. */
  timings: Record<string, number>;
  /** Things a report should tell. */
  notes: string[];
}

export interface Loaded {
  backend: Backend;
  description: Description;
  precision: PrecisionReport;
}

/** The structure of a model, apart from its weights, may take so many bytes. */
export const structureLimit = 256 << 20;
/** Read of a file at hand at a time while its weights are passed over. */
const walkChunk = 256 << 10;
/** More threads than this help few models. */
const mostThreads = 8;

/** The core of a WebGPU session: it may start while the device is asked for. */
export function startCore(context: LoadContext): Promise<Core> {
  return openCore(context, { name: 'quern-core', threads: 1, base: context.wasmBase });
}

export async function loadWebGpu(
  context: LoadContext,
  open: OpenDevice,
  starting: Promise<Core> = startCore(context),
): Promise<Loaded> {
  const { signal } = context;
  const gpu = new Gpu(open);
  const { precision: asked } = context;
  const lacksF16 = asked === 'auto' && !open.device.features.has('shader-f16');
  const peaks = asked === 'f32' || lacksF16 ? undefined : new WeightPeaks();
  const weights = new WeightStore(gpu, peaks);
  let core: Core | undefined;
  let session: GpuSession | undefined;
  const stop = new AbortController();
  try {
    core = await starting;
    const timer = stopwatch(context.timings);
    await core.call('begin', false, structureLimit);
    await gpu.checked('weights', () => {}); // a lost device shows before the download
    const passed = await feedToGpu(context, core, weights);
    await gpu.checked('weights', () => {}); // and a device too small for them before the plan
    timer('download');

    if (context.moreOutputs.length > 0) await core.call('moreOutputs', context.moreOutputs);
    let description = parseDescription(
      await core.call('finish', targetWords(open, context.passes)),
    );
    timer('import');
    const { weights: infos } = description;
    const fill = async (): Promise<void> => {
      const fillTimer = stopwatch(context.timings);
      const stopped = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
      await restToGpu({ ...context, signal: stopped }, infos, passed, weights);
      await gpu.checked('weights', () => {});
      fillTimer('weights');
    };
    if (peaks) {
      await fill();
      const values = peaks.values(infos.length);
      description = parseDescription(await core.call('narrow', values, asked === 'auto'));
    } else {
      weights.ready = fill(); // while programs compile
      weights.ready.catch(() => {}); // awaited below
    }
    description.weights.forEach(({ used }, weight) => {
      if (!used) weights.free(weight);
    });

    const compileTimer = stopwatch(context.timings);
    session = new GpuSession({
      open,
      gpu,
      weights,
      core,
      description,
      coreBytes: await core.call('memory'),
      maxConcurrent: context.maxConcurrent,
      sliceTime: context.sliceTime,
    });
    const { forms = {} } = context.tuning ?? {};
    if (Object.keys(forms).length > 0) await session.retune(tableBytes(forms));
    if (context.warm) {
      const onProgress = (loaded: number, total: number): void =>
        context.onProgress({ phase: 'compile', loaded, total });
      await abortable(session.warm(onProgress), signal);
      compileTimer('compile');
    }
    if (weights.ready) await abortable(weights.ready, signal);
    const reason = lacksF16 ? 'the GPU lacks shader-f16' : undefined;
    return {
      backend: session,
      description,
      precision: precisionReport(asked, description, reason),
    };
  } catch (error) {
    stop.abort();
    await weights.ready?.catch(() => {}); // nothing is written behind its end
    if (session) session.dispose();
    else {
      core?.close();
      weights.close();
      gpu.close();
      open.release();
    }
    throw error;
  }
}

/** The file in chunks; where it is no ONNX, what its format's importer makes of it. */
async function* onnxChunks(context: LoadContext): AsyncGenerator<Chunk> {
  const { source, signal } = context;
  const chunks = source.main.read(signal)[Symbol.asyncIterator]();
  let done = false;
  try {
    let next = await chunks.next();
    if (!next.done && mayBeForeign(next.value)) {
      const { convert } = await import('./formats.js');
      const first = next.value.slice(); // valid only until the next one
      const open = (options: WasmOptions): Promise<Core> => openCore(context, options);
      const converted = await convert(context, open, first, chunks);
      context.source = converted.source;
      if (converted.onnx) yield* parts(converted.onnx);
      else yield* converted.source.main.read(signal);
      return;
    }
    for (; !next.done; next = await chunks.next()) yield next.value;
    done = true;
  } finally {
    if (!done) await chunks.return?.();
  }
}

/** What takes the weights' bytes as they come. */
export type WeightSink = Pick<WeightStore, 'write'> & Partial<Pick<WeightStore, 'closePool'>>;

/**
 * The model's file to the core, but for bytes that are known to be payload: those never cross to it.
 * Of a file at hand it is all of the weights that stay where they are: gives where.
 */
export async function feedToGpu(
  context: LoadContext,
  core: Core,
  weights: WeightSink,
): Promise<Piece[]> {
  const { source, signal } = context;
  const walked = await walkToCore(context, core);
  if (walked) return walked;
  let loaded = 0;
  // The weight that the coming bytes belong to, and how many of them do.
  let present: { weight: number; bytes: number; offset: number } | undefined;
  let ahead = 0;
  let skipped = 0;

  const feed = async (chunk: Chunk, coming: number | undefined): Promise<void> => {
    if (skipped > 0) await core.call('skip', skipped);
    skipped = 0;
    // A copy is given away, the chunk stays for the weights.
    const fed = await core.call('feed', new Uint8Array(chunk));
    for (const range of fed.ranges) {
      const end = range.chunkOffset + range.length;
      await weights.write(range, chunk.subarray(range.chunkOffset, end), coming);
    }
    ({ present, ahead } = following(fed.ranges.at(-1), fed.ahead));
  };

  for await (const chunk of onnxChunks(context)) {
    const total = source.main.size();
    const coming = total === undefined ? undefined : Math.max(0, total - loaded);
    let rest = chunk;
    if (present && ahead > 0) {
      const payload = rest.subarray(0, ahead);
      await weights.write(present, payload, coming);
      present.offset += payload.length;
      ahead -= payload.length;
      skipped += payload.length;
      rest = rest.subarray(payload.length);
    }
    if (rest.length > 0) await feed(rest, coming);
    loaded += chunk.length;
    context.onProgress({ phase: 'download', loaded, total });
    await breathe();
    signal?.throwIfAborted();
  }
  if (skipped > 0) await core.call('skip', skipped);
  return [];
}

/** Of an ONNX file at hand the structure alone, and where the rest lies. */
async function walkToCore(
  { source: { main }, signal }: LoadContext,
  core: Core,
): Promise<Piece[] | undefined> {
  if (!main.open) return undefined;
  const size = main.size()!;
  let at = 0;
  const readable = async <T>(work: Promise<T> | T): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw brokeOff(main.name, at, size, error); // it is gone or was changed
    }
  };
  const file = await readable(main.open());
  try {
    const pieces: Piece[] = [];
    while (at < size) {
      const chunk = await readable(file.read(at, Math.min(walkChunk, size - at)));
      if (at === 0 && mayBeForeign(chunk)) return undefined;
      const { ranges, ahead: coming } = await core.call('feed', new Uint8Array(chunk));
      for (const { weight, offset, length, chunkOffset } of ranges) {
        pieces.push({ weight, offset, length, file: '', at: at + chunkOffset });
      }
      at += chunk.length;
      const { ahead } = following(ranges.at(-1), coming);
      const passed = Math.min(ahead, size - at);
      if (passed > 0) {
        await core.call('skip', passed);
        pieces.at(-1)!.length += passed;
        at += passed;
      }
      await breathe();
      signal?.throwIfAborted();
    }
    return pieces;
  } finally {
    await file.close?.();
  }
}

/** Where the bytes after a fed chunk go, if they are known to be payload. */
function following(last: WeightRange | undefined, ahead: number) {
  const offset = last ? last.offset + last.length : 0;
  // Before its first byte a weight has no event, and is not known yet.
  if (!last || ahead === 0 || offset + ahead !== last.bytes)
    return { present: undefined, ahead: 0 };
  return { present: { weight: last.weight, bytes: last.bytes, offset }, ahead };
}

/** Fills the file's own weights that were passed over, and those in other files. */
export async function restToGpu(
  context: LoadContext,
  infos: Description['weights'],
  passed: readonly Piece[],
  weights: WeightSink,
): Promise<void> {
  const own = passed.filter(({ weight }) => infos[weight]?.used);
  const pieces = [...own, ...externalPieces(infos)];
  // Of those that share buffers, bytes to come: read by the load program alone, and by runs.
  const sharing = (bytes: number): number =>
    bytes < WeightStore.large ? Math.ceil(bytes / 256) * 256 : 0;
  const left = { load: 0, run: 0 };
  const userOf = (weight: number): keyof typeof left => (infos[weight]!.loadOnly ? 'load' : 'run');
  for (const weight of new Set(pieces.map((piece) => piece.weight))) {
    left[userOf(weight)] += sharing(infos[weight]!.bytes);
  }
  let last: keyof typeof left | undefined;
  const take = ({ weight }: Piece, offset: number, part: Chunk): Promise<void> | undefined => {
    const { bytes } = infos[weight]!;
    const user = userOf(weight);
    if (last && last !== user) weights.closePool?.();
    last = user;
    const coming = left[user];
    if (offset === 0) left[user] -= sharing(bytes);
    return weights.write({ weight, bytes, offset }, part, coming);
  };
  await readWeights(context, infos, pieces, take);
}

/** From the model's files as they are now: conversion may have replaced those that were given. */
function readWeights(
  context: LoadContext,
  infos: Description['weights'],
  pieces: readonly Piece[],
  take: Parameters<typeof readPieces>[3],
): Promise<void> {
  return readPieces(context.source, infos, pieces, take, {
    signal: context.signal,
    onBytes: (loaded, total) => context.onProgress({ phase: 'download', loaded, total }),
  });
}

export async function loadWasm(context: LoadContext): Promise<Loaded> {
  const { source, signal } = context;
  const inWorker = context.worker ?? platform.workerByDefault;
  const wanted = context.threads ?? Math.min(platform.cores(), mostThreads);
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new InvalidArgumentError(`threads: ${wanted} is no positive number`);
  }
  const threads = platform.sharedMemory() && (inWorker || platform.mayBlock) ? wanted : 1;
  if (threads < wanted) {
    context.notes.push(
      platform.sharedMemory()
        ? 'one thread, since a page’s own thread may not wait for others'
        : 'one thread, since the page is not cross-origin isolated (COOP and COEP headers)',
    );
  }
  const name = threads > 1 ? 'quern-cpu-threads' : 'quern-cpu';
  const core = await openCore(context, { name, threads, base: context.wasmBase });
  try {
    const timer = stopwatch(context.timings);
    await core.call('begin', true, structureLimit);
    let loaded = 0;
    for await (const chunk of onnxChunks(context)) {
      await core.call('feed', core.place === 'worker' ? new Uint8Array(chunk) : chunk);
      loaded += chunk.length;
      context.onProgress({ phase: 'download', loaded, total: source.main.size() });
      await breathe();
      signal?.throwIfAborted();
    }
    timer('download');
    const options = Uint32Array.of(1, Number(context.passes), threads);
    if (context.moreOutputs.length > 0) await core.call('moreOutputs', context.moreOutputs);
    const description = parseDescription(await core.call('finish', options));
    timer('import');
    const { weights: infos } = description;
    await readWeights(context, infos, externalPieces(infos), ({ weight }, offset, bytes) =>
      core.call('fillWeight', weight, offset, new Uint8Array(bytes)),
    );
    timer('weights');
    const memory = await core.call('memory');
    return {
      backend: new CpuSession(core, description, threads, memory),
      description,
      precision: precisionReport(
        context.precision,
        description,
        context.precision === 'f32' ? undefined : 'WebAssembly computes and stores in f32',
      ),
    };
  } catch (error) {
    core.close();
    throw error;
  }
}

async function openCore(context: LoadContext, options: WasmOptions): Promise<Core> {
  const timer = stopwatch(context.timings);
  let core: Core | undefined;
  if (context.worker ?? platform.workerByDefault) {
    const starting = (platform.workerCore ?? workerCore)(options);
    try {
      core = await abortable(starting, context.signal);
    } catch (error) {
      // A page may load this package from another origin, but not start workers from there.
      if (!(error instanceof DOMException) || error.name !== 'SecurityError') {
        starting.then((late) => late.close()).catch(() => {});
        throw error;
      }
      context.notes.push(`the core runs on this thread: ${error.message}`);
    }
  }
  core ??= await inlineCore(options);
  timer('core');
  return core;
}

/** Notes the milliseconds since its last call. */
function stopwatch(timings: Record<string, number>): (phase: string) => void {
  let last = performance.now();
  return (phase) => {
    const now = performance.now();
    timings[phase] = (timings[phase] ?? 0) + now - last;
    last = now;
  };
}
