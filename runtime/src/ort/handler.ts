// A session on Quern: feeds and results of the onnxruntime API to those of a Model.

import type { OutputPlace, ValueInfo } from '../backend.js';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import type { Model } from '../model.js';
import { Tensor as QuernTensor, tensorBytes } from '../tensor.js';
import type { Value } from '../value.js';
import { anyNameOf, dtypeOfName, nameOfDtype } from './dtypes.js';
import { Profiler } from './profiler.js';
import { isTensor, OrtTensor } from './tensor.js';
import type { Tensor, TypedTensor } from './tensor-types.js';
import type { InferenceSession, InferenceSessionHandler, SessionHandler } from './session-types.js';

type AnyTensor = TypedTensor<Tensor.Type>;
type SessionOptions = InferenceSession.SessionOptions;

export class QuernHandler implements InferenceSessionHandler {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly #model: Model;
  readonly #device: GPUDevice | undefined;
  readonly #overrides: NonNullable<SessionOptions['freeDimensionOverrides']>;
  readonly #places: ReadonlyMap<string, OutputPlace>;
  readonly #profiler: Profiler;
  #released = false;

  /** `device`: what it was made for, also where it fell back to WebAssembly. */
  constructor(model: Model, device: GPUDevice | undefined, options: SessionOptions) {
    this.#model = model;
    this.#device = device;
    this.#overrides = options.freeDimensionOverrides ?? {};
    const needed = model.inputs.filter(({ optional, kind }) => !optional || kind);
    this.inputNames = needed.map(({ name }) => name);
    this.outputNames = model.outputs.map(({ name }) => name);
    this.inputMetadata = needed.map((info) => metadataOf(info, this.#overrides));
    this.outputMetadata = model.outputs.map((info) => metadataOf(info, this.#overrides));
    this.#places = placesOf(options, this.outputNames, device !== undefined);
    this.#profiler = new Profiler(model, options.enableProfiling ?? false);
  }

  async run(
    feeds: SessionHandler.FeedsType,
    fetches: SessionHandler.FetchesType,
    { terminate, signal }: InferenceSession.RunOptions,
  ): Promise<SessionHandler.ReturnType> {
    if (this.#released) throw new InvalidArgumentError('session: it is released');
    if (terminate) throw new InvalidArgumentError('run: options.terminate ended it');
    const onGpu = this.#model.device === 'webgpu';
    const outputs: Record<string, OutputPlace> = {};
    for (const [name, target] of Object.entries(fetches)) {
      const info = this.#model.outputs.find((output) => output.name === name);
      checkOutput(name, info, target);
      const wanted = target ? placeOf(target.location) : this.#places.get(name);
      outputs[name] = onGpu && info?.dtype !== 'string' ? (wanted ?? 'cpu') : 'cpu';
    }
    const given: Record<string, QuernTensor> = {};
    for (const [name, value] of Object.entries(feeds)) {
      if (value === undefined) continue;
      const info = this.#model.inputs.find((input) => input.name === name);
      if (!info) {
        const known = this.inputNames.map((input) => `'${input}'`).join(', ');
        throw new InvalidArgumentError(`input '${name}': the model has none, only ${known}`);
      }
      given[name] = this.#toQuern(info, value);
    }
    const options = signal ? { outputs, signal } : { outputs };
    const results = await this.#profiler.run<Value>(given, options);
    return Object.fromEntries(
      Object.entries(fetches).map(([name, target]) => {
        const result = results[name] as QuernTensor;
        return [name, target ? this.#fill(name, target, result) : fromQuern(result)];
      }),
    );
  }

  #toQuern(info: ValueInfo, value: AnyTensor): QuernTensor {
    const { name } = info;
    if (!isTensor(value)) throw new InvalidArgumentError(`input '${name}': it is no Tensor`);
    const dtype = dtypeOfName(value.type);
    if (dtype !== info.dtype || info.kind) {
      const expected = `${info.kind ? `${info.kind} of ` : ''}${anyNameOf(info.dtype)}`;
      throw new InvalidArgumentError(`input '${name}': expected ${expected}, got ${value.type}`);
    }
    info.dims?.forEach((dim, axis) => {
      const override = this.#overrides[dim];
      if (override === undefined || value.dims[axis] === override) return;
      throw new InvalidArgumentError(
        `input '${name}': dim ${axis}, '${dim}', is overridden to ${override}, ` +
          `got dims [${value.dims.join(', ')}]`,
      );
    });
    // Where a model takes a scalar, onnxruntime takes [1] too, and libraries count on it.
    const dims = info.dims?.length === 0 && value.size === 1 ? [] : value.dims;
    switch (value.location) {
      case 'cpu':
      case 'cpu-pinned':
        return new QuernTensor(dtype, dims, value.data as never);
      case 'gpu-buffer':
        return QuernTensor.fromGpuBuffer(value.gpuBuffer, dtype as 'f32', dims);
      case 'none':
        throw new InvalidArgumentError(`input '${name}': the tensor is disposed`);
      case 'texture':
      case 'ml-tensor':
        throw new UnsupportedError(`input '${name}': a ${value.location} can't be fed`);
    }
  }

  /** Puts a result where the caller wants it. */
  #fill(name: string, target: AnyTensor, result: QuernTensor): AnyTensor {
    const same = target.dims.length === result.dims.length;
    if (!same || target.dims.some((dim, axis) => dim !== result.dims[axis])) {
      result.dispose();
      throw new InvalidArgumentError(
        `output '${name}': it is [${result.dims.join(', ')}], ` +
          `the tensor to fill [${target.dims.join(', ')}]`,
      );
    }
    if (target.location !== 'gpu-buffer') {
      const { data } = target;
      if (Array.isArray(data)) data.splice(0, data.length, ...(result.data as string[]));
      else {
        const { buffer, byteOffset, byteLength } = data as Uint8Array;
        new Uint8Array(buffer, byteOffset, byteLength).set(tensorBytes(result));
      }
      return target;
    }
    const bytes = Math.ceil(result.byteLength / 4) * 4;
    const queue = this.#device!.queue;
    if (result.location === 'cpu') {
      const padded = new Uint8Array(bytes);
      padded.set(tensorBytes(result));
      queue.writeBuffer(target.gpuBuffer, 0, padded);
    } else {
      const encoder = this.#device!.createCommandEncoder();
      encoder.copyBufferToBuffer(result.buffer, 0, target.gpuBuffer, 0, bytes);
      queue.submit([encoder.finish()]);
      result.dispose();
    }
    return target;
  }

  startProfiling(): void {
    this.#profiler.start();
  }

  endProfiling(): void {
    this.#profiler.end();
  }

  async dispose(): Promise<void> {
    this.#released = true;
    this.#model.dispose();
  }
}

function metadataOf(
  info: ValueInfo,
  overrides: Readonly<Record<string, number>>,
): InferenceSession.ValueMetadata {
  const { name, dtype, dims = [], kind } = info;
  if (kind) return { name, isTensor: false };
  const type = anyNameOf(dtype) as Tensor.Type;
  return { name, isTensor: true, type, shape: dims.map((dim) => overrides[dim] ?? dim) };
}

function placeOf(location: Tensor.DataLocation): OutputPlace {
  switch (location) {
    case 'cpu':
    case 'cpu-pinned':
      return 'cpu';
    case 'gpu-buffer':
      return 'gpu';
    case 'none':
    case 'texture':
    case 'ml-tensor':
      throw new UnsupportedError(`outputs can't go to a location '${location}'`);
    default:
      throw new InvalidArgumentError(`outputs: there is no location '${String(location)}'`);
  }
}

function placesOf(
  { preferredOutputLocation: preferred = 'cpu' }: SessionOptions,
  names: readonly string[],
  gpu: boolean,
): Map<string, OutputPlace> {
  const given =
    typeof preferred === 'string'
      ? names.map((name) => [name, preferred] as const)
      : Object.entries(preferred);
  const places = new Map(given.map(([name, location]) => [name, placeOf(location)]));
  for (const [name, place] of places) {
    if (!names.includes(name)) {
      throw new InvalidArgumentError(`preferredOutputLocation: the model has no output '${name}'`);
    }
    if (place === 'gpu' && !gpu) {
      throw new InvalidArgumentError(
        `preferredOutputLocation: '${name}' can't be in a gpu-buffer, the session is on wasm; ` +
          `name 'webgpu' in executionProviders`,
      );
    }
  }
  return places;
}

function checkOutput(name: string, info: ValueInfo | undefined, target: AnyTensor | null): void {
  if (!info) throw new InvalidArgumentError(`output '${name}': the model has none`);
  if (info.kind ?? !nameOfDtype(info.dtype)) {
    throw new UnsupportedError(
      `output '${name}': a ${info.kind ?? anyNameOf(info.dtype)} is no Tensor of this API; ` +
        'fetch the others by name, or use load() of quern',
    );
  }
  if (!target) return;
  if (target.type !== nameOfDtype(info.dtype)) {
    throw new InvalidArgumentError(
      `output '${name}': it is ${anyNameOf(info.dtype)}, the tensor to fill ${target.type}`,
    );
  }
}

function fromQuern(result: QuernTensor): OrtTensor {
  const type = nameOfDtype(result.dtype)!;
  const { dims } = result;
  if (result.location === 'cpu') return new OrtTensor(type, result.data, [...dims]);
  return new OrtTensor({
    location: 'gpu-buffer',
    type,
    dims: [...dims],
    gpuBuffer: result.buffer,
    download: async () => (await result.read()).data as Tensor.DataType,
    dispose: () => result.dispose(),
  });
}
