// Devices that say of themselves what they are not, for tests.

/** The device, which says of itself that it has these limits. */
export function believedLimits(
  device: GPUDevice,
  less: Partial<Record<keyof GPUSupportedLimits, number>>,
): GPUDevice {
  const { limits } = device;
  const value = new Proxy(limits, {
    get: (_, name) =>
      less[name as keyof GPUSupportedLimits] ?? (Reflect.get(limits, name) as unknown),
  });
  Object.defineProperty(device, 'limits', { value, configurable: true });
  return device;
}

/**
 * The device under another name: kernels are then those for hardware, not for a CPU that emulates
 * it; with a vendor's name those for its devices.
 */
export function asHardware(device: GPUDevice, vendor = 'tests'): GPUDevice {
  const { subgroupMinSize, subgroupMaxSize } = device.adapterInfo;
  const names = { vendor, architecture: '', device: '', description: '' };
  const adapterInfo = { ...names, subgroupMinSize, subgroupMaxSize };
  return Object.defineProperty(device, 'adapterInfo', { value: adapterInfo });
}
