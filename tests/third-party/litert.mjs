// What LiteRT, TensorFlow Lite's own engine, makes of a model on the CPU. It is made for pages, and
// runs in Node with two of their globals.
//   node litert.mjs REQUEST.json
// REQUEST: { path, start?, end?: of the model in the file }. Prints { inputs, outputs }: by name
// { dtype, dims, data: base64 }. Inputs are random, the same every time. Operators of MediaPipe that
// LiteRT has not are computed by mediapipe-operators.mjs, whose inputs are outputs then.

import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
globalThis.self = globalThis;
globalThis.importScripts = (path) => {
  const code = `${readFileSync(path, 'utf8')}\nreturn ModuleFactory;`;
  // As a page runs a script: it is none for Node.
  // eslint-disable-next-line no-new-func
  globalThis.ModuleFactory = new Function('require', '__filename', '__dirname', code)(
    require,
    path,
    dirname(path),
  );
};
// It has much to say of the GPUs that it does not find, and goes on after errors.
const errors = [];
for (const kind of ['log', 'info', 'warn', 'error']) {
  console[kind] = (text) => {
    if (String(text).startsWith('ERROR')) errors.push(text);
  };
}

const { cut, compute } = await import('./mediapipe-operators.mjs');
const { loadAndCompile, loadLiteRt, Tensor } = await import('@litertjs/core');
const request = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const file = new Uint8Array(readFileSync(request.path));
const bytes = file.slice(request.start ?? 0, request.end ?? file.length);
const folder = join(dirname(require.resolve('@litertjs/core')), '..', 'wasm');
await loadLiteRt(folder);
const { bytes: whole, operators } = cut(bytes);
const model = await loadAndCompile(whole, { accelerator: 'wasm' });

let state = 12345;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const types = {
  float32: [Float32Array, random],
  int32: [Int32Array, () => Math.floor(random() * 8)],
  int8: [Int8Array, () => Math.floor(random() * 256) - 128],
  uint8: [Uint8Array, () => Math.floor(random() * 256)],
};
const shown = (dtype, dims, data) => ({
  dtype,
  dims: [...dims],
  data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
});

const details = model.getInputDetails();
const computed = new Set(operators.map(({ output }) => output.name));
const values = new Map();
const inputs = {};
for (const { name, dtype, shape } of details) {
  const [Type, next] = types[dtype];
  const size = shape.reduce((a, b) => a * b, 1);
  const data = computed.has(name) ? new Type(size) : Type.from({ length: size }, next);
  values.set(name, data);
  if (!computed.has(name)) inputs[name] = shown(dtype, shape, data);
}
let outputs = {};
// What depends on operators that are computed here takes another run for each of them in a row.
for (let run = 0; run < (operators.length > 0 ? 4 : 1); run++) {
  const tensors = details.map(({ name, shape }) => new Tensor(values.get(name), [...shape]));
  const results = await model.run(tensors);
  outputs = {};
  for (const [i, { name, dtype }] of model.getOutputDetails().entries()) {
    const data = await results[i].data();
    outputs[name] = shown(dtype, results[i].type.layout.dimensions, data);
    values.set(name, data);
  }
  for (const operator of operators) compute(operator, values);
}
if (errors.length > 0) throw new Error(errors.join('\n'));
const text = JSON.stringify({ inputs, outputs });
for (let at = 0; at < text.length;) at += writeSync(1, text.slice(at, at + (1 << 16)));
// Its threads would keep the process.
process.exit(0);
