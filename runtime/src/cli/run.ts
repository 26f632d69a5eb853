// quern run: feeds a model, runs it, and shows what comes out.

import { readFile, writeFile } from 'node:fs/promises';

import type { ValueInfo } from '../backend.js';
import { elementCount } from '../dtype.js';
import { InvalidArgumentError } from '../errors.js';
import type { Feed } from '../feeds.js';
import type { Model } from '../model.js';
import { elementAt, Tensor } from '../tensor.js';
import type { Value } from '../value.js';
import { deviceLine, milliseconds, table, valueType } from './format.js';
import { readNpy, writeNpy } from './npy.js';
import { pictureFeed } from './png.js';

export interface RunRequest {
  /** NAME=VALUE each. */
  inputs: readonly string[];
  /** NAME=FILE.npy each. */
  outputs: readonly string[];
  repeat: number;
}

interface Summary {
  name: string;
  dtype: string;
  dims: readonly number[];
  first: string[];
  min?: number;
  max?: number;
  mean?: number;
}

export interface RunResult {
  outputs: Summary[];
  device: string;
  fed: Record<string, string>;
  times: { load: number; first: number; later: number[] };
}

/** Feeds of a model from NAME=VALUE texts, and what each is; inputs not given are random. */
export async function feedsOf(model: Model, texts: readonly string[]) {
  const given = new Map(texts.map((text) => nameAndValue(text, 'input')));
  for (const name of given.keys()) {
    if (!model.inputs.some((input) => input.name === name)) {
      const names = model.inputs.map((input) => `'${input.name}'`).join(', ');
      throw new InvalidArgumentError(`input '${name}': the model has none, only ${names}`);
    }
  }
  const feeds: Record<string, Feed> = {};
  const fed: Record<string, string> = {};
  for (const input of model.inputs) {
    const value = given.get(input.name) ?? 'random';
    if (input.optional && !given.has(input.name)) continue;
    feeds[input.name] = await feedOf(input, value);
    fed[input.name] = value;
  }
  return { feeds, fed };
}

export async function runModel(model: Model, request: RunRequest): Promise<RunResult> {
  const { feeds, fed } = await feedsOf(model, request.inputs);
  const later: number[] = [];
  let first = 0;
  let outputs: Record<string, Value> = {};
  for (let i = 0; i < request.repeat; i++) {
    outputs = await model.run<Value>(feeds);
    const time = model.report().timings.lastRun!;
    if (i === 0) first = time;
    else later.push(time);
  }
  for (const text of request.outputs) {
    const [name, path] = nameAndValue(text, 'output');
    const tensor = outputs[name];
    if (tensor === undefined)
      throw new InvalidArgumentError(`output '${name}': the model has none`);
    if (!(tensor instanceof Tensor)) {
      throw new InvalidArgumentError(`output '${name}': it is no tensor, so no file of one`);
    }
    await writeFile(path, writeNpy(tensor));
  }
  const report = model.report();
  return {
    outputs: Object.entries(outputs).flatMap(([name, value]) => summaries(name, value)),
    device: deviceLine(report),
    fed,
    times: { load: report.timings.load, first, later },
  };
}

export function runText({ outputs, device, fed, times }: RunResult): string {
  const rows: string[][] = [
    ['device', device],
    ['load', milliseconds(times.load)],
    ['first run', milliseconds(times.first)],
  ];
  if (times.later.length > 0) {
    const sorted = [...times.later].sort((a, b) => a - b);
    const median = milliseconds(sorted[Math.floor(sorted.length / 2)]!);
    const [low, high] = [sorted[0]!, sorted.at(-1)!].map(milliseconds);
    rows.push(['later runs', `${median} (median of ${sorted.length}, ${low} to ${high})`]);
  }
  for (const [name, value] of Object.entries(fed)) rows.push(['input', `${name} = ${value}`]);
  let text = table(rows, '');
  for (const { name, dtype, dims, first, min, max, mean } of outputs) {
    text += `\noutput      ${name}  ${valueType({ dtype: dtype as 'f32', dims: [...dims] })}\n`;
    if (min !== undefined) {
      text += `  min ${short(min)}  max ${short(max!)}  mean ${short(mean!)}\n`;
    }
    const more = elementCount(dims) > first.length ? ', ...' : '';
    if (first.length > 0) text += `  ${first.join(', ')}${more}\n`;
  }
  return text;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6);
}

function nameAndValue(text: string, what: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new InvalidArgumentError(`--${what} ${text}: expected NAME=VALUE`);
}

async function feedOf(info: ValueInfo, value: string): Promise<Feed> {
  if (info.element) {
    const element = await feedOf({ ...info.element, name: info.name }, value);
    return info.kind === 'sequence' ? [element] : element;
  }
  const fill = /^(random|zeros)(?::(\d+(?:[x,]\d+)*))?$/.exec(value);
  if (fill) {
    const dims = fill[2]?.split(/[x,]/).map(Number) ?? assumedDims(info);
    return filled(info, dims, fill[1] === 'random');
  }
  if (value !== '' && Number.isFinite(Number(value))) {
    return /^[iu]64$/.test(info.dtype) && /^-?\d+$/.test(value) ? BigInt(value) : Number(value);
  }
  let file: Uint8Array<ArrayBuffer>;
  try {
    file = new Uint8Array(await readFile(value));
  } catch {
    throw new InvalidArgumentError(
      `input '${info.name}': '${value}' is no number, random[:DIMS], zeros[:DIMS], nor a file`,
    );
  }
  if (/\.png$/i.test(value)) return pictureFeed(info, file);
  const { dtype, dims, data } = readNpy(file);
  // NumPy's numbers are f64 unless one says otherwise.
  const convert = dtype === 'f64' && info.dtype !== 'f64';
  return { data: convert ? Array.from(data as Float64Array) : data, dims };
}

/** Symbolic dims are taken as 1. */
function assumedDims({ name, dims }: ValueInfo): number[] {
  if (!dims)
    throw new InvalidArgumentError(`input '${name}': its rank is unknown, give random:DIMS`);
  return dims.map((dim) => (typeof dim === 'number' ? dim : 1));
}

/** The same numbers in every run: floats in [0, 1), integers 0 or 1. */
function filled({ dtype }: ValueInfo, dims: readonly number[], random: boolean): Feed {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const data = Array.from({ length: elementCount(dims) }, () => (random ? next() : 0));
  if (dtype === 'string') return { data: data.map(String), dims };
  const whole = /^([iu]\d+|bool)$/.test(dtype);
  return { data: whole ? data.map(Math.round) : data, dims };
}

/** Of a tensor, or of all in a container. */
function summaries(name: string, value: Value): Summary[] {
  if (value instanceof Tensor) return [summarise(name, value)];
  if (Array.isArray(value)) return value.flatMap((item, i) => summaries(`${name}[${i}]`, item));
  if (value === null) return [];
  const entries = [...value].map(([key, element]) => `${String(key)}: ${String(element)}`);
  return [{ name, dtype: 'map', dims: [entries.length], first: entries.slice(0, 8) }];
}

function summarise(name: string, tensor: Tensor): Summary {
  const { dtype, dims, size } = tensor;
  const elements = (count: number): unknown[] =>
    Array.from({ length: count }, (_, i) => elementAt(tensor, i));
  const first = elements(Math.min(size, 8)).map((element) =>
    typeof element === 'number' ? short(element) : String(element),
  );
  const summary: Summary = { name, dtype, dims, first };
  if (size === 0 || dtype === 'string' || dtype.startsWith('c')) return summary;
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (let i = 0; i < size; i++) {
    const value = Number(elementAt(tensor, i));
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { ...summary, min, max, mean: sum / size };
}
