// quern diff: runs a model in two ways, compares every value in the order of the graph, and saves
// the first node whose result differs as a test folder that quern check takes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { InvalidArgumentError, LimitError, textOf } from '../errors.js';
import { toTree, type Feed } from '../feeds.js';
import { load, type LoadOptions } from '../node.js';
import { Tensor } from '../tensor.js';
import { valueOf, type Value } from '../value.js';
import { compareValues, type Comparison, type Tolerance } from './compare.js';
import { convertedModel } from './convert.js';
import { table } from './format.js';
import { modelOf, readOnnxModel, type OnnxModel, type OnnxNode } from './onnx-model.js';
import { feedsOf } from './run.js';
import { writeTensorProto } from './tensor-proto.js';

export interface DiffRequest extends Tolerance {
  path: string;
  /** DEVICE[/SETTING]...: the reference. */
  a: string;
  b: string;
  inputs: readonly string[];
  common: LoadOptions;
  /** Where the test folder goes. */
  save: string;
}

/** A value that differs, or is the nearest to it. */
export interface Differing {
  value: string;
  node: string;
  op: string;
  difference: string;
  relativeL2: number;
  maxError: number;
}

export interface DiffResult {
  a: string;
  b: string;
  /** The model's own outputs, nothing added. */
  outputs: { name: string; difference: string | undefined; relativeL2: number }[];
  /** Values compared. */
  compared: number;
  first: Differing | undefined;
  /** Values whose relative L2 error grew the most from their node's inputs: where errors come from. */
  growth: { value: string; op: string; relativeL2: number; times: number }[];
  /** The folder, the nodes in it, and whether they show the difference by themselves. */
  saved: { folder: string; nodes: string[]; reproduces: boolean } | undefined;
}

type Values = Map<string, Value>;

/** Nodes before the differing one that a saved part may take in. */
const mostNodes = 24;

export async function diffModel(request: DiffRequest): Promise<DiffResult> {
  // What other formats hold is compared, and saved, as the ONNX that they are read as.
  const converted = await convertedModel(request.path, request.common.wasmBase?.toString());
  const source = converted ?? request.path;
  const model = readOnnxModel(request.path, converted ?? readFileSync(request.path));
  const sides = [request.a, request.b].map((text) => optionsOf(text, request.common));
  const [a, b] = sides as [LoadOptions, LoadOptions];
  let feeds: Record<string, Feed> | undefined;
  const given: Values = new Map();
  const run = async (
    source: string | Uint8Array,
    options: LoadOptions,
    more: readonly string[],
  ) => {
    const loaded = await load(source, { ...options, warm: false, moreOutputs: more });
    try {
      feeds ??= (await feedsOf(loaded, request.inputs)).feeds;
      for (const info of loaded.inputs) {
        const feed = feeds[info.name];
        if (feed !== undefined) given.set(info.name, valueOf(toTree(info, feed)));
      }
      return new Map(Object.entries(await loaded.run<Value>(feeds)));
    } finally {
      loaded.dispose();
    }
  };

  const plain = { a: await run(source, a, []), b: await run(source, b, []) };
  const result: DiffResult = {
    ...{ a: request.a, b: request.b, outputs: [], compared: 0, first: undefined },
    ...{ growth: [], saved: undefined },
  };
  for (const [name, want] of plain.a) {
    const { difference, relativeL2 } = compareValues(plain.b.get(name)!, want, request);
    result.outputs.push({ name, difference, relativeL2 });
  }
  const names = model.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''));
  const all = (options: LoadOptions): Promise<Values> =>
    inParts(names, (some) => run(source, options, some));
  const values = { a: await all(a), b: await all(b) };
  for (const [name, value] of given) values.a.set(name, value);
  const errors = new Map<string, Comparison>();
  for (const name of names) {
    const [want, got] = [values.a.get(name), values.b.get(name)];
    if (want !== undefined && got !== undefined) {
      errors.set(name, compareValues(got, want, request));
    }
  }
  result.compared = errors.size;
  result.growth = growthOf(model, errors);
  let node = model.nodes.find(({ outputs }) =>
    outputs.some((name) => errors.get(name)?.difference),
  );
  let value = node?.outputs.find((name) => errors.get(name)?.difference);
  let comparison = value === undefined ? undefined : errors.get(value);
  if (!node && result.outputs.some(({ difference }) => difference)) {
    // Right with all values given out, wrong without: passes join nodes wrongly.
    const alone = async (name: string): Promise<Comparison> => {
      const got = (await run(source, b, [name])).get(name)!;
      return compareValues(got, values.a.get(name)!, request);
    };
    ({ value, comparison } = await firstAlone([...errors.keys()], alone));
    node = model.nodes.find(({ outputs }) => value !== undefined && outputs.includes(value));
  }
  if (!node || value === undefined || comparison?.difference === undefined) return result;
  const { difference, relativeL2, maxError } = comparison;
  result.first = { value, node: node.name, op: node.op, difference, relativeL2, maxError };
  result.saved = await savePart(model, node, values.a, { a, b, request });
  return result;
}

/** DEVICE, and after slashes: passes, no-passes, threads=N, f32, f16. */
function optionsOf(text: string, common: LoadOptions): LoadOptions {
  const [device, ...settings] = text.split('/');
  if (device !== 'webgpu' && device !== 'wasm') {
    throw new InvalidArgumentError(`${text}: expected webgpu or wasm, then settings after slashes`);
  }
  const options: LoadOptions = { ...common, device };
  for (const setting of settings) {
    const threads = /^threads=([1-9]\d*)$/.exec(setting);
    if (threads) options.threads = Number(threads[1]);
    else if (setting === 'f32' || setting === 'f16') options.precision = setting;
    else if (setting === 'passes' || setting === 'no-passes') options.passes = setting === 'passes';
    else {
      throw new InvalidArgumentError(
        `${text}: '${setting}' is none of passes, no-passes, threads=N, f32, f16`,
      );
    }
  }
  return options;
}

/** All values at once, or where memory is too small for that, half of them and the other half. */
async function inParts(
  names: readonly string[],
  run: (some: readonly string[]) => Promise<Values>,
): Promise<Values> {
  try {
    return await run(names);
  } catch (error) {
    if (!(error instanceof LimitError) || names.length < 2) throw error;
    const half = names.length >> 1;
    const first = await inParts(names.slice(0, half), run);
    for (const [name, value] of await inParts(names.slice(half), run)) first.set(name, value);
    return first;
  }
}

/** By halves: the first value that differs when it alone is given out. */
async function firstAlone(
  names: readonly string[],
  compare: (name: string) => Promise<Comparison>,
): Promise<{ value: string | undefined; comparison: Comparison | undefined }> {
  let [low, high] = [0, names.length];
  let found: Comparison | undefined;
  while (low < high) {
    const middle = (low + high) >> 1;
    const comparison = await compare(names[middle]!);
    if (comparison.difference === undefined) low = middle + 1;
    else [high, found] = [middle, comparison];
  }
  return { value: found && names[low], comparison: found };
}

function growthOf(model: OnnxModel, errors: ReadonlyMap<string, Comparison>) {
  const errorOf = (name: string): number => errors.get(name)?.relativeL2 ?? 0;
  const rows = model.nodes.flatMap(({ op, inputs, outputs }) => {
    // What f32 rounds away is where errors begin, not growth.
    const before = Math.max(2 ** -24, ...inputs.map(errorOf));
    return outputs
      .filter((name) => Number.isFinite(errorOf(name)) && errorOf(name) > 4 * before)
      .map((value) => {
        const relativeL2 = errorOf(value);
        return { value, op, relativeL2, times: relativeL2 / before };
      });
  });
  return rows.sort((x, y) => y.times - x.times).slice(0, 5);
}

/** The node, or it with some before it where it takes those to show the difference. */
async function savePart(
  model: OnnxModel,
  node: OnnxNode,
  values: Values,
  { a, b, request }: { a: LoadOptions; b: LoadOptions; request: DiffRequest },
): Promise<DiffResult['saved']> {
  const producers = new Map(model.nodes.flatMap((one) => one.outputs.map((name) => [name, one])));
  const part = new Set([node]);
  let smallest: Part | undefined;
  for (;;) {
    const made = await makePart(model, part, node, values);
    if (!made) break;
    smallest ??= made;
    const differs = await made.differs(a, b, request);
    if (differs) return { ...made.write(request.save), reproduces: true };
    const before = [...part].flatMap(({ inputs }) => inputs.map((name) => producers.get(name)));
    const grown = part.size;
    for (const one of before) if (one && part.size < mostNodes) part.add(one);
    if (part.size === grown) break;
  }
  return smallest && { ...smallest.write(request.save), reproduces: false };
}

interface Part {
  differs(a: LoadOptions, b: LoadOptions, tolerance: Tolerance): Promise<boolean>;
  write(folder: string): { folder: string; nodes: string[] };
}

/** Nothing where it takes in or gives out what is no tensor. */
async function makePart(
  model: OnnxModel,
  part: ReadonlySet<OnnxNode>,
  last: OnnxNode,
  values: Values,
): Promise<Part | undefined> {
  const nodes = model.nodes.filter((one) => part.has(one));
  const inside = new Set(nodes.flatMap((one) => one.outputs));
  const inputs = new Map<string, Tensor>();
  for (const name of new Set(nodes.flatMap((one) => one.inputs))) {
    if (name === '' || inside.has(name) || model.initializers.has(name)) continue;
    const value = values.get(name);
    if (!(value instanceof Tensor)) return undefined;
    inputs.set(name, value);
  }
  const outputs = new Map<string, Tensor>();
  for (const name of last.outputs) {
    const value = values.get(name);
    if (value === undefined) continue;
    if (!(value instanceof Tensor)) return undefined;
    outputs.set(name, value);
  }
  const bytes = modelOf(model, nodes, inputs, outputs);
  const run = async (options: LoadOptions): Promise<Values> => {
    const loaded = await load(bytes, { ...options, warm: false });
    try {
      return new Map(Object.entries(await loaded.run(Object.fromEntries(inputs))));
    } finally {
      loaded.dispose();
    }
  };
  return {
    async differs(a, b, tolerance) {
      try {
        const [want, got] = [await run(a), await run(b)];
        return [...want].some(
          ([name, value]) => compareValues(got.get(name)!, value, tolerance).difference,
        );
      } catch (error) {
        throw new InvalidArgumentError(`the part alone does not run: ${textOf(error)}`, {
          cause: error,
        });
      }
    },
    write(folder) {
      const set = join(folder, 'test_data_set_0');
      mkdirSync(set, { recursive: true });
      writeFileSync(join(folder, 'model.onnx'), bytes);
      const write = (kind: string, tensors: ReadonlyMap<string, Tensor>): void =>
        [...tensors].forEach(([name, tensor], i) =>
          writeFileSync(join(set, `${kind}_${i}.pb`), writeTensorProto(name, tensor)),
        );
      write('input', inputs);
      write('output', outputs);
      return { folder, nodes: nodes.map(({ op, name }) => (name ? `${op} '${name}'` : op)) };
    },
  };
}

export function diffText(result: DiffResult): string {
  const { a, b, outputs, compared, first, growth, saved } = result;
  const error = (value: number): string => value.toExponential(1);
  let out = `${b} beside ${a}\n\noutputs\n`;
  out += table(outputs.map((o) => [o.name, error(o.relativeL2), o.difference ?? 'equal enough']));
  if (growth.length > 0) {
    out += `\nwhere the relative L2 error grows\n`;
    out += table(
      growth.map((g) => [g.value, g.op, error(g.relativeL2), `x ${g.times.toFixed(0)}`]),
    );
  }
  if (!first) return `${out}\n${compared} values compared: none differs\n`;
  const name = first.node ? ` '${first.node}'` : '';
  out += `\n${compared} values compared; the first that differs is '${first.value}', of ${first.op}${name}\n`;
  out += `  ${first.difference}; relative L2 ${error(first.relativeL2)}\n`;
  if (!saved) return `${out}  not saved: it takes or gives what is no tensor\n`;
  const whether = saved.reproduces
    ? 'which shows the difference by itself'
    : 'which does not show it by itself';
  out += `  saved in ${saved.folder}: ${saved.nodes.join(', ')}, ${whether}\n`;
  return `${out}  quern check ${saved.folder} --device ${b.split('/')[0]}\n`;
}
