// LiteRT.js on the .tflite file of the same net, in pages only. Outputs get the names of the ONNX
// file's, by their order.

import { installed, Missing } from './missing.mjs';

let started;

/** JSPI, where it is there: without it, a net with one operator that its WebGPU lacks fails whole. */
function start(library, base) {
  started ??= library.loadLiteRt(new URL('wasm/', base).href, {
    jspi: 'Suspending' in WebAssembly,
  });
  return started;
}

/** `base`: URL of the package @litertjs/core, undefined where it is not installed. */
export function litert(base, accelerator) {
  return {
    name: `LiteRT.js ${accelerator === 'wasm' ? 'WASM' : 'WebGPU'}`,
    async create(model) {
      installed(base, 'LiteRT.js');
      if (!model.tflite) throw new Missing('there is no .tflite file of this net');
      const library = await import(new URL('dist/index.js', base).href);
      await start(library, base);
      const bytes = new Uint8Array(await (await fetch(model.tflite)).arrayBuffer());
      const compiled = await library.loadAndCompile(bytes, { accelerator });
      const inputs = compiled.getInputDetails().map(({ name }, i) => {
        const found = model.inputs[name] ?? Object.values(model.inputs)[i];
        return [found.data, found.dims];
      });
      const make = () => inputs.map(([data, dims]) => new library.Tensor(data, dims));
      const device = accelerator === 'webgpu' ? library.getWebGpuDevice() : undefined;
      const free = (tensors) => tensors.forEach((tensor) => tensor.delete());
      const engine = {
        detail: compiled.isFullyAccelerated === false ? 'partly on the CPU' : '',
        async run() {
          const feeds = make();
          const outputs = await compiled.run(feeds);
          const read = {};
          for (const [i, tensor] of outputs.entries()) {
            const onHost = tensor.accelerator === 'wasm' ? tensor : await tensor.moveTo('wasm');
            read[model.outputs[i]] = { data: onHost.toTypedArray().slice() };
            onHost.delete();
          }
          free(feeds);
          return read;
        },
        close: () => compiled.delete(),
      };
      if (!device) return engine;
      return {
        ...engine,
        device,
        async launch() {
          const feeds = make();
          free(await compiled.run(feeds));
          free(feeds);
        },
        idle: () => device.queue.onSubmittedWorkDone(),
      };
    },
  };
}
