// Models in other formats than ONNX. Loaded only where a file may be one: the module quern-formats
// makes ONNX of the file's structure, whose large tensors are external data, in the file itself.

import { breathe } from './async.js';
import { asConverter, type ByteRange, type Converter } from './converter.js';
import type { Core } from './core.js';
import { InvalidModelError } from './errors.js';
import { rereadable, type OpenedModel } from './model-files.js';
import type { Chunk, Source } from './sources.js';
import type { WasmOptions } from './wasm.js';

export interface ConvertContext {
  source: OpenedModel;
  signal: AbortSignal | undefined;
  wasmBase: string | undefined;
}

/** Tensors below go into the model, where shape inference may read them. */
const inlineBelow = 65536;
/** Bytes that a converter may hold. */
const memoryLimit = 512 << 20;
/** Bytes of a file's beginning that tell its format. */
const headBytes = 4096;

export interface Converted {
  /** Undefined where the file itself is ONNX. */
  onnx: Uint8Array | undefined;
  /** Where the file is to be read from now on, and its data. */
  source: OpenedModel;
}

/**
 * The model that a file holds as ONNX. `first` is the file's first chunk, `rest` the others; a source
 * of local bytes is read by ranges instead, others are kept whole, so that nothing is fetched twice.
 */
export async function convert(
  context: ConvertContext,
  openCore: (options: WasmOptions) => Promise<Core>,
  first: Chunk,
  rest: AsyncIterator<Chunk>,
): Promise<Converted> {
  const { source, signal } = context;
  const main = source.main.local ? source.main : await spool(source.main, first, rest, signal);
  const core = await openCore({ name: 'quern-formats', threads: 1, base: context.wasmBase });
  try {
    const converter = asConverter(core);
    const head = await headOf(main, signal);
    if ((await converter.call('formatOf', head.slice())) === 'ONNX') {
      return { onnx: undefined, source: { main, external: (file) => source.external(file) } };
    }
    const name = fileName(main.name);
    const files = filesOf({ main, external: (file) => source.external(file) }, signal);
    const onnx = await onnxOf(converter, files, head, name, inlineBelow, signal);
    const external = (file: string): Promise<Source> => files(file === name ? '' : file);
    return { onnx, source: { main, external } };
  } finally {
    core.close();
  }
}

/** The file of a name, '' for the model's own, to be read by ranges. */
export type Files = (name: string) => Promise<Source>;

/** Each file is opened once, and fetched once: others than local ones are kept whole. */
export function filesOf(model: OpenedModel, signal: AbortSignal | undefined): Files {
  const opened = new Map<string, Promise<Source>>();
  return (name) => {
    if (name === '') return Promise.resolve(model.main);
    let file = opened.get(name);
    if (!file) {
      const open = async (): Promise<Source> => {
        const source = await model.external(name);
        return source.local ? source : rereadable({ ...source, range: undefined }, signal);
      };
      opened.set(name, (file = open()));
    }
    return file;
  };
}

/** Goes through the dialogue with a converter. */
export async function onnxOf(
  converter: Converter,
  files: Files,
  head: Chunk,
  name: string,
  inline: number,
  signal: AbortSignal | undefined,
  limit = memoryLimit,
): Promise<Uint8Array> {
  await converter.call('begin', head.slice(), (await files('')).size() ?? 0, inline, limit);
  let wanted = await converter.call('advance', new Uint8Array(0));
  while (wanted.length > 0) {
    wanted = await converter.call('advance', await readRanges(files, wanted, signal));
    await breathe();
  }
  return converter.call('onnx', name);
}

/** The bytes that tell a file's format. */
export function headOf(file: Source, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const length = Math.min(headBytes, file.size() ?? 0);
  const range = { offset: 0, length, file: '', isSize: false };
  return readRanges(() => Promise.resolve(file), [range], signal);
}

async function readRanges(
  files: Files,
  ranges: readonly ByteRange[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(ranges.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const { offset, length, file: name, isSize } of ranges) {
    const end = at + length;
    if (length === 0) continue;
    const file = await files(name);
    if (isSize) {
      new DataView(bytes.buffer).setBigUint64(at, BigInt(file.size() ?? 0), true);
      at = end;
      continue;
    }
    for await (const chunk of file.range!(offset, length, signal)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    if (at !== end) throw new InvalidModelError(`${file.name} ends early`);
  }
  return bytes;
}

/** The whole of a source whose first chunk has been read. */
async function spool(
  source: Source,
  first: Chunk,
  rest: AsyncIterator<Chunk>,
  signal: AbortSignal | undefined,
): Promise<Source> {
  async function* read(): AsyncGenerator<Chunk> {
    yield first;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  }
  return rereadable({ name: source.name, size: () => undefined, read }, signal);
}

/** The last part of a path or URL: external data are named by it. */
function fileName(path: string): string {
  const name = /([^/\\]*)\/?(?:[?#].*)?$/.exec(path)?.[1] ?? '';
  return name.replace(/[^\w.-]/g, '_') || 'model';
}
