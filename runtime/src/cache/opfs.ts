// Records as files of the origin private file system: a folder for each group.

import { halfOfQuota, type RecordStore } from './records.js';

const folderName = 'quern';

/** Undefined where files can't be written so: from 2023 on browsers can. */
export async function openOpfs(): Promise<RecordStore | undefined> {
  const storage = (globalThis.navigator as Navigator | undefined)?.storage;
  const canWrite =
    typeof FileSystemFileHandle !== 'undefined' &&
    'createWritable' in FileSystemFileHandle.prototype;
  if (!canWrite || !storage?.getDirectory) return undefined;
  const root = await storage.getDirectory(); // refused in some private windows
  const top = await root.getDirectoryHandle(folderName, { create: true });

  const folderOf = (group: string): Promise<FileSystemDirectoryHandle | undefined> =>
    unlessMissing(top.getDirectoryHandle(group));
  return {
    kind: 'opfs',
    async get(group, name) {
      const folder = await folderOf(group);
      const file = folder && (await unlessMissing(folder.getFileHandle(name)));
      return file && unlessMissing(file.getFile());
    },
    async put(group, name, bytes) {
      const folder = await top.getDirectoryHandle(group, { create: true });
      const file = await folder.getFileHandle(name, { create: true });
      const writable = await file.createWritable(); // to a copy, which close() puts in place
      try {
        await writable.write(bytes);
        await writable.close();
      } catch (error) {
        await writable.abort().catch(() => {});
        throw error;
      }
    },
    async remove(group, name) {
      if (name === undefined) {
        await unlessMissing(top.removeEntry(group, { recursive: true }));
        return;
      }
      const folder = await folderOf(group);
      if (folder) await unlessMissing(folder.removeEntry(name));
    },
    groups: () => namesIn(top),
    async names(group) {
      const folder = await folderOf(group);
      return folder ? namesIn(folder) : [];
    },
    capacity: halfOfQuota,
  };
}

async function namesIn(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = [];
  // Not in all type libraries yet.
  const { keys } = folder as unknown as { keys: (this: unknown) => AsyncIterable<string> };
  for await (const name of keys.call(folder)) names.push(name);
  return names;
}

async function unlessMissing<T>(handle: Promise<T>): Promise<T | undefined> {
  try {
    return await handle;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}
