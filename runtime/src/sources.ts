// Where models come from: every kind of source as chunks in order, and as ranges to read again.

import { abortable } from './async.js';
import { InvalidArgumentError, QuernError, textOf } from './errors.js';
import { platform } from './platform.js';

/** The largest chunk, in bytes. */
export const chunkLimit = 1 << 20;

export type Chunk = Uint8Array<ArrayBufferLike>;

/** A file while it is read. */
export interface OpenFile {
  /** At least one byte of a range inside the file; valid until the next call. */
  read(offset: number, length: number): Chunk | Promise<Chunk>;
  close?(): Promise<void>;
}

/** A file that can be read from its start, and anywhere if it is re-readable. */
export interface Source {
  /** For messages. */
  name: string;
  /** Chunks of at most 1 MiB, valid until the next one is asked for. */
  read(signal?: AbortSignal): AsyncIterable<Chunk>;
  /** The length in bytes, where it is known; ask after read() began. */
  size(): number | undefined;
  /** Bytes [offset, offset + length); undefined where a source can be read only once. */
  range?(offset: number, length: number, signal?: AbortSignal): AsyncIterable<Chunk>;
  /** Where it costs nothing to read here and there. */
  open?(): OpenFile | Promise<OpenFile>;
  /** Its bytes are at hand: reading them again fetches nothing. */
  local?: boolean;
  /** The source of a file beside this one. */
  sibling?: (path: string) => Promise<Source>;
  /** Where it is fetched from. */
  remote?: Remote;
}

/** What a URL or a Request of the caller's asks for. */
export interface Remote {
  url: string;
  request?: Request | undefined;
}

export type SourceInput =
  | string
  | URL
  | Request
  | Response
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | ReadableStream<Uint8Array>;

export async function openSource(input: SourceInput): Promise<Source> {
  if (typeof input === 'string') {
    const isUrl = /^[a-z][a-z\d+.-]+:/i.test(input) && !input.startsWith('file:');
    return platform.fileSource && !isUrl ? platform.fileSource(input) : urlSource(resolve(input));
  }
  if (input instanceof URL) {
    const isFile = input.protocol === 'file:' && platform.fileSource;
    return isFile ? platform.fileSource!(input.href) : urlSource(input.href);
  }
  if (typeof Blob !== 'undefined' && input instanceof Blob) return blobSource(input);
  if (input instanceof ArrayBuffer) return bytesSource(new Uint8Array(input));
  if (ArrayBuffer.isView(input)) {
    return bytesSource(new Uint8Array(input.buffer, input.byteOffset, input.byteLength));
  }
  if (typeof ReadableStream !== 'undefined' && input instanceof ReadableStream) {
    return streamSource('stream', () => input);
  }
  if (typeof Response !== 'undefined' && input instanceof Response) {
    return streamSource(input.url || 'response', () => bodyOf(input, input.url));
  }
  if (typeof Request !== 'undefined' && input instanceof Request) {
    return urlSource(input.url, input);
  }
  throw new InvalidArgumentError('model: the source is no URL, bytes, Blob, stream or path');
}

function resolve(url: string): string {
  try {
    return new URL(url, platform.baseUrl()).href;
  } catch {
    throw new InvalidArgumentError(`model: '${url}' is no URL`);
  }
}

/** What it takes to go on with a chunk: parts of at most chunkLimit. */
export function* parts(bytes: Chunk): Generator<Chunk> {
  for (let at = 0; at < bytes.length; at += chunkLimit) {
    yield bytes.subarray(at, at + chunkLimit);
  }
}

/** A source at hand, of which any bytes can be read. */
export function localSource(
  name: string,
  size: number,
  open: () => OpenFile | Promise<OpenFile>,
): Source {
  async function* range(offset: number, length: number): AsyncGenerator<Chunk> {
    checkRange(name, offset, length);
    const end = Math.min(offset + length, size);
    let at = offset;
    let file: OpenFile | undefined;
    try {
      file = await open();
      while (at < end) {
        const chunk = await file.read(at, Math.min(chunkLimit, end - at));
        at += chunk.length;
        yield chunk;
      }
    } catch (error) {
      // A file that is gone or was changed.
      throw brokeOff(name, at - offset, end - offset, error);
    } finally {
      await file?.close?.();
    }
  }
  return { name, local: true, read: () => range(0, size), size: () => size, range, open };
}

function bytesSource(bytes: Chunk): Source {
  return localSource('bytes', bytes.length, () => ({
    read: (offset, length) => bytes.subarray(offset, offset + length),
  }));
}

export function blobSource(blob: Blob): Source {
  // Slices, since a Blob's stream may read ahead without bounds.
  const read = async (offset: number, length: number): Promise<Chunk> =>
    new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
  return localSource('name' in blob ? String(blob.name) : 'blob', blob.size, () => ({ read }));
}

/** A source that can be read once. */
function streamSource(name: string, open: () => ReadableStream<Uint8Array>): Source {
  return { name, read: (signal) => wholeChunks(open(), { name }, signal), size: () => undefined };
}

function urlSource(url: string, request?: Request): Source {
  let size: number | undefined;
  const get = async (init: RequestInit): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(request ? request.clone() : url, init);
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new InvalidArgumentError(`model: ${url} can't be fetched: ${textOf(error)}`, {
        cause: error,
      });
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new InvalidArgumentError(`model: ${url} gives status ${response.status}`);
    }
    return response;
  };
  return {
    name: url,
    remote: { url, request },
    async *read(signal) {
      const response = await get(signalOf(signal));
      const expected = lengthOf(response);
      if (expected !== undefined) size = expected;
      yield* wholeChunks(bodyOf(response, url), { name: url, expected }, signal);
    },
    size: () => size,
    async *range(offset, length, signal) {
      checkRange(url, offset, length);
      if (length === 0) return;
      const headers = new Headers(request?.headers);
      headers.set('range', `bytes=${offset}-${offset + length - 1}`);
      const response = await get({ ...signalOf(signal), headers });
      // A server that knows no ranges sends it all.
      let skip = response.status === 206 ? 0 : offset;
      let left = length;
      const file = { name: url, expected: lengthOf(response) };
      for await (const chunk of wholeChunks(bodyOf(response, url), file, signal)) {
        const part = chunk.subarray(skip, skip + left);
        skip = Math.max(0, skip - chunk.length);
        left -= part.length;
        if (part.length > 0) yield part;
        if (left === 0) return;
      }
    },
    sibling: async (path) =>
      urlSource(new URL(path.split('/').map(encodeURIComponent).join('/'), url).href),
  };
}

function signalOf(signal?: AbortSignal): RequestInit {
  return signal ? { signal } : {};
}

export function bodyOf(response: Response, url: string): ReadableStream<Uint8Array> {
  if (response.body) return response.body;
  throw new InvalidArgumentError(`model: ${url} has no body`);
}

/** Bytes of a body, where they can be known: what is compressed comes out longer. */
export function lengthOf({ headers }: Response): number | undefined {
  const length = Number(headers.get('content-length') ?? NaN);
  return length > 0 && !headers.get('content-encoding') ? length : undefined;
}

/** Where weights lie is what a model says: anything but bytes of a file is refused. */
export function checkRange(name: string, offset: number, length: number): void {
  if ([offset, length, offset + length].every((n) => Number.isSafeInteger(n) && n >= 0)) return;
  throw new InvalidArgumentError(`model: ${name} has no ${length} bytes at ${offset}`);
}

/** A source that ends before its time. */
export function brokeOff(
  name: string,
  received: number,
  expected: number | undefined,
  error: unknown,
): InvalidArgumentError {
  const all = expected === undefined ? '' : ` of ${expected}`;
  return new InvalidArgumentError(
    `model: ${name} broke off after ${received}${all} bytes: ${textOf(error)}`,
    { cause: error },
  );
}

/** The chunks of a stream; where it fails, the error tells of what, and how much had come. */
async function* wholeChunks(
  stream: ReadableStream<Uint8Array>,
  { name, expected }: { name: string; expected?: number | undefined },
  signal?: AbortSignal,
): AsyncGenerator<Chunk> {
  let received = 0;
  try {
    for await (const chunk of streamChunks(stream, signal)) {
      received += chunk.length;
      yield chunk;
    }
  } catch (error) {
    // Whoever called the stream off knows why.
    const isAbort = error instanceof DOMException && error.name === 'AbortError';
    if (signal?.aborted || isAbort || error instanceof QuernError) throw error;
    throw brokeOff(name, received, expected, error);
  }
}

/** Reads a stream to its end; cancels it where the reader stops early. */
export async function* streamChunks(
  stream: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Chunk> {
  const reader = stream.getReader();
  let ended = false;
  try {
    for (;;) {
      const { value, done } = await abortable(reader.read(), signal);
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        throw new InvalidArgumentError('model: the stream gives no bytes');
      }
      yield* parts(value);
    }
    ended = true;
  } finally {
    if (!ended) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}
