// The types of sessions and of backends, as onnxruntime-common declares them.

import type { LoadOptions } from '../index.js';
import { OrtSession } from './session.js';
import type { Tensor } from './tensor-types.js';

export type NonTensorType = never;
export type OnnxValue = Tensor;
export type OnnxValueDataLocation = Tensor.DataLocation;

export type FileUrlOrPath = string;
export type FileBlob = Blob;
export type FileData = Uint8Array | ArrayBufferLike;
export type FileType = FileUrlOrPath | FileBlob | FileData;
export interface ExternalDataFileDescription {
  data: FileType;
  /** As the model names it. */
  path: string;
}
/** A string is both: where the file is, and the model's name for it. */
export type ExternalDataFileType = ExternalDataFileDescription | FileUrlOrPath;
export interface OnnxModelOptions {
  externalData?: readonly ExternalDataFileType[];
}

type Severity = 0 | 1 | 2 | 3 | 4;
type BufferCacheMode = 'disabled' | 'lazyRelease' | 'simple' | 'bucket';

// Type-only, merged with the value of the same name: so the API has it.
// eslint-disable-next-line @typescript-eslint/no-namespace
export declare namespace InferenceSession {
  type OnnxValueMapType = { readonly [name: string]: OnnxValue };
  type NullableOnnxValueMapType = { readonly [name: string]: OnnxValue | null };
  /** By input. */
  type FeedsType = OnnxValueMapType;
  /** Names of outputs; or by output a tensor that gets it, or null. */
  type FetchesType = readonly string[] | NullableOnnxValueMapType;
  type ReturnType = OnnxValueMapType;

  interface SessionOptions extends OnnxModelOptions {
    /** Tried in this order; wasm where not given. */
    executionProviders?: readonly ExecutionProviderConfig[];
    intraOpNumThreads?: number;
    interOpNumThreads?: number;
    /** Numbers for dims that the model names. */
    freeDimensionOverrides?: { readonly [dimensionName: string]: number };
    /** 'disabled': no passes. */
    graphOptimizationLevel?: 'disabled' | 'basic' | 'extended' | 'layout' | 'all';
    enableCpuMemArena?: boolean;
    enableMemPattern?: boolean;
    executionMode?: 'sequential' | 'parallel';
    optimizedModelFilePath?: string;
    enableProfiling?: boolean;
    profileFilePrefix?: string;
    logId?: string;
    logSeverityLevel?: Severity;
    logVerbosityLevel?: number;
    /** 'cpu', the default, or 'gpu-buffer': of all outputs or by output. */
    preferredOutputLocation?:
      OnnxValueDataLocation | { readonly [outputName: string]: OnnxValueDataLocation };
    enableGraphCapture?: boolean;
    extra?: Record<string, unknown>;
    /** Not of onnxruntime: keeps what is given by address; env.quern.cache where not given. */
    cache?: LoadOptions['cache'];
  }

  interface ExecutionProviderOptionMap {
    coreml: CoreMLExecutionProviderOption;
    cpu: CpuExecutionProviderOption;
    cuda: CudaExecutionProviderOption;
    dml: DmlExecutionProviderOption;
    nnapi: NnapiExecutionProviderOption;
    tensorrt: TensorRtExecutionProviderOption;
    wasm: WebAssemblyExecutionProviderOption;
    webgl: WebGLExecutionProviderOption;
    webgpu: WebGpuExecutionProviderOption;
    webnn: WebNNExecutionProviderOption;
    qnn: QnnExecutionProviderOption;
    xnnpack: XnnpackExecutionProviderOption;
  }
  type ExecutionProviderName = keyof ExecutionProviderOptionMap;
  type ExecutionProviderConfig =
    | ExecutionProviderOptionMap[ExecutionProviderName]
    | ExecutionProviderOption
    // Any other name too; so editors still offer these.
    | ExecutionProviderName
    | (string & {});
  interface ExecutionProviderOption {
    readonly name: string;
  }
  interface CpuExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'cpu';
    useArena?: boolean;
  }
  interface CudaExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'cuda';
    deviceId?: number;
  }
  interface DmlExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'dml';
    deviceId?: number;
  }
  interface TensorRtExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'tensorrt';
    deviceId?: number;
  }
  interface WebAssemblyExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'wasm';
  }
  interface WebGLExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'webgl';
  }
  interface XnnpackExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'xnnpack';
  }
  interface WebGpuExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'webgpu';
    preferredLayout?: 'NCHW' | 'NHWC';
    forceCpuNodeNames?: readonly string[];
    validationMode?: 'disabled' | 'wgpuOnly' | 'basic' | 'full';
    enableRobustness?: boolean;
    storageBufferCacheMode?: BufferCacheMode;
    uniformBufferCacheMode?: BufferCacheMode;
    queryResolveBufferCacheMode?: BufferCacheMode;
    defaultBufferCacheMode?: BufferCacheMode;
    /** For this session; it stays the caller's. */
    device?: GPUDevice;
  }
  interface WebNNContextOptions {
    deviceType?: 'cpu' | 'gpu' | 'npu';
    numThreads?: number;
    powerPreference?: 'default' | 'low-power' | 'high-performance';
  }
  interface WebNNExecutionProviderName extends ExecutionProviderOption {
    readonly name: 'webnn';
  }
  interface WebNNOptionsWithoutMLContext extends WebNNExecutionProviderName, WebNNContextOptions {
    context?: never;
  }
  interface WebNNOptionsWithMLContext
    extends
      WebNNExecutionProviderName,
      Omit<WebNNContextOptions, 'deviceType'>,
      Required<Pick<WebNNContextOptions, 'deviceType'>> {
    context: unknown;
  }
  interface WebNNOptionsWebGpu extends WebNNExecutionProviderName {
    context: unknown;
    gpuDevice: GPUDevice;
  }
  type WebNNExecutionProviderOption =
    WebNNOptionsWithoutMLContext | WebNNOptionsWithMLContext | WebNNOptionsWebGpu;
  interface QnnExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'qnn';
    backendType?: string;
    backendPath?: string;
    enableFp16Precision?: boolean;
  }
  interface CoreMLExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'coreml';
    coreMlFlags?: number;
    useCPUOnly?: boolean;
    useCPUAndGPU?: boolean;
    enableOnSubgraph?: boolean;
    onlyEnableDeviceWithANE?: boolean;
  }
  interface NnapiExecutionProviderOption extends ExecutionProviderOption {
    readonly name: 'nnapi';
    useFP16?: boolean;
    useNCHW?: boolean;
    cpuDisabled?: boolean;
    cpuOnly?: boolean;
  }

  interface RunOptions {
    logSeverityLevel?: Severity;
    logVerbosityLevel?: number;
    /** true: the run fails at once. */
    terminate?: boolean;
    tag?: string;
    extra?: Record<string, unknown>;
    /** Not in onnxruntime: ends the wait. */
    signal?: AbortSignal;
  }

  interface ValueMetadataBase {
    readonly name: string;
  }
  /** A sequence, an optional or a map. */
  interface NonTensorValueMetadata extends ValueMetadataBase {
    readonly isTensor: false;
  }
  interface TensorValueMetadata extends ValueMetadataBase {
    readonly isTensor: true;
    readonly type: Tensor.Type;
    /** Text names a symbolic dim; empty for scalars and unknown ranks. */
    readonly shape: readonly (number | string)[];
  }
  type ValueMetadata = NonTensorValueMetadata | TensorValueMetadata;
}

export interface InferenceSession {
  run(
    feeds: InferenceSession.FeedsType,
    options?: InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType>;
  run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.FetchesType,
    options?: InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType>;
  release(): Promise<void>;
  startProfiling(): void;
  endProfiling(): void;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];
}

export interface InferenceSessionFactory {
  create(uri: string | URL, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  create(
    buffer: ArrayBufferLike,
    options?: InferenceSession.SessionOptions,
  ): Promise<InferenceSession>;
  create(
    buffer: ArrayBufferLike,
    byteOffset: number,
    byteLength?: number,
    options?: InferenceSession.SessionOptions,
  ): Promise<InferenceSession>;
  create(buffer: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

export const InferenceSession: InferenceSessionFactory = OrtSession;

// eslint-disable-next-line @typescript-eslint/no-namespace
export declare namespace SessionHandler {
  type FeedsType = { [name: string]: OnnxValue };
  type FetchesType = { [name: string]: OnnxValue | null };
  type ReturnType = { [name: string]: OnnxValue };
}

/** An engine's side of a session. */
export interface InferenceSessionHandler {
  dispose(): Promise<void>;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];
  startProfiling(): void;
  endProfiling(): void;
  run(
    feeds: SessionHandler.FeedsType,
    fetches: SessionHandler.FetchesType,
    options: InferenceSession.RunOptions,
  ): Promise<SessionHandler.ReturnType>;
}

/** An engine that registerBackend() adds. */
export interface Backend {
  init(backendName: string): Promise<void>;
  createInferenceSessionHandler(
    uriOrBuffer: string | Uint8Array,
    options?: InferenceSession.SessionOptions,
  ): Promise<InferenceSessionHandler>;
}
