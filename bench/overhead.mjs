// What Quern adds to the floor: round trip and encoding of the three driving models beside a
// program that issues the same commands with empty kernels, switching the same bind groups, and one
// with bind groups of one buffer each, in one process, interleaved.
//   node bench/overhead.mjs RUNTIME MODELS [--json FILE] [--only NAME] [--runs N]
// RUNTIME: the folder with dist/ and wasm/. MODELS: a folder with cls, silero and bert .onnx.
// Bar: median round trip <= 1.3 x floor + GPU time of the kernels.

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { installDawn } from './lib/dawn.mjs';
import { countOf, floorOf, gpuTime, median, record, watchLayouts } from './lib/record.mjs';

const [runtime, models] = process.argv.slice(2);
const option = (name) =>
  process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined;
const json = option('--json');
const only = option('--only');
const count = Number(option('--runs') ?? 300);
const gpu = await installDawn();
const { load } = await import(pathToFileURL(resolve(runtime, 'dist/node.js')).href);

const wave = (count, scale = 1) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.37) * scale);
const tokens = (count) => BigInt64Array.from({ length: count }, (_, i) => BigInt((i * 37) % 300));
const cases = [
  {
    name: 'ppocr cls 1x3x48x192',
    file: 'cls.onnx',
    feeds: { x: { data: wave(3 * 48 * 192), dims: [1, 3, 48, 192] } },
  },
  {
    name: 'silero v5 1x512',
    file: 'silero.onnx',
    feeds: {
      input: { data: wave(512, 0.3), dims: [1, 512] },
      state: { data: new Float32Array(256), dims: [2, 1, 128] },
      sr: { data: BigInt64Array.of(16000n), dims: [] },
    },
  },
  {
    name: 'hf_bert 1x32',
    file: 'bert.onnx',
    feeds: {
      input_ids: { data: tokens(32), dims: [1, 32] },
      attention_mask: { data: new BigInt64Array(32).fill(1n), dims: [1, 32] },
    },
  },
];

function difference(expected, got) {
  let square = 0;
  let norm = 0;
  for (const [name, { data }] of Object.entries(expected)) {
    const other = got[name].data;
    for (let i = 0; i < data.length; ++i) {
      square += (data[i] - other[i]) ** 2;
      norm += data[i] ** 2;
    }
  }
  return Math.sqrt(square / norm);
}

const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
const limits = {};
for (const name of [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
]) {
  limits[name] = adapter.limits[name];
}
const device = await adapter.requestDevice({
  requiredFeatures: ['timestamp-query', 'subgroups'].filter((f) => adapter.features.has(f)),
  requiredLimits: limits,
});
device.onuncapturederror = (event) => console.error('error:', event.error.message.slice(0, 400));
const info = adapter.info;
console.log(`device: ${info.vendor} ${info.architecture} ${info.device} ${info.description}`);

const layoutOf = watchLayouts();
const rows = [];
for (const { name, file, feeds } of cases.filter(({ name }) => name.includes(only ?? ''))) {
  const path = join(models, file);
  const reference = await load(path, { device: 'wasm' });
  const expected = await reference.run(feeds);
  reference.dispose();

  const t0 = performance.now();
  const model = await load(path, { device });
  const loaded = performance.now() - t0;
  const t1 = performance.now();
  const got = await model.run(feeds);
  const first = performance.now() - t1;
  const relL2 = difference(expected, got);
  for (let i = 0; i < 100; ++i) await model.run(feeds);
  const log = await record(() => model.run(feeds));
  const floor = await floorOf(device, log, layoutOf);
  const bare = await floorOf(device, log);
  for (let i = 0; i < 100; ++i) {
    await floor();
    await bare();
  }
  const gpuMs = [];
  for (let i = 0; i < 5; ++i) gpuMs.push(await gpuTime(device, () => model.run(feeds)));

  // Until the commands are submitted: what the engine's own thread is busy with.
  let submitted = 0;
  const submit = GPUQueue.prototype.submit;
  GPUQueue.prototype.submit = function (buffers) {
    const out = submit.call(this, buffers);
    submitted = performance.now();
    return out;
  };
  const runs = [];
  const encodes = [];
  const floors = [];
  const floorEncodes = [];
  const bares = [];
  for (let i = 0; i < count; ++i) {
    const start = performance.now();
    await model.run(feeds);
    runs.push(performance.now() - start);
    encodes.push(submitted - start);
    const [total, encode] = await floor();
    floors.push(total);
    floorEncodes.push(encode);
    bares.push((await bare())[0]);
  }
  GPUQueue.prototype.submit = submit;
  const row = {
    name,
    loadMs: loaded,
    firstMs: first,
    relL2,
    dispatches: countOf(log, 'dispatch'),
    pipelineSwitches: countOf(log, 'pipeline'),
    runMs: median(runs),
    floorMs: median(floors),
    bareFloorMs: median(bares),
    encodeMs: median(encodes),
    floorEncodeMs: median(floorEncodes),
    gpuMs: gpuMs[0] === null ? null : median(gpuMs),
  };
  row.bar = 1.3 * row.floorMs + (row.gpuMs ?? 0);
  row.ok = row.runMs <= row.bar;
  row.bareBar = 1.3 * row.bareFloorMs + (row.gpuMs ?? 0);
  rows.push(row);
  const f = (x) => (x === null ? '-' : x.toFixed(3));
  console.log(
    `${name}: load ${f(loaded)} first ${f(first)} ms, relative L2 ${relL2.toExponential(1)}, ` +
      `${row.dispatches} dispatches, ${row.pipelineSwitches} pipeline switches\n` +
      `  round trip ${f(row.runMs)} ms, floor ${f(row.floorMs)}, GPU ${f(row.gpuMs)}, bar ${f(row.bar)} ${row.ok ? 'met' : 'MISSED'}; ` +
      `floor with groups of one buffer ${f(row.bareFloorMs)}, its bar ${f(row.bareBar)} ${row.runMs <= row.bareBar ? 'met' : 'MISSED'}; ` +
      `encode ${f(row.encodeMs)}, floor ${f(row.floorEncodeMs)}, a dispatch ${((1000 * row.encodeMs) / row.dispatches).toFixed(1)} µs`,
  );
  model.dispose();
}
if (json && process.argv.includes('--json'))
  writeFileSync(json, JSON.stringify({ device: info.description, rows }, null, 1));
process.exit(0);
