import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

/** The root of the repository. */
export const repoRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Where unpacked test data and computed references live; ignored by git, safe to delete. */
export const testDataRoot = join(repoRoot, 'build', 'test-data');

/**
 * The path of a file inside an installed npm package. Goes by folder, not by module resolution,
 * since packages that carry models rarely export them.
 */
export function packageFile(packageName: string, file: string): string {
  const path = join(repoRoot, 'node_modules', packageName, file);
  if (!existsSync(path)) throw new Error(`${packageName} lacks ${file}: run npm ci`);
  return path;
}
