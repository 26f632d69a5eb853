// What a run asks of WebGPU, recorded call by call, and a program that asks the same of it with
// empty kernels: the floor under any engine that issues those commands.

/** Records the commands of what `run` submits: [{kind, ...}], pipelines and bind groups by number. */
export async function record(run) {
  const log = [];
  const ids = new Map();
  const id = (object) => {
    if (!ids.has(object)) ids.set(object, ids.size);
    return ids.get(object);
  };
  const undo = [
    patch(GPUComputePassEncoder, 'setPipeline', ([p]) => log.push({ kind: 'pipeline', id: id(p) })),
    patch(GPUComputePassEncoder, 'setBindGroup', ([, group]) =>
      log.push({ kind: 'group', id: id(group), group }),
    ),
    patch(GPUComputePassEncoder, 'dispatchWorkgroups', () => log.push({ kind: 'dispatch' })),
    patch(GPUComputePassEncoder, 'end', () => log.push({ kind: 'end' })),
    patch(GPUCommandEncoder, 'beginComputePass', () => log.push({ kind: 'begin' })),
    patch(GPUCommandEncoder, 'copyBufferToBuffer', (a) =>
      log.push({ kind: 'copy', bytes: typeof a[1] === 'number' ? a[4] : (a[2] ?? a[0].size) }),
    ),
    patch(GPUQueue, 'writeBuffer', ([, , data]) =>
      log.push({ kind: 'write', bytes: data.byteLength }),
    ),
    patch(GPUQueue, 'submit', () => log.push({ kind: 'submit' })),
    patch(GPUBuffer, 'mapAsync', () => log.push({ kind: 'map' })),
  ];
  try {
    await run();
  } finally {
    for (const restore of undo) restore();
  }
  return log;
}

/** From now on calls of a method go to `note`, with what they gave; gives what ends that. */
function patch(type, name, note) {
  const original = type.prototype[name];
  type.prototype[name] = function (...args) {
    const result = original.apply(this, args);
    note(args, result);
    return result;
  };
  return () => {
    type.prototype[name] = original;
  };
}

/** From now on knows the layout of each bind group that is made: a function of the group. */
export function watchLayouts() {
  const layouts = new WeakMap();
  patch(GPUDevice, 'createBindGroup', ([{ layout }], group) => layouts.set(group, layout));
  return (group) => layouts.get(group);
}

/**
 * From now on notes the compute pipelines that are made, as what it takes to make them again, and
 * the numbers of those that dispatches use.
 */
export function watchPrograms() {
  const watched = {
    programs: [],
    used: new Set(),
    clear() {
      watched.programs = [];
      watched.used = new Set();
    },
  };
  const types = new WeakMap(); // bind group layout: the types of its bindings
  const groups = new WeakMap(); // pipeline layout: its one bind group layout
  const texts = new WeakMap(); // module: its WGSL
  const numbers = new WeakMap(); // pipeline: [list, number]
  patch(GPUDevice, 'createBindGroupLayout', ([{ entries }], layout) =>
    types.set(
      layout,
      entries.map(({ buffer }) => buffer?.type),
    ),
  );
  patch(GPUDevice, 'createPipelineLayout', ([{ bindGroupLayouts }], layout) =>
    groups.set(layout, bindGroupLayouts[0]),
  );
  patch(GPUDevice, 'createShaderModule', ([{ code }], module) => texts.set(module, code));
  const note = ({ label, layout, compute }) => {
    const { programs } = watched;
    programs.push({
      label: label ?? compute.module.label,
      wgsl: texts.get(compute.module),
      constants: compute.constants ?? {},
      access: types.get(groups.get(layout)),
    });
    const number = programs.length - 1;
    return (pipeline) => numbers.set(pipeline, [programs, number]);
  };
  patch(GPUDevice, 'createComputePipelineAsync', ([descriptor], promise) => {
    promise.then(note(descriptor), () => {});
  });
  patch(GPUDevice, 'createComputePipeline', ([descriptor], pipeline) => note(descriptor)(pipeline));
  patch(GPUComputePassEncoder, 'setPipeline', ([pipeline]) => {
    const [programs, number] = numbers.get(pipeline) ?? [];
    if (programs === watched.programs) watched.used.add(number);
  });
  return watched;
}

export const countOf = (log, kind) => log.filter((c) => c.kind === kind).length;

/** The commands without the borders of submissions that go on with dispatches: all in one go. */
function inOneGo(log) {
  const kinds = ['end', 'submit', 'begin'];
  const isBorder = (at) => kinds.every((kind, i) => log[at + i]?.kind === kind);
  return log.filter((_, i) => ![i, i - 1, i - 2].some(isBorder));
}

/**
 * Objects for the same commands with empty kernels in one submission; gives a function that runs
 * them once, and reads back where they do. With `layoutOf` (watchLayouts) the bind groups are the very same ones; without,
 * groups of one small buffer.
 */
export async function floorOf(device, recorded, layoutOf) {
  const log = inOneGo(recorded);
  const usage = GPUBufferUsage;
  const storage = device.createBuffer({
    size: 1 << 20,
    usage: usage.STORAGE | usage.COPY_DST | usage.COPY_SRC,
  });
  const largest = Math.max(256, ...log.filter((c) => c.bytes).map((c) => c.bytes));
  const data = device.createBuffer({ size: pad(largest), usage: usage.COPY_DST | usage.COPY_SRC });
  const bytes = new Uint8Array(pad(largest));
  const pipelines = new Map();
  const groups = new Map();
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'storage' } }],
  });
  let pipeline;
  for (const { kind, id, group } of log) {
    if (kind === 'pipeline') pipeline = id;
    if (kind === 'group' && !pipelines.has(pipeline)) {
      const code = layoutOf
        ? `@compute @workgroup_size(64) fn main() { let unlike = ${pipeline}u; }`
        : `@group(0) @binding(0) var<storage, read_write> b: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) g: vec3u) {
          if (g.x == ${4_000_000_000 + pipeline}u) { b[0] = ${pipeline}u; } }`;
      pipelines.set(
        pipeline,
        await device.createComputePipelineAsync({
          layout: device.createPipelineLayout({
            bindGroupLayouts: [layoutOf ? layoutOf(group) : layout],
          }),
          compute: { module: device.createShaderModule({ code }) },
        }),
      );
    }
  }
  for (const { kind, id, group } of log) {
    if (kind === 'group' && layoutOf) groups.set(id, group);
    if (kind === 'group' && !groups.has(id)) {
      const offset = (groups.size % 1024) * 256;
      groups.set(
        id,
        device.createBindGroup({
          layout,
          entries: [{ binding: 0, resource: { buffer: storage, offset, size: 256 } }],
        }),
      );
    }
  }
  const ring = [0, 1, 2, 3].map(() =>
    device.createBuffer({ size: pad(largest), usage: usage.MAP_READ | usage.COPY_DST }),
  );
  let turn = 0;
  const reads = log.some(({ kind }) => kind === 'map');

  /** Gives [milliseconds in all, milliseconds until submitted]. */
  return async () => {
    const target = ring[turn++ % ring.length];
    const started = performance.now();
    let encoder;
    let pass;
    let copies = 0;
    for (const command of log) {
      if (command.kind === 'write') device.queue.writeBuffer(data, 0, bytes, 0, pad(command.bytes));
      if (command.kind === 'submit') {
        device.queue.submit(encoder ? [encoder.finish()] : []);
        encoder = undefined;
      }
      if (command.kind === 'begin')
        pass = (encoder ??= device.createCommandEncoder()).beginComputePass();
      if (command.kind === 'end') pass.end();
      if (command.kind === 'pipeline') pass.setPipeline(pipelines.get(command.id));
      if (command.kind === 'group') pass.setBindGroup(0, groups.get(command.id));
      if (command.kind === 'dispatch') pass.dispatchWorkgroups(1);
      if (command.kind === 'copy') {
        encoder ??= device.createCommandEncoder();
        encoder.copyBufferToBuffer(data, 0, target, 0, pad(command.bytes));
        copies = Math.max(copies, pad(command.bytes));
      }
    }
    const submitted = performance.now();
    if (!reads) return [submitted - started, submitted - started];
    await target.mapAsync(GPUMapMode.READ, 0, Math.max(4, copies));
    new Uint8Array(target.getMappedRange(0, Math.max(4, copies))).slice();
    target.unmap();
    return [performance.now() - started, submitted - started];
  };
}

const pad = (bytes) => Math.ceil(Math.max(bytes, 4) / 4) * 4;

/** GPU milliseconds of the compute passes that `run` submits, by timestamp queries; null without. */
export async function gpuTime(device, run) {
  if (!device.features.has('timestamp-query')) return null;
  const capacity = 4096;
  const set = device.createQuerySet({ type: 'timestamp', count: capacity });
  let used = 0;
  const original = GPUCommandEncoder.prototype.beginComputePass;
  GPUCommandEncoder.prototype.beginComputePass = function (descriptor = {}) {
    if (used + 2 > capacity) return original.call(this, descriptor);
    const begin = used;
    used += 2;
    return original.call(this, {
      ...descriptor,
      timestampWrites: {
        querySet: set,
        beginningOfPassWriteIndex: begin,
        endOfPassWriteIndex: begin + 1,
      },
    });
  };
  try {
    await run();
  } finally {
    GPUCommandEncoder.prototype.beginComputePass = original;
  }
  const usage = GPUBufferUsage;
  const resolved = device.createBuffer({
    size: capacity * 8,
    usage: usage.QUERY_RESOLVE | usage.COPY_SRC,
  });
  const target = device.createBuffer({
    size: capacity * 8,
    usage: usage.MAP_READ | usage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(set, 0, used, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, target, 0, capacity * 8);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(GPUMapMode.READ);
  const stamps = new BigUint64Array(target.getMappedRange().slice(0));
  target.unmap();
  for (const object of [set, resolved, target]) object.destroy();
  let total = 0n;
  for (let i = 0; i < used; i += 2) total += stamps[i + 1] - stamps[i];
  return Number(total) / 1e6;
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
