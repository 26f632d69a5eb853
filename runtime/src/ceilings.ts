// What a device does at best, measured: bytes by a copy, arithmetic by multiply-adds in registers,
// and what a dispatch with nothing to do takes.

import { Usage } from './gpu.js';
import { median, readTimestamps, setSize } from './timestamps.js';

export interface Ceilings {
  /** Read and written, by a kernel that copies a large buffer. */
  bytesPerSecond: number;
  /** f32, two a multiply-add. */
  flopsPerSecond: number;
  /** f16; undefined where the device has no shader-f16. */
  halfFlopsPerSecond: number | undefined;
  /** Microseconds between the timestamps around an empty dispatch. */
  emptyTime: number;
}

/** Times of one dispatch are to be so many microseconds, lest its start counts. */
const enough = 1000;
const workgroupSize = 256;
/** Multiply-adds of a round: eight vectors of four, so that none waits for the one before. */
const fmaFlops = 8 * 4 * 2;

const copyCode = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${workgroupSize}u;
  if (i < arrayLength(&result)) { result[i] = source[i]; }
}`;

const fmaCode = (type: 'f32' | 'f16'): string => `
${type === 'f16' ? 'enable f16;' : ''}
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let rounds = u32(source[0].x);
  let x = vec4<${type}>(source[1]);
  let y = vec4<${type}>(source[2]);
  var s = array<vec4<${type}>, 8>();
  for (var i = 0u; i < rounds; i++) {
${Array.from({ length: 8 }, (_, i) => `    s[${i}] = fma(s[${i}], x, y);`).join('\n')}
  }
  let sum = s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
  // Never so, but the compiler can't know.
  if (f32(sum.x) == 1.25) { result[id.x % arrayLength(&result)] = vec4f(sum); }
}`;

const emptyCode = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@compute @workgroup_size(1) fn main() {
  if (source[0].x == -1) { result[0] = vec4f(); }
}`;

/** Of a device with the feature timestamp-query. Takes some tens of milliseconds of its time. */
export async function measureCeilings(device: GPUDevice): Promise<Ceilings> {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const most = Math.min(256 << 20, maxBufferSize, maxStorageBufferBindingSize);
  const buffers: GPUBuffer[] = [];
  const buffer = (size: number): GPUBuffer => {
    const usage = Usage.storage | Usage.copyTarget;
    const made = device.createBuffer({ label: 'quern ceiling', size, usage });
    buffers.push(made);
    return made;
  };
  try {
    const small = [buffer(1 << 16), buffer(1 << 16)] as const;
    const setRounds = (rounds: number): void => {
      const words = Float32Array.of(rounds, 0, 0, 0, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5);
      device.queue.writeBuffer(small[0], 0, words);
    };
    setRounds(0);
    const empty = await Timed.make(device, emptyCode);
    const emptyTime = median(await empty.times(small, [1, 1], 16));

    const copy = await Timed.make(device, copyCode);
    let bytesPerSecond = 0;
    // Larger than caches, as large as it takes to be exact.
    for (let size = 16 << 20; ; size = most) {
      const pair = [buffer(size), buffer(size)] as const;
      const groups = size / 16 / workgroupSize;
      const time = Math.min(...(await copy.times(pair, [4096, groups / 4096], 5)));
      bytesPerSecond = (2 * size * 1e6) / time;
      for (const one of pair) one.destroy();
      if (size >= most || time > 10 * enough) break;
    }

    const fmaRate = async (type: 'f32' | 'f16'): Promise<number> => {
      const kernel = await Timed.make(device, fmaCode(type));
      const groups = 4096;
      let rounds = 1;
      for (;;) {
        setRounds(rounds);
        const time = Math.min(...(await kernel.times(small, [groups, 1], 4)));
        if (time > enough || rounds >= 4096) {
          return (groups * workgroupSize * rounds * fmaFlops * 1e6) / time;
        }
        rounds *= 8;
      }
    };
    return {
      bytesPerSecond,
      flopsPerSecond: await fmaRate('f32'),
      halfFlopsPerSecond: device.features.has('shader-f16') ? await fmaRate('f16') : undefined,
      emptyTime,
    };
  } finally {
    for (const made of buffers) made.destroy();
  }
}

/** A kernel whose dispatches are timed. */
class Timed {
  private constructor(
    readonly device: GPUDevice,
    readonly pipeline: GPUComputePipeline,
  ) {}

  static async make(device: GPUDevice, code: string): Promise<Timed> {
    const module = device.createShaderModule({ label: 'quern ceiling', code });
    return new Timed(
      device,
      await device.createComputePipelineAsync({ layout: 'auto', compute: { module } }),
    );
  }

  /** Microseconds of each of `count` dispatches after one that is not timed. */
  async times(
    bindings: readonly GPUBuffer[],
    [x, y]: readonly [number, number],
    count: number,
  ): Promise<number[]> {
    const { device, pipeline } = this;
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: bindings.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const querySet = device.createQuerySet({ type: 'timestamp', count: setSize });
    const encoder = device.createCommandEncoder();
    for (let i = 0; i <= count; i++) {
      const timestampWrites = {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      };
      const pass = encoder.beginComputePass({ timestampWrites });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y);
      pass.end();
    }
    device.queue.submit([encoder.finish()]);
    const stamps = await readTimestamps(device, [querySet], 2 * (count + 1));
    querySet.destroy();
    const time = (i: number): number => Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1000;
    return Array.from({ length: count }, (_, i) => time(i + 1));
  }
}
