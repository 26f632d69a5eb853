// What a caller gives for an input, as a tensor of the input's type.

import type { ValueInfo, ValueType } from './backend.js';
import {
  arrayOf,
  bitWidth,
  bytesOf,
  elementCount,
  f16Bits,
  type DataByType,
  type DType,
  type NumericDType,
} from './dtype.js';
import { InvalidArgumentError } from './errors.js';
import type { PixelFeed } from './pixel-feeds.js';
import { Tensor } from './tensor.js';
import type { Tree } from './value.js';

type Element = number | bigint | boolean | string;
type Elements = ArrayBufferView | readonly Element[];

/** A value for an input: dims follow from the model where it fixes all of them but one. */
export type TensorFeed = Tensor | Elements | Element | { data: Elements; dims: readonly number[] };

/**
 * A value for an input of any kind: an array for a sequence, a Map for a map, null for an optional
 * without value; a picture; a GPUBuffer with the elements, where the model fixes all dims.
 */
export type Feed =
  TensorFeed | PixelFeed | GPUBuffer | readonly Feed[] | ReadonlyMap<Element, Element> | null;

/** The value of an input that may be a container. */
export function toTree(info: ValueInfo, feed: Feed): Tree<Tensor> {
  const { kind, dtype } = info;
  const element: ValueType = info.element ?? { dtype, dims: undefined };
  switch (kind) {
    case undefined:
      return toTensor(info, feed as TensorFeed);
    case 'optional': {
      const items = feed === null ? [] : [toTree({ ...element, name: info.name }, feed)];
      return { kind, dtype, items };
    }
    case 'sequence': {
      if (!Array.isArray(feed)) throw mismatch(info, 'something that is no array');
      const items = feed.map((item: Feed, i) =>
        toTree({ ...element, name: `${info.name}[${i}]` }, item),
      );
      return { kind, dtype, items };
    }
    case 'map': {
      if (!(feed instanceof Map)) throw mismatch(info, 'something that is no Map');
      const list = (type: DType, elements: Iterable<Element>): Tensor =>
        toTensor({ name: info.name, dtype: type, dims: [feed.size] }, [...elements]);
      const entries = feed as ReadonlyMap<Element, Element>;
      const items = [list(info.key ?? 'string', entries.keys()), list(dtype, entries.values())];
      return { kind, dtype, items };
    }
  }
}

/** Converts what the type allows; the elements of exact typed arrays are not copied. */
export function toTensor(info: ValueInfo, feed: TensorFeed): Tensor {
  if (feed instanceof Tensor) {
    if (feed.dtype !== info.dtype) throw mismatch(info, `a tensor of ${feed.dtype}`);
    return feed;
  }
  if ((feed as unknown) === null) throw mismatch(info, 'null');
  if (feed === undefined) throw mismatch(info, 'undefined');
  if (typeof feed !== 'object') {
    const dims = info.dims?.map(() => 1) ?? [];
    return new Tensor(info.dtype, dims, convert(info, [feed]));
  }
  if ('data' in feed) return tensorOf(info, feed.data, feed.dims);
  return tensorOf(info, feed);
}

function tensorOf(info: ValueInfo, elements: Elements, dims?: readonly number[]): Tensor {
  const data = convert(info, elements);
  try {
    return new Tensor(info.dtype, dims ?? inferDims(info, lengthOf(info.dtype, data)), data);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) || error.message.startsWith('input')) throw error;
    throw new InvalidArgumentError(`input '${info.name}': ${error.message}`);
  }
}

/** The number of elements in the data; of packed types, at most so many. */
function lengthOf(dtype: DType, data: DataByType[DType]): number {
  if (Array.isArray(data)) return data.length;
  return Math.floor(((data as ArrayBufferView).byteLength * 8) / bitWidth(dtype));
}

/** The model's dims, one unknown of which may follow from the number of elements. */
function inferDims({ name, dtype, dims }: ValueInfo, count: number): number[] {
  const shown = `${dtype}[${dims?.join(', ') ?? '...'}]`;
  const fixed = elementCount(dims?.filter((dim) => typeof dim === 'number') ?? []);
  const unknown = dims?.filter((dim) => typeof dim !== 'number').length ?? NaN;
  const rest = unknown === 1 ? count / fixed : 1;
  if (!dims || unknown > 1 || !Number.isInteger(rest)) {
    throw new InvalidArgumentError(
      `input '${name}': ${count} elements do not say which dims of ${shown} are meant; ` +
        'give { data, dims }',
    );
  }
  return dims.map((dim) => (typeof dim === 'number' ? dim : rest));
}

function mismatch(info: ValueInfo, got: string): InvalidArgumentError {
  const { name, dtype, dims, kind } = info;
  if (kind) {
    return new InvalidArgumentError(`input '${name}': expected a ${kind} of ${dtype}, got ${got}`);
  }
  const expected = dtype === 'string' ? 'strings' : `${arrayOf(dtype).name} or numbers`;
  return new InvalidArgumentError(
    `input '${name}': expected ${dtype}[${dims?.join(', ') ?? '...'}] (${expected}), got ${got}`,
  );
}

function convert(info: ValueInfo, elements: Elements): DataByType[DType] {
  const { dtype } = info;
  if (!ArrayBuffer.isView(elements)) {
    if (!Array.isArray(elements)) throw mismatch(info, 'something that is no array');
    if (dtype !== 'string') return fromElements(info, dtype, elements as readonly Element[]);
    if (elements.every((item) => typeof item === 'string')) return elements;
    throw mismatch(info, 'elements that are no strings');
  }
  const kind = elements.constructor.name;
  if (dtype === 'string' || elements instanceof DataView) throw mismatch(info, `a ${kind}`);
  if (elements instanceof arrayOf(dtype)) return elements;
  if (dtype === 'f16') {
    if (kind === 'Float16Array' || kind === 'Uint16Array') return elements as DataByType['f16'];
    if (elements instanceof Float32Array) return fromElements(info, dtype, elements);
  }
  if (kind === 'Uint8ClampedArray' && arrayOf(dtype) === (Uint8Array as never)) {
    return bytesOf(elements) as DataByType['u8'];
  }
  const integers = /^(Big)?(Int|Uint)\d+Array$/.test(kind);
  if (integers && (dtype === 'i64' || dtype === 'u64')) {
    return fromElements(info, dtype, elements as unknown as ArrayLike<number>);
  }
  throw mismatch(info, `a ${kind}`);
}

const integerBits = /^[iu](8|16|32|64)$/;

/** Numbers, bigints or booleans as the type's own array; integers must be in range. */
function fromElements(
  info: ValueInfo,
  dtype: NumericDType,
  elements: ArrayLike<Element>,
): DataByType[NumericDType] {
  const bits = Number(integerBits.exec(dtype)?.[1] ?? 0);
  if (bits === 0 && !/^(f16|f32|f64|bool)$/.test(dtype)) {
    throw mismatch(info, `numbers, but ${dtype} takes its packed bytes`);
  }
  const count = elements.length;
  const width = bits || bitWidth(dtype);
  const data = new (arrayOf(dtype))(new ArrayBuffer((count * width) / 8));
  const target = data as unknown as { [index: number]: number | bigint };
  const wrong = (element: Element): never => {
    throw new InvalidArgumentError(`input '${info.name}': ${String(element)} is no ${dtype}`);
  };

  if (bits === 64) {
    const signed = dtype === 'i64';
    for (let i = 0; i < count; i++) {
      const element = elements[i]!;
      const whole = typeof element === 'bigint' || Number.isSafeInteger(element);
      if (!whole && typeof element !== 'boolean') wrong(element);
      const value = BigInt(element);
      if ((signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)) !== value) wrong(element);
      target[i] = value;
    }
    return data;
  }
  const toBits = dtype === 'f16' && data instanceof Uint16Array;
  for (let i = 0; i < count; i++) {
    const element = elements[i]!;
    if (typeof element === 'string') wrong(element);
    const value = Number(element);
    if (dtype === 'bool') target[i] = Number(value !== 0);
    else if (toBits) target[i] = f16Bits(value);
    else {
      target[i] = value;
      // Integer arrays wrap; what came out must be what went in.
      if (bits !== 0 && target[i] !== value) wrong(element);
    }
  }
  return data;
}
