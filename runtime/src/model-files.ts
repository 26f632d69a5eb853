// The files of a model: its own, and those that its weights lie in.

import { InvalidArgumentError } from './errors.js';
import { blobSource, openSource, type Chunk, type Source, type SourceInput } from './sources.js';

/** A model whose weights lie in other files, by the name that the model has for them. */
export interface ModelFiles {
  model: SourceInput;
  externalData?: Record<string, SourceInput>;
}

export type ModelSource = SourceInput | ModelFiles;

/** The model's own source and those of its other files. */
export interface OpenedModel {
  main: Source;
  external(name: string): Promise<Source>;
}

/** `wrap` is put around the source of each file: a cache. */
export async function openModel(
  source: ModelSource,
  wrap: (source: Source) => Source = (plain) => plain,
): Promise<OpenedModel> {
  const files: ModelFiles =
    typeof source === 'object' && source !== null && 'model' in source ? source : { model: source };
  const plain = await openSource(files.model);
  const main = wrap(plain);
  return {
    main,
    async external(name) {
      const given = files.externalData?.[name];
      if (given !== undefined) return wrap(await openSource(given));
      // The name comes out of the model: it must not lead anywhere else.
      const inside = !/^[/\\]|^[a-z][\w+.-]*:|(^|[/\\])\.\.([/\\]|$)/i.test(name);
      if (plain.sibling && inside) return wrap(await plain.sibling(name));
      throw new InvalidArgumentError(
        `model: its weights are in '${name}' too; give it as externalData: {'${name}': ...}`,
      );
    },
  };
}

/**
 * May a file that begins so be in another format than ONNX? Nearly all ONNX files begin with their
 * version, which is greater than 1; the others are told apart by what knows all formats.
 */
export function mayBeForeign(head: Chunk): boolean {
  const isFlatbuffer = String.fromCharCode(...head.subarray(4, 8)) === 'TFL3';
  return head[0] !== 8 || head[1] === 1 || isFlatbuffer;
}

/** The same source, to be read again: streams are first read to their end. */
export async function rereadable(source: Source, signal?: AbortSignal): Promise<Source> {
  if (source.range) return source;
  const chunks: BlobPart[] = [];
  for await (const chunk of source.read(signal)) chunks.push(chunk.slice());
  return { ...blobSource(new Blob(chunks)), name: source.name };
}
