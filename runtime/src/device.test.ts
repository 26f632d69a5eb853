import { describe, expect, it } from 'vitest';

import { chooseDevice, targetWords } from './device.js';
import { platform } from './platform.js';

const shape = { M: 16, N: 16, K: 16 };
const halves = { componentType: 'f16', resultComponentType: 'f32', ...shape };

interface Fake {
  features?: string[];
  sizes?: [number, number];
  configs?: object[];
  vendor?: string;
  description?: string;
  /** What the device says of the probe. */
  error?: { message: string };
}

/** As much of a GPUDevice as choosing one touches. */
function fake({ features, sizes = [32, 32], configs = [halves], error, ...names }: Fake) {
  const codes: string[] = [];
  const device = {
    features: new Set(
      features ?? ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'],
    ),
    limits: { maxStorageBufferBindingSize: 2 ** 33, maxBufferSize: 2 ** 34 },
    adapterInfo: {
      ...names,
      subgroupMinSize: sizes[0],
      subgroupMaxSize: sizes[1],
      subgroupMatrixConfigs: configs,
    },
    createBuffer() {},
    pushErrorScope() {},
    popErrorScope: () => Promise.resolve(error ?? null),
    createShaderModule: ({ code }: { code: string }) => codes.push(code),
    createComputePipeline() {},
  };
  return { device: device as unknown as GPUDevice, codes };
}

async function words(of: Fake) {
  const { device, codes } = fake(of);
  const chosen = await chooseDevice(device);
  if (chosen.kind !== 'webgpu') throw new Error('no GPU');
  const all = [...targetWords(chosen.open, true)];
  return { matrix: all.slice(15, 18), family: all.slice(18), codes };
}

const none = [0, 0, 0];

describe('subgroup matrices', () => {
  it('are told to the core where the device has them', async () => {
    const { matrix, codes } = await words({
      configs: [{ ...halves, M: 8, N: 8, K: 8, resultComponentType: 'f16' }, halves],
    });
    expect(matrix).toEqual([16, 16, 16]);
    expect(codes).toHaveLength(1);
    expect(codes[0]).toContain('enable chromium_experimental_subgroup_matrix;');
  });

  it('need shader-f16, subgroups, and the feature', async () => {
    for (const lacking of ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix']) {
      const all = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
      const found = await words({ features: all.filter((name) => name !== lacking) });
      expect(found).toMatchObject({ matrix: none, codes: [] });
    }
  });

  it('need subgroups of one size, f16 operands and f32 sums', async () => {
    expect((await words({ sizes: [16, 32] })).matrix).toEqual(none);
    expect((await words({ sizes: [0, 0] })).matrix).toEqual(none);
    const sums = { ...halves, resultComponentType: 'f16' };
    expect((await words({ configs: [sums] })).matrix).toEqual(none);
    expect((await words({ configs: [] })).matrix).toEqual(none);
  });

  it('are left alone where the browser has another form of them', async () => {
    const { matrix, codes } = await words({ error: { message: 'no such builtin' } });
    expect(matrix).toEqual(none);
    expect(codes).toHaveLength(1);
  });
});

describe('the family of a device', () => {
  it('says how many cores it has: a guess by vendor, or those of the CPU that emulates a GPU', async () => {
    expect((await words({ vendor: 'amd' })).family).toEqual([0, 0, 0]);
    expect((await words({ vendor: 'nvidia' })).family).toEqual([0, 0, 3]);
    expect((await words({ vendor: 'Apple' })).family).toEqual([16, 0, 0]);
    const { family } = await words({ vendor: 'google', description: 'SwiftShader' });
    expect(family).toEqual([platform.cores(), 1, 0]);
  });
});
