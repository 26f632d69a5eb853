// Builds dist/: the package's JavaScript as ES modules, minified, and its type declarations.
// Usage: npm run build [--workspace runtime]
//
// `new URL('./worker.js', import.meta.url)` and `import('../wasm/NAME.js')` stay as they are:
// bundlers know both forms, and plain pages need no bundler.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

import { wgslText } from '../tools/lib/wgsl-text.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
const fresh = join(dist, '.fresh');

/** Bundlers look for paths in quotes; the minifier makes templates of them. */
function plainQuotes(_options, files) {
  for (const file of Object.values(files)) {
    if (file.type !== 'chunk') continue;
    file.code = file.code.replace(/`(\.{1,2}\/[\w./-]+)`/g, "'$1'").replace('`module`', "'module'");
  }
}

/** What every entry with a session loads: in one file it compresses better than in five. */
const session =
  /src\/(device|device-watch|dtype|feeds|gpu(-\w+)?|messages|model|nudge|pipelines|pixel-feeds|plan|plan-key|platform|replay|report|slices|sources|tensor|value|weights|words)\.ts$/;

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });

const bundle = await rolldown({
  cwd: here,
  input: {
    index: 'src/index.ts',
    worker: 'src/worker.ts',
    thread: 'src/thread.ts',
    node: 'src/node.ts',
    'node-worker': 'src/node-worker.ts',
    cli: 'src/cli.ts',
    ort: 'src/ort/index.ts',
    'ort-node': 'src/ort/node.ts',
    package: 'src/package/index.ts',
    'package-node': 'src/package/node.ts',
  },
  external: [/^node:/, /^webgpu$/, /\/wasm\/quern-[\w-]+\.js$/],
  plugins: [wgslText],
  platform: 'neutral',
  preserveEntrySignatures: 'allow-extension', // what rolldown sets for the groups below
  tsconfig: join(here, 'tsconfig.json'),
  // import() of a computed URL is meant.
  checks: { pluginTimings: false },
});
await bundle.write({
  dir: fresh,
  format: 'esm',
  minify: true,
  plugins: [{ name: 'plain-quotes', generateBundle: plainQuotes }],
  // Parts that entries share; the first is named after the folder.
  chunkFileNames: ({ name }) =>
    ({ src: 'main.js', node: 'node-platform.js', ort: 'ort-api.js' })[name] ?? '[name].js',
  entryFileNames: '[name].js',
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [
      { name: 'session', test: session },
      { name: 'package-core', test: /src\/package\/(check|core|files|format|index)\.ts$/ },
    ],
  },
});
await bundle.close();

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const types = spawnSync(
  process.execPath,
  [tsc, '-p', join(here, 'tsconfig.build.json'), '--outDir', fresh],
  { stdio: 'inherit' },
);
if (types.status !== 0) process.exit(types.status ?? 1);
chmodSync(join(fresh, 'cli.js'), 0o755);

// Files are moved one by one: whoever reads dist meanwhile finds it complete.
const made = new Set(readdirSync(fresh));
for (const name of made) {
  rmSync(join(dist, name), { recursive: true, force: true });
  renameSync(join(fresh, name), join(dist, name));
}
for (const name of readdirSync(dist)) {
  if (!made.has(name) && name !== '.fresh')
    rmSync(join(dist, name), { recursive: true, force: true });
}
rmSync(fresh, { recursive: true, force: true });
