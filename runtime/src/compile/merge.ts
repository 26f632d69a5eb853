// The messages of several starts, one part for all of them and one for each: any of them may then
// be the first that a package replays.

import { BufferKind, type PlanMessage, type Segment, type Slice, type Step } from '../plan.js';
import { leavesOf } from '../value.js';

export interface Merged {
  /** Programs, buffers that stay, and the load program's steps. */
  common: PlanMessage;
  plans: PlanMessage[];
  /** Numbers of the weights that steps read, in their new order: first those for `loadOnly`. */
  weights: number[];
  /** So many of `weights` are read by the load program alone. */
  loadOnly: number;
}

/** `messages`: of finished segments, in the order that the core gave them. */
export function mergeMessages(messages: readonly PlanMessage[]): Merged {
  const run = weightsOf(messages.flatMap(({ segment }) => segment.steps));
  for (const { segment } of messages) {
    // An output may be a weight itself.
    for (const slice of portSlices(segment)) {
      if (slice.kind === BufferKind.weight) run.add(slice.index);
    }
  }
  const once = weightsOf(messages.flatMap(({ segment }) => segment.once));
  const early = [...once].filter((weight) => !run.has(weight)).sort(ascending);
  const weights = [...early, ...[...run].sort(ascending)];
  const numbers = new Map(weights.map((weight, i) => [weight, i]));

  const renumber = (slice: Slice): void => {
    if (slice.kind === BufferKind.weight) slice.index = numbers.get(slice.index)!;
  };
  for (const { segment } of messages) {
    for (const step of [...segment.once, ...segment.steps]) slicesOf(step).forEach(renumber);
    portSlices(segment).forEach(renumber);
  }

  const common: PlanMessage = {
    programs: messages.flatMap(({ programs }) => programs),
    buffers: messages.flatMap(({ buffers }) => buffers.filter(({ planOwned }) => !planOwned)),
    segment: { ...emptySegment() },
  };
  const params = new Params();
  for (const { segment } of messages) {
    for (const step of segment.once) {
      common.segment.once.push(
        step.kind === 'copy' ? step : { ...step, paramsOffset: params.take(segment, step) },
      );
    }
  }
  common.segment.params = params.bytes();

  const plans = messages.map(({ buffers, segment }): PlanMessage => {
    const own = new Params();
    const steps = segment.steps.map((step) =>
      step.kind === 'copy' ? step : { ...step, paramsOffset: own.take(segment, step) },
    );
    return {
      programs: [],
      buffers: buffers.filter(({ planOwned }) => planOwned),
      segment: { ...segment, once: [], steps, params: own.bytes() },
    };
  });
  return { common, plans, weights, loadOnly: early.length };
}

/** Uniform data in 256-byte slices; equal ones are one. */
class Params {
  readonly #slices: Uint8Array[] = [];
  readonly #offsets = new Map<string, number>();
  #end = 0;

  /** Where the step's parameters are now. */
  take({ params }: Segment, { paramsOffset, paramsBytes }: Extract<Step, { kind: 'dispatch' }>) {
    if (paramsBytes === 0) return 0;
    const slice = params.subarray(paramsOffset, paramsOffset + paramsBytes);
    const key = Buffer.from(slice).toString('latin1');
    let offset = this.#offsets.get(key);
    if (offset === undefined) {
      offset = this.#end;
      this.#end += Math.ceil(slice.length / 256) * 256;
      this.#slices.push(slice);
      this.#offsets.set(key, offset);
    }
    return offset;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#end);
    let at = 0;
    for (const slice of this.#slices) {
      bytes.set(slice, at);
      at += Math.ceil(slice.length / 256) * 256;
    }
    return bytes;
  }
}

function slicesOf(step: Step): Slice[] {
  return step.kind === 'copy' ? [step.from, step.to] : step.slices;
}

function portSlices({ uploads, reads, outputs }: Segment): Slice[] {
  const slices: Slice[] = [];
  for (const port of [...uploads, ...reads, ...outputs.flatMap(leavesOf)]) {
    if (port.slice) slices.push(port.slice);
  }
  return slices;
}

function weightsOf(steps: readonly Step[]): Set<number> {
  const slices = steps.flatMap(slicesOf).filter(({ kind }) => kind === BufferKind.weight);
  return new Set(slices.map(({ index }) => index));
}

function emptySegment(): Segment {
  return {
    ...{ arenaBytes: 0, arenaBufferBytes: 0, liveBytes: 0, done: true },
    ...{ uploads: [], once: [], steps: [], reads: [], outputs: [], params: new Uint8Array() },
  };
}

const ascending = (a: number, b: number): number => a - b;
