// What callers say to a cache and hear from it (docs/cache.md).

import type { StoreKind } from './records.js';

export type StoreChoice = 'auto' | 'opfs' | 'cache-storage';

/** Where a cache is. */
export interface CachePlace {
  /** 'auto': OPFS where its files can be written, else the Cache API. */
  store?: StoreChoice;
  /** In Node: a folder for it. */
  folder?: string;
}

export interface CacheOptions extends CachePlace {
  /** What all files may take; half of the origin's quota, or 8 GiB in a folder. */
  maxBytes?: number;
  /**
   * true, the default: the server is asked whether a copy is the latest; without an answer the copy
   * is used. false: it is used unasked, for addresses whose content never changes.
   */
  validate?: boolean;
  /** What a file is known by: the URL without its fragment, if nothing is said. */
  key?: (url: string) => string;
}

/** What a load did with a file. */
export interface CachedFileReport {
  url: string;
  /** Bytes read from the cache, and from the network. */
  fromCache: number;
  fetched: number;
  /** The whole file is in the cache. */
  kept: boolean;
}

export interface CacheReport {
  /** Undefined where none can be used here; `notes` say why. */
  store: StoreKind | 'memory' | undefined;
  files: CachedFileReport[];
  notes: string[];
}

/** A file in a cache. */
export interface CachedFileInfo {
  url: string;
  /** What it is known by. */
  key: string;
  store: StoreKind | 'memory';
  /** What it takes in the cache; less than the file where it is not complete. */
  bytes: number;
  complete: boolean;
  /** Undefined where it is not known. */
  lastUsed: Date | undefined;
  etag: string | undefined;
  lastModified: string | undefined;
}
