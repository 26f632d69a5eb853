// In the page: one model through all engines.

import { litert } from '../lib/engines/litert.mjs';
import { Missing } from '../lib/engines/missing.mjs';
import { onnxruntimeWeb } from '../lib/engines/onnxruntime.mjs';
import { quern } from '../lib/engines/quern.mjs';
import { tfjs } from '../lib/engines/tfjs.mjs';
import { freeDimsOf, makeInputs } from '../lib/inputs.mjs';
import { measure } from '../lib/measure.mjs';
import { installMeter } from '../lib/meter.mjs';
import { describeOnnx } from '../lib/onnx.mjs';

installMeter();

const here = (path) => new URL(path, location.href).href;

/** `has`: which packages there are, by name. `threads`: of WebAssembly. */
function enginesOf(has, threads) {
  const ort = has['onnxruntime-web'] ? here('/packages/onnxruntime-web/dist/') : undefined;
  const lite = has['@litertjs/core'] ? here('/packages/@litertjs/core/') : undefined;
  const entry = here('/runtime/dist/index.js');
  return {
    quern: quern(entry, { device: 'webgpu' }),
    'quern-wasm': quern(entry, { device: 'wasm', threads }),
    ort: onnxruntimeWeb(ort, { build: 'asyncify' }),
    'ort-capture': onnxruntimeWeb(ort, { build: 'asyncify', capture: true }),
    'ort-jspi': onnxruntimeWeb(ort, { build: 'jspi' }),
    'ort-jspi-capture': onnxruntimeWeb(ort, { build: 'jspi', capture: true }),
    'ort-wasm': onnxruntimeWeb(ort, { build: 'wasm', threads }),
    tfjs: tfjs(() => openTensorFlow(has['@tensorflow/tfjs-backend-webgpu'])),
    litert: litert(lite, 'webgpu'),
    'litert-wasm': litert(lite, 'wasm'),
  };
}

export const engineNames = Object.keys(enginesOf({}, 1));

/** Its bundles for pages, which put `tf` in the global scope. */
async function openTensorFlow(isThere) {
  if (!isThere) throw new Missing('TensorFlow.js is not installed: ./dev bench peers');
  for (const part of ['tfjs-core/dist/tf-core', 'tfjs-backend-webgpu/dist/tf-backend-webgpu']) {
    const script = document.createElement('script');
    script.src = `/packages/@tensorflow/${part}.min.js`;
    await new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${script.src} does not load`));
      document.head.append(script);
    });
  }
  return globalThis.tf;
}

/**
 * Waits until the browser has its GPU (a fresh one offers none for a moment), and does a first bit
 * of work on it, so that no engine pays for that.
 */
export async function wake() {
  let adapter;
  for (let tries = 0; !adapter; tries++) {
    if (tries === 20) throw new Error('the browser offers no GPU adapter');
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 500));
    adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  }
  const device = await adapter.requestDevice();
  const code = `@group(0) @binding(0) var<storage, read_write> b: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) g: vec3u) { b[g.x] = g.x; }`;
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
  const buffer = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [{ binding: 0, resource: { buffer } }];
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  device.destroy();
  const { vendor, architecture, device: name, description, isFallbackAdapter } = adapter.info;
  return {
    adapter: [vendor, architecture, name, description].filter(Boolean).join(' '),
    isFallback: isFallbackAdapter ?? false,
    features: [...adapter.features].sort(),
    userAgent: navigator.userAgent,
    cores: navigator.hardwareConcurrency,
    isolated: crossOriginIsolated,
  };
}

/**
 * measure()'s result of one model: { name, title, source, tflite, texts }. `engines`: names. What is
 * there when the page ends early has gone through `benchUpdate`, where the page has such a function.
 */
export async function run({ model, engines: chosen, has, threads, ...options }) {
  const bytes = async () => new Uint8Array(await (await fetch(model.source)).arrayBuffer());
  const described = describeOnnx(await bytes());
  const inputs = makeInputs(model.name, described.inputs, model.texts);
  const all = enginesOf(has, threads);
  return measure(
    {
      ...{ name: model.name, title: model.title, source: model.source, tflite: model.tflite },
      ...{ nodes: described.nodes, outputs: described.outputs, inputs, bytes },
      freeDims: freeDimsOf(described.inputs, inputs),
    },
    Object.fromEntries(chosen.map((name) => [name, all[name]])),
    {
      ...options,
      progress: (text) => console.debug(text),
      update: (result) => void globalThis.benchUpdate?.(result),
    },
  );
}
