// What a model asks of its device, WebGPU and WebAssembly alike.

import type { DType } from './dtype.js';
import type { Gpu } from './gpu.js';
import type { Dispatch } from './plan.js';
import type { Tensor } from './tensor.js';
import type { Choice } from './tuning.js';
import type { Tree } from './value.js';

export type ContainerKind = 'sequence' | 'optional' | 'map';

export interface ValueType {
  /** Of the innermost elements, where it is no tensor. */
  dtype: DType;
  /** Text names a symbolic dim; undefined dims are an unknown rank. */
  dims: (number | string)[] | undefined;
  /** Absent: a tensor. */
  kind?: ContainerKind;
  /** What holds for all elements of a container; of a map, its values. */
  element?: ValueType;
  /** Of a map. */
  key?: DType;
}

/** A graph's input or output. */
export interface ValueInfo extends ValueType {
  name: string;
  /** An input that may be left out. */
  optional?: boolean;
}

export interface WeightInfo {
  name: string;
  dtype: DType;
  dims: number[];
  bytes: number;
  /** Empty: the model file. */
  file: string;
  /** In that file. */
  offset: number;
  /** Does anything read it after the passes? */
  used: boolean;
  /** Its elements in the device's memory, where they are not of its type. */
  stored?: 'f16';
  /** Nothing but the load program reads it. */
  loadOnly?: boolean;
}

/**
 * Where a node runs. host: strings and the like, which no device takes; shape: on the host from
 * what it knows (dims, constants, small inputs); load: once, at load.
 */
export type NodePlace = 'device' | 'view' | 'host' | 'shape' | 'load' | 'control';

export interface NodeInfo {
  id: number;
  name: string;
  op: string;
  domain: string;
  place: NodePlace;
  /** The type in memory of a result of floats: f16 may stand for f32 (docs/precision.md). */
  precision?: DType;
  /** Operators of a fused node. */
  body?: string[];
}

/** A session's description: quern_session_describe in src/api/abi.h. */
export interface Description {
  format: string;
  producer: string;
  opsets?: Record<string, number>;
  signatures?: Record<string, string>;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Inputs whose contents the host reads, by number. */
  hostInputs: number[];
  weights: WeightInfo[];
  nodes: NodeInfo[];
  /** How often each pass found something. */
  hits: Record<string, number>;
  precision: {
    used: 'f32' | 'f16';
    /** Why it is f32 though f16 was asked for. */
    reason?: string;
    /** Bytes of the constants that are no entries of `weights`. */
    constantBytes: number;
  };
}

/** The core's JSON, null dims made undefined. */
export function parseDescription(json: string): Description {
  const description = JSON.parse(json) as Description;
  for (const value of [...description.inputs, ...description.outputs]) {
    for (let type: ValueType | undefined = value; type; type = type.element) {
      type.dims ??= undefined;
    }
  }
  return description;
}

/** What the tuner needs of a session. */
export interface Tunable {
  /**
   * Plans from now on have the forms of kernels that a table names (tableBytes in tuning.ts), or all
   * the form of number `trial`.
   */
  retune(table: Uint8Array, trial?: number): Promise<void>;
  /** Choices of plans made since the last call. */
  choices(): Promise<Choice[]>;
}

export type OutputPlace = 'cpu' | 'gpu';

/** Times a run's steps on the GPU; made in profile.ts, asked in replay.ts. */
export interface Probe {
  /** Shall each dispatch have a pass of its own? */
  readonly apart: boolean;
  /** Is the run to be planned anew, so that `work` is called? */
  readonly fresh: boolean;
  /** How often a dispatch that is apart is carried out in its pass. */
  readonly repeat: number;
  /** For the pass that begins with this dispatch, and consists of it where they are apart. */
  time(step: Dispatch, kernel: string): GPUComputePassTimestampWrites | undefined;
  /** Gets the nodes that made the steps: quern_run_work in src/api/abi.h. */
  work(json: string): void;
}

/** A run with names resolved to numbers. */
export interface RunRequest {
  /** By input; undefined where nothing was given. */
  feeds: (Tree<Tensor> | undefined)[];
  /** Outputs wanted, by number, and where. */
  wanted: Map<number, OutputPlace>;
  /** Outputs to keep and the inputs that get them in the next run. */
  state: Map<number, number>;
  signal: AbortSignal | undefined;
  probe?: Probe | undefined;
}

/** Kernels of a node in the last run. */
export interface NodeKernel {
  program: number;
  label: string;
  dispatches: number;
}

export interface MemoryReport {
  /** Bytes of the weights in use. */
  weights: number;
  /** Constants and tables. */
  constants: number;
  /** Results computed at load. */
  persistent: number;
  /** The arena of the last run. */
  arenaPeak: number;
  /** The largest set of live bytes in the last run: the arena's lower bound. */
  arenaLive: number;
  /** All buffers of this model together; for WebAssembly its memory. */
  total: number;
  /** The core's WebAssembly memory. */
  core: number;
}

/** GPU objects made so far. */
export interface ObjectCounts {
  buffers: number;
  bindGroups: number;
  pipelines: number;
  shaderModules: number;
}

export interface BackendReport {
  memory: MemoryReport;
  /** Errors of the device that no run or load asked for. */
  uncaptured: readonly string[];
  programs: number;
  plansCached: number;
  /** By node id. */
  kernels: Map<number, NodeKernel[]>;
  /** Elements that nodes computed on the host in the last run that was planned, by node id. */
  hostElements: Map<number, number>;
}

/** Where the C++ core runs; none: the plans are those of a package. */
export type CorePlace = 'inline' | 'worker' | 'none';

export interface Backend {
  readonly kind: 'webgpu' | 'wasm';
  readonly corePlace: CorePlace;
  readonly threads: number;
  readonly counters: Readonly<ObjectCounts>;
  /** Where it is on one. */
  readonly gpu?: Gpu;
  /** Where kernels have forms to choose from. */
  readonly tunable?: Tunable | undefined;
  /** Wanted outputs by number. */
  run(request: RunRequest): Promise<Map<number, Tree<Tensor>>>;
  /** Forgets the kept outputs, before runs that are made later. */
  resetState(): void;
  report(): BackendReport;
  dispose(): void;
}
