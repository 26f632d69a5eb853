// quern compile: a model into a package that is replayed without WebAssembly.

import { compileModel, type Compiled, type CompileOptions } from '../compile/compile.js';
import { InvalidArgumentError } from '../errors.js';
import { precisions, type Precision } from '../precision.js';
import { readTable } from './tune.js';

/** What parseArgs gives. */
export interface CompileValues {
  out?: string;
  shape?: string[];
  dim?: string[];
  max?: string[];
  value?: string[];
  features: string;
  limit?: string[];
  'subgroup-size'?: string;
  'shard-size': string;
  precision: string;
  passes: boolean;
  tuning?: string;
}

export const compileOptions = {
  out: { type: 'string', short: 'o' },
  shape: { type: 'string', multiple: true },
  dim: { type: 'string', multiple: true },
  max: { type: 'string', multiple: true },
  value: { type: 'string', multiple: true },
  features: { type: 'string', default: '' },
  limit: { type: 'string', multiple: true },
  'subgroup-size': { type: 'string' },
  'shard-size': { type: 'string', default: '16' },
} as const;

export async function compile(
  path: string,
  values: CompileValues,
  wasmBase: string | undefined,
): Promise<Compiled> {
  const { out, precision, passes } = values;
  if (out === undefined) throw new InvalidArgumentError('quern compile MODEL -o FOLDER: where to?');
  if (!precisions.includes(precision as Precision)) {
    throw new InvalidArgumentError(`--precision ${precision}: it is one of f32, f16, auto`);
  }
  const megabytes = Number(values['shard-size']);
  if (!Number.isInteger(megabytes) || megabytes < 1 || megabytes > 256) {
    throw new InvalidArgumentError(
      `--shard-size ${values['shard-size']}: expected megabytes from 1 to 256`,
    );
  }
  const options: CompileOptions = {
    out,
    shapes: {
      shapes: values.shape ?? [],
      dims: values.dim ?? [],
      maxima: values.max ?? [],
      values: values.value ?? [],
    },
    target: {
      features: values.features.split(',').filter(Boolean),
      limits: values.limit ?? [],
      subgroupSize: values['subgroup-size'],
    },
    precision: precision as Precision,
    passes,
    wasmBase,
    tuning: values.tuning === undefined ? undefined : readTable(values.tuning),
    shardBytes: megabytes << 20,
  };
  return compileModel(path, options);
}

export function compiledText(out: string, made: Compiled): string {
  const { files, bindings, programs, requires, sha256, manifestBytes } = made;
  const rows = [{ name: 'manifest.json', bytes: manifestBytes }, ...files];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, bytes }) => `  ${name.padEnd(width)}  ${bytes} bytes`);
  const needs = requires.features.length > 0 ? requires.features.join(', ') : 'no features';
  const plans = bindings === 1 ? '1 plan' : `${bindings} plans`;
  return (
    `${out}: ${plans}, ${programs} programs, for devices with ${needs}\n` +
    `${lines.join('\n')}\n  integrity sha256-${sha256}\n`
  );
}
