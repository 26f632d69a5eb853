// Quern as built, on WebGPU or WebAssembly. In Node and in pages.

import { made } from '../meter.mjs';

/** Inputs, as makeInputs gives them, in the runtime's tensors. */
export const feedsOf = (Tensor, inputs) =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, dims, data }]) => [
      name,
      new Tensor(dtype, dims, data),
    ]),
  );

/**
 * `entry`: URL of the package's script for this platform. `threads`: of WebAssembly. `tuned`: with the
 * forms of kernels that its tuner finds, after load and first run.
 */
export function quern(entry, { device, threads, tuned }) {
  const wasm = `Quern WASM${threads > 1 ? `, ${threads} threads` : ''}`;
  return {
    name: device === 'wasm' ? wasm : `Quern WebGPU${tuned ? ', tuned' : ''}`,
    async create(model) {
      const { load, Tensor } = await import(entry);
      const loaded = await load(model.source, { device, maxConcurrent: 4, threads });
      const feeds = feedsOf(Tensor, model.inputs);
      const engine = {
        detail: loaded.report().notes.join('; '),
        phases: loaded.report().timings.phases,
        async run() {
          return loaded.run(feeds, model.wanted && { outputs: model.wanted });
        },
        hostBytes: () => loaded.report().memory.core,
        close: () => loaded.dispose(),
      };
      if (device === 'wasm') return engine;
      if (tuned) {
        const { gpuTime, kernels, time } = await loaded.tune(feeds);
        const changed = kernels.filter(({ form, usual }) => form !== usual);
        const [before, after] = [gpuTime.usual, gpuTime.tuned].map((us) => (us / 1000).toFixed(3));
        engine.detail +=
          `GPU ${before} to ${after} ms, ${changed.length} of ${kernels.length} kernels, in ` +
          `${(time / 1000).toFixed(1)} s`;
      }
      const gpu = made.devices.findLast(({ label }) => label === 'quern');
      const onGpu = model.wanted
        ? Object.fromEntries(model.wanted.map((name) => [name, 'gpu']))
        : 'gpu';
      return {
        ...engine,
        device: gpu,
        async launch() {
          const outputs = await loaded.run(feeds, { outputs: onGpu });
          for (const tensor of Object.values(outputs)) tensor.dispose();
        },
        idle: () => gpu.queue.onSubmittedWorkDone(),
        flight: 4,
      };
    },
  };
}
