// The tuner: tries the forms that the model's kernels may have on the device at hand, and finds the
// fastest of each (docs/tuning.md).

import type { Probe, RunRequest, Tunable, ValueInfo } from './backend.js';
import type { AdapterInfo } from './device.js';
import { TimestampProbe, warmUp } from './profile.js';
import { Tensor, tensorBytes, tensorFromBytes } from './tensor.js';
import { median, requireTimestamps } from './timestamps.js';
import {
  deviceKey,
  tableBytes,
  type Choice,
  type TuningState,
  type TuningTable,
} from './tuning.js';

export interface TuneOptions {
  /** Milliseconds at most, about: 30,000 by default. What was found until then counts. */
  budget?: number;
  /** How often each form is timed, 5 by default. */
  runs?: number;
  /** Ends it; the model is as it was before. */
  signal?: AbortSignal;
  /** Called after each form that was tried. */
  onProgress?(tried: number, total: number): void;
}

/** A kernel's problem with what was measured; times are microseconds. */
export interface TunedKernel {
  /** Kernel, types and sizes. */
  problem: string;
  form: string;
  time: number;
  /** The form that the tables in the code say, and its time. */
  usual: string;
  usualTime: number;
  /** All forms that were timed. */
  forms: Record<string, number>;
}

export interface TuneResult {
  /** All problems that had a choice, those that gain most first. */
  kernels: TunedKernel[];
  /** Of a run on the GPU in microseconds, with the tables' forms and with those taken now. */
  gpuTime: { usual: number; tuned: number };
  /** Was there time for all forms? */
  complete: boolean;
  /** Milliseconds that it took. */
  time: number;
  /** For `load`'s option tuning: what was found now, and what the model had before. */
  table: TuningTable;
}

/** Below that, a difference is noise. */
const worthwhile = 0.95;
/** Clocks of browsers go in steps: of so many microseconds or more they are coarse. */
const coarseStep = 30;
/** Microseconds that a timed dispatch is to take, repeated if need be. */
const passTime = { fine: 50, coarse: 2000 };
const mostRepeats = 400;
/** Rounds of both kinds of runs at last, and milliseconds of runs before those that count. */
const rounds = 3;
const pauseAfterPlan = 100;

type Run = (probe: Probe) => Promise<void>;

/** By problem and form: microseconds. */
type Times = Map<string, Map<string, number>>;

/** A model's device and session, and the forms that it has. */
export interface TunedModel {
  device: GPUDevice;
  adapter: AdapterInfo;
  session: Tunable;
  state: TuningState;
}

interface InnerOptions extends TuneOptions {
  /** Waited for before each run. */
  pause?: () => Promise<void>;
}

/**
 * `run` makes a run under a probe. At the end the session has what was found, and it is kept. Throws
 * an UnsupportedError where the device has no timestamps.
 */
export async function tuneModel(
  { device, adapter, session, state }: TunedModel,
  options: InnerOptions,
  run: Run,
): Promise<TuneResult> {
  requireTimestamps(device, 'tune');
  const { budget = 30_000, runs = 5, signal, pause } = options;
  const before = state.forms;
  const begun = performance.now();
  const timed = async (apart: boolean, repeat = 1): Promise<TimedRun> => {
    await pause?.();
    signal?.throwIfAborted();
    const probe = new TimestampProbe(device, apart, false, repeat);
    await run(probe);
    const spans = await probe.spans();
    return {
      nodes: probe.steps.map(({ node }) => node),
      times: spans.map(([begin, end]) => (end - begin) / repeat),
    };
  };

  try {
    await session.retune(tableBytes({}), 0);
    const clock = await readClock(timed);
    const times: Times = new Map();
    const usual = new Map<string, string>();
    let total = 1;
    let tried = 0;
    for (; tried < total && (tried === 0 || performance.now() - begun < budget); tried++) {
      await session.retune(tableBytes({}), tried);
      await session.choices();
      const first = await timed(true); // pipelines are made
      const choices = await session.choices();
      for (const { problem, forms, trials } of choices) {
        usual.set(problem, forms[0]!);
        total = Math.max(total, trials);
      }
      const some: TimedRun[] = [];
      const isNew = choices.some(({ taken }) => isTried(taken, tried));
      while (some.length < runs && isNew) some.push(await timed(true, clock.repeat));
      note(times, tried, choices, first, some);
      options.onProgress?.(tried + 1, total);
    }
    const complete = tried === total;
    const found = best(times, usual);
    let forms = formsOf(found);
    const gpuTime = await compare(session, timed, clock.coarse, runs, forms);
    // What is faster by itself may be slower in its place.
    if (gpuTime.tuned > gpuTime.usual) {
      forms = {};
      gpuTime.tuned = gpuTime.usual;
      for (const kernel of found)
        Object.assign(kernel, { form: kernel.usual, time: kernel.usualTime });
    }
    const kept = { ...before, ...forms };
    // The usual form needs no entry.
    for (const { problem, form, usual } of found) if (form === usual) delete kept[problem];
    await session.retune(tableBytes(kept));
    state.forms = kept;
    const table: TuningTable = { version: 1, device: deviceKey(adapter), forms: kept };
    await state.keep?.(
      table,
      found.map(({ problem }) => problem),
    );
    return { kernels: found, gpuTime, complete, time: performance.now() - begun, table };
  } catch (error) {
    await session.retune(tableBytes(before)).catch(() => {}); // a lost device or a disposed model
    throw error;
  }
}

interface TimedRun {
  /** By dispatch: its node, and microseconds. */
  nodes: number[];
  times: number[];
}

type Timed = (apart: boolean, repeat?: number) => Promise<TimedRun>;

/** How fine the GPU's clock is, and how often a dispatch has to be repeated for it. */
async function readClock(timed: Timed): Promise<{ coarse: boolean; repeat: number }> {
  const end = performance.now() + warmUp; // an idle GPU runs at a fifth of its clock
  let run = await timed(true);
  while (performance.now() < end) run = await timed(true);
  const positive = run.times.filter((time) => time > 0);
  const coarse = positive.length === 0 || Math.min(...positive) >= coarseStep;
  const mean = run.times.reduce((sum, time) => sum + time, 0) / Math.max(1, run.times.length);
  const wanted = (coarse ? passTime.coarse : passTime.fine) / Math.max(mean, 1);
  return { coarse, repeat: Math.min(Math.max(Math.ceil(wanted), 1), mostRepeats) };
}

/** In the first trial all have their usual form. */
const isTried = (taken: number, trial: number): boolean => taken > 0 || trial === 0;

/** Takes down the times of the form of number `tried`. */
function note(
  times: Times,
  tried: number,
  choices: readonly Choice[],
  first: TimedRun,
  runs: readonly TimedRun[],
): void {
  const alike = runs.filter(({ times }) => times.length === first.times.length);
  if (alike.length === 0) return;
  const ofNodes = new Map<number, number[]>();
  first.nodes.forEach((node, i) => {
    const list = ofNodes.get(node) ?? [];
    ofNodes.set(node, list);
    list.push(median(alike.map(({ times }) => times[i]!)));
  });
  const sums = new Map<string, { form: string; time: number; count: number }>();
  for (const { node, problem, forms, taken, first, last } of choices) {
    if (!isTried(taken, tried)) continue; // it has fewer forms
    const ends = choices.filter((other) => other.node === node).map((other) => other.last);
    const list = ofNodes.get(node);
    // In a loop, or where a node was planned twice, it is not known which dispatch is which.
    if (list?.length !== Math.max(...ends)) continue;
    const time = list.slice(first, last).reduce((sum, one) => sum + one, 0);
    const sum = sums.get(problem) ?? { form: forms[taken]!, time: 0, count: 0 };
    sums.set(problem, sum);
    sum.time += time;
    sum.count++;
  }
  for (const [problem, { form, time, count }] of sums) {
    const ofProblem = times.get(problem) ?? new Map<string, number>();
    times.set(problem, ofProblem);
    ofProblem.set(form, time / count);
  }
}

function best(times: Times, usual: ReadonlyMap<string, string>): TunedKernel[] {
  const found: TunedKernel[] = [];
  for (const [problem, forms] of times) {
    const usualForm = usual.get(problem)!;
    const usualTime = forms.get(usualForm);
    if (usualTime === undefined) continue;
    let [form, time] = [usualForm, usualTime];
    for (const [other, its] of forms) {
      if (its < time && its < worthwhile * usualTime) [form, time] = [other, its];
    }
    found.push({
      problem,
      form,
      time,
      usual: usualForm,
      usualTime,
      forms: Object.fromEntries(forms),
    });
  }
  return found.sort((a, b) => b.usualTime - b.time - (a.usualTime - a.time));
}

function formsOf(kernels: readonly TunedKernel[]): Record<string, string> {
  const other = kernels.filter(({ form, usual }) => form !== usual);
  return Object.fromEntries(other.map(({ problem, form }) => [problem, form]));
}

/** Whole runs with and without the forms, by turns. */
async function compare(
  session: Tunable,
  timed: Timed,
  coarse: boolean,
  runs: number,
  forms: Record<string, string>,
): Promise<{ usual: number; tuned: number }> {
  const sides = { usual: [] as number[], tuned: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    for (const side of ['usual', 'tuned'] as const) {
      await session.retune(tableBytes(side === 'usual' ? {} : forms));
      // While plans are made the GPU's clock falls.
      const end = performance.now() + pauseAfterPlan;
      do await timed(false);
      while (performance.now() < end);
      for (let i = 0; i < (coarse ? 4 : 1) * runs; i++) {
        sides[side].push((await timed(false)).times.reduce((sum, time) => sum + time, 0));
      }
    }
  }
  // Steps of a coarse clock even out in a mean, and in no median.
  const middle = (values: number[]): number =>
    coarse ? values.reduce((sum, value) => sum + value, 0) / values.length : median(values);
  return { usual: middle(sides.usual), tuned: middle(sides.tuned) };
}

/** Milliseconds without a run of the caller's. */
const idleTime = 300;

/** Comes when `isIdle` has been true for a while. */
export async function whenIdle(isIdle: () => boolean): Promise<void> {
  if (isIdle()) return;
  for (let since = performance.now(); performance.now() - since < idleTime;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (!isIdle()) since = performance.now();
  }
}

/** Contents of inputs up to so many bytes may be what plans depend on. */
const likeContents = 1024;

/** Feeds of the same dims: small ones with the same contents, others of zeros; or why not. */
export function likeFeeds(
  inputs: readonly ValueInfo[],
  feeds: RunRequest['feeds'],
): Record<string, Tensor> | string {
  const like: Record<string, Tensor> = {};
  for (const [i, { name, optional }] of inputs.entries()) {
    const feed = feeds[i];
    if (!feed && optional) continue;
    if (!feed) return `input '${name}' is kept state: tune() takes one`;
    if (!(feed instanceof Tensor) || feed.dtype === 'string') return `input '${name}' is no tensor`;
    const small = feed.location === 'cpu' && feed.byteLength <= likeContents;
    const bytes = small ? tensorBytes(feed).slice() : new Uint8Array(feed.byteLength);
    like[name] = tensorFromBytes(feed.dtype, feed.dims, bytes);
  }
  return like;
}
