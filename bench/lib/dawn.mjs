// WebGPU in Node as navigator.gpu: npm `webgpu`, or the dawn.node that DAWN_NODE names.

import { createRequire } from 'node:module';

/** Installs the globals and `navigator.gpu`; `toggles` are Dawn's, as `enable-dawn-features=...`. */
export async function installDawn(toggles = []) {
  const { create, globals } = process.env.DAWN_NODE
    ? createRequire(import.meta.url)(process.env.DAWN_NODE)
    : await import('webgpu');
  Object.assign(globalThis, globals);
  // Timestamps as they are, not in steps of 65 µs.
  const gpu = create(['disable-dawn-features=timestamp_quantization', ...toggles]);
  Object.defineProperty(globalThis, 'navigator', {
    value: { gpu, hardwareConcurrency: 1, userAgent: 'node' },
    configurable: true,
    writable: true,
  });
  return gpu;
}
