// What a model's programs cost the driver: records the programs that loading and one run make, then
// compiles them one by one, and all at once, each in a process of its own with an empty shader cache.
//   node bench/compile.mjs RUNTIME [--models NAME,...] [--model FILE]... [--engine quern|ort-jspi]
//     [--packages FOLDER] [--top N] [--json FILE]
//   node bench/compile.mjs --programs FILE      times the programs in FILE (a JSON of this script)
// RUNTIME: the folder with dist/ and wasm/.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { installDawn } from './lib/dawn.mjs';
import { onnxruntimeWeb } from './lib/engines/onnxruntime.mjs';
import { quern } from './lib/engines/quern.mjs';
import { installMeter } from './lib/meter.mjs';
import { knownModels, modelAt } from './lib/models.mjs';
import { packageRoots, rootOf } from './lib/packages.mjs';
import { watchPrograms } from './lib/record.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string' },
    model: { type: 'string', multiple: true, default: [] },
    engine: { type: 'string', default: 'quern' },
    packages: { type: 'string' },
    programs: { type: 'string' },
    together: { type: 'string' },
    top: { type: 'string', default: '12' },
    json: { type: 'string' },
  },
});
const toggles = (process.env.DAWN_TOGGLES ?? '').split(' ').filter(Boolean);
const limits = [
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
];
const self = fileURLToPath(import.meta.url);

/** A child's JSON: with no shader cache on disk. */
function child(...args) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [self, ...args], {
    env: { ...process.env, __GL_SHADER_DISK_CACHE: '0', MESA_SHADER_CACHE_DISABLE: 'true' },
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`the child process failed: ${stderr}`);
  return JSON.parse(stdout);
}

async function openDevice() {
  const gpu = await installDawn(toggles);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  return adapter.requestDevice({
    requiredFeatures: [...adapter.features],
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
}

function layoutOf(device, access) {
  if (!access) return 'auto';
  const group = device.createBindGroupLayout({
    entries: access.map((type, binding) => ({ binding, visibility: 4, buffer: { type } })),
  });
  return device.createPipelineLayout({ bindGroupLayouts: [group] });
}

/** Milliseconds of each program: its module, its pipeline. */
async function compileAll(programs, together) {
  const device = await openDevice();
  const make = async ({ wgsl, constants, access }) => {
    const begin = performance.now();
    const module = device.createShaderModule({ code: wgsl });
    const parsed = performance.now();
    await device.createComputePipelineAsync({
      layout: layoutOf(device, access),
      compute: { module, constants },
    });
    return { module: parsed - begin, pipeline: performance.now() - parsed };
  };
  const begin = performance.now();
  const each = [];
  if (together) each.push(...(await Promise.all(programs.map(make))));
  else for (const program of programs) each.push(await make(program));
  return { total: performance.now() - begin, each };
}

if (options.programs) {
  const programs = JSON.parse(readFileSync(options.programs, 'utf8'));
  const result = await compileAll(programs, options.together === 'yes');
  process.stdout.write(JSON.stringify(result));
  process.exit(0); // Dawn keeps the process alive
}

const roots = packageRoots(options.packages);
const names = options.models?.split(',');
const temp = mkdtempSync(join(tmpdir(), 'compile-'));
await installDawn(toggles);
installMeter({ copyShared: true });
const watched = watchPrograms();
const results = [];
for (const make of models()) {
  const known = make();
  watched.clear();
  const engine = await engineOf(options.engine).create(known);
  const loaded = watched.programs.length;
  await engine.run();
  const ofRun = new Set(watched.used);
  engine.close();
  const programs = watched.programs.map((program, i) => ({
    ...program,
    when: i < loaded ? (ofRun.has(i) ? 'run' : 'load') : 'late',
  }));
  const file = join(temp, `${known.name}.json`);
  writeFileSync(file, JSON.stringify(programs));
  const single = child('--programs', file);
  const together = child('--programs', file, '--together', 'yes');
  programs.forEach((program, i) => Object.assign(program, single.each[i]));
  const { name } = known;
  results.push({
    ...{ name, engine: options.engine },
    ...{ single: single.total, together: together.total, programs },
  });
  print(results.at(-1));
}
rmSync(temp, { recursive: true });
if (options.json) writeFileSync(options.json, JSON.stringify(results));
process.exit(0);

function engineOf(name) {
  const ort = rootOf(roots, 'onnxruntime-web');
  const engines = {
    quern: () =>
      quern(pathToFileURL(resolve(positionals[0], 'dist/node.js')).href, { device: 'webgpu' }),
    'ort-jspi': () =>
      onnxruntimeWeb(`${pathToFileURL(join(ort, 'onnxruntime-web/dist')).href}/`, {
        build: 'jspi',
      }),
  };
  if (!engines[name])
    throw new Error(`no engine '${name}', only ${Object.keys(engines).join(', ')}`);
  return engines[name]();
}

function* models() {
  for (const path of options.model) yield () => modelAt({ name: basename(path, '.onnx'), path });
  if (options.model.length > 0 && !names) return;
  for (const known of knownModels) {
    const root = rootOf(roots, known.file);
    if ((names && !names.includes(known.name)) || !root) continue;
    yield () => modelAt({ ...known, path: join(root, known.file), texts: known.inputs });
  }
}

function print({ name, single, together, programs }) {
  const sum = (list) => list.reduce((a, p) => a + p.module + p.pipeline, 0).toFixed(0);
  const used = programs.filter((p) => p.when !== 'load');
  console.log(
    `${name}: ${programs.length} programs, one by one ${single.toFixed(0)} ms, at once ` +
      `${together.toFixed(0)} ms; the run's ${used.length}: ${sum(used)} ms`,
  );
  const kinds = new Map();
  for (const program of programs) {
    const kind = program.label.split(' ')[0];
    kinds.set(kind, [...(kinds.get(kind) ?? []), program]);
  }
  const rows = [...kinds].sort((a, b) => sum(b[1]) - sum(a[1])).slice(0, Number(options.top));
  for (const [kind, list] of rows) {
    console.log(`  ${sum(list).padStart(6)} ms ${String(list.length).padStart(4)} x ${kind}`);
  }
}
