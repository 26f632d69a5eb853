// The packed package lies above this folder, Next itself in another: both are below the root.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

export default {
  output: 'export',
  turbopack: { root: join(here, '..', '..', '..') },
};
