// The types of tensors, as onnxruntime-common declares them (docs/ort.md says where behaviour differs).

import { OrtTensor } from './tensor.js';

/** Order of an image's channels. */
export type ImageFormat = 'RGB' | 'RGBA' | 'BGR' | 'RBG';
export type ImageTensorLayout = 'NHWC' | 'NCHW';

// Type-only, merged with the value of the same name: so the API has it.
// eslint-disable-next-line @typescript-eslint/no-namespace
export declare namespace Tensor {
  /** What a tensor's elements lie in. */
  interface DataTypeMap {
    float32: Float32Array;
    uint8: Uint8Array;
    int8: Int8Array;
    uint16: Uint16Array;
    int16: Int16Array;
    int32: Int32Array;
    int64: BigInt64Array;
    string: string[];
    bool: Uint8Array;
    /** A Float16Array where the engine has it, in spite of this declaration. */
    float16: Uint16Array;
    float64: Float64Array;
    uint32: Uint32Array;
    uint64: BigUint64Array;
    /** Two elements a byte, low bits first. */
    uint4: Uint8Array;
    /** Two elements a byte, low bits first; a Uint8Array in fact. */
    int4: Int8Array;
  }
  interface ElementTypeMap {
    float32: number;
    uint8: number;
    int8: number;
    uint16: number;
    int16: number;
    int32: number;
    int64: bigint;
    string: string;
    bool: boolean;
    float16: number;
    float64: number;
    uint32: number;
    uint64: bigint;
    uint4: number;
    int4: number;
  }
  type Type = keyof DataTypeMap;
  type DataType = DataTypeMap[Type];
  type ElementType = ElementTypeMap[Type];
  type CpuPinnedDataTypes = Exclude<Type, 'string'>;
  type TextureType = WebGLTexture;
  type TextureDataTypes = 'float32';
  type GpuBufferType = GPUBuffer;
  type GpuBufferDataTypes = 'float32' | 'float16' | 'int32' | 'int64' | 'uint32' | 'uint8' | 'bool';
  type MLTensorType = { destroy(): void };
  type MLTensorDataTypes =
    | ('float32' | 'float16' | 'int8' | 'uint8' | 'int32' | 'uint32' | 'int64' | 'uint64')
    | ('bool' | 'uint4' | 'int4');
  type DataLocation = 'none' | 'cpu' | 'cpu-pinned' | 'texture' | 'gpu-buffer' | 'ml-tensor';
}

/** A dense, row-major tensor of a type. */
export interface TypedTensor<T extends Tensor.Type> extends ConversionUtils {
  readonly dims: readonly number[];
  readonly type: T;
  /** The elements; throws where they are not in host memory. */
  readonly data: Tensor.DataTypeMap[T];
  readonly location: Tensor.DataLocation;
  readonly texture: Tensor.TextureType;
  readonly gpuBuffer: Tensor.GpuBufferType;
  readonly mlTensor: Tensor.MLTensorType;
  /** The number of elements. */
  readonly size: number;
  /** The elements, read back from the GPU where need be; true: and gives the GPU's memory back. */
  getData(releaseData?: boolean): Promise<Tensor.DataTypeMap[T]>;
  dispose(): void;
  /** The same elements under other dims. */
  reshape(dims: readonly number[]): TypedTensor<T>;
}

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- namespaces merge with interfaces
export interface Tensor extends TypedTensor<Tensor.Type> {}
export const Tensor = OrtTensor as unknown as TensorConstructor;

/** What a tensor of each type can be made of. */
interface SourceData {
  string: readonly string[];
  bool: Uint8Array | readonly boolean[];
  uint8: Uint8Array | Uint8ClampedArray | readonly number[];
  int64: BigInt64Array | readonly bigint[] | readonly number[];
  uint64: BigUint64Array | readonly bigint[] | readonly number[];
}
type SourceOf<T extends Tensor.Type> = T extends keyof SourceData
  ? SourceData[T]
  : Tensor.DataTypeMap[T] | readonly number[];

export interface TensorConstructor extends TensorFactory {
  /** Without dims: one axis. */
  new <T extends Tensor.Type>(type: T, data: SourceOf<T>, dims?: readonly number[]): TypedTensor<T>;
  new (data: Float32Array, dims?: readonly number[]): TypedTensor<'float32'>;
  new (data: Int8Array, dims?: readonly number[]): TypedTensor<'int8'>;
  new (data: Uint8Array, dims?: readonly number[]): TypedTensor<'uint8'>;
  new (data: Uint8ClampedArray, dims?: readonly number[]): TypedTensor<'uint8'>;
  new (data: Uint16Array, dims?: readonly number[]): TypedTensor<'uint16'>;
  new (data: Int16Array, dims?: readonly number[]): TypedTensor<'int16'>;
  new (data: Int32Array, dims?: readonly number[]): TypedTensor<'int32'>;
  new (data: BigInt64Array, dims?: readonly number[]): TypedTensor<'int64'>;
  new (data: readonly string[], dims?: readonly number[]): TypedTensor<'string'>;
  new (data: readonly boolean[], dims?: readonly number[]): TypedTensor<'bool'>;
  new (data: Float64Array, dims?: readonly number[]): TypedTensor<'float64'>;
  new (data: Uint32Array, dims?: readonly number[]): TypedTensor<'uint32'>;
  new (data: BigUint64Array, dims?: readonly number[]): TypedTensor<'uint64'>;
  new (
    type: Tensor.Type,
    data:
      | Tensor.DataType
      | readonly number[]
      | readonly string[]
      | readonly bigint[]
      | readonly boolean[],
    dims?: readonly number[],
  ): Tensor;
  new (data: Tensor.DataType, dims?: readonly number[]): Tensor;
}

/** How a tensor's owner reads it back and frees it. */
interface DeviceData<T extends Tensor.Type> {
  download?(): Promise<Tensor.DataTypeMap[T]>;
  dispose?(): void;
}
interface Described<T extends Tensor.Type> {
  readonly dims: readonly number[];
  readonly type: T;
}
export interface CpuPinnedConstructorParameters<
  T extends Tensor.CpuPinnedDataTypes = Tensor.CpuPinnedDataTypes,
> extends Described<T> {
  readonly location: 'cpu-pinned';
  readonly data: Tensor.DataTypeMap[T];
}
export interface TextureConstructorParameters<
  T extends Tensor.TextureDataTypes = Tensor.TextureDataTypes,
>
  extends Described<T>, DeviceData<T> {
  readonly location: 'texture';
  readonly texture: Tensor.TextureType;
}
export interface GpuBufferConstructorParameters<T extends Tensor.Type = Tensor.GpuBufferDataTypes>
  extends Described<T>, DeviceData<T> {
  readonly location: 'gpu-buffer';
  readonly gpuBuffer: Tensor.GpuBufferType;
}
export interface MLTensorConstructorParameters<
  T extends Tensor.MLTensorDataTypes = Tensor.MLTensorDataTypes,
>
  extends Described<T>, DeviceData<T> {
  readonly location: 'ml-tensor';
  readonly mlTensor: Tensor.MLTensorType;
}

type PerChannel = number | [number, number, number] | [number, number, number, number];

export interface OptionsNormalizationParameters {
  /** value = (channel + bias) / mean, channels from 0 to 255; without it: mean 255, bias 0. */
  norm?: { bias?: PerChannel; mean?: PerChannel };
}
export interface OptionsFormat {
  format?: ImageFormat;
}
export interface OptionsTensorFormat {
  tensorFormat?: ImageFormat;
}
export interface OptionsTensorLayout {
  tensorLayout?: ImageTensorLayout;
}
export interface OptionsTensorDataType {
  dataType?: 'float32' | 'uint8';
}
export interface OptionsDimensions {
  height?: number;
  width?: number;
}
export interface OptionResizedDimensions {
  resizedHeight?: number;
  resizedWidth?: number;
}

/** What all of fromImage's sources take. */
export interface TensorFromImageOptions
  extends
    OptionResizedDimensions,
    OptionsTensorFormat,
    OptionsTensorLayout,
    OptionsTensorDataType,
    OptionsNormalizationParameters {}
export type TensorFromImageDataOptions = TensorFromImageOptions;
export type TensorFromImageElementOptions = TensorFromImageOptions;
export type TensorFromImageBitmapOptions = TensorFromImageOptions;
export type TensorFromUrlOptions = TensorFromImageOptions & OptionsDimensions;

export interface TensorToDataUrlOptions
  extends OptionsTensorLayout, OptionsFormat, OptionsNormalizationParameters {}
export interface TensorToImageDataOptions
  extends OptionsTensorLayout, OptionsFormat, OptionsNormalizationParameters {}

export interface ConversionUtils {
  toDataURL(options?: TensorToDataUrlOptions): string;
  toImageData(options?: TensorToImageDataOptions): ImageData;
}

export interface TensorFromTextureOptions<T extends Tensor.TextureDataTypes>
  extends Required<OptionsDimensions>, OptionsFormat, DeviceData<T> {}
export interface TensorFromGpuBufferOptions<T extends Tensor.GpuBufferDataTypes>
  extends Pick<Tensor, 'dims'>, DeviceData<T> {
  /** float32 where not given. */
  dataType?: T;
}
export interface TensorFromMLTensorOptions<T extends Tensor.MLTensorDataTypes>
  extends Pick<Tensor, 'dims'>, DeviceData<T> {
  dataType?: T;
}

type ImageTensor = TypedTensor<'float32'> | TypedTensor<'uint8'>;

export interface TensorFactory {
  fromImage(image: ImageData, options?: TensorFromImageDataOptions): Promise<ImageTensor>;
  fromImage(image: HTMLImageElement, options?: TensorFromImageElementOptions): Promise<ImageTensor>;
  fromImage(url: string, options?: TensorFromUrlOptions): Promise<ImageTensor>;
  fromImage(bitmap: ImageBitmap, options?: TensorFromImageBitmapOptions): Promise<ImageTensor>;
  fromTexture<T extends Tensor.TextureDataTypes = 'float32'>(
    texture: Tensor.TextureType,
    options: TensorFromTextureOptions<T>,
  ): TypedTensor<'float32'>;
  fromGpuBuffer<T extends Tensor.GpuBufferDataTypes>(
    buffer: Tensor.GpuBufferType,
    options: TensorFromGpuBufferOptions<T>,
  ): TypedTensor<T>;
  fromMLTensor<T extends Tensor.MLTensorDataTypes>(
    tensor: Tensor.MLTensorType,
    options: TensorFromMLTensorOptions<T>,
  ): TypedTensor<T>;
  fromPinnedBuffer<T extends Exclude<Tensor.Type, 'string'>>(
    type: T,
    buffer: Tensor.DataTypeMap[T],
    dims?: readonly number[],
  ): TypedTensor<T>;
}
