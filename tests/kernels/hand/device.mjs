// Runs .wgsl kernels as they lie (default config, or another) on WebGPU: Dawn in Node, naga in
// Deno. Tests of src/ops/{matrix,conv,norm,attention,recurrent} by hand-written references.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import process from 'node:process';

import { softwareToggles } from '../../../tools/lib/vulkan.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const ICD = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_ICD_FILENAMES && !process.env.QUERN_GPU) process.env.VK_ICD_FILENAMES = ICD;

function findFiles(dir, out = new Map()) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) findFiles(path, out);
    else if (entry.name.endsWith('.wgsl')) out.set(basename(entry.name, '.wgsl'), path);
  }
  return out;
}
const files = findFiles(join(root, 'src'));

/** The WGSL of a kernel with its config replaced and optional parts chosen by `config`. */
export function wgsl(name, config = {}) {
  const seen = new Set();
  const read = (n) => {
    if (seen.has(n)) return '';
    seen.add(n);
    return readFileSync(files.get(n), 'utf8').replace(/^\/\/@use (\w+)$/gm, (_, s) => read(s));
  };
  let text = read(name);
  const out = [];
  const stack = [];
  for (const line of text.split('\n')) {
    const open = /^\s*\/\/#if (!?)(\w+)/.exec(line);
    if (open) stack.push((Number(config[open[2]] ?? 1) !== 0) !== (open[1] === '!'));
    else if (/^\s*\/\/#endif/.test(line)) stack.pop();
    else if (stack.every(Boolean)) out.push(line);
  }
  text = out
    .join('\n')
    .replace(
      /^(const|alias|override) (\w+)([^=]*)= ([^;]+); *\/\/@config.*$/gm,
      (all, kind, key, type, value) => {
        if (!(key in config)) return all;
        const suffix = /^-?[\d.]+(u|i|f)$/.exec(value)?.[1] ?? '';
        return `${kind} ${key}${type}= ${config[key]}${suffix};`;
      },
    );
  // Tensors with a load of four are arrays of vectors, as in the instantiated kernel.
  for (const [, x] of text.matchAll(/\/\/@load4 (\w+)$/gm)) {
    text = text
      .replace(new RegExp(`(var<storage, read> ${x}): array<f32>`), '$1: array<vec4f>')
      .replace(
        new RegExp(`(fn load_${x}\\(.*\\{) .* (\\} //@load ${x})$`, 'm'),
        `$1 return ${x}[i >> 2u][i & 3u]; $2`,
      )
      .replace(new RegExp(`(fn load4_${x}\\(.*\\{) .* (\\} //@load4)`), `$1 return ${x}[i]; $2`);
  }
  let binding = 0;
  return text.replace(/@binding\(\d+\)/g, () => `@binding(${binding++})`);
}

let devicePromise;
export async function getDevice() {
  devicePromise ??= (async () => {
    let gpu = globalThis.navigator?.gpu;
    if (!globalThis.Deno) {
      const webgpu = await import(
        process.env.QUERN_WEBGPU ?? join(root, 'node_modules/webgpu/index.js')
      );
      Object.assign(globalThis, webgpu.globals);
      gpu = webgpu.create(softwareToggles);
      globalThis.keepGpu = gpu;
    }
    const adapter = await gpu.requestAdapter();
    const wanted = ['timestamp-query'].filter((f) => adapter.features.has(f));
    return adapter.requestDevice({ requiredFeatures: wanted });
  })();
  return devicePromise;
}

const pipelines = new Map();

async function pipelineOf(name, config) {
  const text = wgsl(name, config);
  if (pipelines.has(text)) return pipelines.get(text);
  const device = await getDevice();
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: text });
  const entries = [];
  const bindings = [];
  for (const m of text.matchAll(/@binding\((\d+)\) var<(\w+)(?:, (\w+))?> (\w+)/g)) {
    const type = m[2] === 'uniform' ? 'uniform' : m[3] === 'read' ? 'read-only-storage' : 'storage';
    entries.push({ binding: Number(m[1]), visibility: 4, buffer: { type } });
    bindings.push({ name: m[4], type });
  }
  const layout = device.createBindGroupLayout({ entries });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main' },
  });
  const error = await device.popErrorScope();
  if (error) throw new Error(`${name} ${JSON.stringify(config)}: ${error.message}`);
  const fields = /struct Params \{([^}]*)\}/.exec(text)?.[1] ?? '';
  const params = [...fields.matchAll(/(\w+): (u32|i32|f32)/g)].map((m) => [m[1], m[2]]);
  const made = { pipeline, layout, bindings, params };
  pipelines.set(text, made);
  return made;
}

/** Only compiles. */
export async function compile(name, config = {}) {
  await pipelineOf(name, config);
}

/**
 * Runs one dispatch. `data` has a typed array for each storage binding; those bound read_write
 * are written back. `params` are by field name. Guard words after outputs must stay.
 */
export async function run(name, config, data, params, workgroups, time = null) {
  const device = await getDevice();
  const made = await pipelineOf(name, config);
  const buffers = [];
  const uniform = new Uint8Array(Math.max(16, (made.params.length * 4 + 15) & ~15));
  const view = new DataView(uniform.buffer);
  made.params.forEach(([field, type], i) => {
    if (!(field in params)) throw new Error(`${name}: no param ${field}`);
    if (type === 'f32') view.setFloat32(i * 4, params[field], true);
    else view.setInt32(i * 4, params[field], true);
  });
  for (const key of Object.keys(params)) {
    if (!made.params.some(([f]) => f === key)) throw new Error(`${name}: unknown param ${key}`);
  }
  const GUARD = 256;
  for (const b of made.bindings) {
    const source = b.type === 'uniform' ? uniform : data[b.name];
    if (!source) throw new Error(`${name}: no data for ${b.name}`);
    const bytes = Math.max(16, (source.byteLength + 15) & ~15);
    const buffer = device.createBuffer({
      size: bytes + GUARD,
      usage: b.type === 'uniform' ? 64 | 8 : 128 | 8 | 4,
    });
    const filled = new Uint8Array(bytes + GUARD).fill(0xee);
    filled.set(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
    device.queue.writeBuffer(buffer, 0, filled);
    buffers.push({ ...b, buffer, source, bytes });
  }
  const group = device.createBindGroup({
    layout: made.layout,
    entries: buffers.map((b, binding) => ({
      binding,
      resource: {
        buffer: b.buffer,
        size: b.type === 'storage' ? Math.max(4, (b.source.byteLength + 3) & ~3) : b.bytes,
      },
    })),
  });
  const [x, y = 1, z = 1] = workgroups;
  const encode = (n) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(made.pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < n; i++) pass.dispatchWorkgroups(x, y, z);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  encode(1);
  for (const b of buffers.filter((b) => b.type === 'storage')) {
    const read = device.createBuffer({ size: b.bytes + GUARD, usage: 1 | 8 });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(b.buffer, 0, read, 0, b.bytes + GUARD);
    device.queue.submit([encoder.finish()]);
    await read.mapAsync(1);
    const got = new Uint8Array(read.getMappedRange().slice(0));
    for (let i = b.source.byteLength; i < got.length; i++) {
      if (got[i] !== 0xee) throw new Error(`${name}: wrote past the end of ${b.name}`);
    }
    new Uint8Array(b.source.buffer, b.source.byteOffset, b.source.byteLength).set(
      got.subarray(0, b.source.byteLength),
    );
    read.destroy();
  }
  let seconds = 0;
  if (time) {
    await device.queue.onSubmittedWorkDone();
    // The best of several batches: clocks of a shared GPU vary.
    seconds = Infinity;
    const end = performance.now() + Number(process.env.QUERN_TIME ?? 100);
    for (let runs = time; performance.now() < end;) {
      const t0 = performance.now();
      encode(runs);
      await device.queue.onSubmittedWorkDone();
      const t = performance.now() - t0;
      seconds = Math.min(seconds, t / 1000 / runs);
      if (t < 30) runs *= 2;
    }
  }
  for (const b of buffers) b.buffer.destroy();
  return seconds;
}

let seed = 12345;
export function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
}
export const randoms = (n) => Float32Array.from({ length: n }, random);
export const randint = (a, b) => a + Math.floor(((random() + 1) / 2) * (b - a + 1));
export const pick = (list) => list[randint(0, list.length - 1)];

/** Relative L2 difference. */
export function difference(got, want) {
  let d = 0;
  let n = 0;
  for (let i = 0; i < want.length; i++) {
    if (Number.isNaN(want[i]) && Number.isNaN(got[i])) continue;
    if (Number.isFinite(want[i])) n += want[i] ** 2;
    if (want[i] !== got[i]) d += (got[i] - want[i]) ** 2;
  }
  return Math.sqrt(d / Math.max(n, 1e-12));
}

let failures = 0;
export function check(title, got, want, tolerance = 1e-5) {
  const d = difference(got, want);
  const ok = d <= tolerance;
  if (!ok) failures++;
  if (!ok || process.env.VERBOSE) console.log(ok ? 'ok  ' : 'FAIL', title, d.toExponential(2));
}
export function finish(name) {
  console.log(`${name}: ${failures ? `${failures} failures` : 'ok'}`);
  process.exit(failures ? 1 : 0);
}
