import { afterAll, describe, expect, test } from 'vitest';
import { countingDevice } from '../support/counting-device.js';
import { dawnAdapter, defaultLimitsDevice, openDawn } from '../support/dawn.js';
import { doubleAndAddOne } from '../support/gpu-smoke.js';

const devices: GPUDevice[] = [];
afterAll(() => devices.forEach((device) => device.destroy()));

function opened(device: GPUDevice): GPUDevice {
  devices.push(device);
  return device;
}

const values = Float32Array.from({ length: 1000 }, (_, i) => i / 4);
const doubled = values.map((x) => 2 * x + 1);

describe('Dawn in Node (control)', () => {
  test('runs a compute shader', async () => {
    const device = opened((await openDawn()).device);
    expect(await doubleAndAddOne(device, values)).toEqual(doubled);
  });

  test('runs it within the default limits too', async () => {
    const device = opened(await defaultLimitsDevice());
    expect(await doubleAndAddOne(device, values)).toEqual(doubled);
    expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(device.limits.maxStorageBufferBindingSize).toBe(128 << 20);
    expect(device.limits.maxComputeWorkgroupStorageSize).toBe(16 << 10);
    expect(device.limits.maxComputeInvocationsPerWorkgroup).toBe(256);
    const features = [...device.features].filter((name) => name !== 'core-features-and-limits');
    expect(features).toEqual([]);
  });

  test('reports a shader that does not compile', async () => {
    const device = opened(await defaultLimitsDevice());
    device.pushErrorScope('validation');
    device.createShaderModule({ code: 'not wgsl' });
    expect(await device.popErrorScope()).not.toBeNull();
  });

  test('names its adapter', async () => {
    const { info } = await dawnAdapter();
    expect(`${info.vendor} ${info.architecture} ${info.description}`.trim()).not.toBe('');
  });
});

describe('countingDevice', () => {
  test('counts calls, dispatches and bytes', async () => {
    const { device, counts } = countingDevice(opened(await defaultLimitsDevice()));
    expect(await doubleAndAddOne(device, values)).toEqual(doubled);
    expect(counts.calls).toMatchObject({
      createBindGroup: 1,
      createBuffer: 2,
      createCommandEncoder: 1,
      createComputePipeline: 0,
      createComputePipelineAsync: 1,
      createShaderModule: 1,
      submit: 1,
      writeBuffer: 1,
      mapAsync: 1,
    });
    expect(counts.dispatches).toBe(1);
    expect(counts.objects).toBe(5);
    expect(counts.peakBytes).toBe(2 * values.byteLength);
    expect(counts.liveBytes).toBe(0);

    counts.reset();
    expect(counts.objects).toBe(0);
    await doubleAndAddOne(device, values);
    expect(counts.dispatches).toBe(1);
  });
});
