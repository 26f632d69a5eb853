// The stores that there are here.

import { InvalidArgumentError, textOf } from '../errors.js';
import { platform } from '../platform.js';
import { openCacheStorage } from './cache-storage.js';
import { openOpfs } from './opfs.js';
import type { RecordStore } from './records.js';
import type { CachePlace, StoreChoice } from './types.js';

const choices: readonly StoreChoice[] = ['auto', 'opfs', 'cache-storage'];

/** Stores that can be used, the best first, and why others can't. `option`: who asks. */
export async function openStores(
  { store = 'auto', folder }: CachePlace,
  option = 'cache',
): Promise<{ stores: RecordStore[]; reasons: string[] }> {
  if (!choices.includes(store)) {
    throw new InvalidArgumentError(`${option}.store: '${store}' is none of ${choices.join(', ')}`);
  }
  const { openFolder } = platform;
  if (folder !== undefined) {
    if (!openFolder) throw new InvalidArgumentError(`${option}.folder: pages have none`);
    return { stores: [await openFolder(folder)], reasons: [] };
  }
  const stores: RecordStore[] = [];
  const reasons: string[] = [];
  const attempt = async (
    name: StoreChoice,
    open: () => Promise<RecordStore | undefined>,
  ): Promise<void> => {
    if (store !== 'auto' && store !== name) return;
    try {
      const opened = globalThis.crypto?.subtle ? await open() : undefined;
      if (opened) stores.push(opened);
      else reasons.push(`${name}: there is none here${insecure()}`);
    } catch (error) {
      reasons.push(`${name}: ${textOf(error)}`);
    }
  };
  await attempt('opfs', openOpfs);
  await attempt('cache-storage', async () => openCacheStorage());
  if (stores.length === 0 && openFolder) {
    throw new InvalidArgumentError(`${option}: in Node it needs a folder: { folder: PATH }`);
  }
  return { stores, reasons };
}

function insecure(): string {
  const { isSecureContext } = globalThis as { isSecureContext?: boolean };
  return isSecureContext === false ? ', the page is no secure context (https or localhost)' : '';
}
