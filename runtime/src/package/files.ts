// The files of a package: fetched, bounded, compared with the manifest, inflated.

import { InvalidArgumentError, InvalidModelError } from '../errors.js';
import { openSource, type Source, type SourceInput } from '../sources.js';
import { invalid, manifestName, type PackageFile, type Section } from './format.js';

/** Where a package is: a folder's URL or, in Node, path; or its files by name. */
export type PackageSource = string | URL | Readonly<Record<string, SourceInput>>;

export class PackageFiles {
  readonly #source: PackageSource;
  #manifest: Source | undefined;

  constructor(source: PackageSource) {
    this.#source = source;
  }

  /** At most so many bytes of a file; more are an error. */
  async read(name: string, most: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const source = await this.#open(name);
    let bytes = new Uint8Array(0);
    let length = 0;
    for await (const chunk of source.read(signal)) {
      if (length + chunk.length > most) throw invalid(`${name} is longer than ${most} bytes`);
      if (length + chunk.length > bytes.length) {
        // The declared size, if it is one that can be believed; else it grows with what comes.
        const size = Math.min(most, Math.max(length + chunk.length, bytes.length * 2, 1 << 16));
        const grown = new Uint8Array(size);
        grown.set(bytes.subarray(0, length));
        bytes = grown;
      }
      bytes.set(chunk, length);
      length += chunk.length;
    }
    return length === bytes.length ? bytes : bytes.slice(0, length);
  }

  /** The whole file, as the manifest has it. */
  async verified(
    { name, bytes, sha256 }: PackageFile,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const read = await this.read(name, bytes, signal);
    if (read.length !== bytes) {
      throw invalid(`${name} ends early: ${read.length} of ${bytes} bytes`);
    }
    if ((await sha256Of(read)) !== sha256) {
      throw invalid(`${name} is damaged: its SHA-256 is not that of the manifest`);
    }
    return read;
  }

  async #open(name: string): Promise<Source> {
    const source = this.#source;
    if (typeof source === 'string' || source instanceof URL) {
      const base = typeof source === 'string' ? source : source.href;
      const folder = base.replace(/\/?(manifest\.json)?$/, '');
      this.#manifest ??= await openSource(`${folder}/${manifestName}`);
      return name === manifestName ? this.#manifest : this.#manifest.sibling!(name);
    }
    if (typeof source !== 'object' || source === null || !Object.hasOwn(source, name)) {
      throw new InvalidArgumentError(`package: there is no ${name}`);
    }
    return openSource(source[name]!);
  }
}

/** In hexadecimal digits. */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** What a section holds; never more than it declares. */
export async function inflate(
  file: Uint8Array<ArrayBuffer>,
  { offset, bytes, rawBytes }: Section,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([file.subarray(offset, offset + bytes)])
    .stream()
    .pipeThrough(new DecompressionStream('deflate'));
  const reader = stream.getReader();
  const raw = new Uint8Array(rawBytes);
  let length = 0;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      if (length + value.length > rawBytes) throw invalid('a section is longer than it says');
      raw.set(value, length);
      length += value.length;
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    if (error instanceof InvalidModelError) throw error;
    throw invalid(`a section does not inflate: ${String(error)}`);
  }
  if (length !== rawBytes) throw invalid(`a section has ${length} bytes, not ${rawBytes}`);
  return raw;
}
