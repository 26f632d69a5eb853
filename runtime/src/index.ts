/// <reference types="@webgpu/types" />
/// <reference lib="esnext.disposable" />
// Quern: loads a model and runs it on WebGPU or WebAssembly.

import type { CachedFileInfo, CacheOptions, CachePlace, StoreChoice } from './cache/types.js';
import type { Core } from './core.js';
import {
  chooseDevice,
  lackOf,
  type AdapterInfo,
  type Chosen,
  type DeviceChoice,
} from './device.js';
import { DeviceLostError, InvalidArgumentError, InvalidModelError, isLack } from './errors.js';
import { loadWasm, loadWebGpu, startCore, type LoadContext, type Progress } from './load.js';
import { openModel, rereadable, type ModelSource } from './model-files.js';
import { Model, type LoadedModel } from './model.js';
import { PixelFeeds } from './pixel-feeds.js';
import type { PixelOptions } from './pixels/options.js';
import { platform } from './platform.js';
import { precisions, type Precision } from './precision.js';
import type { TuningOptions, TuningState, TuningTable } from './tuning.js';

export type {
  ContainerKind,
  MemoryReport,
  NodeInfo,
  NodeKernel,
  NodePlace,
  ObjectCounts,
  ValueInfo,
  ValueType,
  WeightInfo,
} from './backend.js';
export type {
  CachedFileInfo,
  CachedFileReport,
  CacheOptions,
  CachePlace,
  CacheReport,
} from './cache/types.js';
export type { AdapterInfo, DeviceChoice } from './device.js';
export type { DataByType, DType, NumericDType, TensorData } from './dtype.js';
export {
  DeviceLostError,
  InternalError,
  InvalidArgumentError,
  InvalidModelError,
  LimitError,
  QuernError,
  UnsupportedError,
  type QuernErrorCode,
} from './errors.js';
export type { Feed, TensorFeed } from './feeds.js';
export type { Progress } from './load.js';
export { Model, type RunOptions } from './model.js';
export type {
  Ceilings,
  Profile,
  ProfiledDispatch,
  ProfiledNode,
  ProfileOptions,
} from './profile.js';
export type { PixelFeed, PixelSource, RawPixels } from './pixel-feeds.js';
export type { DrawOptions, DrawTarget } from './pixels/draw-options.js';
export type { PixelOptions } from './pixels/options.js';
export type { Precision } from './precision.js';
export type { ModelReport, NodeReport, PrecisionReport } from './report.js';
export type { ModelFiles, ModelSource } from './model-files.js';
export type { SourceInput } from './sources.js';
export { Tensor } from './tensor.js';
export type { TunedKernel, TuneOptions, TuneResult } from './tune.js';
export type { TuningOptions, TuningTable } from './tuning.js';
export type { Value } from './value.js';

export interface LoadOptions {
  /**
   * 'auto' (the default): WebGPU where there is a GPU, else WebAssembly; report() says why.
   * 'webgpu' takes a GPU emulated by the CPU too. A GPUDevice is used as it is, and stays the
   * caller's.
   */
  device?: DeviceChoice;
  /** Which GPU, where there are several. */
  powerPreference?: GPUPowerPreference;
  /** 'wasm': where WebGPU lacks something that the model needs, run on WebAssembly instead. */
  fallback?: 'wasm';
  /** Threads on WebAssembly: needs shared memory; by default the cores, up to 8. */
  threads?: number;
  /** Runs the core in a worker. By default so in pages, not in workers and Node. */
  worker?: boolean;
  /** A folder with the .wasm files and their scripts; by default they are found by themselves. */
  wasmBase?: string | URL;
  /**
   * Where a GPU device of Quern's own is lost, the model is loaded again from its source, and runs
   * go on (docs/device-life.md). By default so for sources that can be read again, but for bytes,
   * which would have to be kept: true keeps them. A device of the caller's is not replaced.
   */
  recover?: boolean;
  /**
   * By default load() waits for the GPU programs that a first run most likely needs; those for
   * other sizes compile after it. false: none before the first run.
   */
  warm?: boolean;
  /**
   * 'f16': memory of half the size for the weights and inner values of an f32 model, where that is
   * safe, with arithmetic in f32; results differ by some 1e-3. 'auto': so where the GPU has
   * shader-f16 and nothing in the model speaks against it. By default 'f32'. WebAssembly stays in
   * f32; report().precision says what was done and why.
   */
  precision?: Precision;
  /**
   * Keeps what is fetched by address, for the next load, also one without a network (docs/cache.md).
   * true: where the browser can; in Node `{ folder }`. By default nothing is kept.
   */
  cache?: boolean | StoreChoice | CacheOptions;
  /**
   * Forms of GPU kernels that a tuner found to be the fastest here (docs/tuning.md): a table, or true
   * for those that `tune()` and earlier loads with this option kept where the browser can; in Node
   * `{ folder }`. `{ background: true }` tunes by itself after the first run.
   */
  tuning?: boolean | TuningOptions | TuningTable;
  /** false: no optimisation, to find a fault in one. */
  passes?: boolean;
  /**
   * Inner values of the graph to give out as outputs too, to find where a result goes wrong. Names
   * that the graph lacks are left out. Passes join no nodes across them.
   */
  moreOutputs?: readonly string[];
  /** How pictures become inputs, by input (docs/pixels.md). */
  preprocess?: Record<string, PixelOptions>;
  /** Runs under way at once on the GPU, 2 by default; more wait. */
  maxConcurrent?: number;
  /**
   * Milliseconds that one submission may keep the GPU, so that pages draw their frames while a
   * large model runs: its commands go in slices. 8 by default, in Node Infinity: all at once.
   */
  sliceTime?: number;
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
}

/**
 * Loads a model: a URL or, in Node, a path; bytes, a Blob or File, a stream, a Response or Request;
 * or { model, externalData } with the files that the weights lie in.
 */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  const start = performance.now();
  const { signal, device = 'auto', fallback, maxConcurrent = 2 } = options;
  const { precision = 'f32', sliceTime = platform.sliceTime } = options;
  signal?.throwIfAborted();
  if (!Number.isInteger(maxConcurrent) || maxConcurrent < 1) {
    throw new InvalidArgumentError(`maxConcurrent: ${maxConcurrent} is no positive number`);
  }
  if (!(sliceTime > 0)) {
    throw new InvalidArgumentError(`sliceTime: ${sliceTime} is no positive number`);
  }
  if (!precisions.includes(precision)) {
    throw new InvalidArgumentError(`precision: '${String(precision)}' is none of f32, f16, auto`);
  }
  const cached = options.cache
    ? await (await import('./cache/cache.js')).openCache(options.cache)
    : undefined;
  const opened = await openModel(source, cached?.wrap);
  if (fallback) opened.main = await rereadable(opened.main, signal);
  const context = (after?: AbortSignal): LoadContext => ({
    source: opened,
    signal: after ?? signal,
    onProgress: options.onProgress?.bind(options) ?? (() => {}),
    worker: options.worker,
    threads: options.threads,
    passes: options.passes ?? true,
    precision,
    moreOutputs: options.moreOutputs ?? [],
    wasmBase: baseOf(options.wasmBase),
    warm: options.warm ?? true,
    maxConcurrent,
    sliceTime,
    tuning: undefined,
    timings: {},
    notes: [],
  });
  const unstoppable = (): AbortSignal => new AbortController().signal;

  const onWasm = async (reason: string, after?: AbortSignal): Promise<LoadedModel> => {
    const begun = performance.now();
    const own = context(after);
    const loaded = await loadWasm(own);
    return {
      ...loaded,
      reason,
      adapter: undefined,
      notes: own.notes,
      loadTime: performance.now() - begun,
      phases: own.timings,
      cache: cached?.report,
      tuning: undefined,
      fallBack: undefined,
      reload: undefined,
    };
  };

  const onChosen = async (after?: AbortSignal): Promise<LoadedModel> => {
    const begun = performance.now();
    const own = context(after);
    let starting: Promise<Core> | undefined;
    const startEarly = (): void => {
      starting = startCore(own);
      starting.catch(() => {}); // awaited in loadWebGpu
    };
    const closeEarly = (): void => void starting?.then((core) => core.close()).catch(() => {});
    let chosen: Chosen;
    try {
      chosen = await chooseDevice(device, options.powerPreference, startEarly);
    } catch (error) {
      closeEarly();
      throw error;
    }
    if (chosen.kind === 'wasm') {
      closeEarly();
      return onWasm(chosen.reason, after);
    }
    const fallBack = fallback
      ? (why: string) => onWasm(`fell back: ${why}`, unstoppable())
      : undefined;
    try {
      own.tuning = await tuningOf(options.tuning, chosen.open.info, own.notes);
      const loaded = await loadWebGpu(own, chosen.open, starting);
      return {
        ...loaded,
        reason: chosen.reason,
        adapter: chosen.open.info,
        notes: own.notes,
        loadTime: performance.now() - begun,
        phases: own.timings,
        cache: cached?.report,
        tuning: own.tuning,
        fallBack,
        reload,
      };
    } catch (error) {
      if (!isLack(error)) throw error;
      const lack = lackOf(error, chosen.open.info);
      if (!fallback) throw lack;
      return onWasm(`fell back: ${lack.message}`, after);
    }
  };

  // A device of the caller's is the caller's to replace.
  const keepsBytes = options.recover ?? !(isBytes(source) || isBytes(modelOf(source)));
  const mayReload = keepsBytes && typeof device === 'string' && opened.main.range !== undefined;
  const reload = mayReload ? () => onChosen(unstoppable()) : undefined;

  let made: LoadedModel;
  try {
    made = await onChosen();
  } catch (error) {
    if (error instanceof InvalidModelError) await cached?.forget();
    if (!(error instanceof DeviceLostError) || !mayReload) throw error;
    signal?.throwIfAborted();
    made = await onChosen();
    made.notes.push(`loaded again: ${error.message}`);
  }
  try {
    const pixels = new PixelFeeds(made.description.inputs, options.preprocess);
    await pixels.prepare(made.backend.gpu);
    return new Model(made, { ...made, loadTime: performance.now() - start }, pixels);
  } catch (error) {
    made.backend.dispose();
    throw error;
  }
}

/** What `load` with the option `cache` has kept (docs/cache.md). */
export const cache = {
  /** The files in it, the latest used first. By default of all stores that there are. */
  async list(place: CachePlace = {}): Promise<CachedFileInfo[]> {
    return (await import('./cache/cache.js')).list(place);
  },
  /** Removes a file, by its address or what `key` made of it; false where it was not there. */
  async delete(url: string | URL, place: CachePlace = {}): Promise<boolean> {
    return (await import('./cache/cache.js')).remove(url, place);
  },
  /** Removes everything. */
  async clear(place: CachePlace = {}): Promise<void> {
    return (await import('./cache/cache.js')).clear(place);
  },
};

/** Pages that never ask load no more than this. */
async function tuningOf(
  asked: LoadOptions['tuning'],
  info: AdapterInfo,
  notes: string[],
): Promise<TuningState | undefined> {
  if (!asked) return undefined;
  const { deviceKey, formsFor } = await import('./tuning.js');
  if (asked !== true && 'forms' in asked) {
    return { forms: formsFor(asked, info, notes), background: false };
  }
  const { background = false, ...place } = asked === true ? {} : asked;
  const { openTuning } = await import('./cache/tunings.js');
  return { forms: {}, ...(await openTuning(place, deviceKey(info), notes)), background };
}

function modelOf(source: ModelSource): unknown {
  return typeof source === 'object' && 'model' in source ? source.model : undefined;
}

function isBytes(source: unknown): boolean {
  return source instanceof ArrayBuffer || ArrayBuffer.isView(source);
}

function baseOf(base: string | URL | undefined): string | undefined {
  if (base === undefined) return undefined;
  try {
    return new URL(String(base).replace(/\/?$/, '/'), platform.baseUrl()).href;
  } catch {
    throw new InvalidArgumentError(`wasmBase: '${String(base)}' is no URL`);
  }
}
