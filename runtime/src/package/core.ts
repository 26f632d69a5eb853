// In the place of the core: plans that were made before.

import type { ValueInfo } from '../backend.js';
import type { Core, CoreCall } from '../core.js';
import { dtypeOf } from '../dtype.js';
import { InternalError, InvalidArgumentError, QuernError, UnsupportedError } from '../errors.js';
import { decodePlan, type PlanMessage, type Program } from '../plan.js';
import { WordReader } from '../words.js';
import { checkPlan, keyOf, type Known } from './check.js';
import { hexOf, inflate } from './files.js';
import { invalid, type Binding, type Manifest, type Section } from './format.js';

/** An input of a run, as quern_run_start gets it. */
interface Given {
  dtype: string | undefined;
  /** null: left out. */
  dims: number[] | null;
  contents: Uint8Array | undefined;
}

/** How many shapes a message lists. */
const mostListed = 8;

/** Answers a session's calls; each binding's plan is unpacked when it is first wanted. */
export class PackagedCore implements Core {
  readonly place = 'none';
  readonly #plans: Uint8Array<ArrayBuffer>;
  readonly #manifest: Manifest;
  readonly #bindings: Map<string, Binding>;
  readonly #known: Known;
  readonly #programs: ReadonlyMap<number, Program>;
  readonly #sent = new Set<number>();
  /** What is done once, until the first message takes it along. */
  #common: PlanMessage | undefined;

  private constructor(plans: Uint8Array<ArrayBuffer>, manifest: Manifest, common: PlanMessage) {
    this.#plans = plans;
    this.#manifest = manifest;
    const { bindings, inputs, outputs, weights, hostInputs } = manifest;
    this.#bindings = new Map(
      bindings.map((binding) => [
        keyFor(binding.dims, hostInputs, (input) => binding.values[input] ?? ''),
        binding,
      ]),
    );
    this.#programs = new Map(common.programs.map((program) => [program.number, program]));
    const counts = { inputs: inputs.length, outputs: outputs.length };
    const sizes = weights.map(({ bytes }) => bytes);
    checkPlan('common', common, {
      ...counts,
      programs: new Map(),
      weights: sizes,
      buffers: new Map(),
    });
    this.#known = {
      ...counts,
      programs: new Map(common.programs.map(({ number, access }) => [number, access])),
      // What only the load program reads is freed after it.
      weights: sizes.map((bytes, weight) => (weights[weight]!.loadOnly ? -1 : bytes)),
      buffers: new Map(common.buffers.map((request) => [keyOf(request), request.bytes])),
    };
    this.#common = common;
  }

  /** `plans`: the package's first file. */
  static async open(plans: Uint8Array<ArrayBuffer>, manifest: Manifest): Promise<PackagedCore> {
    return new PackagedCore(plans, manifest, await decoded(plans, manifest.common, 'common'));
  }

  async call(name: CoreCall, ...args: unknown[]): Promise<never> {
    return (await this.#answer(name, args)) as never;
  }

  close(): void {}

  #answer(name: CoreCall, args: unknown[]): unknown {
    if (name === 'start') return this.#start(givenOf(args[0] as Uint8Array));
    if (name === 'warm') return this.#message(this.#nearest(args[1] as number));
    if (name === 'memory') return 0;
    // The host computed what it had to when the package was made.
    if (name === 'runReport' || name === 'runWork') return '[]';
    if (name === 'endRun') return undefined;
    throw new InternalError(`package: there is no ${name}`);
  }

  #start(given: Given[]): Promise<{ run: number; message: PlanMessage }> {
    const { inputs, hostInputs } = this.#manifest;
    const key = keyFor(
      given.map(({ dims }) => dims),
      hostInputs,
      (input) => hexOf(given[input]!.contents ?? new Uint8Array()),
    );
    const binding = this.#bindings.get(key);
    if (!binding || given.length !== inputs.length) throw this.#noPlan(given);
    return this.#message(binding);
  }

  /** The binding whose dims are nearest to those that a session assumes. */
  #nearest(dim: number): Binding {
    const { bindings, inputs } = this.#manifest;
    const distance = ({ dims }: Binding): number =>
      dims.reduce((sum, shape, input) => {
        const open = shape?.filter((_, axis) => typeof inputs[input]!.dims?.[axis] !== 'number');
        return (open ?? []).reduce((far, one) => far + Math.abs(Math.log2((one + 1) / dim)), sum);
      }, 0);
    return bindings.reduce((best, one) => (distance(one) < distance(best) ? one : best));
  }

  async #message(binding: Binding): Promise<{ run: number; message: PlanMessage }> {
    const at = `the plan for ${bindingText(binding, this.#manifest.inputs)}`;
    const own = await decoded(this.#plans, binding.plan, at);
    if (own.programs.length > 0 || own.segment.once.length > 0) throw invalid(`${at}: is no plan`);
    checkPlan(at, own, this.#known);
    const { segment } = own;
    const common = this.#common;
    this.#common = undefined;
    const steps = [...segment.steps, ...(common?.segment.once ?? [])];
    const numbers = new Set(steps.map((step) => (step.kind === 'dispatch' ? step.program : -1)));
    const programs = [...this.#programs.values()].filter(
      ({ number }) => numbers.has(number) && !this.#sent.has(number),
    );
    for (const { number } of programs) this.#sent.add(number);
    const message: PlanMessage = { programs, buffers: own.buffers, segment };
    if (common) {
      message.buffers = [...common.buffers, ...own.buffers];
      const begin = Math.ceil(segment.params.length / 256) * 256;
      const params = new Uint8Array(begin + common.segment.params.length);
      params.set(segment.params);
      params.set(common.segment.params, begin);
      segment.params = params;
      segment.once = common.segment.once.map((step) =>
        step.kind === 'copy' ? step : { ...step, paramsOffset: step.paramsOffset + begin },
      );
    }
    return { run: 0, message };
  }

  #noPlan(given: readonly Given[]): InvalidArgumentError {
    const { inputs, bindings } = this.#manifest;
    const got = given
      .map(
        ({ dtype, dims }, i) =>
          `'${inputs[i]?.name}' ${dims ? `${dtype}[${dims.join(', ')}]` : 'left out'}`,
      )
      .join(', ');
    const known = bindings.slice(0, mostListed).map((binding) => bindingText(binding, inputs));
    const more = bindings.length - known.length;
    return new InvalidArgumentError(
      `package: it was not compiled for ${got}; it was for ${known.join('; ')}` +
        (more > 0 ? ` and ${more} more` : ''),
    );
  }
}

function bindingText({ dims, values }: Binding, inputs: readonly ValueInfo[]): string {
  return dims
    .map((shape, i) => {
      const value = values[i] === undefined ? '' : ` (bytes ${values[i]})`;
      return `'${inputs[i]!.name}' ${shape ? `[${shape.join(', ')}]` : 'left out'}${value}`;
    })
    .join(', ');
}

/** A text that is the same for the same dims and contents. */
function keyFor(
  dims: readonly (readonly number[] | null)[],
  hostInputs: readonly number[],
  valueOf: (input: number) => string,
): string {
  const shapes = dims.map((shape) => shape?.join(',') ?? '-');
  return [...shapes, ...hostInputs.map((input) => (dims[input] ? valueOf(input) : ''))].join(';');
}

/** The inputs of quern_run_start: src/api/abi.h. */
function givenOf(bytes: Uint8Array): Given[] {
  return new WordReader(bytes).list((reader) => {
    const type = reader.word();
    if (type > 63) throw new UnsupportedError('package: its inputs are tensors');
    const dims = reader.list((dim) => dim.wide());
    const hasContents = reader.word() !== 0;
    const contents = hasContents ? reader.blob() : undefined;
    const dtype = dtypeOf(type);
    if (hasContents && dtype === 'string') reader.list((item) => item.text());
    return { dtype, dims: type === 0 ? null : dims, contents };
  });
}

/** The message in a section; what is wrong with it is the package's fault. */
async function decoded(
  plans: Uint8Array<ArrayBuffer>,
  section: Section,
  at: string,
): Promise<PlanMessage> {
  const bytes = await inflate(plans, section);
  try {
    return decodePlan(bytes);
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw invalid(`${at}: ${error.message}`);
  }
}
