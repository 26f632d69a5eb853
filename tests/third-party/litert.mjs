// What LiteRT, TensorFlow Lite's own engine, makes of a model on the CPU. It is made for pages, and
// runs in Node with two of their globals.
//   node litert.mjs REQUEST.json
// REQUEST: { path, start?, end?: of the model in the file }. Prints { inputs, outputs }: by name
// { dtype, dims, data: base64 }. Inputs are random, the same every time.

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

const { loadAndCompile, loadLiteRt, Tensor } = await import('@litertjs/core');
const request = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const file = new Uint8Array(readFileSync(request.path));
const bytes = file.slice(request.start ?? 0, request.end ?? file.length);
const folder = join(dirname(require.resolve('@litertjs/core')), '..', 'wasm');
await loadLiteRt(folder);
const model = await loadAndCompile(bytes, { accelerator: 'wasm' });

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

const inputs = {};
const tensors = model.getInputDetails().map(({ name, dtype, shape }) => {
  const dims = [...shape];
  const [Type, next] = types[dtype];
  const data = Type.from({ length: dims.reduce((a, b) => a * b, 1) }, next);
  inputs[name] = shown(dtype, dims, data);
  return new Tensor(data, dims);
});
const outputs = {};
const results = await model.run(tensors);
for (const [i, { name, dtype }] of model.getOutputDetails().entries()) {
  outputs[name] = shown(dtype, results[i].type.layout.dimensions, await results[i].data());
}
if (errors.length > 0) throw new Error(errors.join('\n'));
const text = JSON.stringify({ inputs, outputs });
for (let at = 0; at < text.length;) at += writeSync(1, text.slice(at, at + (1 << 16)));
// Its threads would keep the process.
process.exit(0);
