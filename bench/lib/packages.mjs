// Where npm packages are: the folder of --packages, bench/node_modules, the repository's.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export function packageRoots(given) {
  const near = ['../node_modules', '../../node_modules'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return [given && resolve(given), ...near].filter((root) => root && existsSync(root));
}

/** The first root that has a package or file, or undefined. */
export const rootOf = (roots, path) => roots.find((root) => existsSync(join(root, path)));
