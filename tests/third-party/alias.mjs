// For `node --import`: onnxruntime-web and onnxruntime-node become quern/ort, for import and
// require() alike. onnxruntime-common stays: its tensors are fed as they are.

import Module, { register } from 'node:module';
import { fileURLToPath } from 'node:url';

const replaced = /^onnxruntime-(web|node)(\/(all|wasm|webgl|webgpu|jspi))?$/;
const ort = new URL('../../runtime/dist/ort-node.js', import.meta.url).href;

const hooks = `
  export const resolve = (name, context, next) =>
    ${replaced}.test(name)
      ? { url: ${JSON.stringify(ort)}, format: 'module', shortCircuit: true }
      : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) =>
  replaced.test(name) ? fileURLToPath(ort) : resolveFilename.call(Module, name, ...rest);
