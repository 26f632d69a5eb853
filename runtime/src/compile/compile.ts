// A model into a package (docs/packages.md): imported and planned for a device that is not there.

import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { deflateSync } from 'node:zlib';

import { parseDescription, type Description, type ValueInfo } from '../backend.js';
import type { Core } from '../core.js';
import { targetWords } from '../device.js';
import { InvalidArgumentError, textOf, UnsupportedError } from '../errors.js';
import { feedToGpu, restToGpu, startCore, structureLimit, type LoadContext } from '../load.js';
import { encodeInputs } from '../messages.js';
import { openModel } from '../model-files.js';
import { hexOf } from '../package/files.js';
import {
  manifestName,
  mostFileBytes,
  packageVersion,
  type Binding,
  type PackagedWeight,
  type PackageFile,
  type Requirements,
  type Section,
} from '../package/format.js';
import { decodePlan, planVersion, type PlanMessage } from '../plan.js';
import { precisionReport, WeightPeaks, type Precision } from '../precision.js';
import { Tensor, tensorBytes } from '../tensor.js';
import { faultOf, tableBytes, type TuningTable } from '../tuning.js';
import { bindingsOf, type InputBinding, type ShapeOptions } from './bindings.js';
import { mergeMessages, type Merged } from './merge.js';
import { encodePlan } from './plan-writer.js';
import { WeightSpool } from './spool.js';
import { targetOf, type TargetOptions } from './target.js';

export interface CompileOptions {
  /** The folder; it may exist, its files of the same names are replaced. */
  out: string;
  shapes: ShapeOptions;
  target: TargetOptions;
  precision: Precision;
  passes: boolean;
  wasmBase: string | undefined;
  /** Forms of kernels, from `quern tune`: whatever the device was. */
  tuning?: TuningTable | undefined;
  /** The largest file of weights, in bytes. */
  shardBytes: number;
}

export interface Compiled {
  files: PackageFile[];
  /** Of the manifest. */
  sha256: string;
  bindings: number;
  programs: number;
  weightBytes: number;
  requires: Requirements;
  manifestBytes: number;
}

/** Throws an UnsupportedError with node and reason where the host has to decide in a run. */
export async function compileModel(path: string, options: CompileOptions): Promise<Compiled> {
  if (!(options.shardBytes >= 1 << 10 && options.shardBytes <= mostFileBytes)) {
    throw new InvalidArgumentError(`shards: of 1024 to ${mostFileBytes} bytes`);
  }
  const fault = options.tuning && faultOf(options.tuning);
  if (fault) throw new InvalidArgumentError(`tuning: ${fault}`);
  const { target, requires } = targetOf(options.target);
  const { precision, passes, out } = options;
  const context = contextOf(await openModel(path), options);
  const narrows =
    precision === 'f16' || (precision === 'auto' && requires.features.includes('shader-f16'));
  const peaks = narrows ? new WeightPeaks() : undefined;

  mkdirSync(out, { recursive: true });
  const spool = new WeightSpool(join(out, '.weights'), peaks);
  const core = await startCore(context);
  try {
    await core.call('begin', false, structureLimit);
    const passed = await feedToGpu(context, core, spool);
    let description = parseDescription(await core.call('finish', targetWords(target, passes)));
    await restToGpu(context, description.weights, passed, spool);
    if (peaks) {
      const values = peaks.values(description.weights.length);
      description = parseDescription(await core.call('narrow', values, precision === 'auto'));
    }
    if (options.tuning) await core.call('tune', tableBytes(options.tuning.forms));
    const bindings = bindingsOf(description.inputs, description.hostInputs, options.shapes);
    await checkHostInputs(core, description, bindings);
    const messages: PlanMessage[] = [];
    for (const binding of bindings) messages.push(await planFor(core, description, binding));
    const merged = mergeMessages(messages);
    return write({ path, options, requires, description, bindings, merged, spool });
  } finally {
    core.close();
    spool.close();
  }
}

function contextOf(source: LoadContext['source'], options: CompileOptions): LoadContext {
  return {
    ...{ source, signal: undefined, worker: false, threads: 1, moreOutputs: [], warm: false },
    ...{
      maxConcurrent: 1,
      sliceTime: Infinity,
      tuning: undefined,
      timings: {},
      notes: [],
      onProgress() {},
    },
    passes: options.passes,
    precision: options.precision,
    wasmBase: options.wasmBase,
  };
}

/** A package has no host that could read what is in an input: it must be known now. */
async function checkHostInputs(
  core: Core,
  { inputs, hostInputs }: Description,
  bindings: readonly InputBinding[],
): Promise<void> {
  for (const input of hostInputs) {
    if (bindings.every(({ inputs: given }) => !given[input] || given[input] instanceof Tensor)) {
      continue;
    }
    const { name, dtype } = inputs[input]!;
    const reader = await core.call('hostReader', input);
    throw new UnsupportedError(
      `package: the plan depends on what is in input '${name}': ${reader}` +
        (dtype === 'string' ? '' : `; give the value that it is to have, --value ${name}=N`),
    );
  }
}

async function planFor(
  core: Core,
  { inputs, hostInputs }: Description,
  binding: InputBinding,
): Promise<PlanMessage> {
  const words = encodeInputs(binding.inputs, (input) => hostInputs.includes(input));
  const { run, message } = await core.call('start', words);
  try {
    const plan = decodePlan(message);
    if (plan.segment.done) return plan;
    throw new UnsupportedError(
      `package: ${await core.call('waiting', run)}, so that a run cannot be planned ahead ` +
        `(for ${bindingText(inputs, binding)})`,
    );
  } finally {
    await core.call('endRun', run);
  }
}

function bindingText(inputs: readonly ValueInfo[], binding: InputBinding): string {
  return binding.inputs
    .map((given, i) => `'${inputs[i]!.name}' ${given ? `[${given.dims.join(', ')}]` : 'left out'}`)
    .join(', ');
}

interface Parts {
  path: string;
  options: CompileOptions;
  requires: Requirements;
  description: Description;
  bindings: readonly InputBinding[];
  merged: Merged;
  spool: WeightSpool;
}

function write({ path, options, requires, description, bindings, merged, spool }: Parts): Compiled {
  const { out } = options;
  const { inputs, outputs, hostInputs, format, producer, opsets, nodes, hits } = description;
  const { common, plans } = merged;
  const sections = new Sections();
  const report = {
    ...{ format, producer, opsets, nodes, hits, precision: description.precision },
    precisionReport: precisionReport(
      options.precision,
      description,
      options.precision === 'auto' && !requires.features.includes('shader-f16')
        ? 'compiled for a GPU without shader-f16'
        : undefined,
    ),
  };
  const descriptionPart = sections.add(Buffer.from(JSON.stringify(report)));
  const commonPart = sections.add(encodePlan(common));
  const listed = bindings.map((binding, i): Binding => {
    const values = hostInputs.flatMap((input) => {
      const value = binding.inputs[input];
      return value instanceof Tensor ? [[input, hexOf(tensorBytes(value))] as const] : [];
    });
    return {
      dims: binding.inputs.map((given) => (given ? [...given.dims] : null)),
      values: Object.fromEntries(values),
      plan: sections.add(encodePlan(plans[i]!)),
    };
  });
  const files = [writeFile(out, 'plans.bin', sections.bytes())];

  const weights = merged.weights.map((weight, i): PackagedWeight => {
    const { name, dtype, dims, bytes } = description.weights[weight]!;
    return { name, dtype, dims, bytes, loadOnly: i < merged.loadOnly };
  });
  const shards = new Shards(out, options.shardBytes);
  merged.weights.forEach((weight, i) => {
    const { name, bytes } = weights[i]!;
    for (const piece of spool.read(weight, name, bytes)) shards.add(piece);
  });
  files.push(...shards.finish());

  const manifest = {
    ...{ format: 'quern-package', version: packageVersion, planVersion },
    model: basename(path),
    requires,
    inputs: inputs.map((info, input) => ({
      ...info,
      dims: commonDims(
        info,
        listed.map(({ dims }) => dims[input]),
      ),
    })),
    outputs: outputs.map((info) => ({ ...info, dims: info.dims ?? null })),
    hostInputs,
    ...{ description: descriptionPart, common: commonPart, bindings: listed, weights, files },
  };
  const text = Buffer.from(JSON.stringify(manifest));
  const { sha256, bytes } = writeFile(out, manifestName, text);
  return {
    files,
    sha256,
    bindings: bindings.length,
    programs: common.programs.length,
    weightBytes: weights.reduce((sum, weight) => sum + weight.bytes, 0),
    requires,
    manifestBytes: bytes,
  };
}

/** Dims that are the same in all bindings are numbers, whatever the model says. */
function commonDims(
  { dims }: ValueInfo,
  all: readonly (readonly number[] | null | undefined)[],
): (number | string)[] | null {
  const given = all.filter((one) => !!one);
  const [first] = given;
  if (!first || given.some(({ length }) => length !== first.length)) return dims ?? null;
  return first.map((dim, axis) =>
    given.every((one) => one[axis] === dim) ? dim : (dims?.[axis] ?? `dim${axis}`),
  );
}

/** Compressed parts of one file. */
class Sections {
  readonly #parts: Uint8Array[] = [];
  #end = 0;

  add(raw: Uint8Array): Section {
    const part = deflateSync(raw, { level: 9 });
    const section = { offset: this.#end, bytes: part.length, rawBytes: raw.length };
    this.#parts.push(part);
    this.#end += part.length;
    return section;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** One stream of bytes in files of one size, the last one shorter. */
class Shards {
  readonly #out: string;
  readonly #files: PackageFile[] = [];
  readonly #shard: Uint8Array;
  #used = 0;

  constructor(out: string, size: number) {
    this.#out = out;
    this.#shard = new Uint8Array(size);
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#shard.length - this.#used);
      this.#shard.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
      if (this.#used === this.#shard.length) this.#flush();
    }
  }

  finish(): PackageFile[] {
    this.#flush();
    // What is left of an earlier package has no meaning beside this one.
    for (let next = this.#files.length; ; next++) {
      try {
        rmSync(join(this.#out, nameOf(next)));
      } catch {
        return this.#files;
      }
    }
  }

  #flush(): void {
    if (this.#used === 0) return;
    const name = nameOf(this.#files.length);
    this.#files.push(writeFile(this.#out, name, this.#shard.subarray(0, this.#used)));
    this.#used = 0;
  }
}

const nameOf = (shard: number): string => `weights-${shard}.bin`;

function writeFile(folder: string, name: string, bytes: Uint8Array): PackageFile {
  try {
    writeFileSync(join(folder, name), bytes);
  } catch (error) {
    throw new InvalidArgumentError(`package: ${name} can't be written: ${textOf(error)}`, {
      cause: error,
    });
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name, bytes: bytes.length, sha256 };
}
