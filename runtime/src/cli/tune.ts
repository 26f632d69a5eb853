// quern tune: finds the fastest forms of a model's kernels on this device.

import { readFileSync } from 'node:fs';
import { InvalidArgumentError, textOf } from '../errors.js';
import type { Model } from '../model.js';
import type { TuneResult } from '../tune.js';
import type { TuningTable } from '../tuning.js';
import { deviceLine, headOf, micros, table } from './format.js';
import { feedsOf } from './run.js';

export const tuneOptions = {
  out: { type: 'string', short: 'o' },
  keep: { type: 'string' },
  budget: { type: 'string', default: '30' },
  json: { type: 'boolean', default: false },
} as const;

export interface TuneReport extends TuneResult {
  device: string;
  fed: Record<string, string>;
}

/** `budget` in seconds. */
export async function tune(
  model: Model,
  { inputs, budget }: { inputs: readonly string[]; budget: number },
): Promise<TuneReport> {
  const { feeds, fed } = await feedsOf(model, inputs);
  const { stderr } = process;
  const result = await model.tune(feeds, {
    budget: budget * 1000,
    onProgress(tried, total) {
      if (stderr.isTTY) stderr.write(`\r\x1b[Kform ${tried} of ${total}`);
    },
  });
  if (stderr.isTTY) stderr.write('\r\x1b[K');
  return { device: deviceLine(model.report()), fed, ...result };
}

export function tunedText({ device, fed, kernels, gpuTime, complete, time }: TuneReport): string {
  const gain = (100 * (1 - gpuTime.tuned / gpuTime.usual)).toFixed(0);
  const changed = kernels.filter(({ form, usual }) => form !== usual);
  const head = headOf(device, fed);
  head.push(
    [
      'a run',
      `${micros(gpuTime.usual)} µs on the GPU, tuned ${micros(gpuTime.tuned)} (-${gain} %)`,
    ],
    ['kernels', `${kernels.length} with a choice, ${changed.length} have another form now`],
    ['time', `${(time / 1000).toFixed(1)} s${complete ? '' : ', too little for all forms'}`],
  );
  if (changed.length === 0) return table(head, '');
  const right = (text: string): string => text.padStart(8);
  const rows = changed.map(({ problem, form, time, usual, usualTime }) => [
    ...[right(micros(usualTime)), right(micros(time)), problem, usual, form],
  ]);
  const columns = [right('µs'), right('tuned'), 'kernel', 'form', 'tuned'];
  return `${table(head, '')}\n${table([columns, ...rows])}`;
}

/** What `tune` wrote. */
export function readTable(path: string): TuningTable {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TuningTable;
  } catch (error) {
    throw new InvalidArgumentError(`--tuning ${path}: ${textOf(error)}`);
  }
}
