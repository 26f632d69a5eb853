// The cache of files that are fetched by address. Loaded only where somebody asks for it.

import { InvalidArgumentError } from '../errors.js';
import { platform } from '../platform.js';
import type { Source } from '../sources.js';
import { CachedFile, defaultTuning, type Tuning } from './file.js';
import { groupOf, readEntries } from './manifest.js';
import type { RecordStore } from './records.js';
import { openStores } from './stores.js';
import type {
  CachedFileInfo,
  CachedFileReport,
  CacheOptions,
  CachePlace,
  CacheReport,
  StoreChoice,
} from './types.js';

/** What a load has of the cache. */
export interface LoadCache {
  wrap: (source: Source) => Source;
  report: () => CacheReport;
  /** Removes the files of this load, which turned out to be of no use. */
  forget: () => Promise<void>;
}

export async function openCache(asked: true | StoreChoice | CacheOptions): Promise<LoadCache> {
  const options: CacheOptions =
    typeof asked === 'string' ? { store: asked } : asked === true ? {} : asked;
  const { maxBytes } = options;
  if (maxBytes !== undefined && !(maxBytes >= 0)) {
    throw new InvalidArgumentError(`cache.maxBytes: ${maxBytes} is no number of bytes`);
  }
  const { stores, reasons } = await openStores(options);
  const store = stores[0];
  return store
    ? cacheIn(store, { ...options, maxBytes: maxBytes ?? (await store.capacity()) })
    : { wrap: (source) => source, report: () => none(reasons), forget: async () => {} };
}

function none(notes: string[]): CacheReport {
  return { store: undefined, files: [], notes: [...notes] };
}

/** A cache in a store of any kind. */
export function cacheIn(
  store: RecordStore,
  options: CacheOptions & { maxBytes: number },
  tuning: Tuning = defaultTuning,
): LoadCache {
  const { maxBytes, validate = true, key = withoutFragment } = options;
  const files: CachedFile[] = [];
  const reports: CachedFileReport[] = [];
  const notes: string[] = [];
  return {
    wrap(source) {
      const { remote } = source;
      const isHttp = /^https?:/.test(remote?.url ?? '');
      if (!remote || !isHttp || (remote.request && remote.request.method !== 'GET')) return source;
      const { url } = remote;
      const report = { url, fromCache: 0, fetched: 0, kept: false };
      const note = (text: string): void => void notes.push(`${url}: ${text}`);
      const context = { store, key: key(url), maxBytes, validate, tuning, report, note };
      const file = new CachedFile(source, remote, context);
      files.push(file);
      reports.push(report);
      return file;
    },
    report: () => ({
      store: store.kind,
      files: reports.map((report) => ({ ...report })),
      notes: [...notes],
    }),
    async forget() {
      await Promise.all(files.map((file) => file.forget()));
    },
  };
}

function withoutFragment(url: string): string {
  return url.replace(/#.*$/, '');
}

export async function list(place: CachePlace): Promise<CachedFileInfo[]> {
  const { stores } = await openStores(place);
  return (await Promise.all(stores.map(listOf))).flat().sort(byUse);
}

const byUse = (a: CachedFileInfo, b: CachedFileInfo): number =>
  (b.lastUsed?.getTime() ?? 0) - (a.lastUsed?.getTime() ?? 0);

async function listOf(store: RecordStore): Promise<CachedFileInfo[]> {
  const entries = await readEntries(store);
  return entries.flatMap(({ complete, partial, bytes, lastUsed }) => {
    const manifest = complete ?? partial;
    if (!manifest) return [];
    const { url, key, etag, lastModified } = manifest;
    return {
      url,
      key,
      store: store.kind,
      bytes,
      complete: complete !== undefined,
      lastUsed: lastUsed > 0 ? new Date(lastUsed) : undefined,
      etag,
      lastModified,
    };
  });
}

export async function remove(url: string | URL, place: CachePlace): Promise<boolean> {
  const { stores } = await openStores(place);
  const names = [String(url)];
  try {
    names.push(withoutFragment(new URL(url, platform.baseUrl()).href));
  } catch {
    // A key that is no address.
  }
  const groups = await Promise.all(names.map(groupOf));
  let found = false;
  for (const store of stores) {
    const there = await store.groups();
    for (const group of groups.filter((name) => there.includes(name))) {
      await store.remove(group);
      found = true;
    }
  }
  return found;
}

export async function clear(place: CachePlace): Promise<void> {
  const { stores } = await openStores(place);
  for (const store of stores) {
    for (const group of await store.groups()) await store.remove(group);
  }
}
