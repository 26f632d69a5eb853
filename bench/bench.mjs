// Engines side by side on the same models, in one process, their runs interleaved, results compared
// with onnxruntime-node's on the CPU (or with a reference given). See bench/README.md.
//   node bench/bench.mjs [RUNTIME] [--models NAME,...] [--model FILE [--input NAME=DIMS]...]...
//     [--reference FOLDER] [--engines NAME,...] [--runs N] [--budget SECONDS] [--again N]
//     [--json FILE]
// RUNTIME: the folder with dist/ and wasm/ (runtime/). What is not installed is left out, and said.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { installDawn } from './lib/dawn.mjs';
import { installed } from './lib/engines/missing.mjs';
import { onnxruntimeNode } from './lib/engines/onnxruntime-node.mjs';
import { onnxruntimeWeb } from './lib/engines/onnxruntime.mjs';
import { quern } from './lib/engines/quern.mjs';
import { tfjs } from './lib/engines/tfjs.mjs';
import { measure } from './lib/measure.mjs';
import { installMeter } from './lib/meter.mjs';
import { knownModels, modelAt } from './lib/models.mjs';
import { readNpy } from './lib/npy.mjs';
import { packageRoots, rootOf } from './lib/packages.mjs';
import { modelTable } from './lib/statistics.mjs';
import { verdictLine, verdicts } from './lib/verdicts.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string' },
    model: { type: 'string', multiple: true, default: [] },
    input: { type: 'string', multiple: true, default: [] },
    reference: { type: 'string' },
    engines: { type: 'string' },
    packages: { type: 'string' },
    runs: { type: 'string', default: '30' },
    budget: { type: 'string', default: '20' },
    again: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const here = new URL('.', import.meta.url).pathname;
const runtime = positionals[0] ?? join(here, '../runtime');
const roots = packageRoots(options.packages);

const ort = rootOf(roots, 'onnxruntime-web');
const ortUrl = ort && `${pathToFileURL(join(ort, 'onnxruntime-web/dist')).href}/`;
const web = (settings) => onnxruntimeWeb(ortUrl, settings);
const entry = pathToFileURL(resolve(runtime, 'dist/node.js')).href;
const engines = {
  quern: quern(entry, { device: 'webgpu' }),
  'quern-tuned': quern(entry, { device: 'webgpu', tuned: true }),
  'quern-wasm': quern(entry, { device: 'wasm' }),
  ort: web({ build: 'asyncify' }),
  'ort-capture': web({ build: 'asyncify', capture: true }),
  'ort-jspi': web({ build: 'jspi' }),
  'ort-jspi-capture': web({ build: 'jspi', capture: true }),
  tfjs: tfjs(openTensorFlow),
  'ort-node': onnxruntimeNode(rootOf(roots, 'onnxruntime-node') ?? roots.at(-1)),
};

async function openTensorFlow() {
  const root = installed(rootOf(roots, '@tensorflow/tfjs-backend-webgpu'), 'TensorFlow.js');
  globalThis.window ??= globalThis; // where its backend looks for a GPU
  const require = createRequire(join(root, '@tensorflow/package.json'));
  const tf = require('@tensorflow/tfjs-core');
  require('@tensorflow/tfjs-backend-webgpu');
  return tf;
}

const chosen = (options.engines ?? Object.keys(engines).join(',')).split(',');
for (const name of chosen) {
  if (!engines[name])
    throw new Error(`no engine '${name}', only ${Object.keys(engines).join(', ')}`);
}

function* models() {
  const texts = Object.fromEntries(options.input.map((text) => text.split(/=(.*)/s).slice(0, 2)));
  for (const path of options.model) {
    yield () => modelAt({ name: basename(path, '.onnx'), path, texts, ...referenceOf(path) });
  }
  const names = options.models?.split(',') ?? (options.model.length > 0 ? [] : undefined);
  for (const known of knownModels) {
    if (names && !names.includes(known.name)) continue;
    const root = rootOf(roots, known.file);
    if (!root) console.log(`${known.title}: left out, ${known.file} is not installed\n`);
    else yield () => modelAt({ ...known, path: join(root, known.file), texts: known.inputs });
  }
}

/** NAME.input.X.npy and NAME.output.X.npy beside it or in --reference, as models.py writes them. */
function referenceOf(path) {
  const folder = options.reference ?? dirname(path);
  const name = basename(path, '.onnx');
  const read = (what) =>
    Object.fromEntries(
      readdirSync(folder)
        .filter((file) => file.startsWith(`${name}.${what}.`) && file.endsWith('.npy'))
        .map((file) => [
          file.slice(name.length + what.length + 2, -4),
          readNpy(readFileSync(join(folder, file))),
        ]),
    );
  const [given, expected] = [read('input'), read('output')];
  return { given, expected: Object.keys(expected).length > 0 ? expected : undefined };
}

/** Bytes of ArrayBuffers that came up while something ran, beside its result. */
async function hostPeak(run) {
  globalThis.gc?.();
  const now = () => process.memoryUsage().arrayBuffers;
  const before = now();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, now())), 2);
  try {
    return [await run(), () => Math.max(peak, now()) - before];
  } finally {
    peak = Math.max(peak, now());
    clearInterval(timer);
  }
}

const progress = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);

process.on('unhandledRejection', (error) => console.error('unhandled:', error?.message ?? error));
await installDawn((process.env.DAWN_TOGGLES ?? '').split(' ').filter(Boolean));
installMeter({ copyShared: true });
const { info } = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
const device = info.description || [info.vendor, info.architecture, info.device].join(' ');
console.log(
  `${device}, Node ${process.versions.node}; milliseconds; pipelined: a run without reading back\n`,
);
const results = [];
for (const make of models()) {
  let result;
  try {
    result = await measure(
      make(),
      Object.fromEntries(chosen.map((name) => [name, engines[name]])),
      {
        runs: Number(options.runs),
        budget: 1000 * Number(options.budget),
        again: Number(options.again),
        hostPeak,
        progress,
      },
    );
    progress('');
  } catch (error) {
    console.error(`${String(error?.message ?? error)}\n`); // a file that can't be read, for one
    continue;
  }
  result.verdicts = verdicts(result);
  results.push(result);
  console.log(`${modelTable(result)}\n${verdictLine(result.verdicts)}\n`);
  if (options.json) {
    writeFileSync(
      options.json,
      JSON.stringify({ device, node: process.version, results }, null, 1),
    );
  }
}
process.exit(0);
