// Stores a file while it arrives, in pieces; the load that it comes with never fails for that.

import { textOf } from '../errors.js';
import type { Chunk } from '../sources.js';
import {
  markUsed,
  pieceName,
  readManifest,
  sha256,
  sizeOf,
  writeManifest,
  type Manifest,
} from './manifest.js';
import type { RecordStore } from './records.js';
import { Room } from './room.js';

export class Writer {
  /** What is stored so far. */
  readonly manifest: Manifest;
  /** Why nothing is stored any more. */
  failure: string | undefined;
  /** Called after each piece. */
  onPiece: () => void = () => {};
  onFailure: (reason: string) => void = () => {};
  readonly #store: RecordStore;
  readonly #group: string;
  readonly #room: Room;
  readonly #pieceBytes: number;
  #buffer = new Uint8Array(0);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();

  /** For a file whose exclusive lock the caller holds; `manifest` has the pieces that it goes on from. */
  constructor(
    store: RecordStore,
    group: string,
    maxBytes: number,
    manifest: Manifest,
    pieceBytes: number,
  ) {
    this.#pieceBytes = pieceBytes;
    this.#store = store;
    this.#group = group;
    this.#room = new Room(store, group, maxBytes);
    this.manifest = manifest;
  }

  /** Removes leftovers, and makes room for the whole, where its size is known. */
  async begin(size: number | undefined): Promise<void> {
    try {
      await this.#sweep();
      if (size !== undefined && !(await this.#room.fit(size))) await this.#fail(tooLarge(size));
    } catch (error) {
      await this.#fail(textOf(error));
    }
  }

  /** Takes the next bytes, which may be used again at once. Waits for pieces to be written. */
  async add(chunk: Chunk, expected = this.#pieceBytes): Promise<void> {
    let rest = chunk;
    while (rest.length > 0 && this.failure === undefined) {
      const wanted = Math.min(this.#pieceBytes, Math.max(expected, rest.length));
      if (this.#buffer.length === 0) this.#buffer = new Uint8Array(wanted);
      const taken = rest.subarray(0, this.#buffer.length - this.#filled);
      this.#buffer.set(taken, this.#filled);
      this.#filled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#filled === this.#buffer.length) await this.#flush();
    }
  }

  /** The file is complete. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
    if (this.failure !== undefined) return;
    try {
      await writeManifest(this.#store, this.#group, 'manifest', this.manifest);
      await this.#store.remove(this.#group, 'partial');
      await this.#sweep();
      await markUsed(this.#store, this.#group);
    } catch (error) {
      await this.#fail(textOf(error));
    }
  }

  /** The download broke off: what can be resumed is kept. */
  async suspend(): Promise<void> {
    const resumable = this.manifest.ifRange !== undefined;
    if (resumable) await this.#flush();
    await this.#writing;
    if (this.failure !== undefined) return;
    if (!resumable) await this.#remove().catch(() => {});
    else await markUsed(this.#store, this.#group).catch(() => {});
  }

  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#filled === 0 || this.failure !== undefined) return;
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#buffer = new Uint8Array(0);
    this.#filled = 0;
    this.#writing = this.#put(bytes);
  }

  async #put(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { manifest } = this;
    try {
      const size = sizeOf(manifest) + bytes.length;
      if (!(await this.#room.fit(size))) return await this.#fail(tooLarge(size));
      const hash = await sha256(bytes);
      const name = pieceName(manifest, manifest.pieces.length);
      await this.#retried(() => this.#store.put(this.#group, name, bytes));
      manifest.pieces.push({ bytes: bytes.length, hash });
      await this.#retried(() => writeManifest(this.#store, this.#group, 'partial', manifest));
      this.onPiece();
    } catch (error) {
      await this.#fail(textOf(error));
    }
  }

  /** Where the browser's quota is met, others make room. */
  async #retried(put: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await put();
      } catch (error) {
        if (!isFull(error) || !(await this.#room.evict())) throw error;
      }
    }
  }

  async #fail(reason: string): Promise<void> {
    this.failure = reason;
    this.onFailure(reason);
    this.#buffer = new Uint8Array(0);
    await this.#remove().catch(() => {});
    this.onPiece();
  }

  async #remove(): Promise<void> {
    await this.#store.remove(this.#group, 'partial');
    await this.#sweep(false);
  }

  /** Removes pieces that belong to nothing. */
  async #sweep(keepOwn = true): Promise<void> {
    const complete = await readManifest(this.#store, this.#group, 'manifest');
    const own = keepOwn ? this.manifest : undefined;
    const kept = new Set(['manifest', 'partial', 'used']);
    for (const manifest of [complete, own]) {
      manifest?.pieces.forEach((_, index) => kept.add(pieceName(manifest, index)));
    }
    for (const name of await this.#store.names(this.#group)) {
      if (!kept.has(name)) await this.#store.remove(this.#group, name);
    }
    if (!complete && !own) await this.#store.remove(this.#group);
  }
}

function tooLarge(bytes: number): string {
  return `${bytes} bytes are more than fits`;
}

function isFull(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: unknown };
  return name === 'QuotaExceededError' || code === 'ENOSPC' || code === 'EDQUOT';
}
