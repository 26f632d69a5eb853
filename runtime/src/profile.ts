// Where a run's time goes on the GPU: each dispatch in a pass of its own, with a timestamp before and
// after, beside runs as they are and what the device can do at best.

import type { NodeInfo, Probe } from './backend.js';
import { measureCeilings, type Ceilings } from './ceilings.js';
import { InternalError } from './errors.js';
import type { Feed } from './feeds.js';
import { align, storageUsage } from './gpu.js';
import type { Dispatch } from './plan.js';
import { Tensor, tensorBytes } from './tensor.js';
import { median, readTimestamps, requireTimestamps, setSize } from './timestamps.js';

export type { Ceilings } from './ceilings.js';

export interface ProfileOptions {
  /** How many runs of either kind, 10 by default. */
  runs?: number;
}

/** Rates reached; 0 where what is moved or computed is not known. */
export interface Rates {
  bytesPerSecond: number;
  flopsPerSecond: number;
  /** Of what the device reached in the same run: the larger of both shares. */
  share: number;
}

export interface ProfiledDispatch {
  /** The node's id. */
  node: number;
  /** Operator, file and config. */
  kernel: string;
  program: number;
  workgroups: readonly [number, number, number];
  /** Median, in microseconds. */
  time: number;
  /** In the last run, in microseconds since its first dispatch. */
  start: number;
  end: number;
  /** Of all that is bound. */
  bytes: number;
}

export interface ProfiledNode extends Omit<NodeInfo, 'place'>, Rates {
  kernels: string[];
  dispatches: number;
  /** Of the medians of its dispatches, in microseconds. */
  time: number;
  /** Two a multiply-add; 0 where it is no sum of products. */
  flops: number;
  /** Inputs and outputs, each once. */
  bytes: number;
}

export interface ProfiledKernel extends Rates {
  kernel: string;
  dispatches: number;
  time: number;
  flops: number;
  bytes: number;
}

/** Times are microseconds. */
export interface Profile {
  runs: number;
  /** Of whole runs, all dispatches in one pass: as it is without a profile. */
  gpuTime: { median: number; low: number; high: number };
  /** Sum of the dispatches' medians, each in a pass of its own. */
  time: number;
  ceilings: Ceilings;
  /** In the order of the run. */
  dispatches: ProfiledDispatch[];
  nodes: ProfiledNode[];
  /** The longest first. */
  kernels: ProfiledKernel[];
}

type NodeWork = Omit<NodeInfo, 'place'> & { flops: number; bytes: number };

/** Collects the timestamps of one run. */
export class TimestampProbe implements Probe {
  readonly steps: Dispatch[] = [];
  /** By program. */
  readonly kernels = new Map<number, string>();
  nodes: NodeWork[] | undefined;
  readonly #sets: GPUQuerySet[] = [];
  readonly #device: GPUDevice;

  constructor(
    device: GPUDevice,
    readonly apart: boolean,
    readonly fresh: boolean,
    readonly repeat = 1,
  ) {
    this.#device = device;
  }

  time(step: Dispatch, kernel: string): GPUComputePassTimestampWrites {
    this.kernels.set(step.program, kernel);
    const at = (this.steps.length * 2) % setSize;
    if (at === 0) {
      this.#sets.push(this.#device.createQuerySet({ type: 'timestamp', count: setSize }));
    }
    this.steps.push(step);
    return {
      querySet: this.#sets.at(-1)!,
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    };
  }

  work(json: string): void {
    this.nodes = JSON.parse(json) as NodeWork[];
  }

  /** [begin, end] of every pass, in microseconds since the first; frees the queries. */
  async spans(): Promise<[number, number][]> {
    const times = await readTimestamps(this.#device, this.#sets, this.steps.length * 2);
    for (const set of this.#sets) set.destroy();
    const since = (time: bigint): number => Number(time - times[0]!) / 1000;
    return this.steps.map((_, i) => [since(times[2 * i]!), since(times[2 * i + 1]!)]);
  }
}

/** Milliseconds of runs before those that count: an idle GPU runs at a fifth of its clock. */
export const warmUp = 300;

/** Shorter inputs are uploaded in each run; the host may need them. */
const largeFeed = 1 << 20;

/**
 * The feeds with large tensors in buffers of their own: while a GPU waits for an upload in each run,
 * its clock falls, and the times tell of that.
 */
export function uploaded(
  device: GPUDevice,
  feeds: Record<string, Feed>,
): { kept: Record<string, Feed>; release: () => void } {
  const buffers: GPUBuffer[] = [];
  const kept = Object.entries(feeds).map(([name, feed]): [string, Feed] => {
    const large =
      feed instanceof Tensor &&
      feed.location === 'cpu' &&
      feed.dtype !== 'string' &&
      feed.byteLength >= largeFeed;
    if (!large) return [name, feed];
    const buffer = device.createBuffer({
      label: 'quern profile',
      size: align(feed.byteLength, 4),
      usage: storageUsage,
      mappedAtCreation: true,
    });
    buffers.push(buffer);
    new Uint8Array(buffer.getMappedRange()).set(tensorBytes(feed));
    buffer.unmap();
    return [name, Tensor.fromGpuBuffer(buffer, feed.dtype, feed.dims)];
  });
  return {
    kept: Object.fromEntries(kept),
    release: () => buffers.forEach((buffer) => buffer.destroy()),
  };
}

/** `run` makes a run under a probe. Throws an UnsupportedError where the device has no timestamps. */
export async function profileRuns(
  device: GPUDevice,
  { runs = 10 }: ProfileOptions,
  run: (probe: Probe) => Promise<void>,
): Promise<Profile> {
  requireTimestamps(device, 'profile');
  const timed = async (apart: boolean, fresh = false) => {
    const probe = new TimestampProbe(device, apart, fresh);
    await run(probe);
    const { steps, kernels, nodes } = probe;
    return { steps, kernels, nodes, spans: await probe.spans() };
  };
  const first = await timed(true, true); // pipelines are made, memory is touched
  if (!first.nodes) throw new InternalError('profile: the core told nothing of the nodes');
  const warm = async (): Promise<void> => {
    const end = performance.now() + warmUp;
    while (performance.now() < end) await timed(false);
  };
  await warm();
  const ceilings = await measureCeilings(device);
  await warm();

  const whole: number[] = [];
  const apart: Awaited<ReturnType<typeof timed>>[] = [];
  for (let i = 0; i < runs; i++) {
    whole.push(sum((await timed(false)).spans.map(([begin, end]) => end - begin)));
    apart.push(await timed(true));
  }
  const last = apart.at(-1)!;
  // A loop may have gone round more often in one run than in another.
  const alike = apart.filter(({ steps }) => steps.length === last.steps.length);
  const dispatches = last.steps.map((step, i): ProfiledDispatch => {
    const [start, end] = last.spans[i]!;
    const time = median(alike.map(({ spans }) => spans[i]![1] - spans[i]![0]));
    const { node, program, workgroups, slices } = step;
    const bytes = sum(slices.map((slice) => slice.bytes));
    const kernel = last.kernels.get(program)!;
    return { node, kernel, program, workgroups, time, start, end, bytes };
  });
  const nodes = nodesOf(dispatches, first.nodes, ceilings);
  const sorted = whole.sort((a, b) => a - b);
  return {
    runs,
    gpuTime: { median: median(sorted), low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 },
    time: sum(dispatches.map(({ time }) => time)),
    ceilings,
    dispatches,
    nodes,
    kernels: kernelsOf(dispatches, nodes, ceilings),
  };
}

function nodesOf(
  dispatches: readonly ProfiledDispatch[],
  work: readonly NodeWork[],
  ceilings: Ceilings,
): ProfiledNode[] {
  const known = new Map(work.map((node) => [node.id, node]));
  return [...groupBy(dispatches, ({ node }) => node)].map(([id, group]) => {
    const node = known.get(id) ?? { id, name: '', op: '?', domain: '', flops: 0, bytes: 0 };
    const time = sum(group.map((dispatch) => dispatch.time));
    return {
      ...node,
      kernels: [...new Set(group.map(({ kernel }) => kernel))],
      dispatches: group.length,
      time,
      ...rates(node, time, ceilings),
    };
  });
}

function kernelsOf(
  dispatches: readonly ProfiledDispatch[],
  nodes: readonly ProfiledNode[],
  ceilings: Ceilings,
): ProfiledKernel[] {
  const kernels = new Map<string, ProfiledKernel>();
  const ofNodes = groupBy(dispatches, ({ node }) => node);
  for (const { id, flops, bytes } of nodes) {
    const parts = [...groupBy(ofNodes.get(id)!, ({ kernel }) => kernel)].map(([kernel, group]) => ({
      kernel,
      dispatches: group.length,
      time: sum(group.map(({ time }) => time)),
      bytes: sum(group.map((dispatch) => dispatch.bytes)),
    }));
    // Of a node with several kernels, the longest does the sums of products.
    const longest = parts.reduce((most, part) => (part.time > most.time ? part : most));
    for (const part of parts) {
      const kernel = kernels.get(part.kernel) ?? {
        kernel: part.kernel,
        ...{ dispatches: 0, time: 0, flops: 0, bytes: 0 },
        ...{ bytesPerSecond: 0, flopsPerSecond: 0, share: 0 },
      };
      kernels.set(part.kernel, kernel);
      kernel.dispatches += part.dispatches;
      kernel.time += part.time;
      kernel.bytes += parts.length === 1 ? bytes : part.bytes;
      if (part === longest) kernel.flops += flops;
    }
  }
  for (const kernel of kernels.values())
    Object.assign(kernel, rates(kernel, kernel.time, ceilings));
  return [...kernels.values()].sort((a, b) => b.time - a.time);
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function rates(
  { flops, bytes }: { flops: number; bytes: number },
  time: number,
  ceilings: Ceilings,
): Rates {
  const per = (count: number): number => (time > 0 ? (count / time) * 1e6 : 0);
  const share = Math.max(
    per(bytes) / ceilings.bytesPerSecond,
    per(flops) / ceilings.flopsPerSecond,
  );
  return { bytesPerSecond: per(bytes), flopsPerSecond: per(flops), share };
}

const sum = (values: readonly number[]): number => values.reduce((total, v) => total + v, 0);
