// Records as files in a folder of Node's: a folder for each group.

import { openAsBlob } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordStore } from './records.js';

const capacity = 8 * 2 ** 30;
let temporaries = 0;

export function openFolder(path: string): RecordStore {
  return {
    kind: 'folder',
    async get(group, name) {
      try {
        return await openAsBlob(join(path, group, name));
      } catch {
        return undefined; // it does not say why
      }
    },
    async put(group, name, bytes) {
      const file = join(path, group, name);
      const temporary = `${file}.${process.pid}-${++temporaries}.tmp`;
      await mkdir(join(path, group), { recursive: true });
      try {
        await writeFile(temporary, bytes);
        await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    remove: (group, name) =>
      rm(name === undefined ? join(path, group) : join(path, group, name), {
        recursive: name === undefined,
        force: true,
      }),
    groups: () => namesIn(path),
    names: (group) => namesIn(join(path, group)),
    capacity: async () => capacity,
  };
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
