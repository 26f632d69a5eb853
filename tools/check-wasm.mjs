// Checks a built WebAssembly module: it starts, its JavaScript makes no code from text (pages keep
// script-src 'self' 'wasm-unsafe-eval'), and no file names a folder of this machine.
// Usage: node tools/check-wasm.mjs runtime/wasm/NAME.js
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { root } from './lib/files.mjs';

const script = process.argv[2];
const text = readFileSync(script, 'utf8');
const wasm = readFileSync(script.replace(/\.js$/, '.wasm'));

function ensure(condition, message) {
  if (condition) return;
  console.error(`${script}: ${message}`);
  process.exit(1);
}

ensure(!/\beval\(|new Function\b|Function\(/.test(text), 'makes code from text');
ensure(!text.includes('import("module")'), 'has an import that bundlers for pages follow in vain');
ensure(
  !/new Worker\(new URL\([^()]*import\.meta/.test(text),
  'names itself as a worker: a circle for bundlers',
);
ensure(!text.includes(root) && !wasm.includes(root), 'names a folder of this machine');

const { default: create } = await import(pathToFileURL(script));
const module = await create({ threads: 1 });
ensure(module.HEAPU8?.length > 0, 'has no memory');
const names = Object.keys(module).filter((name) => name.startsWith('_'));
console.log(`${script}: ${wasm.length} bytes, exports: ${names.join(' ') || 'none'}`);
process.exit(0);
