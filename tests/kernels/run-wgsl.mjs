// Runs WGSL kernels on a GPU: on Dawn in Node, on wgpu (naga) in Deno.
//
//   run-wgsl.mjs [FILE]           one dispatch, JSON from FILE or stdin: {wgsl, workgroups,
//                                 overrides?, bindings: [{access, size?, data?}]}, data in base64.
//                                 Prints {bindings: [base64, or null where not written]}.
//   run-wgsl.mjs --cases FILE...  JSON lines, as src/shader/gpu_cases_testing.h writes them; each
//                                 kernel's outputs are compared, and the words around them.
//        --only TEXT              those cases whose names contain TEXT
//        --compile TEXT           those whose names contain TEXT are validated, not run
//        --verbose                prints the WGSL of failing cases
//
// SwiftShader: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json, and for Deno the flags
// run -A --unstable-webgpu.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Buffer } from 'node:buffer';

import { softwareToggles } from '../../tools/lib/vulkan.mjs';

const GUARD_BYTES = 256;
const GUARD_WORD = 0x7fdecade; // a NaN

/** What WGSL enables, by the name of the device's feature. */
const FEATURES = {
  f16: 'shader-f16',
  subgroups: 'subgroups',
  chromium_experimental_subgroup_matrix: 'chromium-experimental-subgroup-matrix',
};
const UNSAFE = 'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia';

let dawn;
/** navigator.gpu, or Dawn in Node: npm `webgpu`, or the dawn.node that DAWN_NODE names. */
async function openGpu(options) {
  if (!dawn) {
    if (globalThis.navigator?.gpu) return globalThis.navigator.gpu;
    const { createRequire } = await import('node:module');
    dawn = process.env.DAWN_NODE
      ? createRequire(import.meta.url)(process.env.DAWN_NODE)
      : await import('webgpu');
    Object.assign(globalThis, dawn.globals);
    globalThis.quernGpus = []; // Dawn's instances must outlive the devices
  }
  const gpu = dawn.create([...options, ...softwareToggles]);
  globalThis.quernGpus.push(gpu);
  return gpu;
}

async function requestDevice(gpu) {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('no WebGPU adapter');
  const { limits } = adapter;
  return adapter.requestDevice({
    requiredFeatures: Object.values(FEATURES).filter((name) => adapter.features.has(name)),
    requiredLimits: {
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxBufferSize: limits.maxBufferSize,
    },
  });
}

/** @returns {Promise<GPUDevice>} */
export async function openDevice() {
  return requestDevice(await openGpu([UNSAFE]));
}

/** Dawn's device that has all features and runs nothing; undefined without Dawn. */
async function openNullDevice() {
  return dawn && requestDevice(await openGpu([UNSAFE, 'backend=null']));
}

/** Does the device lack what the program enables, or are its subgroups too small for it? */
function lacks(device, wgsl) {
  const least = Number(/^const SUBGROUP = (\d+)u;/m.exec(wgsl)?.[1] ?? 0);
  if (least > (device.adapterInfo?.subgroupMinSize ?? 0)) return true;
  const enabled = [...wgsl.matchAll(/^enable ([^;]*);/gm)].flatMap(([, names]) => names.split(','));
  return enabled.some((name) => !device.features.has(FEATURES[name.trim()]));
}

/** The error in a program, or ''. */
async function compileError(device, wgsl) {
  device.pushErrorScope('validation');
  device.createShaderModule({ code: wgsl });
  return (await device.popErrorScope())?.message ?? '';
}

const bytesOf = (base64) => new Uint8Array(Buffer.from(base64, 'base64'));
const roundUp = (n, to) => Math.ceil(n / to) * to;

/**
 * Runs one dispatch. Each storage binding is a slice with guard words around it, of the size
 * rounded up to 16 bytes.
 * @returns for each writable binding the slice and its guards: {bytes, guardsIntact}
 */
export async function dispatch(device, { wgsl, workgroups, overrides = {}, bindings }) {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: wgsl });
  const { messages } = await module.getCompilationInfo();
  const bad = messages.find(({ type }) => type === 'error');
  const types = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' };
  const layout = device.createBindGroupLayout({
    entries: bindings.map(({ access }, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: types[access] },
    })),
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main', constants: overrides },
  });
  const error = await device.popErrorScope();
  if (bad || error) throw new Error(`WGSL: ${bad?.message ?? error?.message}`);

  const buffers = bindings.map(({ access, size, data }) => {
    const bytes = bytesOf(data ?? '');
    const slice = Math.max(16, roundUp(size ?? bytes.length, 16));
    const uniform = access === 'uniform';
    const guard = uniform ? 0 : GUARD_BYTES;
    const buffer = device.createBuffer({
      size: slice + 2 * guard,
      usage:
        GPUBufferUsage.COPY_DST |
        GPUBufferUsage.COPY_SRC |
        (uniform ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE),
    });
    const contents = new Uint8Array(slice + 2 * guard);
    if (!uniform) new Uint32Array(contents.buffer).fill(GUARD_WORD);
    contents.set(bytes, guard);
    device.queue.writeBuffer(buffer, 0, contents);
    return { access, buffer, slice, guard };
  });
  const group = device.createBindGroup({
    layout,
    entries: buffers.map(({ buffer, slice, guard }, binding) => ({
      binding,
      resource: { buffer, offset: guard, size: slice },
    })),
  });
  device.pushErrorScope('validation');
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  if (!workgroups.includes(0)) pass.dispatchWorkgroups(...workgroups);
  pass.end();
  const reads = buffers.map(({ access, buffer, slice, guard }) => {
    if (access !== 'read_write') return null;
    const size = slice + 2 * guard;
    const to = device.createBuffer({
      size,
      usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    });
    encoder.copyBufferToBuffer(buffer, 0, to, 0, size);
    return to;
  });
  device.queue.submit([encoder.finish()]);
  const failed = await device.popErrorScope();
  if (failed) throw new Error(failed.message);
  const results = [];
  for (const [i, to] of reads.entries()) {
    if (!to) {
      results.push(null);
      continue;
    }
    await to.mapAsync(GPUMapMode.READ);
    const all = new Uint8Array(to.getMappedRange().slice(0));
    to.destroy();
    const { guard, slice } = buffers[i];
    const words = new Uint32Array(all.buffer);
    const intact = words.every(
      (w, k) => (k * 4 >= guard && k * 4 < guard + slice) || w === GUARD_WORD,
    );
    results.push({ bytes: all.slice(guard, guard + slice), guardsIntact: intact });
  }
  for (const { buffer } of buffers) buffer.destroy();
  return results;
}

const BITS = {
  f64: 64,
  i64: 64,
  u64: 64,
  f32: 32,
  i32: 32,
  u32: 32,
  f16: 16,
  bf16: 16,
  i16: 16,
  u16: 16,
  i8: 8,
  u8: 8,
  bool: 8,
  i4: 4,
  u4: 4,
  i2: 2,
  u2: 2,
  f8e4m3fn: 8,
  f8e4m3fnuz: 8,
  f8e5m2: 8,
  f8e5m2fnuz: 8,
  f8e8m0: 8,
  f4e2m1: 4,
};

/** The value of a float of `mantissa` and `exponent` bits, with infinities where IEEE has them. */
function small(code, mantissa, exponent, bias, ieee) {
  const sign = code >> (mantissa + exponent) ? -1 : 1;
  const e = (code >> mantissa) & ((1 << exponent) - 1);
  const m = code & ((1 << mantissa) - 1);
  if (ieee && e === (1 << exponent) - 1) return m ? NaN : sign * Infinity;
  return (
    sign * (e ? (1 + m / 2 ** mantissa) * 2 ** (e - bias) : (m / 2 ** mantissa) * 2 ** (1 - bias))
  );
}

/** Element `i` as a number (bigint for 64-bit integers). */
function element(dtype, bytes, i) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const bits = BITS[dtype];
  if (bits < 8) {
    const code = (bytes[(i * bits) >> 3] >> ((i * bits) & 7)) & ((1 << bits) - 1);
    return dtype === 'f4e2m1' ? small(code, 1, 2, 1, false) : code;
  }
  switch (dtype) {
    case 'f64':
      return view.getFloat64(i * 8, true);
    case 'i64':
      return view.getBigInt64(i * 8, true);
    case 'u64':
      return view.getBigUint64(i * 8, true);
    case 'f32':
      return view.getFloat32(i * 4, true);
    case 'i32':
      return view.getInt32(i * 4, true);
    case 'u32':
      return view.getUint32(i * 4, true);
    case 'f16':
      return small(view.getUint16(i * 2, true), 10, 5, 15, true);
    case 'bf16':
      return small(view.getUint16(i * 2, true), 7, 8, 127, true);
    case 'i16':
      return view.getInt16(i * 2, true);
    case 'u16':
      return view.getUint16(i * 2, true);
    case 'f8e4m3fn':
      return (bytes[i] & 127) === 127 ? NaN : small(bytes[i], 3, 4, 7, false);
    case 'f8e4m3fnuz':
      return bytes[i] === 128 ? NaN : small(bytes[i], 3, 4, 8, false);
    case 'f8e5m2':
      return small(bytes[i], 2, 5, 15, true);
    case 'f8e5m2fnuz':
      return bytes[i] === 128 ? NaN : small(bytes[i], 2, 5, 16, false);
    case 'f8e8m0':
      return bytes[i] === 255 ? NaN : 2 ** (bytes[i] - 127);
    default:
      return dtype === 'i8' ? view.getInt8(i) : bytes[i];
  }
}

const FLUSHED = 1.1754943508222875e-38; // subnormals may become 0

function isNear(got, want, { dtype, rtol, atol }) {
  if (typeof want === 'bigint' || !/f/.test(dtype)) return got === want;
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (got === want) return true;
  if (!Number.isFinite(want) || !Number.isFinite(got)) return false;
  if (Math.abs(want) <= FLUSHED && Math.abs(got) <= FLUSHED) return true;
  return Math.abs(got - want) <= atol + rtol * Math.abs(want);
}

/** What is wrong with a case's results; empty where nothing is. */
function check(results, { outputs }) {
  for (const [k, output] of outputs.entries()) {
    const { bytes, guardsIntact } = results[output.binding];
    const want = bytesOf(output.expected);
    if (!guardsIntact) return `output ${k}: writes outside of its slice`;
    let wrong = 0;
    let first = '';
    for (let i = 0; i < output.count; i++) {
      const a = element(output.dtype, bytes, i);
      const b = element(output.dtype, want, i);
      if (isNear(a, b, output)) continue;
      if (wrong++ === 0) first = `element ${i} is ${a}, expected ${b}`;
    }
    if (wrong) return `output ${k} (${output.dtype}): ${wrong} of ${output.count} wrong: ${first}`;
    const tail = new Uint32Array(bytes.slice(roundUp(want.length, 4)).buffer);
    if (!tail.every((w) => w === GUARD_WORD)) return `output ${k}: writes past its last word`;
  }
  return '';
}

/** The case with what its earlier steps leave in the memory that it shares with them. */
async function afterEarlier(device, one) {
  const left = [];
  const filled = (step) => ({
    ...step,
    bindings: step.bindings.map((binding) => {
      const [number, place] = binding.from ?? [];
      return binding.from ? { ...binding, data: left[number][place] } : binding;
    }),
  });
  for (const step of one.earlier ?? []) {
    const results = await dispatch(device, filled(step));
    left.push(results.map((result) => result && Buffer.from(result.bytes).toString('base64')));
  }
  return filled(one);
}

const PROGRESS_MS = 30_000;

async function runCases(device, files, { only, compile, verbose }) {
  let passed = 0;
  let compiled = 0;
  let skipped = 0;
  let nullDevice;
  const failures = [];
  const fail = (name, problem) => {
    failures.push(name);
    console.log(`FAIL ${name}: ${problem}`);
  };
  // What no error scope catches is told of late: of this case or one before it.
  let current = '';
  device.addEventListener('uncapturederror', ({ error }) =>
    fail(`at or before ${current}`, error.message),
  );
  void device.lost.then(({ message }) => fail(`at or before ${current}`, `lost: ${message}`));
  let told = performance.now();
  for (const file of files) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (!line) continue;
      const one = JSON.parse(line);
      if (only && !one.name.includes(only)) continue;
      // A slow driver takes minutes: a run that is killed has told where.
      if (performance.now() - told > PROGRESS_MS) {
        told = performance.now();
        console.error(`${passed + compiled + failures.length} done, next ${one.name}`);
      }
      current = one.name;
      const texts = [...(one.earlier ?? []), one].map(({ wgsl }) => wgsl);
      const lacking = texts.some((wgsl) => lacks(device, wgsl));
      if (lacking) nullDevice ??= (await openNullDevice()) ?? 'none';
      if (lacking && nullDevice === 'none') {
        skipped++;
        continue;
      }
      const compileOnly = lacking || (compile && one.name.includes(compile));
      let problem;
      try {
        if (compileOnly) {
          for (const wgsl of texts) {
            problem ||= await compileError(lacking ? nullDevice : device, wgsl);
          }
        } else {
          problem = check(await dispatch(device, await afterEarlier(device, one)), one);
        }
      } catch (e) {
        problem = e.message;
      }
      if (problem) {
        fail(one.name, problem);
        if (verbose) console.log(one.wgsl);
      } else if (compileOnly) {
        compiled++;
      } else {
        passed++;
      }
    }
  }
  if (passed + compiled + failures.length === 0) fail('none', 'there are no cases');
  const more =
    (compiled ? `, ${compiled} compiled only` : '') +
    (skipped ? `, ${skipped} skipped: the device lacks a feature` : '');
  console.log(`${passed} passed, ${failures.length} failed${more}`);
  return failures.length === 0;
}

async function main(args) {
  const device = await openDevice();
  const cases = args.indexOf('--cases');
  if (cases < 0) {
    const { bindings } = {
      bindings: await dispatch(device, JSON.parse(readFileSync(args[0] ?? 0, 'utf8'))),
    };
    const texts = bindings.map((b) => b && Buffer.from(b.bytes).toString('base64'));
    console.log(JSON.stringify({ bindings: texts }));
    return true;
  }
  const textAfter = (option) => (args.includes(option) ? args[args.indexOf(option) + 1] : '');
  const only = textAfter('--only');
  const compile = textAfter('--compile');
  const files = args
    .slice(cases + 1)
    .filter((a) => !a.startsWith('--') && a !== only && a !== compile);
  return runCases(device, files, { only, compile, verbose: args.includes('--verbose') });
}

if (import.meta.main ?? process.argv[1] === new URL(import.meta.url).pathname) {
  const args = globalThis.Deno ? globalThis.Deno.args : process.argv.slice(2);
  process.exit((await main(args)) ? 0 : 1);
}
