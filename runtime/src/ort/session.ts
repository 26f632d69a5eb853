// InferenceSession of the onnxruntime API: arguments in all their forms, and the engine to run on.

import { InvalidArgumentError, textOf, UnsupportedError } from '../errors.js';
import { load, type LoadOptions } from '../index.js';
import type { ModelFiles } from '../model-files.js';
import type { SourceInput } from '../sources.js';
import {
  env,
  gpuDevice,
  TRACE_EVENT_BEGIN,
  TRACE_EVENT_END,
  TRACE_FUNC_BEGIN,
  TRACE_FUNC_END,
  warn,
} from './env.js';
import { QuernHandler } from './handler.js';
import { providersOf, type Provider } from './providers.js';
import type {
  InferenceSession,
  InferenceSessionHandler,
  SessionHandler,
  OnnxModelOptions,
} from './session-types.js';
import { isTensor } from './tensor.js';

type SessionOptions = InferenceSession.SessionOptions;
type RunOptions = InferenceSession.RunOptions;
type ModelInput = string | URL | Uint8Array;

export class OrtSession implements InferenceSession {
  /** Survives minification: consoles show it. */
  static readonly name = 'InferenceSession';

  readonly #handler: InferenceSessionHandler;

  private constructor(handler: InferenceSessionHandler) {
    this.#handler = handler;
  }

  /** `first`: an address, in Node a path too, or bytes; of a buffer, an offset and a length in it. */
  static async create(
    first: string | URL | Uint8Array | ArrayBufferLike,
    second?: SessionOptions | number,
    third?: number,
    fourth?: SessionOptions,
  ): Promise<OrtSession> {
    TRACE_FUNC_BEGIN();
    TRACE_EVENT_BEGIN('InferenceSession.create');
    let model: ModelInput;
    let options: unknown = second;
    if (typeof first === 'string' || first instanceof URL || first instanceof Uint8Array) {
      model = first;
    } else if (isBuffer(first)) {
      model = new Uint8Array(first);
      if (typeof second === 'number') {
        model = sliceOf(first, second, third);
        options = fourth;
      }
    } else {
      throw wrong('create: the first argument is no address, path or buffer of a model');
    }
    const session = new OrtSession(await open(model, optionsOf(options)));
    TRACE_EVENT_END('InferenceSession.create');
    TRACE_FUNC_END();
    return session;
  }

  async run(
    feeds: InferenceSession.FeedsType,
    second?: InferenceSession.FetchesType | RunOptions,
    third?: RunOptions,
  ): Promise<InferenceSession.ReturnType> {
    TRACE_FUNC_BEGIN();
    TRACE_EVENT_BEGIN('InferenceSession.run');
    if (typeof feeds !== 'object' || feeds === null || isTensor(feeds) || Array.isArray(feeds)) {
      throw wrong('run: feeds are an object of tensors by input');
    }
    for (const name of this.inputNames) {
      if (feeds[name] === undefined) throw wrong(`input '${name}': it is missing in feeds`);
    }
    const named = this.#fetches(second);
    const options = optionsOf(named ? third : second);
    const fetches = named ?? Object.fromEntries(this.outputNames.map((name) => [name, null]));
    const results = await this.#handler.run({ ...feeds }, fetches, options);
    TRACE_EVENT_END('InferenceSession.run');
    TRACE_FUNC_END();
    return results;
  }

  /** What the second argument of run() asks for; undefined where it is options. */
  #fetches(argument: unknown): SessionHandler.FetchesType | undefined {
    if (argument === undefined) return undefined;
    if (typeof argument !== 'object' || argument === null || isTensor(argument)) {
      throw wrong('run: fetches are names, or an object of tensors or null by output');
    }
    if (Array.isArray(argument)) {
      if (argument.length === 0) throw wrong('run: fetches name no output');
      for (const name of argument as unknown[]) {
        if (typeof name === 'string' && this.outputNames.includes(name)) continue;
        const known = this.outputNames.map((output) => `'${output}'`).join(', ');
        throw wrong(`run: fetches name '${String(name)}', the model has ${known}`);
      }
      return Object.fromEntries((argument as string[]).map((name) => [name, null]));
    }
    const fetches: SessionHandler.FetchesType = {};
    for (const [name, value] of Object.entries(argument) as [string, unknown][]) {
      const fits = value === null || isTensor(value);
      if (fits && this.outputNames.includes(name)) fetches[name] = value;
    }
    return Object.keys(fetches).length > 0 ? fetches : undefined;
  }

  release(): Promise<void> {
    return this.#handler.dispose();
  }

  startProfiling(): void {
    this.#handler.startProfiling();
  }

  endProfiling(): void {
    this.#handler.endProfiling();
  }

  get inputNames(): readonly string[] {
    return this.#handler.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#handler.outputNames;
  }

  get inputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.#handler.inputMetadata;
  }

  get outputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.#handler.outputMetadata;
  }
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message);
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  const tag = Object.prototype.toString.call(value);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]';
}

function optionsOf<T extends object>(options: unknown): T {
  if (options === undefined) return {} as T;
  if (typeof options === 'object' && options !== null) return options as T;
  throw wrong(`options are an object, got ${options === null ? 'null' : typeof options}`);
}

function sliceOf(buffer: ArrayBufferLike, offset: number, length?: number): Uint8Array {
  const rest = buffer.byteLength - offset;
  if (!Number.isSafeInteger(offset) || offset < 0 || rest <= 0) {
    throw wrong(`create: byteOffset ${offset} is not in a buffer of ${buffer.byteLength} bytes`);
  }
  if (length !== undefined && (!Number.isSafeInteger(length) || length <= 0 || length > rest)) {
    throw wrong(`create: byteLength ${String(length)} is not in (0, ${rest}]`);
  }
  return new Uint8Array(buffer, offset, length ?? rest);
}

/** A session on the first provider that is there. */
async function open(model: ModelInput, options: SessionOptions): Promise<InferenceSessionHandler> {
  const providers = providersOf(options.executionProviders, env.quern.device ?? 'wasm');
  const reasons: string[] = [];
  for (const [i, provider] of providers.entries()) {
    let device: GPUDevice | undefined;
    try {
      if ('missing' in provider) throw new UnsupportedError('there is no such backend');
      if ('backend' in provider) await provider.backend.init(provider.name);
      else if (provider.device === 'shared') device = await gpuDevice.open();
      else if (typeof provider.device === 'object') device = provider.device;
    } catch (error) {
      reasons.push(`[${provider.name}] ${textOf(error)}`);
      continue;
    }
    for (const reason of reasons) warn(`left out: ${reason}`);
    if ('backend' in provider) {
      const source = model instanceof URL ? model.href : model;
      return provider.backend.createInferenceSessionHandler(source, options);
    }
    const rest = providers.slice(i + 1);
    return openQuern(model, options, provider, device, rest);
  }
  throw new UnsupportedError(`no available backend found. ERR: ${reasons.join(', ')}`);
}

async function openQuern(
  model: ModelInput,
  options: SessionOptions,
  provider: Provider & { device: unknown },
  device: GPUDevice | undefined,
  rest: readonly Provider[],
): Promise<QuernHandler> {
  const { numThreads, proxy } = env.wasm;
  const choice = device ?? (provider.device as 'auto' | 'wasm' | 'webgpu');
  const cache = options.cache ?? env.quern.cache;
  const onCpu = rest.some((other) => 'device' in other && other.device === 'wasm');
  const loadOptions: LoadOptions = {
    // Its own device of 'auto' could not be told from one of env.webgpu.
    device: choice,
    passes: options.graphOptimizationLevel !== 'disabled',
    ...(device && onCpu ? { fallback: 'wasm' } : {}),
    ...(numThreads ? { threads: numThreads } : {}),
    ...(proxy ? { worker: true } : {}),
    ...(cache ? { cache } : {}),
    ...(env.quern.wasmBase ? { wasmBase: env.quern.wasmBase } : {}),
  };
  const loaded = await load(sourceOf(model, options), loadOptions);
  try {
    return new QuernHandler(loaded, device, options);
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}

function sourceOf(model: ModelInput, { externalData }: OnnxModelOptions): ModelFiles {
  const files: Record<string, SourceInput> = {};
  for (const file of externalData ?? []) {
    const path = typeof file === 'string' ? file : file?.path;
    const data = typeof file === 'string' ? file : file?.data;
    if (typeof path !== 'string' || data === undefined) {
      throw wrong('externalData: each is an address, or { path, data }');
    }
    const source = isBuffer(data) ? new Uint8Array(data) : data;
    const name = path.replace(/^\.\//, '');
    files[name] = files[`./${name}`] = source;
  }
  return { model, externalData: files };
}
