// `env`: settings that sessions made later take.

import { InvalidArgumentError } from '../errors.js';
import type { DeviceChoice } from '../device.js';
import type { LoadOptions } from '../index.js';
import { GpuDevice } from './gpu-device.js';

/** The version of onnxruntime-web whose API this is. */
const apiVersion = '1.30.0';

// eslint-disable-next-line @typescript-eslint/no-namespace
export declare namespace Env {
  type WasmPathPrefix = string;
  interface WasmFilePaths {
    wasm?: URL | string;
    mjs?: URL | string;
  }
  type WasmPrefixOrFilePaths = WasmPathPrefix | WasmFilePaths;
  interface WebAssemblyFlags {
    /** 0 or not given: as many as help. */
    numThreads?: number;
    /** Without effect: SIMD is needed. */
    simd?: boolean | 'fixed' | 'relaxed';
    trace?: boolean;
    initTimeout?: number;
    /** Without effect, since it leads to onnxruntime's files: see env.quern.wasmBase. */
    wasmPaths?: WasmPrefixOrFilePaths;
    /** Without effect. */
    wasmBinary?: ArrayBufferLike | Uint8Array;
    /** true: in a worker; pages have that anyway. */
    proxy?: boolean;
  }
  /** Without effect. */
  interface WebGLFlags {
    contextId?: 'webgl' | 'webgl2';
    readonly context: WebGLRenderingContext;
    matmulMaxBatchSize?: number;
    textureCacheMode?: 'initializerOnly' | 'full';
    pack?: boolean;
    async?: boolean;
  }
  interface WebGpuProfilingDataV1TensorMetadata {
    dims: readonly number[];
    dataType: string;
  }
  /** Of one dispatch; times are nanoseconds since the run's first. */
  interface WebGpuProfilingDataV1 {
    version: 1;
    inputsMetadata: readonly WebGpuProfilingDataV1TensorMetadata[];
    outputsMetadata: readonly WebGpuProfilingDataV1TensorMetadata[];
    kernelId: number;
    kernelType: string;
    kernelName: string;
    programName: string;
    startTime: number;
    endTime: number;
  }
  type WebGpuProfilingData = WebGpuProfilingDataV1;
  interface WebGpuFlags {
    profilingMode?: 'off' | 'default';
    profiling: {
      /** 'default': the first run of each session is profiled. */
      mode?: 'off' | 'default';
      /** Where it is not given, the console gets the data. */
      ondata?: (data: WebGpuProfilingData) => void;
    };
    powerPreference?: 'low-power' | 'high-performance';
    forceFallbackAdapter?: boolean;
    /** To make the device of; after the first session, the one it was made of. */
    adapter: GPUAdapter;
    /** The one device of all sessions that name none, made when first asked for. */
    get device(): Promise<GPUDevice>;
    set device(value: GPUDevice);
    validateInputContent?: boolean;
  }
  /** What onnxruntime does not have. */
  interface QuernFlags {
    /** For sessions that name no executionProviders; 'wasm' where not given. */
    device?: DeviceChoice;
    /** A folder with Quern's .wasm files; by default they are found by themselves. */
    wasmBase?: string | URL;
    /** Keeps models and external data that are given by address; as the option of load(). */
    cache?: LoadOptions['cache'];
  }
}

type LogLevel = 'verbose' | 'info' | 'warning' | 'error' | 'fatal';
const levels: readonly LogLevel[] = ['verbose', 'info', 'warning', 'error', 'fatal'];

export interface Env {
  /** From which severity on the console hears of things; 'warning' by default. */
  logLevel?: LogLevel;
  debug?: boolean;
  /** true: runs and loads put marks on the timeline of the developer tools. */
  trace?: boolean;
  readonly versions: {
    readonly common: string;
    readonly web?: string;
    readonly node?: string;
    readonly 'react-native'?: string;
  };
  readonly wasm: Env.WebAssemblyFlags;
  readonly webgl: Env.WebGLFlags;
  readonly webgpu: Env.WebGpuFlags;
  readonly quern: Env.QuernFlags;
  [name: string]: unknown;
}

const webgpu = { profiling: {} } as Env.WebGpuFlags;
/** The device of sessions that name none. */
export const gpuDevice = new GpuDevice(webgpu);

Object.defineProperty(webgpu, 'device', {
  get: () => gpuDevice.open(),
  set: (device: GPUDevice) => gpuDevice.use(device),
  // Whoever copies the settings does not mean to open a device.
  enumerable: false,
});

let logLevel: LogLevel = 'warning';

export const env: Env = {
  wasm: {},
  webgl: {} as Env.WebGLFlags,
  webgpu,
  quern: {},
  versions: { common: apiVersion, web: apiVersion },
  get logLevel(): LogLevel {
    return logLevel;
  },
  set logLevel(level: LogLevel | undefined) {
    if (level === undefined) return;
    if (!levels.includes(level)) {
      throw new InvalidArgumentError(`env: there is no logLevel '${String(level)}'`);
    }
    logLevel = level;
  },
};

/** Tells on the console what a caller may not expect. */
export function warn(message: string): void {
  if (levels.indexOf(logLevel) <= levels.indexOf('warning')) console.warn(`quern/ort: ${message}`);
}

function stamp(label: string): void {
  if (env.trace ?? env.wasm.trace) console.timeStamp(label);
}
/** Mark the timeline where env.trace is true. */
export const TRACE = (deviceType: string, label: string): void =>
  stamp(`${deviceType}::ORT::${label}`);
export const TRACE_FUNC_BEGIN = (extra?: string): void => TRACE('BEGIN', extra ?? '');
export const TRACE_FUNC_END = (extra?: string): void => TRACE('END', extra ?? '');
export const TRACE_EVENT_BEGIN = (extra?: string): void => TRACE('EVENT BEGIN', extra ?? '');
export const TRACE_EVENT_END = (extra?: string): void => TRACE('EVENT END', extra ?? '');
