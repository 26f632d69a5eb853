// Tensors of the onnxruntime API.

import { elementCount, f16Bits } from '../dtype.js';
import { InvalidArgumentError } from '../errors.js';
import {
  arrayOfName,
  dtypeOfName,
  kindOf,
  nameOfArray,
  type NumericArray,
  type NumericName,
} from './dtypes.js';
import { tensorFromImage, toDataUrl, toImageData, type ImageSource } from './image.js';
import type {
  CpuPinnedConstructorParameters,
  GpuBufferConstructorParameters,
  MLTensorConstructorParameters,
  Tensor,
  TensorFromGpuBufferOptions,
  TensorFromImageOptions,
  TensorFromMLTensorOptions,
  TensorFromTextureOptions,
  TensorToDataUrlOptions,
  TensorToImageDataOptions,
  TextureConstructorParameters,
  TypedTensor,
} from './tensor-types.js';

type Located =
  | CpuPinnedConstructorParameters
  | TextureConstructorParameters
  | GpuBufferConstructorParameters<Tensor.Type>
  | MLTensorConstructorParameters;

type Download = () => Promise<Tensor.DataType>;

const gpuTypes: readonly string[] = [
  ...([
    'float32',
    'float16',
    'int32',
    'int64',
    'uint32',
    'uint8',
    'bool',
    'uint4',
    'int4',
  ] as const),
];

/** The class behind `Tensor`, whose published type is TensorConstructor. */
export class OrtTensor {
  /** Survives minification: consoles show it. */
  static readonly name = 'Tensor';

  readonly type: Tensor.Type;
  readonly size: number;
  /** Libraries assign to it. */
  dims: readonly number[];
  // Libraries look at these two, by these names, though onnxruntime declares them private.
  cpuData: Tensor.DataType | undefined;
  dataLocation: Tensor.DataLocation;

  #texture: Tensor.TextureType | undefined;
  #gpuBuffer: Tensor.GpuBufferType | undefined;
  #mlTensor: Tensor.MLTensorType | undefined;
  #download: Download | undefined;
  #free: (() => void) | undefined;
  #downloading = false;

  constructor(first: unknown, second?: unknown, third?: unknown) {
    if (typeof first === 'object' && first !== null && 'location' in first) {
      const located = first as Located;
      this.type = located.type;
      this.dims = located.dims;
      this.dataLocation = located.location;
      this.#locate(located);
    } else {
      const typed = typeof first === 'string';
      const { type, data } = typed ? withType(first, second) : inferred(first);
      const dims = typed ? third : second;
      if (dims !== undefined && !Array.isArray(dims)) throw wrong('dims are no array of numbers');
      this.type = type;
      this.cpuData = data;
      this.dims = (dims as number[] | undefined) ?? [data.length];
      this.dataLocation = 'cpu';
    }
    this.size = sizeOf(this.dims);
    const length = this.cpuData?.length;
    const packed = this.type === 'uint4' || this.type === 'int4';
    const fits = length === this.size || (packed && length === Math.ceil(this.size / 2));
    if (length !== undefined && !fits) {
      throw wrong(
        `${this.type}[${this.dims.join(', ')}] has ${this.size} elements, its data ${length}`,
      );
    }
  }

  #locate(located: Located): void {
    const { type } = located;
    const unsupported = (): InvalidArgumentError =>
      wrong(`a ${located.location} of type '${String(type)}' is not possible`);
    if (dtypeOfName(type) === undefined) throw unsupported();
    switch (located.location) {
      case 'cpu-pinned':
        if ((type as string) === 'string' || !kindOf(located.data)) throw unsupported();
        this.cpuData = withType(type, located.data).data;
        return;
      case 'texture':
        if (type !== 'float32') throw unsupported();
        this.#texture = located.texture;
        break;
      case 'gpu-buffer':
        if (!gpuTypes.includes(type)) throw unsupported();
        this.#gpuBuffer = located.gpuBuffer;
        break;
      case 'ml-tensor':
        this.#mlTensor = located.mlTensor;
        break;
      default:
        throw wrong(`there is no location '${String((located as Located).location)}'`);
    }
    this.#download = located.download?.bind(located);
    this.#free = located.dispose?.bind(located);
  }

  get data(): Tensor.DataType {
    this.#check();
    if (this.cpuData) return this.cpuData;
    throw wrong(`its data is not in host memory but in a ${this.location}: await getData()`);
  }

  get location(): Tensor.DataLocation {
    return this.dataLocation;
  }

  get texture(): Tensor.TextureType {
    return this.#part(this.#texture, 'texture');
  }

  get gpuBuffer(): Tensor.GpuBufferType {
    return this.#part(this.#gpuBuffer, 'gpu-buffer');
  }

  get mlTensor(): Tensor.MLTensorType {
    return this.#part(this.#mlTensor, 'ml-tensor');
  }

  #part<T>(part: T | undefined, location: string): T {
    this.#check();
    if (part) return part;
    throw wrong(`its data is in ${this.location}, not in a ${location}`);
  }

  #check(): void {
    if (this.dataLocation === 'none') throw wrong('it is disposed');
  }

  async getData(releaseData?: boolean): Promise<Tensor.DataType> {
    this.#check();
    if (this.cpuData) return this.cpuData;
    if (!this.#download) {
      throw wrong(`the ${this.location} is the caller's, and no download() for it was given`);
    }
    if (this.#downloading) throw wrong('it is being read back already');
    this.#downloading = true;
    try {
      this.cpuData = await this.#download();
      this.#download = undefined;
      this.dataLocation = 'cpu';
    } finally {
      this.#downloading = false;
    }
    if (releaseData) this.#release();
    return this.cpuData;
  }

  #release(): void {
    this.#free?.();
    this.#free = this.#texture = this.#gpuBuffer = this.#mlTensor = undefined;
  }

  dispose(): void {
    if (this.#downloading) throw wrong('it is being read back');
    this.#release();
    this.cpuData = this.#download = undefined;
    this.dataLocation = 'none';
  }

  reshape(dims: readonly number[]): OrtTensor {
    this.#check();
    if (this.#download ?? this.#free) {
      throw wrong('reshape: it owns memory of the GPU, which two tensors can’t');
    }
    const { type, dataLocation: location } = this;
    if (sizeOf(dims) !== this.size) {
      throw wrong(`reshape: [${this.dims.join(', ')}] and [${dims.join(', ')}] differ in size`);
    }
    if (location === 'cpu') return new OrtTensor(type, this.data, dims);
    const data = this.cpuData;
    const [texture, gpuBuffer, mlTensor] = [this.#texture, this.#gpuBuffer, this.#mlTensor];
    return new OrtTensor({ location, type, dims, data, texture, gpuBuffer, mlTensor });
  }

  toDataURL(options?: TensorToDataUrlOptions): string {
    return toDataUrl({ dims: this.dims, data: this.data as ArrayLike<number> }, options);
  }

  toImageData(options?: TensorToImageDataOptions): ImageData {
    return toImageData({ dims: this.dims, data: this.data as ArrayLike<number> }, options);
  }

  static async fromImage(image: ImageSource, options?: TensorFromImageOptions): Promise<OrtTensor> {
    const { type, data, dims } = await tensorFromImage(image, options);
    return new OrtTensor(type, data, dims);
  }

  static fromTexture(
    texture: Tensor.TextureType,
    options: TensorFromTextureOptions<'float32'>,
  ): OrtTensor {
    const { width, height, ...owner } = options;
    const dims = [1, height, width, 4];
    return new OrtTensor({ ...owner, location: 'texture', type: 'float32', texture, dims });
  }

  static fromGpuBuffer<T extends Tensor.GpuBufferDataTypes>(
    gpuBuffer: Tensor.GpuBufferType,
    { dataType, ...rest }: TensorFromGpuBufferOptions<T>,
  ): OrtTensor {
    return new OrtTensor({
      ...rest,
      location: 'gpu-buffer',
      type: dataType ?? 'float32',
      gpuBuffer,
    });
  }

  static fromMLTensor<T extends Tensor.MLTensorDataTypes>(
    mlTensor: Tensor.MLTensorType,
    { dataType, ...rest }: TensorFromMLTensorOptions<T>,
  ): OrtTensor {
    return new OrtTensor({ ...rest, location: 'ml-tensor', type: dataType ?? 'float32', mlTensor });
  }

  static fromPinnedBuffer<T extends NumericName>(
    type: T,
    data: Tensor.DataTypeMap[T],
    dims?: readonly number[],
  ): OrtTensor {
    return new OrtTensor({ location: 'cpu-pinned', type, data, dims: dims ?? [data.length] });
  }
}

/** A tensor of this API, onnxruntime-common's own among them. */
export function isTensor(value: unknown): value is TypedTensor<Tensor.Type> {
  if (value instanceof OrtTensor) return true;
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'dims' in value &&
    Array.isArray(value.dims) &&
    'location' in value
  );
}

function wrong(message: string): InvalidArgumentError {
  return new InvalidArgumentError(`tensor: ${message}`);
}

function sizeOf(dims: readonly unknown[]): number {
  dims.forEach((dim, axis) => {
    if (!Number.isSafeInteger(dim) || (dim as number) < 0) {
      throw wrong(`dims[${axis}] is ${String(dim)}, not a whole number`);
    }
  });
  return elementCount(dims as number[]);
}

/** The data of a tensor whose type is given. */
function withType(type: string, data: unknown): { type: Tensor.Type; data: Tensor.DataType } {
  if (dtypeOfName(type) === undefined) throw wrong(`there is no type '${type}'`);
  if (type === 'string') {
    if (Array.isArray(data)) return { type, data: data as string[] };
    throw wrong(`a string tensor takes an array of strings, not a ${kindOf(data) || typeof data}`);
  }
  const name = type as NumericName;
  return { type: name, data: numeric(name, data) };
}

function numeric(type: NumericName, data: unknown): NumericArray {
  const arrayType = arrayOfName(type);
  const packed = type === 'uint4' || type === 'int4';
  if (Array.isArray(data)) {
    if (packed) throw wrong(`a ${type} tensor takes a Uint8Array, two elements a byte`);
    if (type === 'int64' || type === 'uint64') return arrayType.from(data.map(BigInt));
    if (type === 'float16' && arrayType.name === 'Uint16Array') {
      return Uint16Array.from(data as number[], f16Bits);
    }
    return arrayType.from(data);
  }
  const kind = kindOf(data);
  if (kind === arrayType.name) return data as NumericArray;
  // The bits, where there are Float16Arrays; int4's declared kind; pixels.
  const same =
    (type === 'float16' && kind === 'Uint16Array') || (type === 'int4' && kind === 'Int8Array');
  if (same) {
    const { buffer, byteOffset, length } = data as Uint16Array;
    return new arrayType(buffer, byteOffset, length);
  }
  if (type === 'uint8' && kind === 'Uint8ClampedArray') {
    return Uint8Array.from(data as Uint8ClampedArray);
  }
  const got = kind || (data === null ? 'null' : typeof data);
  throw wrong(
    `a ${type} tensor takes a ${arrayType.name}${packed ? '' : ' or numbers'}, not ${got}`,
  );
}

/** The type that data alone says. */
function inferred(data: unknown): { type: Tensor.Type; data: Tensor.DataType } {
  if (Array.isArray(data)) {
    const first = typeof data[0];
    if (first === 'string') return { type: 'string', data: data as string[] };
    if (first === 'boolean') return { type: 'bool', data: Uint8Array.from(data as number[]) };
    throw wrong(
      data.length === 0
        ? 'an empty array does not say its type'
        : `an array of ${first}s does not say its type: give it first`,
    );
  }
  const type = nameOfArray(data);
  if (type) return { type, data: numeric(type, data) };
  throw wrong(`a ${kindOf(data) || typeof data} is no data for a tensor`);
}
