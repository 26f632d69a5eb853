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

/** `entry`: URL of the package's script for this platform. `threads`: of WebAssembly. */
export function quern(entry, { device, threads }) {
  return {
    name:
      device === 'wasm' ? `Quern WASM${threads > 1 ? `, ${threads} threads` : ''}` : 'Quern WebGPU',
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
