// executionProviders: which engine a session runs on.

import type { DeviceChoice } from '../device.js';
import { InvalidArgumentError } from '../errors.js';
import type { Backend, InferenceSession } from './session-types.js';

export type Provider = { name: string } & (
  | { device: DeviceChoice | 'shared' }
  | { backend: Backend }
  /** Nothing here is called so. */
  | { missing: true }
);

const backends = new Map<string, { backend: Backend; priority: number }>();

/** Adds an engine under a name for executionProviders; of two, the one of higher priority stays. */
export function registerBackend(name: string, backend: Backend, priority: number): void {
  if (
    typeof backend?.init !== 'function' ||
    typeof backend.createInferenceSessionHandler !== 'function'
  ) {
    throw new InvalidArgumentError(
      `backend '${name}': it lacks init or createInferenceSessionHandler`,
    );
  }
  const known = backends.get(name);
  if (known && known.priority > priority) return;
  backends.set(name, { backend, priority });
}

/** In the order to try. `unnamed`: for sessions that name none. */
export function providersOf(
  configs: InferenceSession.SessionOptions['executionProviders'],
  unnamed: DeviceChoice,
): Provider[] {
  if (!configs?.length) {
    return [{ name: typeof unnamed === 'string' ? unnamed : 'webgpu', device: unnamed }];
  }
  return configs.map((config) => {
    const name = typeof config === 'string' ? config : config?.name;
    if (typeof name !== 'string') {
      throw new InvalidArgumentError('executionProviders: each is a name or { name, ... }');
    }
    const registered = backends.get(name);
    if (registered) return { name, backend: registered.backend };
    const options = typeof config === 'string' ? {} : (config as WebOptions);
    switch (name) {
      case 'wasm':
      case 'cpu':
        return { name, device: 'wasm' };
      case 'webgpu':
        return { name, device: options.device ?? 'shared' };
      // There is neither: what stands for it is the device that it would use.
      case 'webgl':
        return { name, device: 'shared' };
      case 'webnn':
        if (options.gpuDevice) return { name, device: options.gpuDevice };
        return { name, device: (options.deviceType ?? 'cpu') === 'cpu' ? 'wasm' : 'shared' };
      default:
        return { name, missing: true };
    }
  });
}

interface WebOptions {
  device?: GPUDevice;
  gpuDevice?: GPUDevice;
  deviceType?: 'cpu' | 'gpu' | 'npu';
}
