// Quern as built, on WebGPU or WebAssembly.

import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { made } from '../meter.mjs';

export function quern(runtime, device) {
  return {
    name: device === 'wasm' ? 'Quern WASM' : 'Quern WebGPU',
    async create(model) {
      const entry = pathToFileURL(resolve(join(runtime, 'dist/node.js'))).href;
      const { load, Tensor } = await import(entry);
      const loaded = await load(model.path, { device, maxConcurrent: 4 });
      const feeds = Object.fromEntries(
        Object.entries(model.inputs).map(([name, { dtype, dims, data }]) => [
          name,
          new Tensor(dtype, dims, data),
        ]),
      );
      const engine = {
        detail: loaded.report().notes.join('; '),
        threads: loaded.report().threads,
        async run() {
          return loaded.run(feeds, model.wanted && { outputs: model.wanted });
        },
        hostBytes: () => loaded.report().memory.core,
        close: () => loaded.dispose(),
      };
      if (device === 'wasm') return engine;
      const gpu = made.devices.at(-1);
      const onGpu = model.wanted
        ? Object.fromEntries(model.wanted.map((name) => [name, 'gpu']))
        : 'gpu';
      return {
        ...engine,
        device: gpu,
        gpuBytes: () => loaded.report().memory.total,
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
