// What differs in Node from a page, but for the core: files, and WebGPU through the `webgpu` package.

import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { InvalidArgumentError, textOf, UnsupportedError } from './errors.js';
import { platform } from './platform.js';
import { localSource, type OpenFile, type Source } from './sources.js';

/** Dawn's one instance, which lives as long as something holds it. */
let instance: Promise<GPU> | undefined;

Object.assign(platform, {
  workerByDefault: false,
  mayBlock: true,
  sliceTime: Infinity,
  cores: availableParallelism,
  sharedMemory: () => true,
  gpu,
  fileSource,
  baseUrl: () => pathToFileURL(join(process.cwd(), '/')).href,
} satisfies Partial<typeof platform>);

/** A GPU that a runtime (Deno, Bun, a test) offers as pages have it, else that of Dawn. */
async function gpu(): Promise<GPU> {
  const offered = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (offered) return offered;
  instance ??= openDawn(); // loads that begin together share it
  try {
    return await instance;
  } catch (error) {
    instance = undefined;
    throw new UnsupportedError(
      `webgpu: Node has none of its own, and the package 'webgpu' can't be used ` +
        `(npm install webgpu): ${textOf(error)}`,
      { cause: error },
    );
  }
}

async function openDawn(): Promise<GPU> {
  // A native add-on, and an optional one: bundlers for servers leave it to Node.
  const dawn = import(/* webpackIgnore: true */ /* turbopackIgnore: true */ 'webgpu');
  const { create, globals } = (await dawn) as {
    create: (options: string[]) => GPU;
    globals: Record<string, unknown>;
  };
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
  }
  // Timestamps as the GPU takes them: pages get them rounded, lest they tell others' work.
  const off = ['timestamp_quantization'];
  // SwiftShader writes out each store that zeroes workgroup memory: up to seconds a shader.
  if (/swiftshader/i.test(process.env['VK_ICD_FILENAMES'] ?? '')) {
    off.push('use_vulkan_zero_initialize_workgroup_memory_extension');
  }
  return create([`disable-dawn-features=${off.join(',')}`]);
}

/** A SavedModel is a folder: the file in it that names the others. */
async function modelOf(path: string): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false, // what opens it says so
  );
  return isFolder ? join(path, 'saved_model.pb') : path;
}

async function fileSource(pathOrUrl: string): Promise<Source> {
  const given = pathOrUrl.startsWith('file:') ? fileURLToPath(pathOrUrl) : pathOrUrl;
  const path = await modelOf(given);
  let size: number;
  try {
    const file = await open(path);
    ({ size } = await file.stat());
    await file.close();
  } catch (error) {
    throw new InvalidArgumentError(`model: ${path} can't be read: ${textOf(error)}`, {
      cause: error,
    });
  }
  return {
    ...localSource(basename(path), size, () => openFile(path)),
    sibling: (name) => fileSource(join(dirname(path), name)),
  };
}

async function openFile(path: string): Promise<OpenFile> {
  const file = await open(path);
  let buffer = new Uint8Array(0);
  return {
    async read(offset, length) {
      if (buffer.length < length) buffer = new Uint8Array(length);
      const { bytesRead } = await file.read(buffer, 0, length, offset);
      if (bytesRead === 0) throw new Error('it was cut');
      return buffer.subarray(0, bytesRead);
    },
    close: () => file.close(),
  };
}
