// The one GPUDevice that sessions share where they name none: env.webgpu.device.

import { requestAdapter, requestDevice } from '../device.js';
import { InvalidArgumentError } from '../errors.js';

/** What decides for an adapter. */
interface Wishes {
  powerPreference?: GPUPowerPreference;
  forceFallbackAdapter?: boolean;
  adapter?: GPUAdapter;
}

export class GpuDevice {
  readonly #wishes: Wishes;
  #device: Promise<GPUDevice> | undefined;

  /** `wishes` is read when the device is made, and gets its adapter. */
  constructor(wishes: Wishes) {
    this.#wishes = wishes;
  }

  /** The device, made now where there is none yet, or no more. */
  open(): Promise<GPUDevice> {
    if (this.#device) return this.#device;
    const device = this.#request();
    this.#keep(device);
    return device;
  }

  /** A device of the caller's. */
  use(device: GPUDevice): void {
    if (typeof device !== 'object' || typeof device?.createBuffer !== 'function') {
      throw new InvalidArgumentError('env: webgpu.device takes a GPUDevice');
    }
    this.#keep(Promise.resolve(device));
  }

  #keep(device: Promise<GPUDevice>): void {
    this.#device = device;
    const forget = (): void => {
      if (this.#device === device) this.#device = undefined;
    };
    device.then(({ lost }) => lost.then(forget), forget);
  }

  async #request(): Promise<GPUDevice> {
    const { powerPreference, forceFallbackAdapter } = this.#wishes;
    const adapter =
      this.#wishes.adapter ?? (await requestAdapter(powerPreference, forceFallbackAdapter));
    const device = await requestDevice(adapter);
    // An adapter gives one device; after a loss another adapter is asked for.
    this.#wishes.adapter = adapter;
    void device.lost.then(() => {
      if (this.#wishes.adapter === adapter) delete this.#wishes.adapter;
    });
    return device;
  }
}
