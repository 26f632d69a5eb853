// Space for a file: those that were not used for longest make room.

import { hold } from './locks.js';
import { pieceName, readEntries, readEntry, sizeOf, type Manifest } from './manifest.js';
import type { RecordStore } from './records.js';

/** Removes what belongs to one version of a file. */
export async function removePieces(
  store: RecordStore,
  group: string,
  manifest: Manifest,
): Promise<void> {
  for (const index of manifest.pieces.keys()) await store.remove(group, pieceName(manifest, index));
}

export class Room {
  readonly #store: RecordStore;
  readonly #group: string;
  readonly #maxBytes: number;
  /** Bytes of other files, and of this one's older version. */
  #others: number | undefined;

  /** For a file whose exclusive lock the caller holds. */
  constructor(store: RecordStore, group: string, maxBytes: number) {
    this.#store = store;
    this.#group = group;
    this.#maxBytes = maxBytes;
  }

  /** Makes sure that the file may take so many bytes; false where it may not. */
  async fit(bytes: number): Promise<boolean> {
    if (bytes > this.#maxBytes) return false;
    this.#others ??= await this.#countOthers();
    while (this.#others + bytes > this.#maxBytes) {
      if (!(await this.evict())) return false;
      this.#others = await this.#countOthers();
    }
    return true;
  }

  async #countOthers(): Promise<number> {
    const entries = await readEntries(this.#store);
    return entries.reduce((sum, { group, bytes, complete }) => {
      if (group !== this.#group) return sum + bytes;
      return sum + (complete ? sizeOf(complete) : 0);
    }, 0);
  }

  /** Removes the file that was not used for longest and that nobody reads; false where there is none. */
  async evict(): Promise<boolean> {
    const entries = await readEntries(this.#store);
    entries.sort((a, b) => a.lastUsed - b.lastUsed);
    for (const { group } of entries) {
      if (group === this.#group) continue;
      const release = await hold(group, 'exclusive', 0);
      if (!release) continue;
      try {
        await this.#store.remove(group);
        return true;
      } finally {
        release();
      }
    }
    const { complete } = await readEntry(this.#store, this.#group);
    if (!complete) return false;
    await this.#store.remove(this.#group, 'manifest');
    await removePieces(this.#store, this.#group, complete);
    return true;
  }
}
