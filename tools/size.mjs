// What a page downloads, compressed with brotli 11.
// Usage: ./dev size [--json] [NAME...]      by default all of these
//   webgpuPathBrotli   a WebGPU page: runtime entry and chunks, quern-core's .js and .wasm
//   packageBrotli      a page with quern/package: its entry and chunks, no WebAssembly; what pictures
//                      and profiles need comes later, by import(), and is not counted
//   wasmPathBrotli     a page without WebGPU: runtime entry and chunks, quern-cpu's .js and .wasm
// The files are found by following the imports of runtime/dist/index.js, or package.js: static ones,
// import(), and new URL('...', import.meta.url). A path over its limit is an error. What belongs to other paths is left out by its name.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

import { root } from './lib/files.mjs';

const dist = (name) => join(root, 'runtime/dist', name);
const ENTRY = dist('index.js');
const NOT_IN_PAGES = ['node', 'cli', 'ort', 'formats', 'converter', 'quern-formats', 'cache'];
// Files whose name begins with one of `leaveOut` (up to a - or .) are not of that path.
const PATHS = {
  packageBrotli: { entry: dist('package.js'), leaveOut: [], lazy: false, limit: 25_000 },
  webgpuPathBrotli: { module: 'quern-core', leaveOut: ['quern-cpu', ...NOT_IN_PAGES] },
  wasmPathBrotli: {
    module: 'quern-cpu',
    leaveOut: ['quern-core', 'quern-cpu-threads', ...NOT_IN_PAGES],
  },
};
const REFERENCES = [
  /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*["'](\.{1,2}\/[^"']+)["']/g,
  /\bimport\s*["'](\.{1,2}\/[^"']+)["']/g,
  /\bimport\(\s*(?:\/\*.*?\*\/\s*)?["'`](\.{1,2}\/[^"'`$]+)["'`]\s*\)/g,
  /\bnew URL\(\s*(?:\/\*.*?\*\/\s*)?["'`]([^"'`$:]+)["'`]\s*,\s*(?:\S+\s*:\s*)?import\.meta\.url/g,
];

const startsWith = (path, start) => new RegExp(`^${start}[-.]`).test(basename(path));

/**
 * All files that `entry` leads to, itself included, but none of `leaveOut`; without `lazy` only those
 * that it imports at once.
 */
function reach(entry, leaveOut, lazy) {
  const found = new Set();
  const visit = (path) => {
    if (found.has(path) || !existsSync(path)) return;
    if (leaveOut.some((start) => startsWith(path, start))) return;
    found.add(path);
    if (!/\.m?js$/.test(path)) return;
    const text = readFileSync(path, 'utf8');
    for (const pattern of lazy ? REFERENCES : REFERENCES.slice(0, 2)) {
      for (const [, target] of text.matchAll(pattern)) visit(join(dirname(path), target));
    }
  };
  visit(entry);
  return found;
}

/** The one of dist/ that the page loads, else what the build left in runtime/wasm. */
function moduleFiles(name, reached) {
  return ['.js', '.wasm'].flatMap((extension) => {
    const isModule = (path) => startsWith(path, name) && extname(path) === extension;
    if ([...reached].some(isModule)) return [];
    const built = join(root, 'runtime/wasm', name + extension);
    if (!existsSync(built)) throw new Error(`no ${name}${extension}: run ./dev build wasm`);
    return [built];
  });
}

const compressed = new Map();
function brotliBytes(path) {
  if (!compressed.has(path)) {
    const bytes = readFileSync(path);
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    };
    compressed.set(path, brotliCompressSync(bytes, { params }).length);
  }
  return compressed.get(path);
}

function measure({ entry = ENTRY, module, leaveOut, lazy = true }) {
  const reached = reach(entry, leaveOut, lazy);
  const files = [...reached, ...(module ? moduleFiles(module, reached) : [])];
  const rows = files.map((path) => ({
    file: relative(root, path),
    raw: readFileSync(path).length,
    brotli: brotliBytes(path),
  }));
  return rows.sort((a, b) => b.brotli - a.brotli);
}

try {
  if (!existsSync(ENTRY)) throw new Error('no runtime/dist/index.js: run ./dev build');
  const result = {};
  const details = {};
  const over = [];
  const named = process.argv.slice(2).filter((argument) => argument in PATHS);
  for (const [name, path] of Object.entries(PATHS)) {
    if (named.length > 0 && !named.includes(name)) continue;
    details[name] = measure(path);
    result[name] = details[name].reduce((sum, row) => sum + row.brotli, 0);
    if (path.limit && result[name] > path.limit) over.push(`${name} is over ${path.limit} bytes`);
  }
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ ...result, files: details }, null, 2));
  } else {
    for (const [name, rows] of Object.entries(details)) {
      console.log(`${name}: ${result[name]} bytes`);
      for (const { file, raw, brotli } of rows) {
        console.log(`  ${String(brotli).padStart(8)}  (${raw} raw)  ${file}`);
      }
    }
  }
  if (over.length > 0) throw new Error(over.join('; '));
} catch (error) {
  console.error(`size: error: ${error.message}`);
  process.exit(1);
}
