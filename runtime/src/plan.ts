// Decodes the messages of the core: docs/plan-format.md, as src/plan/plan_writer.cc writes them.

import { dtypeOf, type DType } from './dtype.js';
import { InternalError } from './errors.js';
import type { Tree } from './value.js';
import { WordReader } from './words.js';

export const planMagic = 0x4e505251; // "QRPN"
/** Raised when anything of the format changes. */
export const planVersion = 3;

/** In the order of the core's numbers, from 1. */
export const containerKinds = ['sequence', 'optional', 'map'] as const;
/** Of containers in containers. */
export const mostNested = 8;

export const BufferKind = {
  /** Temporaries, inputs and outputs of a segment; index: its number in the run. */
  arena: 0,
  /** Index: in the model's weight table. */
  weight: 1,
  /** A pool of constants. */
  constants: 2,
  /** Results of load programs, kept for the session. */
  persistent: 3,
  /** Temporaries of a load program, freed after it. */
  once: 4,
} as const;
export type BufferKind = (typeof BufferKind)[keyof typeof BufferKind];

/** A range of device memory. */
export interface Slice {
  kind: BufferKind;
  index: number;
  offset: number;
  bytes: number;
}

/** How a program binds a buffer: @binding(i) of group 0. */
export const Access = { read: 0, readWrite: 1, uniform: 2 } as const;
export type Access = (typeof Access)[keyof typeof Access];

export interface Program {
  /** In the session. */
  number: number;
  label: string;
  wgsl: string;
  access: Access[];
  overrides: Record<string, number>;
}

/** Memory that has to be there before the segment runs. */
export interface BufferRequest {
  kind: BufferKind;
  index: number;
  bytes: number;
  /** Freed with the plan of this segment, not with the session. */
  planOwned: boolean;
  contents: Uint8Array;
}

export interface Dispatch {
  kind: 'dispatch';
  /** The node's id, for the report. */
  node: number;
  program: number;
  workgroups: [number, number, number];
  paramsOffset: number;
  /** 0 where the program has no uniform. */
  paramsBytes: number;
  slices: Slice[];
}

export interface Copy {
  kind: 'copy';
  node: number;
  from: Slice;
  to: Slice;
}

export type Step = Dispatch | Copy;

/** A tensor that goes in or out: in device memory, or its contents from the host. */
export interface Port {
  /** The leaf among all inputs or outputs; of a read: its place in the list. */
  index: number;
  dtype: DType;
  dims: number[];
  slice?: Slice;
  host?: { bytes: Uint8Array; strings: string[] };
}

/** A list of commands between two decisions of the host. */
export interface Segment {
  arenaBytes: number;
  /** Not 0: the arena is several buffers of so many bytes, the last one shorter. */
  arenaBufferBytes: number;
  /** The largest set of live bytes: the lower bound of arenaBytes. */
  liveBytes: number;
  /** The run's last segment. */
  done: boolean;
  uploads: Port[];
  /** Steps of load programs, to be run this once. */
  once: Step[];
  steps: Step[];
  /** Values that the host needs to go on. */
  reads: Port[];
  /** All of the graph's in the last segment. */
  outputs: Tree<Port>[];
  /** Uniform data; steps name their part. */
  params: Uint8Array;
}

/** What one call of the core gives: what is new for the session, and a segment. */
export interface PlanMessage {
  programs: Program[];
  buffers: BufferRequest[];
  segment: Segment;
}

/** Blobs of the result are views of `bytes`. Throws an InternalError on a message out of form. */
export function decodePlan(bytes: Uint8Array): PlanMessage {
  const reader = new WordReader(bytes);
  if (reader.word() !== planMagic) throw new InternalError('core message: not a plan');
  const found = reader.word();
  if (found !== planVersion) {
    throw new InternalError(`core message: plan version ${found}, expected ${planVersion}`);
  }
  const message = {
    programs: reader.list(readProgram),
    buffers: reader.list(readBuffer),
    segment: readSegment(reader),
  };
  reader.end();
  return message;
}

function readProgram(reader: WordReader): Program {
  return {
    number: reader.word(),
    label: reader.text(),
    wgsl: reader.text(),
    access: reader.list((access) => oneOf(access.word(), 3, 'access') as Access),
    overrides: Object.fromEntries(
      reader.list((override) => [override.text(), override.float64()] as const),
    ),
  };
}

function readBuffer(reader: WordReader): BufferRequest {
  const request = {
    kind: readKind(reader),
    index: reader.word(),
    bytes: reader.wide(),
    planOwned: reader.word() !== 0,
    contents: reader.blob(),
  };
  if (request.contents.length > request.bytes) {
    throw new InternalError('core message: contents are longer than their buffer');
  }
  return request;
}

function readSegment(reader: WordReader): Segment {
  return {
    arenaBytes: reader.wide(),
    arenaBufferBytes: reader.wide(),
    liveBytes: reader.wide(),
    done: reader.word() !== 0,
    uploads: reader.list(readPort),
    once: reader.list(readStep),
    steps: reader.list(readStep),
    reads: reader.list(readPort),
    outputs: reader.list((output) => readOutput(output, 0)),
    params: reader.blob(),
  };
}

function readStep(reader: WordReader): Step {
  const kind = oneOf(reader.word(), 2, 'step');
  const node = reader.word();
  const program = reader.word();
  const workgroups: [number, number, number] = [reader.word(), reader.word(), reader.word()];
  const paramsOffset = reader.word();
  const paramsBytes = reader.word();
  const slices = reader.list(readSlice);
  if (kind === 0) {
    return { kind: 'dispatch', node, program, workgroups, paramsOffset, paramsBytes, slices };
  }
  const [from, to] = slices;
  if (!from || !to || from.bytes !== to.bytes) {
    throw new InternalError('core message: a copy without source and target of one size');
  }
  return { kind: 'copy', node, from, to };
}

function readSlice(reader: WordReader): Slice {
  return {
    kind: readKind(reader),
    index: reader.word(),
    offset: reader.wide(),
    bytes: reader.wide(),
  };
}

function readPort(reader: WordReader): Port {
  const index = reader.word();
  const dtype = readDType(reader);
  const dims = reader.list((dim) => dim.wide());
  if (reader.word() === 0) return { index, dtype, dims, slice: readSlice(reader) };
  return {
    index,
    dtype,
    dims,
    host: { bytes: reader.blob(), strings: reader.list((item) => item.text()) },
  };
}

function readOutput(reader: WordReader, depth: number): Tree<Port> {
  const kind = oneOf(reader.word(), 4, 'value kind');
  if (kind === 0) return readPort(reader);
  if (depth >= mostNested) throw new InternalError('core message: a value is nested too deep');
  const dtype = readDType(reader);
  const items = reader.list((item) => readOutput(item, depth + 1));
  return { kind: containerKinds[kind - 1]!, dtype, items };
}

export function readDType(reader: WordReader): DType {
  const number = reader.word();
  const dtype = dtypeOf(number);
  if (!dtype) throw new InternalError(`core message: element type ${number}`);
  return dtype;
}

function readKind(reader: WordReader): BufferKind {
  return oneOf(reader.word(), 5, 'buffer kind') as BufferKind;
}

function oneOf(value: number, count: number, what: string): number {
  if (value >= count) throw new InternalError(`core message: ${what} ${value}`);
  return value;
}
