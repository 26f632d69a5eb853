// Records as responses of the Cache API: a cache for each group.

import { halfOfQuota, type RecordStore } from './records.js';

const prefix = 'quern:';
/** Keys have to be addresses; nothing is ever fetched from these. */
const base = 'https://quern.invalid/';

/** Undefined where there is none, as in pages that are not secure. */
export function openCacheStorage(): RecordStore | undefined {
  const { caches } = globalThis as { caches?: CacheStorage };
  if (!caches) return undefined;
  // open() makes what is not there.
  const existing = async (group: string): Promise<Cache | undefined> =>
    (await caches.has(prefix + group)) ? caches.open(prefix + group) : undefined;
  return {
    kind: 'cache-storage',
    async get(group, name) {
      const response = await (await existing(group))?.match(base + name);
      return response?.blob();
    },
    async put(group, name, bytes) {
      const cache = await caches.open(prefix + group);
      await cache.put(base + name, new Response(bytes));
    },
    async remove(group, name) {
      if (name === undefined) await caches.delete(prefix + group);
      else await (await existing(group))?.delete(base + name);
    },
    async groups() {
      const names = await caches.keys();
      return names.filter((name) => name.startsWith(prefix)).map((n) => n.slice(prefix.length));
    },
    async names(group) {
      const requests = (await (await existing(group))?.keys()) ?? [];
      return requests.map(({ url }) => url.slice(base.length));
    },
    capacity: halfOfQuota,
  };
}
