// The dims that a package is made for: from --shape, --dim, --max and --value to one list.

import type { ValueInfo } from '../backend.js';
import { InvalidArgumentError, UnsupportedError } from '../errors.js';
import { toTensor } from '../feeds.js';
import { hexOf } from '../package/files.js';
import { tensorBytes, type Tensor } from '../tensor.js';

export interface ShapeOptions {
  /** INPUT=1x3x224x224; of an input several times: one after the other. */
  shapes: readonly string[];
  /** NAME=1,8,16. */
  dims: readonly string[];
  /** NAME=512: all from 1 on. */
  maxima: readonly string[];
  /** INPUT=8000,16000: contents that plans are made by, one after the other; [1,2]: a vector. */
  values: readonly string[];
}

export interface InputBinding {
  /** By input; undefined where it is left out. */
  inputs: ({ dtype: Tensor['dtype']; dims: number[] } | Tensor | undefined)[];
}

/** More plans than this are no list any more. */
export const mostBindings = 4096;

/** The bindings in the order of the options; the last option changes fastest. */
export function bindingsOf(
  inputs: readonly ValueInfo[],
  hostInputs: readonly number[],
  options: ShapeOptions,
): InputBinding[] {
  for (const { name, kind } of inputs) {
    if (kind) throw new UnsupportedError(`input '${name}' is a ${kind}: a package takes tensors`);
  }
  const shapes = shapesOf(inputs, options.shapes);
  const values = valuesOf(inputs, hostInputs, options.values);
  const symbols = new Map<string, number[]>();
  for (const option of options.dims) {
    const [name, text] = split(option, '--dim');
    symbols.set(
      name,
      text.split(',').map((one) => natural(one, `--dim ${option}`)),
    );
  }
  for (const option of options.maxima) {
    const [name, text] = split(option, '--max');
    const most = natural(text, `--max ${option}`);
    if (symbols.has(name)) throw new InvalidArgumentError(`--max ${option}: it has a --dim too`);
    if (most < 1 || most > mostBindings) {
      throw new InvalidArgumentError(
        `--max ${option}: from 1 to ${mostBindings}, each with a plan of its own; ` +
          'for more give a list, --dim',
      );
    }
    symbols.set(
      name,
      Array.from({ length: most }, (_, i) => i + 1),
    );
  }
  const known = new Set(inputs.flatMap(({ dims }) => dims ?? []));
  for (const name of symbols.keys()) {
    if (known.has(name)) continue;
    const names = [...known].filter((dim) => typeof dim === 'string').join(', ');
    throw new InvalidArgumentError(
      `dim '${name}': no input has it, the model's open dims are ${names || 'none'}`,
    );
  }

  const rows = Math.max(1, ...[...shapes.values()].map((list) => list.length));
  const found: InputBinding[] = [];
  const seen = new Set<string>();
  for (let row = 0; row < rows; row++) {
    const given = new Map([...shapes].map(([input, list]) => [input, list[row] ?? list[0]!]));
    for (const chosen of combinations([...symbols])) {
      for (const contents of combinations([...values])) {
        const binding = bindingFor(inputs, given, chosen, contents);
        if (!binding) continue;
        const key = JSON.stringify([
          binding.inputs.map((one) => one?.dims ?? null),
          [...contents].map(([input, value]) => [input, hexOf(tensorBytes(value))]),
        ]);
        if (seen.has(key)) continue;
        seen.add(key);
        found.push(binding);
        if (found.length > mostBindings) {
          throw new InvalidArgumentError(`shapes: more than ${mostBindings} combinations`);
        }
      }
    }
  }
  if (found.length === 0) throw new InvalidArgumentError('shapes: no --dim agrees with a --shape');
  return found;
}

/** Nothing where a --shape says otherwise than `symbols`. */
function bindingFor(
  inputs: readonly ValueInfo[],
  shapes: ReadonlyMap<number, number[]>,
  symbols: ReadonlyMap<string, number>,
  contents: ReadonlyMap<number, Tensor>,
): InputBinding | undefined {
  const numbers = new Map(symbols);
  for (const [input, dims] of shapes) {
    for (const [axis, dim] of (inputs[input]!.dims ?? []).entries()) {
      if (typeof dim !== 'string') continue;
      if ((numbers.get(dim) ?? dims[axis]!) !== dims[axis]!) {
        if (symbols.has(dim)) return undefined;
        throw new InvalidArgumentError(
          `--shape: '${dim}' is ${numbers.get(dim)} and, in input '${inputs[input]!.name}', ` +
            dims[axis],
        );
      }
      numbers.set(dim, dims[axis]);
    }
  }
  return {
    inputs: inputs.map(({ name, dtype, dims, optional }, input) => {
      const value = contents.get(input);
      if (value) return value;
      const shape = shapes.get(input);
      if (shape) return { dtype, dims: shape };
      if (optional) return undefined;
      const missing = dims?.find((dim) => typeof dim === 'string' && !numbers.has(dim));
      if (!dims || missing !== undefined) {
        throw new InvalidArgumentError(
          `input '${name}' is ${dtype}[${dims?.join(', ') ?? '...'}]: ` +
            (dims
              ? `how large is '${missing}'? give --dim ${missing}=N[,N...], --max ${missing}=N, or `
              : 'give ') +
            `--shape ${name}=${dims ? dims.map((dim) => (typeof dim === 'number' ? dim : 'N')).join('x') : 'NxN'}`,
        );
      }
      return {
        dtype,
        dims: dims.map((dim) => (typeof dim === 'number' ? dim : numbers.get(dim)!)),
      };
    }),
  };
}

function shapesOf(
  inputs: readonly ValueInfo[],
  options: readonly string[],
): Map<number, number[][]> {
  const shapes = new Map<number, number[][]>();
  for (const option of options) {
    const [name, text] = split(option, '--shape');
    const input = indexOf(inputs, name, '--shape');
    const dims = text === '' ? [] : text.split('x').map((one) => natural(one, `--shape ${option}`));
    const declared = inputs[input]!.dims;
    const fits = declared?.every((dim, axis) => typeof dim === 'string' || dim === dims[axis]);
    if (declared && (declared.length !== dims.length || !fits)) {
      throw new InvalidArgumentError(
        `--shape ${option}: the model has '${name}' as [${declared.join(', ')}]`,
      );
    }
    shapes.set(input, [...(shapes.get(input) ?? []), dims]);
  }
  const lengths = new Set([...shapes.values()].map(({ length }) => length));
  lengths.delete(1);
  if (lengths.size > 1) {
    throw new InvalidArgumentError(
      `--shape: inputs have lists of ${[...lengths].join(' and ')} shapes`,
    );
  }
  return shapes;
}

function valuesOf(
  inputs: readonly ValueInfo[],
  hostInputs: readonly number[],
  options: readonly string[],
): Map<number, Tensor[]> {
  const values = new Map<number, Tensor[]>();
  for (const option of options) {
    const [name, text] = split(option, '--value');
    const input = indexOf(inputs, name, '--value');
    const info = inputs[input]!;
    if (!hostInputs.includes(input)) {
      throw new InvalidArgumentError(`--value ${option}: no plan depends on what is in '${name}'`);
    }
    if (info.dtype === 'string') throw new UnsupportedError(`--value ${option}: it has strings`);
    const number = (one: string): number => {
      const value = Number(one);
      const isInteger = /^[iu]\d+$/.test(info.dtype);
      if (one.trim() !== '' && (isInteger ? Number.isSafeInteger(value) : !Number.isNaN(value))) {
        return value;
      }
      throw new InvalidArgumentError(`--value ${option}: '${one}' is no ${info.dtype}`);
    };
    const list = (text.match(/\[[^\]]*\]|[^,]+/g) ?? ['']).map((one) => {
      const inside = /^\[(.*)\]$/.exec(one)?.[1];
      return toTensor(info, inside === undefined ? number(one) : inside.split(',').map(number));
    });
    values.set(input, list);
  }
  return values;
}

/** All choices of one item a name; one empty choice where there is no name. */
function combinations<K, T>(lists: readonly [K, readonly T[]][]): Map<K, T>[] {
  let all = [new Map<K, T>()];
  for (const [name, items] of lists) {
    if (all.length * items.length > mostBindings * 64) {
      throw new InvalidArgumentError(`shapes: more than ${mostBindings} combinations`);
    }
    all = all.flatMap((chosen) => items.map((item) => new Map(chosen).set(name, item)));
  }
  return all;
}

function split(option: string, what: string): [string, string] {
  const at = option.lastIndexOf('=');
  if (at < 1) throw new InvalidArgumentError(`${what} ${option}: expected NAME=...`);
  return [option.slice(0, at), option.slice(at + 1)];
}

function natural(text: string, what: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(`${what}: '${text}' is no whole number`);
}

function indexOf(inputs: readonly ValueInfo[], name: string, what: string): number {
  const index = inputs.findIndex((input) => input.name === name);
  if (index >= 0) return index;
  const known = inputs.map((input) => `'${input.name}'`).join(', ');
  throw new InvalidArgumentError(`${what} ${name}=...: the model has no such input, only ${known}`);
}
