// onnxruntime-web: WebGPU in its asyncify and JSPI builds, with and without graph capture, and
// WebAssembly. In Node and in pages.

import { installed, Missing } from './missing.mjs';

const typeNames = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  i64: 'int64',
  i32: 'int32',
  i8: 'int8',
  u8: 'uint8',
  bool: 'bool',
};

/** f16 as the class takes it: Node 24 and browsers have Float16Array, which it then wants. */
function dataOf({ dtype, data }) {
  const { Float16Array } = globalThis;
  if (dtype !== 'f16' || !Float16Array) return data;
  return new Float16Array(data.buffer, data.byteOffset, data.length);
}

export const asTensor = (ort, input) =>
  new ort.Tensor(typeNames[input.dtype], dataOf(input), input.dims);

/** Outputs as the bench compares them. */
export function results(outputs) {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [name, { data, dims }]),
  );
}

const files = {
  asyncify: 'ort.webgpu.min.mjs',
  jspi: 'ort.jspi.min.mjs',
  wasm: 'ort.wasm.min.mjs',
};

/**
 * `base`: URL of the package's dist/, undefined where it is not installed. `build`: asyncify, jspi
 * (both WebGPU) or wasm. `threads`: of its WebAssembly; in Node only one works, since its workers
 * fetch a file URL.
 */
export function onnxruntimeWeb(base, { build, capture = false, threads = 1 }) {
  const webgpu = build !== 'wasm';
  return {
    name: webgpu
      ? `onnxruntime-web WebGPU ${build}${capture ? ', graph capture' : ''}`
      : `onnxruntime-web WASM, ${threads} thread${threads > 1 ? 's' : ''}`,
    async create(model) {
      if (build === 'jspi' && !('Suspending' in WebAssembly)) {
        throw new Missing('WebAssembly has no JSPI here (Node: 24, --experimental-wasm-jspi)');
      }
      // An instance of its own: capturing may leave one in a state that fails all later runs.
      const script = new URL(files[build], installed(base, 'onnxruntime-web'));
      if (capture) script.search = 'capture';
      const ort = await import(script.href);
      ort.env.wasm.numThreads = threads;
      ort.env.wasm.wasmPaths = base;
      ort.env.logLevel = 'error';
      if (webgpu) ort.env.webgpu.powerPreference = 'high-performance';
      const options = {
        executionProviders: [webgpu ? 'webgpu' : 'wasm'],
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        freeDimensionOverrides: model.freeDims,
        ...(model.external
          ? { externalData: [{ path: model.external.name, data: await model.external.bytes() }] }
          : {}),
        ...(capture ? { enableGraphCapture: true, preferredOutputLocation: 'gpu-buffer' } : {}),
      };
      const bytes = await model.bytes();
      const session = await ort.InferenceSession.create(bytes, options);
      const feeds = Object.fromEntries(
        Object.entries(model.inputs).map(([name, input]) => [name, asTensor(ort, input)]),
      );
      if (!webgpu) {
        return {
          run: async () => results(await session.run(feeds, model.wanted)),
          close: () => session.release(),
        };
      }
      const device = await ort.env.webgpu.device;
      const onDevice = gpuFeeds(ort, device, model.inputs, capture);
      // A second session whose outputs stay on the device, where the first one's don't.
      let second = capture ? session : undefined;
      return {
        device,
        idle: () => device.queue.onSubmittedWorkDone(),
        async run() {
          if (!capture) return results(await session.run(feeds, model.wanted));
          onDevice.write();
          const outputs = await session.run(onDevice.feeds, model.wanted);
          const read = {};
          for (const [name, tensor] of Object.entries(outputs)) {
            read[name] = { data: await tensor.getData(true), dims: tensor.dims };
          }
          return read;
        },
        async launch() {
          second ??= await ort.InferenceSession.create(bytes, {
            ...options,
            preferredOutputLocation: 'gpu-buffer',
          });
          const outputs = await second.run(onDevice.feeds, model.wanted);
          for (const tensor of Object.values(outputs)) tensor.dispose();
        },
        async close() {
          if (second && second !== session) await second.release();
          await session.release();
          onDevice.close();
        },
      };
    },
  };
}

/** Inputs in buffers of their own; those that the host may want stay on it unless `all` go. */
function gpuFeeds(ort, device, inputs, all) {
  const buffers = [];
  const feeds = {};
  for (const [name, input] of Object.entries(inputs)) {
    if (!all && !['f32', 'f16'].includes(input.dtype)) {
      feeds[name] = asTensor(ort, input);
      continue;
    }
    const size = Math.ceil(input.data.byteLength / 16) * 16;
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    const buffer = device.createBuffer({ size, usage: STORAGE | COPY_DST | COPY_SRC });
    buffers.push([buffer, input.data]);
    feeds[name] = ort.Tensor.fromGpuBuffer(buffer, {
      dataType: typeNames[input.dtype],
      dims: input.dims,
    });
  }
  const write = () => {
    for (const [buffer, data] of buffers) device.queue.writeBuffer(buffer, 0, data);
  };
  write();
  return { feeds, write, close: () => buffers.forEach(([buffer]) => buffer.destroy()) };
}
