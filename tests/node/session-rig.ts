// A session on a counting device, with plans by hand in place of the core.

import { afterAll } from 'vitest';
import type { Description, RunRequest, ValueInfo } from '../../runtime/src/backend.js';
import type { Core, CoreCall } from '../../runtime/src/core.js';
import { Gpu } from '../../runtime/src/gpu.js';
import { GpuSession } from '../../runtime/src/gpu-session.js';
import { Access, BufferKind, type Port, type Slice } from '../../runtime/src/plan.js';
import { Tensor } from '../../runtime/src/tensor.js';
import { WeightStore } from '../../runtime/src/weights.js';
import { WordReader } from '../../runtime/src/words.js';
import { countingDevice, type DeviceCounts } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { encodePlan, planMessage } from './plan-writer.js';

export type Message = Parameters<typeof planMessage>[0];

/** y = x * factor + w, element by element. */
export const scaleAndAdd = {
  label: 'scale and add',
  wgsl: /* wgsl */ `
struct Params { count: u32, factor: f32 }
override WG = 1u;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(WG) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { y[id.x] = x[id.x] * params.factor + w[id.x]; }
}`,
  access: [Access.readWrite, Access.read, Access.readWrite, Access.uniform],
  overrides: { WG: 64 },
};

export function slice(kind: Slice['kind'], index: number, offset: number, bytes: number): Slice {
  return { kind, index, offset, bytes };
}
export const arena = (offset: number, bytes: number, segment = 0): Slice =>
  slice(BufferKind.arena, segment, offset, bytes);

export function params(count: number, factor: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  view.setFloat32(4, factor, true);
  return bytes;
}

export function port(index: number, dims: number[], place: Slice): Port {
  return { index, dtype: 'f32', dims, slice: place };
}

export const value = (name: string, dims: (number | string)[]): ValueInfo => ({
  name,
  dtype: 'f32',
  dims,
});

/** A core that answers from a script and notes what it is asked. */
export class ScriptedCore implements Core {
  readonly place = 'inline';
  readonly calls: string[] = [];
  readonly #start: (dims: number[][]) => Message;
  readonly #advance: (values: Float32Array[]) => Message;

  constructor(
    start: (dims: number[][]) => Message,
    advance: (values: Float32Array[]) => Message = () => ({}),
  ) {
    this.#start = start;
    this.#advance = advance;
  }

  async call(name: CoreCall, ...args: unknown[]): Promise<never> {
    this.calls.push(name);
    return this.#answer(name, args) as never;
  }

  #answer(name: CoreCall, args: unknown[]): unknown {
    if (name === 'start') {
      const reader = new WordReader(args[0] as Uint8Array);
      const dims = reader.list((input) => {
        input.word();
        const shape = input.list((dim) => dim.wide());
        input.word();
        return shape;
      });
      return { run: 1, message: encodePlan(planMessage(this.#start(dims))) };
    }
    if (name === 'advance') {
      const values = new WordReader(args[1] as Uint8Array).list((read) => read.blob().slice());
      const floats = values.map((bytes) => new Float32Array(bytes.buffer));
      return encodePlan(planMessage(this.#advance(floats)));
    }
    if (name === 'runReport') return '[]';
    return name === 'memory' ? 0 : undefined;
  }

  close(): void {}
}

/** All outputs of these models are tensors. */
type TensorSession = Omit<GpuSession, 'run'> & {
  run(request: RunRequest): Promise<Map<number, Tensor>>;
};

export interface Rig {
  session: TensorSession;
  gpu: Gpu;
  counts: DeviceCounts;
  core: ScriptedCore;
}

const opened: GPUDevice[] = [];
afterAll(() => opened.forEach((device) => device.destroy()));

export async function rig(
  core: ScriptedCore,
  {
    inputs,
    outputs,
    weights = [],
    sliceTime = Infinity,
  }: {
    inputs: ValueInfo[];
    outputs: ValueInfo[];
    weights?: Float32Array<ArrayBuffer>[];
    sliceTime?: number;
  },
): Promise<Rig> {
  const { device, counts } = countingDevice(await defaultLimitsDevice());
  opened.push(device);
  const info = { vendor: '', architecture: '', device: '', description: '', software: true };
  const open = { device, info, subgroupMin: 0, subgroupMax: 0, borrowed: true, release() {} };
  const gpu = new Gpu(open);
  const store = new WeightStore(gpu);
  weights.forEach((data, weight) => {
    void store.write(
      { weight, bytes: data.byteLength, offset: 0 },
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
  });
  const description: Description = {
    ...{ format: 'onnx', producer: '', hostInputs: [], weights: [], nodes: [], hits: {} },
    inputs,
    outputs,
    precision: { used: 'f32', constantBytes: 0 },
  };
  const session = new GpuSession({
    open,
    gpu,
    weights: store,
    core,
    description,
    coreBytes: 0,
    maxConcurrent: 2,
    sliceTime,
  });
  return { session: session as unknown as TensorSession, gpu, counts, core };
}

export function request(
  feeds: (Tensor | undefined)[],
  options: Partial<RunRequest> = {},
): RunRequest {
  return { feeds, wanted: new Map([[0, 'cpu']]), state: new Map(), signal: undefined, ...options };
}

export const vector = (...values: number[]): Tensor<'f32'> =>
  new Tensor('f32', [values.length], Float32Array.from(values));
export const floats = (outputs: Map<number, Tensor>, index = 0): number[] => [
  ...(outputs.get(index)!.data as Float32Array),
];
