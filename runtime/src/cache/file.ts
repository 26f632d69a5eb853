// A source that keeps a copy of what it fetches, and reads that the next time.

import { abortable } from '../async.js';
import { InvalidArgumentError, InvalidModelError, textOf } from '../errors.js';
import { Bell } from './bell.js';
import {
  bodyOf,
  brokeOff,
  checkRange,
  lengthOf,
  parts,
  streamChunks,
  type Chunk,
  type Remote,
  type Source,
} from '../sources.js';
import { ask, cannotFetch, get, resume, sameVersion, validatorsOf } from './http.js';
import { hold } from './locks.js';
import {
  groupOf,
  markUsed,
  pieceName,
  readManifest,
  sha256,
  sizeOf,
  type Manifest,
  type ManifestName,
} from './manifest.js';
import type { RecordStore } from './records.js';
import type { CachedFileReport } from './types.js';
import { Writer } from './writer.js';

export interface Tuning {
  /** Bytes of all pieces but the last. */
  pieceBytes: number;
  /** Milliseconds between a download's end and the first try to go on; then twice as many. */
  firstPause: number;
}

export const defaultTuning: Tuning = { pieceBytes: 4 << 20, firstPause: 250 };

export interface FileContext {
  store: RecordStore;
  key: string;
  maxBytes: number;
  validate: boolean;
  tuning: Tuning;
  report: CachedFileReport;
  /** Tells what may want to be known. */
  note: (text: string) => void;
}

/** So long one waits for another that has the file, in milliseconds. */
const patience = 500;
/** How often a download that breaks off goes on without a byte in between. */
const mostFailures = 3;

/** The copy can't be read, nor mended; it is deleted. */
class DamagedCopyError extends InvalidModelError {}

/** Bytes of a file that are in one piece. */
interface Place {
  manifest: Manifest;
  index: number;
  /** Where the piece begins in the file. */
  start: number;
}

export class CachedFile implements Source {
  readonly name: string;
  readonly #network: Source;
  readonly #remote: Remote;
  readonly #context: FileContext;
  #group: string | undefined;
  #size: number | undefined;
  /** The copy that read() or range() last found complete and up to date. */
  #copy: Manifest | undefined;
  /** What is being stored, and how many of its pieces were there before. */
  #writer: Writer | undefined;
  #resumed = 0;
  /** The download into the cache that ranges wait for, and what tells of its pieces. */
  #filling: { ended: boolean; error?: Error } | undefined;
  readonly #news = new Bell();
  /** Pieces that the report has as read from the cache. */
  readonly #counted = new Set<string>();
  #last: { name: string; bytes: WeakRef<Uint8Array<ArrayBuffer>> } | undefined;

  constructor(network: Source, remote: Remote, context: FileContext) {
    this.name = network.name;
    this.#network = network;
    this.#remote = remote;
    this.#context = context;
  }

  size(): number | undefined {
    return this.#size;
  }

  /** Reading goes to the copy. */
  get local(): boolean {
    return this.#copy !== undefined;
  }

  async *read(signal?: AbortSignal): AsyncGenerator<Chunk> {
    this.#copy = undefined;
    this.#counted.clear();
    const opened = await this.#open(signal);
    if (opened.manifest) {
      let given = 0;
      try {
        for await (const chunk of this.#bytes(opened.manifest, signal)) {
          given += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        if (!(error instanceof DamagedCopyError) || given > 0) throw error;
      } finally {
        opened.release?.();
      }
    }
    yield* this.#download(signal, opened.response);
  }

  async *range(offset: number, length: number, signal?: AbortSignal): AsyncGenerator<Chunk> {
    checkRange(this.name, offset, length);
    let at = offset;
    const end = offset + length;
    if (!this.#copy && !this.#filling) {
      const opened = await this.#open(signal);
      if (opened.release) opened.release();
      if (!opened.manifest) this.#fill(signal, opened.response);
    }
    const release = this.#copy && (await hold(await this.#groupName(), 'shared', patience));
    try {
      while (at < end) {
        const place = await this.#placeOf(at, signal);
        if (!place) break;
        const bytes = await this.#piece(place, signal);
        const part = bytes.subarray(at - place.start, end - place.start);
        yield* parts(part);
        at += part.length;
      }
    } finally {
      release?.();
    }
    if (at < end && !this.#copy) {
      const error = this.#filling?.error;
      if (error !== undefined) {
        this.#filling = undefined; // the next one tries again
        throw error;
      }
      for await (const chunk of this.#network.range!(at, end - at, signal)) {
        this.#context.report.fetched += chunk.length;
        yield chunk;
      }
    }
  }

  /** Forgets the copy. */
  async forget(): Promise<void> {
    this.#copy = undefined;
    this.#context.report.kept = false;
    await this.#context.store.remove(await this.#groupName()).catch(() => {});
  }

  async #groupName(): Promise<string> {
    return (this.#group ??= await groupOf(this.#context.key));
  }

  /** Undefined also where the store fails. */
  async #manifest(name: ManifestName): Promise<Manifest | undefined> {
    try {
      return await readManifest(this.#context.store, await this.#groupName(), name);
    } catch (error) {
      this.#context.note(`the store can't be read: ${textOf(error)}`);
      return undefined;
    }
  }

  /** A copy that may be used, and what ends its lock; or the response that has another version. */
  async #open(signal?: AbortSignal): Promise<{
    manifest?: Manifest;
    release?: () => void;
    response?: Response;
  }> {
    const { store, note, validate } = this.#context;
    if (!(await this.#manifest('manifest'))) return {};
    const group = await this.#groupName();
    const release = await hold(group, 'shared', patience);
    let manifest: Manifest | undefined;
    try {
      manifest = release && (await this.#manifest('manifest'));
      if (!release || !manifest) return {};
      const answer = validate ? await ask(this.#remote, manifest, signal) : undefined;
      if (answer?.kind === 'other') {
        manifest = undefined;
        return { response: answer.response };
      }
      if (answer?.kind === 'unknown') note(`not checked for a newer version: ${answer.reason}`);
      this.#found(manifest);
      markUsed(store, group).catch(() => {});
      return { manifest, release };
    } catch (error) {
      manifest = undefined;
      throw error;
    } finally {
      if (!manifest) release?.();
    }
  }

  #found(manifest: Manifest): void {
    this.#copy = manifest;
    this.#size = sizeOf(manifest);
    this.#context.report.kept = true;
  }

  /** The pieces of a copy in order, the next one read while one is used. */
  async *#bytes(manifest: Manifest, signal?: AbortSignal): AsyncGenerator<Chunk> {
    let start = 0;
    let next: Promise<Uint8Array<ArrayBuffer>> | undefined;
    for (const [index, { bytes }] of manifest.pieces.entries()) {
      const piece = await abortable(
        next ?? this.#piece({ manifest, index, start }, signal),
        signal,
      );
      start += bytes;
      next = undefined;
      if (index + 1 < manifest.pieces.length) {
        next = this.#piece({ manifest, index: index + 1, start }, signal);
        next.catch(() => {}); // awaited above, unless nobody wants it
      }
      yield* parts(piece);
    }
  }

  /** A piece that has the hash it should have. */
  async #piece(place: Place, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const { store, report } = this.#context;
    const { manifest, index } = place;
    const name = pieceName(manifest, index);
    const last = this.#last?.name === name ? this.#last.bytes.deref() : undefined;
    if (last) return last;
    const expected = manifest.pieces[index]!;
    let bytes: Uint8Array<ArrayBuffer> | undefined;
    try {
      const blob = await store.get(await this.#groupName(), name);
      if (blob?.size === expected.bytes) bytes = new Uint8Array(await blob.arrayBuffer());
    } catch {
      // As if it were not there.
    }
    if (!bytes || (await sha256(bytes)) !== expected.hash) bytes = await this.#mend(place, signal);
    else if (!this.#isNew(place) && !this.#counted.has(name)) {
      this.#counted.add(name);
      report.fromCache += bytes.length;
    }
    this.#last = { name, bytes: new WeakRef(bytes) };
    return bytes;
  }

  /** Was it fetched by this source? */
  #isNew({ manifest, index }: Place): boolean {
    return manifest === this.#writer?.manifest && index >= this.#resumed;
  }

  /** Fetches a piece again: its hash tells whether the server still has the same file. */
  async #mend(
    { manifest, index, start }: Place,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { store, report, note } = this.#context;
    const { bytes: length, hash } = manifest.pieces[index]!;
    const bytes = new Uint8Array(length);
    let reason = 'the server has another version';
    try {
      let at = 0;
      for await (const chunk of this.#network.range!(start, length, signal)) {
        bytes.set(chunk, at);
        at += chunk.length;
      }
      report.fetched += at;
      if ((await sha256(bytes)) === hash) {
        note(`a damaged piece, ${length} bytes at ${start}, was fetched again`);
        const name = pieceName(manifest, index);
        await store.put(await this.#groupName(), name, bytes).catch(() => {});
        return bytes;
      }
    } catch (error) {
      signal?.throwIfAborted();
      reason = textOf(error);
    }
    await this.forget();
    note(`the copy was damaged and is deleted`);
    throw new DamagedCopyError(
      `cache: the copy of ${this.name} is damaged at byte ${start} and can't be mended: ${reason}`,
    );
  }

  /** Fetches the file and stores it on the way; goes on where an earlier download ended. */
  async *#download(signal?: AbortSignal, given?: Response): AsyncGenerator<Chunk> {
    const { report, note } = this.#context;
    const group = await this.#groupName();
    let response = given;
    let position = 0;
    let ended = false;
    let writer: Writer | undefined;
    const release = await hold(group, 'exclusive', patience);
    try {
      if (!release) note('another page is about to store it');
      // Whoever had it may have fetched it meanwhile.
      const complete = release && !given ? await this.#manifest('manifest') : undefined;
      if (complete) {
        this.#found(complete);
        yield* this.#bytes(complete, signal);
        return;
      }
      const partial = release && (await this.#manifest('partial'));
      if (partial?.ifRange && (!given || sameVersion(partial, validatorsOf(given)))) {
        await given?.body?.cancel();
        response = await this.#fetched(() =>
          resume(this.#remote, sizeOf(partial), partial, signal),
        );
        if (response.status === 206) {
          writer = this.#begin(partial);
          try {
            for await (const chunk of this.#bytes(partial, signal)) {
              position += chunk.length;
              yield chunk;
            }
          } catch (error) {
            await response.body?.cancel();
            if (!(error instanceof DamagedCopyError) || position > 0) throw error;
            response = writer = undefined;
          }
        }
      }
      response ??= await this.#fetched(() => get(this.#remote, signal));
      const version = writer?.manifest ?? this.#fresh(response);
      if (release) writer ??= this.#begin(version);
      const length = lengthOf(response);
      const whole = length === undefined ? undefined : position + length;
      this.#size = whole;
      await writer?.begin(whole);

      for (let failures = 0; ;) {
        try {
          response ??= await this.#rest(position, version, signal);
          for await (const chunk of streamChunks(bodyOf(response, this.name), signal)) {
            failures = 0;
            await writer?.add(chunk, whole && whole - position);
            position += chunk.length;
            report.fetched += chunk.length;
            yield chunk;
          }
          break;
        } catch (error) {
          signal?.throwIfAborted();
          response = undefined;
          if (error instanceof InvalidArgumentError) throw error;
          if (!version.ifRange || ++failures > mostFailures) {
            throw brokeOff(this.name, position, whole, error);
          }
          const pause = this.#context.tuning.firstPause * 2 ** (failures - 1);
          await abortable(new Promise((resolve) => setTimeout(resolve, pause)), signal);
        }
      }
      ended = true;
    } finally {
      const closing = this.#close(writer, ended).finally(release);
      if (!signal?.aborted) await closing;
    }
  }

  async #close(writer: Writer | undefined, ended: boolean): Promise<void> {
    if (!writer) return;
    if (!ended) return writer.suspend();
    await writer.finish();
    if (writer.failure === undefined) this.#found(writer.manifest);
  }

  #fresh(response: Response): Manifest {
    const { key } = this.#context;
    const id = Array.from(crypto.getRandomValues(new Uint32Array(2)), (n) => n.toString(36));
    return { key, url: this.#remote.url, id: id.join(''), pieces: [], ...validatorsOf(response) };
  }

  /** What a load gives where a request can't be made. */
  async #fetched(request: () => Promise<Response>): Promise<Response> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof TypeError) throw cannotFetch(this.name, error);
      throw error;
    }
  }

  /** The rest of a response that broke off. */
  async #rest(from: number, version: Manifest, signal?: AbortSignal): Promise<Response> {
    const response = await resume(this.#remote, from, version, signal);
    if (response.status === 206) return response;
    await response.body?.cancel();
    throw brokeOff(this.name, from, this.#size, 'the server gives no rest of it');
  }

  #begin(version: Manifest): Writer {
    const { store, maxBytes, tuning } = this.#context;
    this.#resumed = version.pieces.length;
    this.#writer = new Writer(store, this.#group!, maxBytes, version, tuning.pieceBytes);
    this.#writer.onPiece = () => this.#news.ring();
    this.#writer.onFailure = (reason) => this.#context.note(`it is not kept: ${reason}`);
    return this.#writer;
  }

  /** Starts a download that ranges are read from. */
  #fill(signal?: AbortSignal, response?: Response): void {
    const filling: { ended: boolean; error?: Error } = { ended: false };
    this.#filling = filling;
    const run = async (): Promise<void> => {
      const chunks = this.#download(signal, response);
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        const stores = this.#writer && this.#writer.failure === undefined;
        if (!stores && !this.#copy) await chunks.return(undefined);
      }
    };
    void run()
      .catch((error: Error) => (filling.error = error))
      .finally(() => {
        filling.ended = true;
        this.#news.ring();
      });
  }

  /** Where a byte is stored; waits while it may still come. Undefined where it is not. */
  async #placeOf(at: number, signal?: AbortSignal): Promise<Place | undefined> {
    for (;;) {
      const news = this.#news.next();
      const stored = this.#writer?.failure === undefined ? this.#writer?.manifest : undefined;
      const manifest = this.#copy ?? stored;
      const place = manifest && locate(manifest, at);
      if (place || this.#copy || !this.#filling || this.#filling.ended) return place;
      await abortable(news, signal);
    }
  }
}

function locate(manifest: Manifest, at: number): Place | undefined {
  let start = 0;
  for (const [index, { bytes }] of manifest.pieces.entries()) {
    if (at < start + bytes) return { manifest, index, start };
    start += bytes;
  }
  return undefined;
}
