// A segment on the device: its memory and bind groups, made once, and its submission.

import { breathe } from './async.js';
import type { Probe } from './backend.js';
import { InternalError } from './errors.js';
import { bitWidth, byteSize, elementCount } from './dtype.js';
import { align, Usage } from './gpu.js';
import type { Arena, GpuMemory } from './gpu-memory.js';
import type { Pipelines } from './pipelines.js';
import { BufferKind, type BufferRequest, type Port, type Segment, type Slice } from './plan.js';
import { copy, Recording, type Place, paramsWindow } from './replay.js';
import { Slices, slicesUnderWay } from './slices.js';
import { tensorBytes, type Tensor } from './tensor.js';

/** Arenas of a run, by segment. */
export type Arenas = readonly (Arena | undefined)[];

/** Where an output, or a value for the host, is to be copied. */
export interface Target {
  port: Port;
  to: Place;
}

export interface Submission {
  /** Fails with what the device objects to. */
  checked: Promise<void>;
  /** Ends, and never fails, when all is submitted; undefined where it is already. */
  submitted: Promise<void> | undefined;
}

/** Inputs that lie so near to each other in the arena that one write puts them all in place. */
interface UploadGroup {
  ports: readonly Port[];
  to: Place;
  /** From the first one's first byte to the last one's end. */
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Commands of the first submission and of further ones where the host waits for a run: the device
 * begins while the rest is encoded. Each costs as much as three dispatches, in pages as ten
 * (docs/performance.md).
 */
const [firstPart, laterPart] = [12, 24];

/** A write costs several microseconds, a copy of so many bytes one or two. */
const groupBytes = 32 << 10;

export class GpuPlan {
  readonly segment: Segment;
  readonly #memory: GpuMemory;
  readonly #arenas: Arenas;
  /** Has the device taken a submission without an objection? */
  #proven = false;
  readonly #recording: Recording;
  readonly #slices: Slices;
  readonly #params: GPUBuffer | undefined;
  readonly #owned: readonly BufferRequest[];
  /** Nothing else is alive in the arena when inputs are written: bytes between them are free. */
  readonly #groups: readonly UploadGroup[];
  readonly #single: readonly Port[];
  #destroyed = false;

  private constructor(
    segment: Segment,
    memory: GpuMemory,
    arenas: Arenas,
    recording: Recording,
    params: GPUBuffer | undefined,
    owned: readonly BufferRequest[],
  ) {
    this.segment = segment;
    this.#memory = memory;
    this.#arenas = arenas;
    this.#recording = recording;
    this.#slices = new Slices(recording.length, memory.sliceTime);
    this.#params = params;
    this.#owned = owned;
    const groups = groupUploads(segment.uploads, arenas.length - 1);
    this.#groups = groups
      .filter(({ length }) => length > 1)
      .map((ports) => {
        const [first, last] = [ports[0]!, ports.at(-1)!];
        const end = last.slice!.offset + align(portBytes(last), 4);
        const bytes = new Uint8Array(end - first.slice!.offset);
        return { ports, to: memory.resolve(first.slice!, arenas), bytes };
      });
    const grouped = new Set(this.#groups.flatMap(({ ports }) => ports));
    this.#single = segment.uploads.filter((port) => !grouped.has(port));
  }

  /** `owned`: buffers of the message that go with the plan. */
  static async make(
    segment: Segment,
    memory: GpuMemory,
    pipelines: Pipelines,
    params: GPUBuffer | undefined,
    owned: readonly BufferRequest[],
    arenas: Arenas,
  ): Promise<GpuPlan> {
    const recording = await Recording.make(memory.gpu, pipelines, segment.steps, params, {
      resolve: (slice) => memory.resolve(slice, arenas),
      scratch: (bytes) => memory.scratch(bytes),
    });
    return new GpuPlan(segment, memory, arenas, recording, params, owned);
  }

  /**
   * Puts the inputs in place, encodes the steps and the copies out of them, and submits: all now, in
   * parts where the host waits for this run alone, or slice by slice. Commands of several runs must
   * not mix: the next run's may come when all of this one's are submitted.
   */
  submit(
    feeds: readonly (Tensor | undefined)[],
    targets: readonly Target[],
    probe?: Probe,
  ): Submission {
    const { gpu } = this.#memory;
    gpu.throwIfLost();
    const work = (begin: number, end: number): void => {
      let encoder = gpu.device.createCommandEncoder();
      if (begin === 0) {
        for (const group of this.#groups) this.#uploadGroup(encoder, group, feeds);
        for (const port of this.#single) this.#upload(encoder, port, feeds[port.index]);
      }
      // More submissions bring a run's end forward, and hold up those of other runs.
      let part = this.#memory.reading === 1 && !probe ? firstPart : Infinity;
      for (; end - begin >= 1.5 * part; part = laterPart) {
        const next = begin + part;
        this.#recording.encode(encoder, probe, begin, next);
        begin = next;
        gpu.queue.submit([encoder.finish()]);
        encoder = gpu.device.createCommandEncoder();
      }
      this.#recording.encode(encoder, probe, begin, end);
      if (end === this.#recording.length) {
        for (const { port, to } of targets) {
          copy(encoder, this.#resolve(port.slice!), to, port.slice!.bytes);
        }
      }
      gpu.queue.submit([encoder.finish()]);
    };
    // The same commands were found good before; only a caller's buffers may be bad now. A check
    // costs a round trip to the device's process.
    const isGood = this.#proven && feeds.every((feed) => feed?.location !== 'gpu');
    const carryOut = (begin: number, end: number): Promise<void> => {
      if (!isGood) return gpu.scoped('run', () => work(begin, end)).checked;
      work(begin, end);
      return Promise.resolve();
    };
    if (this.#slices.timed && !probe) return this.#inSlices(carryOut);
    const checked = carryOut(0, this.#recording.length);
    return { checked: isGood ? checked : this.#prove(checked), submitted: undefined };
  }

  /** At most a few slices are on the device, so that others' work waits no longer than for those. */
  #inSlices(carryOut: (begin: number, end: number) => Promise<void>): Submission {
    const { ends } = this.#slices;
    const checks: Promise<void>[] = [];
    const times: Promise<number>[] = [];
    const slice = (i: number): void => {
      checks.push(carryOut(ends[i - 1] ?? 0, ends[i]!));
      times.push(this.#memory.timeSubmitted());
      checks.at(-1)!.catch(() => {}); // awaited below, as the times are
      times.at(-1)!.catch(() => {});
    };
    slice(0); // what is submitted at once needs no turn of its own
    const rest = async (): Promise<void> => {
      for (let i = 1; i < ends.length; i++) {
        if (i >= slicesUnderWay) await times[i - slicesUnderWay];
        await breathe();
        if (this.#destroyed) throw new InternalError('plan: it was destroyed while it ran');
        slice(i);
      }
    };
    const all = rest();
    const timed = all.then(() => Promise.all(times));
    // A device that is lost tells the run by other ways.
    timed.then(
      (list) => this.#slices.ends === ends && this.#slices.adjust(list),
      () => {},
    );
    const checked = this.#prove(all.then(() => Promise.all(checks)));
    return { checked, submitted: ends.length > 1 ? all.catch(() => {}) : undefined };
  }

  async #prove(checked: Promise<unknown>): Promise<void> {
    await checked;
    this.#proven = true;
  }

  #uploadGroup(
    encoder: GPUCommandEncoder,
    { ports, to, bytes }: UploadGroup,
    feeds: readonly (Tensor | undefined)[],
  ): void {
    if (ports.some(({ index }) => feeds[index]?.location !== 'cpu')) {
      for (const port of ports) this.#upload(encoder, port, feeds[port.index]);
      return;
    }
    const first = ports[0]!.slice!.offset;
    for (const port of ports) {
      bytes.set(tensorBytes(checkedFeed(port, feeds[port.index])), port.slice!.offset - first);
    }
    this.#memory.write(to.buffer, to.offset, bytes);
  }

  #upload(encoder: GPUCommandEncoder, port: Port, given: Tensor | undefined): void {
    const feed = checkedFeed(port, given);
    if (feed.byteLength === 0) return;
    const to = this.#resolve(port.slice!);
    const { memory } = feed;
    if (memory?.draw) memory.draw(this.#memory.gpu, encoder, to, feed.byteLength);
    else if (memory) copy(encoder, { buffer: memory.buffer, offset: 0 }, to, feed.byteLength);
    else this.#memory.upload(encoder, to, tensorBytes(feed));
  }

  #resolve(slice: Slice): Place {
    return this.#memory.resolve(slice, this.#arenas);
  }

  /** Frees what is the plan's own; commands submitted before still run. */
  destroy(): void {
    this.#destroyed = true;
    if (this.#params) this.#memory.gpu.destroyBuffer(this.#params);
    for (const request of this.#owned) this.#memory.destroy(request);
  }
}

function checkedFeed(port: Port, feed: Tensor | undefined): Tensor {
  if (!port.slice || !feed) {
    throw new InternalError(`core message: input ${port.index} is uploaded but not given`);
  }
  if (feed.byteLength !== portBytes(port)) {
    throw new InternalError(
      `core message: input ${port.index} has ${feed.byteLength} bytes, the plan expects ` +
        `${portBytes(port)}`,
    );
  }
  return feed;
}

/** Uploads to the arena of a segment, in the order of memory, those near each other together. */
function groupUploads(uploads: readonly Port[], arena: number): Port[][] {
  const inArena = uploads.filter(
    (port) =>
      port.slice?.kind === BufferKind.arena && port.slice.index === arena && portBytes(port) > 0,
  );
  inArena.sort((a, b) => a.slice!.offset - b.slice!.offset);
  const groups: Port[][] = [];
  let start = 0;
  for (const port of inArena) {
    const { offset } = port.slice!;
    if (groups.length === 0 || offset + portBytes(port) - start > groupBytes) {
      groups.push([]);
      start = offset;
    }
    groups.at(-1)!.push(port);
  }
  return groups;
}

/** The exact size of a port's tensor. */
export function portBytes({ dtype, dims }: Port): number {
  return byteSize(dtype, elementCount(dims));
}

/** The uniforms of a segment; to be called under error scopes. */
export function paramsBuffer(
  memory: GpuMemory,
  { params, once, steps }: Segment,
): GPUBuffer | undefined {
  if (params.length === 0) return undefined;
  const usage = Usage.uniform | Usage.copyTarget;
  // The window of the last step may reach past its parameters.
  const beyond = paramsWindow([...once, ...steps]) - 256;
  const buffer = memory.gpu.createBuffer('params', align(params.length, 256) + beyond, usage);
  memory.write(buffer, 0, params);
  return buffer;
}

/** What a run would read back is taken to be one number. */
export function assumedBytes(port: Port, value: number): Uint8Array {
  const bytes = new Uint8Array(portBytes(port));
  const view = new DataView(bytes.buffer);
  const bits = bitWidth(port.dtype);
  for (let at = 0; at + bits / 8 <= bytes.length && bits >= 8; at += bits / 8) {
    if (port.dtype === 'f32') view.setFloat32(at, value, true);
    else if (port.dtype === 'f64') view.setFloat64(at, value, true);
    else if (port.dtype === 'bool') view.setUint8(at, 1);
    else if (bits === 8) view.setUint8(at, Math.min(value, 127));
    else if (bits === 16) view.setUint16(at, value, true);
    else view.setUint32(at, value, true); // the upper word of 64 bits stays 0
  }
  return bytes;
}
