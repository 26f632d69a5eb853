// Where a cache keeps bytes: named records in groups, whatever the platform has for it.

export type StoreKind = 'opfs' | 'cache-storage' | 'folder';

/** Names are of letters, digits, '-' and '.'. Anything may fail, for want of space above all. */
export interface RecordStore {
  readonly kind: StoreKind | 'memory';
  /** Undefined where there is none. */
  get(group: string, name: string): Promise<Blob | undefined>;
  /** In the place of what is there: whole or not at all. */
  put(group: string, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** A record, or the whole group; nothing happens where it is not there. */
  remove(group: string, name?: string): Promise<void>;
  groups(): Promise<string[]>;
  /** The records of a group; none where it is not there. */
  names(group: string): Promise<string[]>;
  /** Bytes that it should hold at most, if nothing else is said. */
  capacity(): Promise<number>;
}

/** Half of what the origin may have: the page keeps other things too. */
export async function halfOfQuota(): Promise<number> {
  const { quota } = await navigator.storage.estimate().catch(() => ({ quota: undefined }));
  return (quota ?? 2 ** 31) / 2;
}
