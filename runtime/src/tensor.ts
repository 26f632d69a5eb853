// Tensors as they go into and come out of a run.

import {
  bitWidth,
  byteSize,
  bytesOf,
  dataFromBytes,
  elementCount,
  type DataByType,
  type DType,
  type NumericData,
  type NumericDType,
} from './dtype.js';
import { InvalidArgumentError } from './errors.js';
import type { Gpu } from './gpu.js';

/** Device memory of a tensor. */
export interface TensorMemory {
  readonly buffer: GPUBuffer;
  /** Instead of the buffer: commands that make the tensor's elements in `bytes` bytes at `to`. */
  draw?(
    gpu: Gpu,
    encoder: GPUCommandEncoder,
    to: { buffer: GPUBuffer; offset: number },
    bytes: number,
  ): void;
  /** A copy of the first `bytes` bytes; undefined where only the buffer's owner can read it. */
  read?(bytes: number): Promise<ArrayBuffer>;
  free?(): void;
}

/** A dense, row-major tensor in host memory or in a GPUBuffer. */
export class Tensor<D extends DType = DType> {
  /** Survives minification: consoles show it. */
  static readonly name = 'Tensor';

  readonly dtype: D;
  readonly dims: readonly number[];
  #data: DataByType[D] | undefined;
  #memory: TensorMemory | undefined;

  /** `data` is kept, not copied; types under a byte are packed, low bits first. */
  constructor(dtype: D, dims: readonly number[], data: DataByType[D]);
  /** @internal */
  constructor(dtype: D, dims: readonly number[], data: undefined, memory: TensorMemory);
  constructor(
    dtype: D,
    dims: readonly number[],
    data: DataByType[D] | undefined,
    memory?: TensorMemory,
  ) {
    this.dtype = dtype;
    this.dims = Object.freeze([...dims]);
    this.#data = data;
    this.#memory = memory;
    if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
      throw new InvalidArgumentError(`tensor: dims [${dims.join(', ')}] are not whole numbers`);
    }
    if (!data) return;
    const strings = Array.isArray(data);
    const got = strings ? data.length : (data as ArrayBufferView).byteLength;
    const expected = strings ? this.size : this.byteLength;
    const unit = strings ? 'strings' : 'bytes';
    if (got !== expected) {
      throw new InvalidArgumentError(
        `tensor: ${dtype}[${dims.join(', ')}] takes ${expected} ${unit}, got ${got}`,
      );
    }
  }

  /**
   * A tensor over a buffer of the caller's, who keeps it: at least `byteLength` bytes, rounded up
   * to 4, with usage COPY_SRC. It can be fed to models on the same device.
   */
  static fromGpuBuffer<D extends NumericDType>(
    buffer: GPUBuffer,
    dtype: D,
    dims: readonly number[],
  ): Tensor<D> {
    const tensor = new Tensor(dtype, dims, undefined, { buffer });
    if (buffer.size < Math.ceil(tensor.byteLength / 4) * 4) {
      throw new InvalidArgumentError(
        `tensor: ${dtype}[${dims.join(', ')}] does not fit in a buffer of ${buffer.size} bytes`,
      );
    }
    return tensor;
  }

  get location(): 'cpu' | 'gpu' {
    return this.#memory ? 'gpu' : 'cpu';
  }

  /** The number of elements. */
  get size(): number {
    return elementCount(this.dims);
  }

  get byteLength(): number {
    return byteSize(this.dtype, this.size);
  }

  /** The elements; throws where they are on the GPU. */
  get data(): DataByType[D] {
    if (this.#data) return this.#data;
    throw new InvalidArgumentError(
      this.#memory ? 'tensor: its data is on the GPU, await read()' : 'tensor: it is disposed',
    );
  }

  /** The GPU's memory: elements from byte 0. It stays the tensor's, until dispose(). */
  get buffer(): GPUBuffer {
    if (this.#memory) return this.#memory.buffer;
    throw new InvalidArgumentError(
      this.#data ? 'tensor: its data is on the CPU' : 'tensor: it is disposed',
    );
  }

  /** @internal */
  get memory(): TensorMemory | undefined {
    return this.#memory;
  }

  /** This tensor in host memory: itself, or a copy of what is on the GPU. */
  async read(): Promise<Tensor<D>> {
    if (!this.#memory) return this;
    if (!this.#memory.read) {
      throw new InvalidArgumentError('tensor: the buffer is the caller’s, so is reading it');
    }
    const bytes = new Uint8Array(await this.#memory.read(this.byteLength));
    return tensorFromBytes(this.dtype, this.dims, bytes);
  }

  /** The element at a position, one number an axis. */
  get(...position: number[]): number | bigint | string | boolean {
    let index = 0;
    this.dims.forEach((dim, axis) => {
      const at = position[axis] ?? NaN;
      if (!(at >= 0 && at < dim)) index = NaN;
      index = index * dim + at;
    });
    if (position.length !== this.dims.length || !Number.isInteger(index)) {
      throw new InvalidArgumentError(
        `tensor: [${position.join(', ')}] is outside of dims [${this.dims.join(', ')}]`,
      );
    }
    return elementAt(this, index);
  }

  /** Gives the memory back; the tensor, and its buffer, are not to be used any more. */
  dispose(): void {
    this.#memory?.free?.();
    this.#memory = this.#data = undefined;
  }

  // Where the engine has no Symbol.dispose this is a method that nobody calls.
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A tensor of a numeric type whose elements lie in `bytes`, which it may keep. */
export function tensorFromBytes<D extends DType>(
  dtype: D,
  dims: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): Tensor<D> {
  const data = dataFromBytes(dtype as NumericDType, bytes);
  return new Tensor(dtype, dims, data as DataByType[D]);
}

/** Element `index`, in row-major order, of a tensor in host memory. */
export function elementAt(tensor: Tensor, index: number): number | bigint | string | boolean {
  const { dtype, data } = tensor;
  const width = bitWidth(dtype);
  if (width > 0 && width < 8) {
    const bit = index * width;
    const code = ((data as Uint8Array)[bit >> 3]! >> (bit & 7)) & ((1 << width) - 1);
    if (dtype === 'f4e2m1') return smallFloat(code, smallFloats.f4e2m1);
    const sign = dtype.startsWith('i') ? 1 << (width - 1) : 0;
    return (code ^ sign) - sign;
  }
  const element = (data as ArrayLike<number | bigint | string>)[index]!;
  if (dtype === 'bool') return element !== 0;
  if (dtype === 'bf16') return floatOfBits((element as number) << 16);
  if (dtype === 'f16' && data instanceof Uint16Array) return f16Value(element as number);
  if (dtype === 'f8e8m0') return element === 255 ? NaN : 2 ** ((element as number) - 127);
  const format = (smallFloats as Record<string, SmallFloat | undefined>)[dtype];
  return format ? smallFloat(element as number, format) : element;
}

/** Bits of exponent and mantissa, the exponent's bias, and which codes are no numbers. */
type SmallFloat = readonly [
  exponent: number,
  mantissa: number,
  bias: number,
  special: 'ieee' | 'nan' | 'negative-zero' | 'none',
];

const smallFloats = {
  f8e4m3fn: [4, 3, 7, 'nan'],
  f8e4m3fnuz: [4, 3, 8, 'negative-zero'],
  f8e5m2: [5, 2, 15, 'ieee'],
  f8e5m2fnuz: [5, 2, 16, 'negative-zero'],
  f4e2m1: [2, 1, 1, 'none'],
} as const satisfies Record<string, SmallFloat>;

function smallFloat(code: number, [exponentBits, mantissaBits, bias, special]: SmallFloat): number {
  const bits = exponentBits + mantissaBits;
  const magnitude = code & ((1 << bits) - 1);
  const exponent = magnitude >> mantissaBits;
  const mantissa = magnitude & ((1 << mantissaBits) - 1);
  const sign = code >> bits ? -1 : 1;
  if (special === 'negative-zero' && magnitude === 0 && sign < 0) return NaN;
  if (special === 'nan' && magnitude === (1 << bits) - 1) return NaN;
  if (special === 'ieee' && exponent === (1 << exponentBits) - 1) {
    return mantissa ? NaN : sign * Infinity;
  }
  const unit = 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  return sign * unit * (exponent ? mantissa + (1 << mantissaBits) : mantissa);
}

function floatOfBits(bits: number): number {
  return new Float32Array(Int32Array.of(bits).buffer)[0]!;
}

/** The number with those f16 bits. */
export function f16Value(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

/** The bytes of a tensor in host memory, not copied. */
export function tensorBytes(tensor: Tensor): Uint8Array<ArrayBuffer> {
  return bytesOf(tensor.data as NumericData);
}
