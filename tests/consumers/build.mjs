// Bundles a project of projects/ as its users would: node build.mjs BUNDLER PROJECT OUT
// PROJECT lies beside a node_modules with the packed package; OUT is a folder.

import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const [bundler, project, out] = process.argv.slice(2);
const entry = join(project, 'main.js');
const installed = join(project, '..', 'node_modules', 'quern');

const bundlers = {
  async vite() {
    const { build } = await import('vite');
    const rollupOptions = { input: entry, output: { entryFileNames: 'main.js' } };
    await build({
      root: project,
      configFile: false,
      logLevel: 'warn',
      worker: { format: 'es' },
      build: { outDir: out, target: 'es2022', rollupOptions },
    });
  },

  async webpack() {
    const { default: webpack } = await import('webpack');
    const stats = await new Promise((resolve, reject) => {
      const config = {
        mode: 'production',
        context: project,
        entry: './main.js',
        output: { path: out, filename: 'main.js', module: true },
        experiments: { outputModule: true },
        performance: { hints: false },
      };
      webpack(config, (error, result) => (error ? reject(error) : resolve(result)));
    });
    const problems = stats.toString({ all: false, errors: true, warnings: true });
    if (problems) throw new Error(problems);
  },

  // esbuild and Rollup leave `new URL('./x', import.meta.url)` as it is: the worker is an entry of its
  // own, and the .wasm files are copied (README.md of the package).
  async esbuild() {
    const { build } = await import('esbuild');
    await build({
      entryPoints: { main: entry, worker: 'quern/worker' },
      absWorkingDir: project,
      bundle: true,
      format: 'esm',
      splitting: true,
      target: 'es2022',
      outdir: out,
      logLevel: 'warning',
    });
    await copyWasm();
  },

  async rollup() {
    await rollupWith({ main: entry, worker: 'quern/worker' }, {});
    await copyWasm();
  },

  /** One file for the service worker. */
  async 'rollup-single'() {
    await copyFile(entry, join(out, 'main.js'));
    const worker = join(project, 'service-worker.js');
    await rollupWith({ 'service-worker': worker }, { inlineDynamicImports: true });
    await copyWasm();
  },

  /** A browser extension: its page in chunks, its service worker in one file. */
  async extension() {
    await rollupWith({ main: entry, worker: 'quern/worker' }, {});
    const background = join(project, 'background.js');
    await rollupWith({ background }, { inlineDynamicImports: true });
    await copyWasm();
    for (const name of ['manifest.json', 'page.html']) {
      await copyFile(join(project, name), join(out, name));
    }
  },
};

async function rollupWith(input, output) {
  const { rollup } = await import('rollup');
  const files = { quern: 'index', 'quern/ort': 'ort', 'quern/worker': 'worker' };
  const bundle = await rollup({
    input,
    // In place of @rollup/plugin-node-resolve.
    plugins: [
      {
        name: 'resolve',
        resolveId: (name) => (files[name] ? join(installed, 'dist', `${files[name]}.js`) : null),
      },
    ],
    onLog(level, log, handler) {
      if (log.code !== 'CIRCULAR_DEPENDENCY') handler(level, log);
    },
  });
  await bundle.write({
    dir: out,
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    ...output,
  });
}

async function copyWasm() {
  const folder = join(installed, 'wasm');
  for (const name of await readdir(folder)) {
    if (name.endsWith('.wasm')) await copyFile(join(folder, name), join(out, name));
  }
}

await mkdir(out, { recursive: true });
await bundlers[bundler]();
