/// <reference types="@webgpu/types" />
/// <reference lib="esnext.disposable" />
// Quern: loads a model and runs it on WebGPU or WebAssembly.

import type { Core } from './core.js';
import { chooseDevice, lackOf, type Chosen, type DeviceChoice } from './device.js';
import { InvalidArgumentError, isLack } from './errors.js';
import { loadWasm, loadWebGpu, startCore, type LoadContext, type Progress } from './load.js';
import { Model, type ModelOrigin } from './model.js';
import { platform } from './platform.js';
import { openModel, rereadable, type ModelSource } from './sources.js';

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
export type { ModelReport, NodeReport } from './report.js';
export type { ModelFiles, ModelSource, SourceInput } from './sources.js';
export { Tensor } from './tensor.js';
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
   * By default load() waits for the GPU programs that a first run most likely needs; those for
   * other sizes compile after it. false: none before the first run.
   */
  warm?: boolean;
  /** false: no optimisation, to find a fault in one. */
  passes?: boolean;
  /**
   * Inner values of the graph to give out as outputs too, to find where a result goes wrong. Names
   * that the graph lacks are left out. Passes join no nodes across them.
   */
  moreOutputs?: readonly string[];
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
  const { sliceTime = platform.sliceTime } = options;
  signal?.throwIfAborted();
  if (!Number.isInteger(maxConcurrent) || maxConcurrent < 1) {
    throw new InvalidArgumentError(`maxConcurrent: ${maxConcurrent} is no positive number`);
  }
  if (!(sliceTime > 0)) {
    throw new InvalidArgumentError(`sliceTime: ${sliceTime} is no positive number`);
  }
  const opened = await openModel(source);
  if (fallback) opened.main = await rereadable(opened.main, signal);
  const context = (): LoadContext => ({
    source: opened,
    signal,
    onProgress: options.onProgress?.bind(options) ?? (() => {}),
    worker: options.worker,
    threads: options.threads,
    passes: options.passes ?? true,
    moreOutputs: options.moreOutputs ?? [],
    wasmBase: baseOf(options.wasmBase),
    warm: options.warm ?? true,
    maxConcurrent,
    sliceTime,
    timings: {},
    notes: [],
  });

  const onWasm = async (reason: string, after?: AbortSignal) => {
    const begun = performance.now();
    const own = { ...context(), signal: after ?? signal };
    const loaded = await loadWasm(own);
    const origin: ModelOrigin = {
      reason,
      adapter: undefined,
      notes: own.notes,
      loadTime: performance.now() - begun,
      phases: own.timings,
      fallBack: undefined,
    };
    return { ...loaded, ...origin };
  };

  const own = context();
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
    const made = await onWasm(chosen.reason);
    return new Model(made, { ...made, loadTime: performance.now() - start });
  }
  const fallBack = fallback
    ? (why: string) => onWasm(`fell back: ${why}`, new AbortController().signal)
    : undefined;
  try {
    const loaded = await loadWebGpu(own, chosen.open, starting);
    return new Model(loaded, {
      reason: chosen.reason,
      adapter: chosen.open.info,
      notes: own.notes,
      loadTime: performance.now() - start,
      phases: own.timings,
      fallBack,
    });
  } catch (error) {
    if (!isLack(error)) throw error;
    const lack = lackOf(error, chosen.open.info);
    if (!fallBack) throw lack;
    const made = await onWasm(`fell back: ${lack.message}`);
    return new Model(made, { ...made, loadTime: performance.now() - start });
  }
}

function baseOf(base: string | URL | undefined): string | undefined {
  if (base === undefined) return undefined;
  try {
    return new URL(String(base).replace(/\/?$/, '/'), platform.baseUrl()).href;
  } catch {
    throw new InvalidArgumentError(`wasmBase: '${String(base)}' is no URL`);
  }
}
