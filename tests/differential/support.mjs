// The bundle of support.ts. The first process makes it, its children load it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const work = join(root, 'build/differential');
const file = join(work, 'support.mjs');

export async function bundleSupport() {
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({
    input: join(root, 'tests/differential/support.ts'),
    external: [/^node:/, 'webgpu', 'onnxruntime-node'],
    platform: 'node',
    checks: { pluginTimings: false },
  });
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
}

export const loadSupport = () => {
  if (!existsSync(file)) throw new Error(`${file} is not there`);
  return import(pathToFileURL(file).href);
};
