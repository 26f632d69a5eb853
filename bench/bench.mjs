// Engines side by side on the same models, in one process, their runs interleaved, results compared
// with onnxruntime-node's on the CPU (or with a reference given). See bench/README.md.
//   node bench/bench.mjs [RUNTIME] [--models NAME,...] [--model FILE [--input NAME=DIMS]...]...
//     [--reference FOLDER] [--engines NAME,...] [--runs N] [--budget SECONDS] [--json FILE]
// RUNTIME: the folder with dist/ and wasm/ (runtime/). What is not installed is left out, and said.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { installDawn } from './lib/dawn.mjs';
import { Missing, onnxruntimeNode, onnxruntimeWeb } from './lib/engines/onnxruntime.mjs';
import { quern } from './lib/engines/quern.mjs';
import { tfjs } from './lib/engines/tfjs.mjs';
import { gpuBytes, installMeter, submissions } from './lib/meter.mjs';
import { knownModels, modelAt } from './lib/models.mjs';
import { readNpy } from './lib/npy.mjs';
import { gpuTime, median } from './lib/record.mjs';
import { modelTable, relativeError, spread } from './lib/statistics.mjs';

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
    json: { type: 'string' },
  },
});
const here = new URL('.', import.meta.url).pathname;
const runtime = positionals[0] ?? join(here, '../runtime');
/** Where a peer is: bench/node_modules, then the repository's. */
const roots = [options.packages, join(here, 'node_modules'), join(here, '../node_modules')].filter(
  Boolean,
);
const rootOf = (name) => resolve(roots.find((root) => existsSync(join(root, name))) ?? roots[0]);

const web = (settings) => onnxruntimeWeb(rootOf('onnxruntime-web'), settings);
const engines = {
  quern: quern(runtime, 'webgpu'),
  'quern-wasm': quern(runtime, 'wasm'),
  ort: web({ build: 'asyncify' }),
  'ort-capture': web({ build: 'asyncify', capture: true }),
  'ort-jspi': web({ build: 'jspi' }),
  'ort-jspi-capture': web({ build: 'jspi', capture: true }),
  tfjs: tfjs(rootOf('@tensorflow/tfjs-core')),
  'ort-node': onnxruntimeNode(rootOf('onnxruntime-node')),
};
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
    const root = roots.find((folder) => existsSync(join(folder, known.file)));
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

async function timed(run) {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

const progress = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);

/** Loads an engine and makes the first run: a row, and the engine where it is to go on. */
async function begin(name, model) {
  const row = { engine: engines[name].name };
  try {
    const [[engine, arrayBytes], load] = await timed(() =>
      hostPeak(() => engines[name].create(model)),
    );
    row.load = load;
    const [outputs, first] = await timed(() => engine.run());
    row.first = first;
    row.hostBytes = arrayBytes() + (engine.hostBytes?.() ?? 0);
    return { row, engine, outputs };
  } catch (error) {
    if (error instanceof Missing) row.missing = error.message;
    else row.failed = String(error?.message ?? error);
    return { row };
  }
}

/** Runs without reading back, several under way: milliseconds a run. */
async function pipelined({ launch, idle, flight = 1 }, budget) {
  for (let i = 0; i < 3; i++) await launch();
  await idle();
  const [, one] = await timed(async () => (await launch(), await idle()));
  const count = Math.max(4, Math.min(200, Math.ceil(budget / one)));
  const [, time] = await timed(async () => {
    const under = new Set();
    for (let i = 0; i < count; i++) {
      const run = launch().finally(() => under.delete(run));
      under.add(run);
      if (under.size >= flight) await Promise.race(under);
    }
    await Promise.all(under);
    await idle();
  });
  return time / count;
}

async function measure(model) {
  const begun = [];
  for (const name of chosen) {
    progress(`${model.name}: ${engines[name].name}`);
    begun.push({ name, ...(await begin(name, model)) });
  }
  const reference =
    model.expected ??
    begun.find(({ name, outputs }) => name === 'ort-node' && outputs)?.outputs ??
    begun.find(({ outputs }) => outputs)?.outputs;
  for (const { row, outputs } of begun) if (outputs) row.error = relativeError(reference, outputs);
  const live = begun.filter(({ engine }) => engine).map((entry) => ({ ...entry, times: [] }));
  /** Failures end an engine's row, not the bench. */
  const attempt = async (entry, what, work) => {
    if (entry.row.failed) return;
    try {
      await work(entry);
    } catch (error) {
      entry.row.failed = `${what}: ${String(error?.message ?? error)}`;
    }
  };

  const budget = 1000 * Number(options.budget);
  const end = performance.now() + budget;
  for (let i = -2; i < Number(options.runs) && (i < 3 || performance.now() < end); i++) {
    progress(`${model.name}: run ${i}`);
    for (const entry of live) {
      await attempt(entry, 'run', async ({ engine, times }) => {
        const [, time] = await timed(() => engine.run());
        if (i >= 0) times.push(time);
      });
    }
  }
  for (const entry of live) {
    const { engine, row, times } = entry;
    row.run = spread(times);
    if (!engine.device) continue;
    progress(`${model.name}: ${row.engine} without reading back`);
    await attempt(entry, 'without reading back', async () => {
      row.pipelined = await pipelined(engine, budget / 4);
      await engine.idle();
      const gpu = [];
      for (let i = 0; i < 5; i++) gpu.push(await gpuTime(engine.device, () => engine.launch()));
      if (gpu[0] !== null) row.gpu = median(gpu);
      Object.assign(row, await submissions(() => engine.launch(), 9));
      await engine.idle();
      row.gpuBytes = gpuBytes(engine.device);
    });
  }
  for (const { engine, row } of live) {
    try {
      await engine.close();
    } catch (error) {
      row.failed ??= `close: ${String(error?.message ?? error)}`;
    }
  }
  progress('');
  return {
    name: model.name,
    title: model.title,
    nodes: model.nodes,
    rows: begun.map(({ row }) => row),
  };
}

process.on('unhandledRejection', (error) => console.error('unhandled:', error?.message ?? error));
await installDawn((process.env.DAWN_TOGGLES ?? '').split(' ').filter(Boolean));
installMeter();
const { info } = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
const device = info.description || [info.vendor, info.architecture, info.device].join(' ');
console.log(
  `${device}, Node ${process.versions.node}; milliseconds; pipelined: a run without reading back\n`,
);
const results = [];
for (const make of models()) {
  let result;
  try {
    result = await measure(make());
  } catch (error) {
    console.error(`${String(error?.message ?? error)}\n`); // a file that can't be read, for one
    continue;
  }
  results.push(result);
  console.log(`${modelTable(result)}\n`);
  if (options.json) {
    writeFileSync(
      options.json,
      JSON.stringify({ device, node: process.version, results }, null, 1),
    );
  }
}
process.exit(0);
