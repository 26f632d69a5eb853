// Counts and times what any engine asks of WebGPU, by wrapping the methods of its objects.

import { median } from './record.mjs';

/** By device: bytes of buffers alive, and the most there were. */
const memory = new WeakMap();
const sizes = new WeakMap();
/** Devices made, and WebAssembly memories, in the order they came. */
export const made = { devices: [], memories: [] };

function wrap(type, name, make) {
  const original = type.prototype[name];
  type.prototype[name] = make(original);
  return () => {
    type.prototype[name] = original;
  };
}

/**
 * Once, before any engine is loaded: devices get timestamps; buffers and WebAssembly memories are
 * counted. `copyShared`: as Dawn for Node needs it.
 */
export function installMeter({ copyShared = false } = {}) {
  wrap(
    GPUAdapter,
    'requestDevice',
    (original) =>
      async function (descriptor = {}) {
        const requiredFeatures = [...(descriptor.requiredFeatures ?? [])];
        const timing = 'timestamp-query';
        if (this.features.has(timing) && !requiredFeatures.includes(timing)) {
          requiredFeatures.push(timing);
        }
        const device = await original.call(this, { ...descriptor, requiredFeatures });
        memory.set(device, { live: 0, peak: 0 });
        made.devices.push(device);
        return device;
      },
  );
  wrap(
    GPUDevice,
    'createBuffer',
    (original) =>
      function (descriptor) {
        const buffer = original.call(this, descriptor);
        const count = memory.get(this);
        if (count) {
          sizes.set(buffer, [count, descriptor.size]);
          count.live += descriptor.size;
          count.peak = Math.max(count.peak, count.live);
        }
        return buffer;
      },
  );
  wrap(
    GPUBuffer,
    'destroy',
    (original) =>
      function () {
        const [count, size] = sizes.get(this) ?? [];
        if (count) count.live -= size;
        sizes.delete(this);
        return original.call(this);
      },
  );
  if (copyShared) copySharedMemory();
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, [descriptor]) {
      const one = new target(descriptor);
      made.memories.push(one);
      return one;
    },
  });
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...args) => {
      const result = await original.apply(WebAssembly, args);
      const { exports } = result.instance ?? result;
      for (const value of Object.values(exports)) {
        if (value instanceof Memory && !made.memories.includes(value)) made.memories.push(value);
      }
      return result;
    };
  }
}

/** onnxruntime-web hands over views of shared memory, which Dawn for Node refuses. */
function copySharedMemory() {
  wrap(
    GPUQueue,
    'writeBuffer',
    (original) =>
      function (buffer, offset, data, from = 0, count) {
        const memory = ArrayBuffer.isView(data) ? data.buffer : data;
        const unit = ArrayBuffer.isView(data) ? (data.BYTES_PER_ELEMENT ?? 1) : 1;
        const start = (ArrayBuffer.isView(data) ? data.byteOffset : 0) + from * unit;
        const size = count === undefined ? data.byteLength - from * unit : count * unit;
        if (!(memory instanceof SharedArrayBuffer)) {
          return original.call(this, buffer, offset, memory, start, size);
        }
        return original.call(
          this,
          buffer,
          offset,
          new Uint8Array(memory, start, size).slice(),
          0,
          size,
        );
      },
  );
}

export const gpuBytes = (device) => memory.get(device)?.peak;

/** Milliseconds until the last submission of a run, and its dispatches. */
export async function submission(run) {
  let submitted = 0;
  let dispatches = 0;
  const count = (original) =>
    function (...args) {
      dispatches++;
      return original.apply(this, args);
    };
  const undo = [
    wrap(
      GPUQueue,
      'submit',
      (original) =>
        function (buffers) {
          const out = original.call(this, buffers);
          submitted = performance.now();
          return out;
        },
    ),
    wrap(GPUComputePassEncoder, 'dispatchWorkgroups', count),
    wrap(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', count),
  ];
  const start = performance.now();
  try {
    await run();
  } finally {
    for (const restore of undo) restore();
  }
  return { submit: submitted > 0 ? submitted - start : undefined, dispatches };
}

/** Medians of several runs' submissions. */
export async function submissions(run, count) {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await submission(run));
  return {
    submit: median(all.map(({ submit }) => submit ?? NaN)),
    dispatches: all.at(-1).dispatches,
  };
}
