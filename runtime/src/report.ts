// What a model tells about itself: which device and why, what every node did, memory, times.

import type {
  CorePlace,
  MemoryReport,
  NodeInfo,
  NodeKernel,
  ObjectCounts,
  WeightInfo,
} from './backend.js';
import type { CacheReport } from './cache/types.js';
import type { AdapterInfo } from './device.js';
import type { Precision } from './precision.js';

export interface NodeReport extends NodeInfo {
  /** GPU programs of the last run. */
  kernels: NodeKernel[];
  /** Elements computed on the host. */
  hostElements: number;
}

/** What LoadOptions.precision has come to. */
export interface PrecisionReport {
  asked: Precision;
  /** f16: at least some tensors of type f32 are f16 in memory; `nodes` say which. */
  used: 'f32' | 'f16';
  /** Why it is f32 though it might have been f16. */
  reason: string | undefined;
  /** Bytes of all weights and constants that the model reads, as the device holds them. */
  weightBytes: number;
}

export interface ModelReport {
  device: 'webgpu' | 'wasm';
  /** Why that one. */
  reason: string;
  /** The GPU, where the device is one. */
  adapter: AdapterInfo | undefined;
  threads: number;
  /** Where the C++ core runs; none: a package needs none. */
  core: CorePlace;
  /** Circumstances that a user may want to change. */
  notes: string[];
  format: string;
  producer: string;
  opsets: Record<string, number>;
  /** The file's named entries, as "(inputs) -> (outputs)"; the first graph's is the model. */
  signatures: Record<string, string>;
  /** Nodes after the passes. */
  nodes: NodeReport[];
  weights: WeightInfo[];
  precision: PrecisionReport;
  /** How often each pass found something. */
  passes: Record<string, number>;
  /** GPU programs made so far. */
  programs: number;
  plansCached: number;
  objects: { total: ObjectCounts; lastRun: ObjectCounts };
  memory: MemoryReport;
  /** What LoadOptions.cache has come to; undefined where none was asked for. */
  cache: CacheReport | undefined;
  /** Forms of kernels by problem that were not the tables' in the code (docs/tuning.md). */
  tuning: Record<string, string>;
  /** Milliseconds. */
  timings: {
    load: number;
    phases: Record<string, number>;
    firstRun: number | undefined;
    lastRun: number | undefined;
  };
  runs: number;
}

/** What was made between two counts. */
export function difference(later: ObjectCounts, earlier: ObjectCounts): ObjectCounts {
  return {
    buffers: later.buffers - earlier.buffers,
    bindGroups: later.bindGroups - earlier.bindGroups,
    pipelines: later.pipelines - earlier.pipelines,
    shaderModules: later.shaderModules - earlier.shaderModules,
  };
}
