// A cache's store in memory, whose failures are a test's to choose.

import type { RecordStore } from '../../runtime/src/cache/records.js';

export class MemoryStore implements RecordStore {
  readonly kind = 'memory';
  readonly records = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>();
  /** Bytes after which put() fails as browsers do. */
  quota = Infinity;
  /** Called before each record is written. */
  onPut: (group: string, name: string) => void = () => {};

  async get(group: string, name: string): Promise<Blob | undefined> {
    const bytes = this.records.get(group)?.get(name);
    return bytes && new Blob([bytes]);
  }

  async put(group: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.onPut(group, name);
    await new Promise((resolve) => setTimeout(resolve));
    const others = this.bytes - (this.records.get(group)?.get(name)?.length ?? 0);
    if (others + bytes.length > this.quota) {
      throw new DOMException('the quota is exceeded', 'QuotaExceededError');
    }
    const records = this.records.get(group) ?? new Map<string, Uint8Array<ArrayBuffer>>();
    this.records.set(group, records.set(name, bytes.slice()));
  }

  async remove(group: string, name?: string): Promise<void> {
    if (name === undefined) this.records.delete(group);
    else this.records.get(group)?.delete(name);
  }

  async groups(): Promise<string[]> {
    return [...this.records.keys()];
  }

  async names(group: string): Promise<string[]> {
    return [...(this.records.get(group)?.keys() ?? [])];
  }

  async capacity(): Promise<number> {
    return Infinity;
  }

  get bytes(): number {
    const all = [...this.records.values()].flatMap((records) => [...records.values()]);
    return all.reduce((sum, { length }) => sum + length, 0);
  }

  /** Names of all records, without the random part of pieces. */
  shortNames(): string[] {
    const all = [...this.records.values()].flatMap((records) => [...records.keys()]);
    return all.map((name) => name.replace(/^.*(?=\.)/, '')).sort();
  }
}
