// A plan out of a package, checked before anything is made of it: WebGPU would refuse most of what
// is wrong here, but without saying what.

import { byteSize, elementCount } from '../dtype.js';
import { Access, BufferKind, type PlanMessage, type Port, type Slice } from '../plan.js';
import { leavesOf } from '../value.js';
import { invalid, mostArenaBytes } from './format.js';

/** What plans may name. */
export interface Known {
  /** Bindings of the programs, by number. */
  programs: ReadonlyMap<number, readonly Access[]>;
  /** Bytes, by weight. */
  weights: readonly number[];
  /** Bytes of the buffers that are made once, by `keyOf`. */
  buffers: ReadonlyMap<string, number>;
  inputs: number;
  outputs: number;
}

export function keyOf({ kind, index }: Pick<Slice, 'kind' | 'index'>): string {
  return `${kind}:${index}`;
}

const mostWorkgroups = 65_535;

/** Throws an InvalidModelError; `at`: which plan it is. */
export function checkPlan(at: string, { programs, buffers, segment }: PlanMessage, known: Known) {
  const fail = (what: string): never => {
    throw invalid(`${at}: ${what}`);
  };
  const sizes = new Map(known.buffers);
  const access = new Map(known.programs);
  for (const program of programs) {
    if (access.has(program.number)) fail(`program ${program.number} comes twice`);
    access.set(program.number, program.access);
  }
  for (const request of buffers) {
    const { kind, bytes } = request;
    if (kind === BufferKind.arena || kind === BufferKind.weight) fail(`a buffer of kind ${kind}`);
    if (sizes.has(keyOf(request))) fail(`buffer ${keyOf(request)} comes twice`);
    sizes.set(keyOf(request), bytes);
  }
  let total = segment.arenaBytes;
  for (const bytes of sizes.values()) total += bytes;
  // One buffer is bounded by the device.
  if (total > 2 * mostArenaBytes) fail(`it takes ${total} bytes of memory`);
  if (segment.arenaBytes > mostArenaBytes) fail(`an arena of ${segment.arenaBytes} bytes`);
  const one = segment.arenaBufferBytes;
  if (one !== 0 && (one % 256 !== 0 || segment.arenaBytes / one > 256)) {
    fail(`an arena in buffers of ${one} bytes`);
  }
  if (!segment.done || segment.reads.length > 0) fail('it asks for values to go on');

  const checkSlice = (slice: Slice): void => {
    const { kind, index, offset, bytes } = slice;
    let size: number | undefined;
    if (kind === BufferKind.arena) size = index === 0 ? segment.arenaBytes : undefined;
    else if (kind === BufferKind.weight) size = known.weights[index];
    else size = sizes.get(keyOf(slice));
    if (size === undefined) fail(`there is no memory ${keyOf(slice)}`);
    // Slices are padded to whole vectors, and so are buffers.
    if (offset % 4 !== 0 || offset + bytes > Math.ceil(size! / 16) * 16) {
      fail(`bytes ${offset} to ${offset + bytes} of ${keyOf(slice)}, which has ${size}`);
    }
  };
  for (const step of [...segment.once, ...segment.steps]) {
    if (step.kind === 'copy') {
      [step.from, step.to].forEach(checkSlice);
      continue;
    }
    const { program, workgroups, paramsOffset, paramsBytes, slices } = step;
    const bindings = access.get(program);
    if (!bindings) fail(`there is no program ${program}`);
    const uniform = bindings!.at(-1) === Access.uniform;
    if (slices.length + Number(paramsBytes > 0) !== bindings!.length || uniform !== paramsBytes > 0)
      fail(`program ${program} gets ${slices.length} of ${bindings!.length} bindings`);
    if (workgroups.some((count) => count > mostWorkgroups))
      fail(`${workgroups.join('x')} workgroups`);
    if (paramsOffset % 256 !== 0 || paramsOffset + paramsBytes > segment.params.length) {
      fail(`parameters at ${paramsOffset}, of ${segment.params.length} bytes in all`);
    }
    slices.forEach(checkSlice);
  }

  const checkPort = (port: Port, count: number): void => {
    if (port.index >= count) fail(`port ${port.index} of ${count}`);
    const elements = elementCount(port.dims);
    if (!Number.isSafeInteger(elements * 16)) fail(`dims ${port.dims.join('x')}`);
    const bytes = byteSize(port.dtype, elements);
    if (port.slice) {
      checkSlice(port.slice);
      if (port.slice.bytes !== bytes) fail(`port ${port.index} has ${port.slice.bytes} bytes`);
    } else if (port.dtype !== 'string' && port.host!.bytes.length !== bytes) {
      fail(`port ${port.index} has ${port.host!.bytes.length} bytes`);
    } else if (port.dtype === 'string' && port.host!.strings.length !== elements) {
      fail(`port ${port.index} has ${port.host!.strings.length} strings`);
    }
  };
  for (const port of segment.uploads) {
    checkPort(port, known.inputs);
    if (!port.slice) fail(`input ${port.index} goes nowhere`);
  }
  const leaves = segment.outputs.flatMap(leavesOf);
  leaves.forEach((port) => checkPort(port, leaves.length));
  if (segment.outputs.length !== known.outputs && segment.outputs.length > 0) {
    fail(`${segment.outputs.length} outputs of ${known.outputs}`);
  }
}
