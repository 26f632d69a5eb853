// What comes out of runs on the device: read back, handed out as buffers, or kept for the next run.

import type { OutputPlace, Probe, ValueInfo } from './backend.js';
import { align } from './gpu.js';
import type { GpuMemory } from './gpu-memory.js';
import { portBytes, type GpuPlan, type Target } from './gpu-plan.js';
import { hostTensor, initialState } from './messages.js';
import type { Port } from './plan.js';
import { Tensor } from './tensor.js';
import { isContainer, mapTree, type Tree } from './value.js';

/** An output that is to go somewhere: to the caller, or to an input of the next run. */
export type Wanted =
  { output: number; place: OutputPlace } | { output: number; state: number; onHost: boolean };

/** Outputs kept for inputs of the next run. */
export class StateStore {
  readonly #memory: GpuMemory;
  readonly #entries = new Map<number, { buffer?: GPUBuffer; tensor: Tensor | Promise<Tensor> }>();

  constructor(memory: GpuMemory) {
    this.#memory = memory;
  }

  /** What is kept for an input; zeros where nothing is yet. */
  async get(input: number, inputs: readonly ValueInfo[]): Promise<Tensor> {
    return this.#entries.get(input)?.tensor ?? initialState(inputs[input]!);
  }

  /** The place for the value that a port gives, in commands after those that read the old one. */
  keep(input: number, port: Port): GPUBuffer {
    const bytes = portBytes(port);
    let buffer = this.#entries.get(input)?.buffer;
    if (!buffer || buffer.size < bytes || buffer.size > Math.max(256, bytes) * 2) {
      this.#free(input);
      buffer = this.#memory.tensors.take(bytes);
    }
    const tensor = new Tensor(port.dtype, port.dims, undefined, deviceMemory(this.#memory, buffer));
    this.#entries.set(input, { buffer, tensor });
    return buffer;
  }

  keepOnHost(input: number, tensor: Tensor | Promise<Tensor>): void {
    this.#free(input);
    this.#entries.set(input, { tensor });
  }

  clear(): void {
    for (const input of [...this.#entries.keys()]) this.#free(input);
  }

  #free(input: number): void {
    const buffer = this.#entries.get(input)?.buffer;
    if (buffer) this.#memory.tensors.give(buffer);
    this.#entries.delete(input);
  }
}

function deviceMemory(memory: GpuMemory, buffer: GPUBuffer) {
  return {
    buffer,
    read: (bytes: number): Promise<ArrayBuffer> => readBuffer(memory, buffer, bytes),
  };
}

async function readBuffer(
  memory: GpuMemory,
  buffer: GPUBuffer,
  bytes: number,
): Promise<ArrayBuffer> {
  if (bytes === 0) return new ArrayBuffer(0);
  const { gpu, staging } = memory;
  const target = staging.take(bytes);
  const { checked } = gpu.scoped('read', () => {
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, target, 0, align(bytes, 4));
    gpu.queue.submit([encoder.finish()]);
  });
  const reading = gpu.readStaging(target, (mapped) => mapped.slice(0, bytes));
  const [copy] = await Promise.all([reading, checked]);
  staging.give(target);
  return copy;
}

interface Staged {
  port: Port;
  offset: number;
  /** Gets bytes that are valid during the call. */
  take: (bytes: Uint8Array) => void;
}

/** Collects a run's outputs over its segments. */
export class OutputSink {
  readonly #memory: GpuMemory;
  readonly #state: StateStore;
  readonly #probe: Probe | undefined;
  /** By output. */
  readonly #values = new Map<number, Tree<Port>>();
  /** By leaf of the outputs. */
  readonly #tensors = new Map<number, Tensor>();
  readonly #pending: Promise<unknown>[] = [];
  /** Ends, and never fails, when the last segment is submitted; undefined where it is already. */
  submitted: Promise<void> | undefined;
  /** Reject kept values that later runs wait for. */
  readonly #failures: ((error: unknown) => void)[] = [];

  constructor(memory: GpuMemory, state: StateStore, probe?: Probe) {
    this.#memory = memory;
    this.#state = state;
    this.#probe = probe;
  }

  /** Submits a segment; gives the bytes of the values that the host asked for. */
  submit(
    plan: GpuPlan,
    feeds: readonly (Tensor | undefined)[],
    wanted: readonly Wanted[],
  ): Promise<Uint8Array[]> {
    const { reads, outputs } = plan.segment;
    const staged: Staged[] = [];
    const targets: Target[] = [];
    let stagedBytes = 0;
    const stage = (port: Port, take: Staged['take']): void => {
      staged.push({ port, offset: stagedBytes, take });
      stagedBytes += align(portBytes(port), 16);
    };

    const values = reads.map(({ host }) => host?.bytes ?? new Uint8Array());
    reads.forEach((port, i) => {
      if (port.slice) stage(port, (bytes) => (values[i] = bytes.slice()));
    });
    for (const entry of wanted) {
      const tree = outputs[entry.output];
      if (!tree) continue;
      if ('place' in entry) {
        this.#values.set(entry.output, tree);
        this.#hand(tree, entry.place, stage, targets);
      } else if (!isContainer(tree)) {
        this.#keepState(tree, entry.state, entry.onHost, stage, targets);
      }
    }

    const staging = stagedBytes > 0 ? this.#memory.staging.take(stagedBytes) : undefined;
    if (staging) {
      for (const { port, offset } of staged)
        targets.push({ port, to: { buffer: staging, offset } });
    }
    const done = this.#carryOut(plan, feeds, targets, staged, staging);
    done.catch((error: unknown) => {
      for (const fail of this.#failures) fail(error);
    });
    this.#pending.push(done);
    const read = done.then(() => values);
    read.catch(() => {}); // the run hears of it in values() too
    return read;
  }

  /** The submission itself, or its first slice, is made at once. */
  async #carryOut(
    plan: GpuPlan,
    feeds: readonly (Tensor | undefined)[],
    targets: readonly Target[],
    staged: readonly Staged[],
    staging: GPUBuffer | undefined,
  ): Promise<void> {
    const memory = this.#memory;
    if (staging) memory.reading++;
    const give = (): void => {
      if (!staging) return;
      memory.reading--;
      memory.staging.give(staging);
    };
    let checked: Promise<void>;
    try {
      const some = targets.filter(({ port }) => portBytes(port) > 0);
      const submission = plan.submit(feeds, some, this.#probe);
      ({ checked } = submission);
      checked.catch(() => {}); // awaited below
      this.submitted = submission.submitted;
      // A buffer that is being mapped takes no more copies.
      if (submission.submitted) await submission.submitted;
    } catch (error) {
      give();
      throw error;
    }
    const take = (memory: ArrayBuffer): void => {
      for (const { port, offset, take } of staged) {
        take(new Uint8Array(memory, offset, portBytes(port)));
      }
    };
    const reading = staging && memory.gpu.readStaging(staging, take);
    if (!reading) take(new ArrayBuffer(0)); // of tensors without elements
    reading?.then(give, give);
    await checked;
    await reading;
  }

  /** The outputs, once all is done. */
  async values(): Promise<Map<number, Tree<Tensor>>> {
    try {
      await Promise.all(this.#pending);
    } catch (error) {
      for (const tensor of this.#tensors.values()) tensor.dispose();
      throw error;
    }
    const complete = (tree: Tree<Port>): Tree<Tensor> =>
      mapTree(tree, ({ index }) => this.#tensors.get(index)!);
    return new Map([...this.#values].map(([output, tree]) => [output, complete(tree)]));
  }

  /** Frees what nobody will get, of a run that failed or was called off. */
  async discard(): Promise<void> {
    await Promise.allSettled(this.#pending);
    for (const tensor of this.#tensors.values()) tensor.dispose();
  }

  #hand(
    tree: Tree<Port>,
    place: OutputPlace,
    stage: (port: Port, take: Staged['take']) => void,
    targets: Target[],
  ): void {
    if (!isContainer(tree)) {
      this.#handLeaf(tree, place, stage, targets);
      return;
    }
    // Callers get the elements of maps, not tensors.
    const where = tree.kind === 'map' ? 'cpu' : place;
    for (const item of tree.items) this.#hand(item, where, stage, targets);
  }

  #handLeaf(
    port: Port,
    place: OutputPlace,
    stage: (port: Port, take: Staged['take']) => void,
    targets: Target[],
  ): void {
    const { index, dtype, dims } = port;
    if (place === 'gpu' && dtype !== 'string') {
      this.#tensors.set(index, this.#onDevice(port, targets));
    } else if (port.host) {
      this.#tensors.set(index, hostTensor(dtype, dims, port.host.bytes, port.host.strings));
    } else {
      stage(port, (bytes) => this.#tensors.set(index, hostTensor(dtype, dims, bytes)));
    }
  }

  #onDevice(port: Port, targets: Target[]): Tensor {
    const pool = this.#memory.tensors;
    const buffer = pool.take(portBytes(port));
    if (port.slice) targets.push({ port, to: { buffer, offset: 0 } });
    else this.#memory.write(buffer, 0, port.host!.bytes);
    return new Tensor(port.dtype, port.dims, undefined, {
      ...deviceMemory(this.#memory, buffer),
      free: () => pool.give(buffer),
    });
  }

  #keepState(
    port: Port,
    input: number,
    onHost: boolean,
    stage: (port: Port, take: Staged['take']) => void,
    targets: Target[],
  ): void {
    const { dtype, dims, host } = port;
    if (host) {
      this.#state.keepOnHost(input, hostTensor(dtype, dims, host.bytes, host.strings));
    } else if (onHost) {
      const read = new Promise<Tensor>((resolve, reject) => {
        stage(port, (bytes) => resolve(hostTensor(dtype, dims, bytes)));
        this.#failures.push(reject);
      });
      read.catch(() => {});
      this.#state.keepOnHost(input, read);
    } else {
      targets.push({ port, to: { buffer: this.#state.keep(input, port), offset: 0 } });
    }
  }
}
