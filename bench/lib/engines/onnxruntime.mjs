// onnxruntime-web (WebGPU in its asyncify and JSPI builds, with and without graph capture) and
// onnxruntime-node on the CPU.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { made } from '../meter.mjs';
import { readWhole } from '../models.mjs';

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

/** f16 as the class takes it: Node 24 has Float16Array, which onnxruntime then wants. */
function dataOf({ dtype, data }) {
  const { Float16Array } = globalThis;
  if (dtype !== 'f16' || !Float16Array) return data;
  return new Float16Array(data.buffer, data.byteOffset, data.length);
}

const asTensor = (ort, input) => new ort.Tensor(typeNames[input.dtype], dataOf(input), input.dims);

/** Outputs as the bench compares them. */
function results(outputs) {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [name, { data, dims }]),
  );
}

const imported = new Map();

/** `build`: asyncify or jspi. */
export function onnxruntimeWeb(root, { build, capture = false }) {
  const label = `onnxruntime-web WebGPU ${build}${capture ? ', graph capture' : ''}`;
  return {
    name: label,
    async create(model) {
      if (build === 'jspi' && !('Suspending' in WebAssembly)) {
        throw new Missing('WebAssembly has no JSPI: Node 24 with --experimental-wasm-jspi');
      }
      const dist = join(root, 'onnxruntime-web/dist/');
      const file = build === 'jspi' ? 'ort.jspi.min.mjs' : 'ort.webgpu.min.mjs';
      if (!imported.has(file)) imported.set(file, await importIfThere(join(dist, file)));
      const ort = imported.get(file);
      ort.env.wasm.numThreads = 1; // more fail in Node: its workers fetch a file URL
      ort.env.wasm.wasmPaths = pathToFileURL(dist).href;
      ort.env.logLevel = 'error';
      ort.env.webgpu.powerPreference = 'high-performance';
      const options = {
        executionProviders: ['webgpu'],
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        ...(await externalOf(model)),
        ...(capture ? { enableGraphCapture: true, preferredOutputLocation: 'gpu-buffer' } : {}),
      };
      const bytes = await model.bytes();
      const session = await ort.InferenceSession.create(bytes, options);
      const device = await ort.env.webgpu.device;
      const feeds = Object.fromEntries(
        Object.entries(model.inputs).map(([name, input]) => [name, asTensor(ort, input)]),
      );
      const onDevice = gpuFeeds(ort, device, model.inputs, capture);
      // A second session whose outputs stay on the device, where the first one's don't.
      let second = capture ? session : undefined;
      return {
        device,
        idle: () => device.queue.onSubmittedWorkDone(),
        hostBytes: () => largest(made.memories),
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

const largest = (memories) => Math.max(0, ...memories.map(({ buffer }) => buffer.byteLength));

async function externalOf({ external }) {
  if (!external) return {};
  return { externalData: [{ path: external.name, data: await readWhole(external.path) }] };
}

/** An engine that is not installed here. */
export class Missing extends Error {}

async function importIfThere(file) {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Missing(`not installed: ${file}`);
  }
}

/** The reference, f32 on the CPU. */
export function onnxruntimeNode(root) {
  return {
    name: 'onnxruntime-node CPU',
    async create(model) {
      let ort;
      try {
        const require = createRequire(join(root, 'onnxruntime-node/package.json'));
        ort = require(join(root, 'onnxruntime-node'));
      } catch (error) {
        throw new Missing(`onnxruntime-node: ${String(error?.message ?? error).split('\n')[0]}`);
      }
      const session = await ort.InferenceSession.create(model.path, {
        executionProviders: ['cpu'],
        logSeverityLevel: 3,
      });
      const feeds = Object.fromEntries(
        Object.entries(model.inputs).map(([name, input]) => [name, asTensor(ort, input)]),
      );
      return {
        run: async () => results(await session.run(feeds, model.wanted)),
        close: () => session.release(),
      };
    },
  };
}

export const moduleRoot = (require, name) =>
  dirname(dirname(require.resolve(`${name}/package.json`)));
