// A list of steps made ready to be encoded again and again.

import type { Probe } from './backend.js';
import { breathe } from './async.js';
import { InternalError } from './errors.js';
import { align, type Gpu } from './gpu.js';
import type { CompiledProgram, Pipelines } from './pipelines.js';
import type { Dispatch, Slice, Step } from './plan.js';

/** A slice's buffer, and where the slice begins in it. */
export interface Place {
  buffer: GPUBuffer;
  offset: number;
}

/** Finds the memory that steps name. */
export interface StepMemory {
  resolve(slice: Slice): Place;
  /** Memory for copies inside one buffer, which WebGPU has not; it may be shared. */
  scratch(bytes: number): GPUBuffer;
}

/** Copies inside one buffer go in pieces of at most so many bytes. */
const scratchLimit = 16 << 20;

interface ReadyDispatch {
  step: Dispatch;
  program: CompiledProgram;
  bindGroup: GPUBindGroup;
}

interface ReadyCopy {
  from: Place;
  to: Place;
  bytes: number;
  /** Where both places are in one buffer. */
  scratch: GPUBuffer | undefined;
}

/**
 * Bytes bound of each step's parameters, the same for all: wgpu compares a binding with what the
 * shader before expected, where two shaders have one pipeline layout.
 */
export function paramsWindow(steps: readonly Step[]): number {
  return steps.reduce(
    (most, step) =>
      step.kind === 'dispatch' ? Math.max(most, align(step.paramsBytes, 256)) : most,
    256,
  );
}

/** Bind groups made once: encoding makes no object but the encoder. */
export class Recording {
  readonly #commands: (ReadyDispatch | ReadyCopy)[];

  private constructor(commands: (ReadyDispatch | ReadyCopy)[]) {
    this.#commands = commands;
  }

  /**
   * Makes the bind groups and waits for the pipelines. `params`: the buffer of the segment's
   * uniforms. Errors of the device come out of the promise.
   */
  static async make(
    gpu: Gpu,
    pipelines: Pipelines,
    steps: readonly Step[],
    params: GPUBuffer | undefined,
    memory: StepMemory,
  ): Promise<Recording> {
    const commands: (ReadyDispatch | ReadyCopy)[] = [];
    const programs = new Set<CompiledProgram>();
    const checks: Promise<void>[] = [];
    const window = paramsWindow(steps);

    const addDispatch = (step: Dispatch): void => {
      const program = pipelines.get(step.program);
      if (!programs.has(program)) void program.compile().catch(() => {}); // awaited below
      programs.add(program);
      const entries: GPUBindGroupEntry[] = step.slices.map((slice, binding) => ({
        binding,
        resource: { ...memory.resolve(slice), size: slice.bytes },
      }));
      if (step.paramsBytes > 0) {
        if (!params) throw new InternalError('core message: a step has parameters, its plan none');
        entries.push({
          binding: entries.length,
          resource: { buffer: params, offset: step.paramsOffset, size: window },
        });
      }
      const bindGroup = gpu.createBindGroup(program.layout, entries);
      commands.push({ step, program, bindGroup });
    };
    const add = (step: Step): void => {
      if (step.kind === 'dispatch') {
        if (!step.workgroups.includes(0)) addDispatch(step);
      } else if (step.from.bytes > 0) {
        const from = memory.resolve(step.from);
        const to = memory.resolve(step.to);
        const bytes = align(step.from.bytes, 4);
        const inside = from.buffer === to.buffer;
        const scratch = inside ? memory.scratch(Math.min(bytes, scratchLimit)) : undefined;
        commands.push({ from, to, bytes, scratch });
      }
    };

    // In batches, so that a long list keeps no page from answering.
    const batch = 64;
    for (let first = 0; first < steps.length; first += batch) {
      const { checked } = gpu.scoped('bind groups', () =>
        steps.slice(first, first + batch).forEach(add),
      );
      checked.catch(() => {});
      checks.push(checked);
      await breathe();
    }
    await Promise.all(checks);
    await Promise.all([...programs].map((program) => program.compile()));
    return new Recording(commands);
  }

  /** Commands, for `encode` in parts. */
  get length(): number {
    return this.#commands.length;
  }

  /** The commands from `begin` to before `end`. */
  encode(encoder: GPUCommandEncoder, probe?: Probe, begin = 0, end = this.length): void {
    let pass: GPUComputePassEncoder | undefined;
    let program: CompiledProgram | undefined;
    for (let i = begin; i < end; i++) {
      const command = this.#commands[i]!;
      if ('program' in command) {
        if (!pass || probe?.apart) {
          pass?.end();
          const timestampWrites = probe?.time(command.step, command.program.label);
          pass = encoder.beginComputePass(timestampWrites && { timestampWrites });
          program = undefined;
        }
        if (program !== command.program) {
          program = command.program;
          pass.setPipeline(program.pipeline!);
        }
        pass.setBindGroup(0, command.bindGroup);
        dispatch(pass, command.step);
        if (probe?.apart) for (let i = 1; i < probe.repeat; i++) dispatch(pass, command.step);
      } else {
        pass?.end();
        pass = undefined;
        encodeCopy(encoder, command);
      }
    }
    pass?.end();
  }
}

function dispatch(pass: GPUComputePassEncoder, { workgroups: [x, y, z] }: Dispatch): void {
  // What a binding to the device converts takes time, ones at the end too.
  if (z !== 1) pass.dispatchWorkgroups(x, y, z);
  else if (y !== 1) pass.dispatchWorkgroups(x, y);
  else pass.dispatchWorkgroups(x);
}

function encodeCopy(encoder: GPUCommandEncoder, { from, to, bytes, scratch }: ReadyCopy): void {
  if (!scratch) {
    copy(encoder, from, to, bytes);
    return;
  }
  const between = { buffer: scratch, offset: 0 };
  for (let at = 0; at < bytes; at += scratch.size) {
    const part = Math.min(scratch.size, bytes - at);
    copy(encoder, { buffer: from.buffer, offset: from.offset + at }, between, part);
    copy(encoder, between, { buffer: to.buffer, offset: to.offset + at }, part);
  }
}

/** Copies whole words. */
export function copy(encoder: GPUCommandEncoder, from: Place, to: Place, bytes: number): void {
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, align(bytes, 4));
}
