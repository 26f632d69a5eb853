#!/usr/bin/env node
// The command line tool.

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { caseText, checkFolders, checkText } from './cli/check.js';
import { compile, compiledText, compileOptions } from './cli/compile.js';
import { convertModel } from './cli/convert.js';
import { diffModel, diffText } from './cli/diff.js';
import { inspectJson, inspectText } from './cli/inspect.js';
import { profileModel, profileText, traceJson } from './cli/profile.js';
import { runModel, runText } from './cli/run.js';
import { readTable, tune, tunedText, tuneOptions } from './cli/tune.js';
import { InvalidArgumentError, QuernError, textOf } from './errors.js';
import { load, type LoadOptions } from './node.js';

const help = `quern COMMAND MODEL [options]

  inspect MODEL             inputs, outputs, operators, weights, what runs where, memory
  run MODEL                 runs the model and shows its outputs
    --input NAME=VALUE      a file.npy, file.png, number, random[:DIMS] or zeros[:DIMS], DIMS such
                            as 1x3x224x224; inputs not given are random, unknown dims 1
    --output NAME=FILE.npy  writes an output
    --repeat N              runs N times
  profile MODEL             GPU time of each dispatch, by kernel and by node; WebGPU only
    --input NAME=VALUE      as above
    --runs N                medians of N runs, 10 by default
    --json FILE             writes the results there
    --trace FILE            writes a run's timeline, for Perfetto or chrome://tracing
  tune MODEL                finds the fastest forms of its kernels on this GPU (docs/tuning.md)
    --input NAME=VALUE      as above: the sizes that it is tuned for
    --budget S              seconds at most, 30 by default
    -o, --out FILE          writes what it found, for --tuning and load's option of that name
    --keep FOLDER           adds it to what is kept there, for load's tuning: { folder }
  diff MODEL                runs it in two ways, compares every value, names the first node that
                            differs, saves it as a test folder; status 1 where something differs
    --a WAY  --b WAY        webgpu or wasm, then /no-passes, /threads=N, /f16; the first is the reference;
                            by default wasm/no-passes and webgpu
    --input NAME=VALUE      as above
    --l2 E                  bounds the relative L2 error of a value, 1e-4 by default
    --rtol R  --atol A      bound each element's too; by default they don't
    --save FOLDER           where the test folder goes, ./diff by default
    --json FILE             writes the results there
  check FOLDER...           runs test folders (model.onnx, test_data_set_0/input_0.pb and
                            output_0.pb, ...) and compares; status 1 where one fails
    --rtol R  --atol A      |got - expected| <= A + R |expected|; by default 1e-3 and 1e-7
    --l2 E                  bounds the relative L2 error of each output too
    --model NAME            the model's file in each folder, model.onnx by default
    --json FILE             writes the results there
    --default-limits        a GPU device with WebGPU's default limits and no optional features
    --as-hardware           takes the kernels that hardware has, where the device is a CPU that
                            emulates a GPU
    --binding-limit BYTES   takes a GPU device to bind no more at once: a test of large tensors
    --quiet                 no lines for cases that pass
  compile MODEL -o FOLDER   makes a package that quern/package replays without WebAssembly
    --shape INPUT=DIMS      dims such as 1x3x224x224; several of an input: a plan for each
    --dim NAME=N[,N...]     an open dim's size, or a list of sizes
    --max NAME=N            all sizes from 1 to N
    --value INPUT=N[,N...]  contents of an input that plans depend on; [N,N]: a vector
    --features LIST         shader-f16,subgroups: what devices must have, by default nothing
    --subgroup-size N[-N]   sizes of their subgroups, 4-128 by default
    --limit NAME=N          a limit of theirs above WebGPU's default
    --shard-size MB         of the files with weights, 16 by default
  convert MODEL OUT.onnx    writes a model of another format as ONNX, weights included

  --device auto|webgpu|wasm    --precision f32|f16|auto    --threads N    --no-passes    --json
  --wasm FOLDER                takes the WebAssembly modules from there
  --tuning FILE                forms of kernels that tune found
`;

const options = {
  device: { type: 'string', default: 'auto' },
  precision: { type: 'string', default: 'f32' },
  threads: { type: 'string' },
  passes: { type: 'boolean', default: true },
  input: { type: 'string', multiple: true },
  output: { type: 'string', multiple: true },
  repeat: { type: 'string', default: '1' },
  runs: { type: 'string', default: '10' },
  trace: { type: 'string' },
  rtol: { type: 'string' },
  atol: { type: 'string' },
  l2: { type: 'string' },
  a: { type: 'string', default: 'wasm/no-passes' },
  b: { type: 'string', default: 'webgpu' },
  save: { type: 'string', default: 'diff' },
  model: { type: 'string', default: 'model.onnx' },
  wasm: { type: 'string' },
  tuning: { type: 'string' },
  'default-limits': { type: 'boolean', default: false },
  'as-hardware': { type: 'boolean', default: false },
  'binding-limit': { type: 'string' },
  quiet: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;
// Where results go: for inspect and run a switch, for others a file.
const jsonSwitch = { json: { type: 'boolean', default: false } } as const;
const jsonFile = { json: { type: 'string' } } as const;

/** What is to be printed, and the exit status. */
type Answer = [text: string, status: number];

async function main(args: string[]): Promise<Answer> {
  const common = { args, allowPositionals: true, allowNegative: true } as const;
  if (args[0] === 'check') {
    const { values, positionals } = parseArgs({ ...common, options: { ...options, ...jsonFile } });
    return values.help ? [help, 0] : check(positionals.slice(1), values);
  }
  if (args[0] === 'convert') {
    const { values, positionals } = parseArgs({
      ...common,
      options: { ...options, ...jsonSwitch },
    });
    if (values.help) return [help, 0];
    const [, input, out, ...rest] = positionals;
    if (input === undefined || out === undefined || rest.length > 0) {
      throw new InvalidArgumentError('quern convert MODEL OUT.onnx: one file in, one out');
    }
    return [await convertModel(input, out, loadOptions(values).wasmBase?.toString()), 0];
  }
  if (args[0] === 'compile') {
    const all = { ...options, ...jsonSwitch, ...compileOptions };
    const { values, positionals } = parseArgs({ ...common, options: all });
    if (values.help) return [help, 0];
    const wasmBase = loadOptions(values).wasmBase?.toString();
    const made = await compile(onlyModel(positionals), values, wasmBase);
    return [values.json ? toJson(made) : compiledText(values.out!, made), 0];
  }
  if (args[0] === 'diff') {
    const { values, positionals } = parseArgs({ ...common, options: { ...options, ...jsonFile } });
    return values.help ? [help, 0] : diff(onlyModel(positionals), values);
  }
  if (args[0] === 'profile') {
    const { values, positionals } = parseArgs({ ...common, options: { ...options, ...jsonFile } });
    return values.help ? [help, 0] : profile(onlyModel(positionals), values);
  }
  if (args[0] === 'tune') {
    const all = { ...options, ...tuneOptions };
    const { values, positionals } = parseArgs({ ...common, options: all });
    return values.help ? [help, 0] : tuneForms(onlyModel(positionals), values);
  }
  const { values, positionals } = parseArgs({ ...common, options: { ...options, ...jsonSwitch } });
  const [command] = positionals;
  if (values.help || command === 'help' || command === undefined) return [help, 0];
  if (command !== 'inspect' && command !== 'run') {
    throw new InvalidArgumentError(`there is no command '${command}'; see quern help`);
  }
  const path = onlyModel(positionals);
  const { json } = values;
  const repeat = count(values.repeat, '--repeat');

  const model = await load(path, loadOptions(values));
  try {
    if (command === 'inspect') {
      return [json ? toJson(inspectJson(model)) : inspectText(path, model), 0];
    }
    const result = await runModel(model, {
      inputs: values.input ?? [],
      outputs: values.output ?? [],
      repeat,
    });
    return [json ? toJson(result) : runText(result), 0];
  } finally {
    model.dispose();
  }
}

function onlyModel([command, path, ...rest]: string[]): string {
  if (path === undefined) throw new InvalidArgumentError(`quern ${command} MODEL: which model?`);
  if (rest.length > 0) throw new InvalidArgumentError(`one model at a time, not '${rest[0]}' too`);
  return path;
}

async function profile(
  path: string,
  values: Values & { input?: string[]; runs: string; json?: string; trace?: string },
): Promise<Answer> {
  const runs = count(values.runs, '--runs');
  const chosen = loadOptions(values);
  // An emulated GPU is profiled too.
  if (chosen.device === 'auto') chosen.device = 'webgpu';
  const model = await load(path, chosen);
  try {
    const result = await profileModel(model, { inputs: values.input ?? [], runs });
    if (values.json !== undefined) writeFileSync(values.json, toJson(result));
    if (values.trace !== undefined) writeFileSync(values.trace, traceJson(result));
    return [profileText(result), 0];
  } finally {
    model.dispose();
  }
}

async function tuneForms(
  path: string,
  values: Values & { input?: string[]; out?: string; keep?: string; budget: string; json: boolean },
): Promise<Answer> {
  const budget = count(values.budget, '--budget');
  const chosen = loadOptions(values);
  if (chosen.device === 'auto') chosen.device = 'webgpu';
  if (values.keep !== undefined) {
    if (values.tuning !== undefined) throw new InvalidArgumentError('--keep or --tuning, not both');
    chosen.tuning = { folder: values.keep };
  }
  const model = await load(path, chosen);
  try {
    const result = await tune(model, { inputs: values.input ?? [], budget });
    if (values.out !== undefined) writeFileSync(values.out, toJson(result.table));
    return [values.json ? toJson(result) : tunedText(result), 0];
  } finally {
    model.dispose();
  }
}

async function diff(
  path: string,
  values: Values &
    Tolerances &
    Record<'a' | 'b' | 'save', string> & { input?: string[]; json?: string },
): Promise<Answer> {
  // Elements near zero differ in their own measure: without a bound given, the whole value counts.
  const elements = values.rtol !== undefined || values.atol !== undefined;
  const common = loadOptions({ ...values, device: 'auto' });
  const result = await diffModel({
    path,
    a: values.a,
    b: values.b,
    inputs: values.input ?? [],
    rtol: bound(values.rtol ?? '0', '--rtol'),
    atol: elements ? bound(values.atol ?? '0', '--atol') : Infinity,
    l2: bound(values.l2 ?? '1e-4', '--l2'),
    common,
    save: values.save,
  });
  if (values.json !== undefined) writeFileSync(values.json, toJson(result));
  const differs = result.first ?? result.outputs.find(({ difference }) => difference);
  return [diffText(result), differs ? 1 : 0];
}

interface Tolerances {
  rtol?: string;
  atol?: string;
  l2?: string;
}

interface Values {
  device: string;
  precision: string;
  passes: boolean;
  threads?: string;
  wasm?: string;
  tuning?: string;
}

function loadOptions(values: Values): LoadOptions {
  const { device, precision, passes, threads, wasm, tuning } = values;
  if (device !== 'auto' && device !== 'webgpu' && device !== 'wasm') {
    throw new InvalidArgumentError(`--device ${device}: it is one of auto, webgpu, wasm`);
  }
  if (precision !== 'f32' && precision !== 'f16' && precision !== 'auto') {
    throw new InvalidArgumentError(`--precision ${precision}: it is one of f32, f16, auto`);
  }
  const chosen: LoadOptions = { device, precision, passes };
  if (wasm !== undefined) chosen.wasmBase = pathToFileURL(resolve(wasm));
  if (threads !== undefined) chosen.threads = count(threads, '--threads');
  if (tuning !== undefined) chosen.tuning = readTable(tuning);
  return chosen;
}

async function check(
  folders: string[],
  values: Values &
    Tolerances & {
      model: string;
      json?: string;
      quiet: boolean;
      'default-limits': boolean;
      'as-hardware': boolean;
      'binding-limit'?: string;
    },
): Promise<Answer> {
  if (folders.length === 0) throw new InvalidArgumentError('quern check FOLDER...: which folder?');
  const { stderr, stdout } = process;
  const progress = stderr.isTTY && stdout.isTTY;
  const result = await checkFolders({
    folders,
    model: values.model,
    rtol: bound(values.rtol ?? '1e-3', '--rtol'),
    atol: bound(values.atol ?? '1e-7', '--atol'),
    l2: bound(values.l2 ?? '0', '--l2'),
    options: loadOptions(values),
    defaultLimits: values['default-limits'],
    asHardware: values['as-hardware'],
    ...(values['binding-limit'] === undefined
      ? {}
      : { bindingLimit: count(values['binding-limit'], '--binding-limit') }),
    onCase(one, done) {
      if (progress) stderr.write('\r\x1b[K');
      if (one.status !== 'pass' || !values.quiet) stdout.write(caseText(one));
      if (progress && done < folders.length) stderr.write(`${done} of ${folders.length}`);
    },
  });
  if (values.json !== undefined) writeFileSync(values.json, toJson(result));
  return [checkText(result), result.passed === folders.length ? 0 : 1];
}

function bound(text: string, option: string): number {
  const value = Number(text);
  if (text !== '' && value >= 0) return value;
  throw new InvalidArgumentError(`${option} ${text}: expected a number from 0 on`);
}

function count(text: string, option: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`${option} ${text}: expected a positive number`);
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2) + '\n';
}

let output = '';
let status = 0;
try {
  [output, status] = await main(process.argv.slice(2));
} catch (error) {
  status = 1;
  const text = textOf(error);
  const own = error instanceof QuernError;
  process.stderr.write(`quern: ${own ? text : text.charAt(0).toLowerCase() + text.slice(1)}\n`);
}
// Dawn and threads would keep the process alive.
process.stdout.write(output, () => process.exit(status));
