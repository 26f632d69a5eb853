#!/usr/bin/env node
// The command line tool.

import { parseArgs } from 'node:util';

import { inspectJson, inspectText } from './cli/inspect.js';
import { runModel, runText } from './cli/run.js';
import { InvalidArgumentError, QuernError, textOf } from './errors.js';
import { load, type LoadOptions } from './node.js';

const help = `quern COMMAND MODEL [options]

  inspect MODEL             inputs, outputs, operators, weights, what runs where, memory
  run MODEL                 runs the model and shows its outputs
    --input NAME=VALUE      a file.npy, file.png, number, random[:DIMS] or zeros[:DIMS], DIMS such
                            as 1x3x224x224; inputs not given are random, unknown dims 1
    --output NAME=FILE.npy  writes an output
    --repeat N              runs N times

  --device auto|webgpu|wasm    --threads N    --no-passes    --json
`;

const options = {
  device: { type: 'string', default: 'auto' },
  threads: { type: 'string' },
  passes: { type: 'boolean', default: true },
  json: { type: 'boolean', default: false },
  input: { type: 'string', multiple: true },
  output: { type: 'string', multiple: true },
  repeat: { type: 'string', default: '1' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

async function main(args: string[]): Promise<string> {
  const { values, positionals } = parseArgs({
    args,
    options,
    allowPositionals: true,
    allowNegative: true,
  });
  const [command, path, ...rest] = positionals;
  if (values.help || command === 'help' || command === undefined) return help;
  if (command !== 'inspect' && command !== 'run') {
    throw new InvalidArgumentError(`there is no command '${command}'; see quern help`);
  }
  if (path === undefined) throw new InvalidArgumentError(`quern ${command} MODEL: which model?`);
  if (rest.length > 0) throw new InvalidArgumentError(`one model at a time, not '${rest[0]}' too`);
  const { device, passes, json } = values;
  if (device !== 'auto' && device !== 'webgpu' && device !== 'wasm') {
    throw new InvalidArgumentError(`--device ${device}: it is one of auto, webgpu, wasm`);
  }
  const loadOptions: LoadOptions = { device, passes };
  if (values.threads !== undefined) loadOptions.threads = count(values.threads, '--threads');
  const repeat = count(values.repeat, '--repeat');

  const model = await load(path, loadOptions);
  try {
    if (command === 'inspect') {
      return json ? toJson(inspectJson(model)) : inspectText(path, model);
    }
    const result = await runModel(model, {
      inputs: values.input ?? [],
      outputs: values.output ?? [],
      repeat,
    });
    return json ? toJson(result) : runText(result);
  } finally {
    model.dispose();
  }
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
  output = await main(process.argv.slice(2));
} catch (error) {
  status = 1;
  const text = textOf(error);
  const own = error instanceof QuernError;
  process.stderr.write(`quern: ${own ? text : text.charAt(0).toLowerCase() + text.slice(1)}\n`);
}
// Dawn and threads would keep the process alive.
process.stdout.write(output, () => process.exit(status));
