// WebGPU in Node through Dawn, on Chromium's software GPU where the machine has no other.

import { softwareToggles, vulkanDriver } from '../../tools/lib/vulkan.mjs';

export interface Dawn {
  gpu: GPU;
  adapter: GPUAdapter;
  device: GPUDevice;
}

/** Dawn's instance; Dawn lives as long as something holds it. */
let instance: GPU | undefined;

/**
 * The navigator.gpu of a browser, with the WebGPU constants as globals. Set VK_ICD_FILENAMES to
 * choose another Vulkan driver. In a worker thread it must be set from outside: Vulkan reads the
 * process's environment, of which a worker has a copy.
 */
export async function dawnGpu(): Promise<GPU> {
  if (instance) return instance;
  const driver = vulkanDriver();
  if (driver) process.env.VK_ICD_FILENAMES = driver;
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  instance = create([...softwareToggles]);
  return instance;
}

export async function dawnAdapter(): Promise<GPUAdapter> {
  const adapter = await (await dawnGpu()).requestAdapter();
  if (!adapter) throw new Error('Dawn finds no adapter: is Chromium, with SwiftShader, installed?');
  return adapter;
}

/** A device with all that the adapter offers. */
export async function openDawn(): Promise<Dawn> {
  const adapter = await dawnAdapter();
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const limit: unknown = Reflect.get(adapter.limits, name);
    if (typeof limit === 'number') requiredLimits[name] = limit;
  }
  const requiredFeatures = [...adapter.features] as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  return { gpu: await dawnGpu(), adapter, device };
}

/** A device as the least of browsers has it: no optional feature, WebGPU's default limits. */
export async function defaultLimitsDevice(): Promise<GPUDevice> {
  return (await dawnAdapter()).requestDevice();
}
