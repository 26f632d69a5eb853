// Counts what a WebGPU device is asked for, in Node and in a browser alike.

const deviceMethods = [
  'createBindGroup',
  'createBindGroupLayout',
  'createBuffer',
  'createCommandEncoder',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createPipelineLayout',
  'createQuerySet',
  'createShaderModule',
  'createTexture',
] as const;

const queueMethods = ['submit', 'writeBuffer'] as const;

const passMethods = ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect'] as const;

type Counted =
  | (typeof deviceMethods)[number]
  | (typeof queueMethods)[number]
  | (typeof passMethods)[number]
  | 'mapAsync';

export class DeviceCounts {
  /** Calls by method. */
  calls: Record<Counted, number> = zeroCalls();
  /** Bytes of the buffers that are not destroyed, and the most there were. */
  liveBytes = 0;
  peakBytes = 0;
  /** Buffers, textures and query sets that are not destroyed. */
  liveObjects = 0;

  /** Dispatches, direct and indirect. */
  get dispatches(): number {
    return this.calls.dispatchWorkgroups + this.calls.dispatchWorkgroupsIndirect;
  }

  /** GPU objects made, command encoders apart: every run needs those. */
  get objects(): number {
    const made = deviceMethods.filter((method) => method !== 'createCommandEncoder');
    return made.reduce((sum, method) => sum + this.calls[method], 0);
  }

  /** Starts the calls anew; what is live goes on. */
  reset(): void {
    this.calls = zeroCalls();
    this.peakBytes = this.liveBytes;
  }
}

function zeroCalls(): Record<Counted, number> {
  const names: Counted[] = [...deviceMethods, ...queueMethods, ...passMethods, 'mapAsync'];
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Counted, number>;
}

/**
 * Counts the calls on `device`, its queue, and the encoders, passes and buffers it makes from now
 * on. The objects themselves get counting methods, so they stay what WebGPU takes.
 */
export function countingDevice(device: GPUDevice): { device: GPUDevice; counts: DeviceCounts } {
  const counts = new DeviceCounts();
  const count = (method: Counted): void => void counts.calls[method]++;

  for (const method of deviceMethods) before(device, method, () => count(method));
  for (const method of queueMethods) before(device.queue, method, () => count(method));

  after(device, 'createBuffer', (buffer) => {
    let live = buffer.size;
    counts.liveBytes += live;
    counts.peakBytes = Math.max(counts.peakBytes, counts.liveBytes);
    before(buffer, 'mapAsync', () => count('mapAsync'));
    before(buffer, 'destroy', () => {
      counts.liveBytes -= live;
      live = 0;
    });
  });
  const live = (object: GPUBuffer | GPUTexture | GPUQuerySet): void => {
    let one = 1;
    counts.liveObjects += one;
    before(object, 'destroy', () => {
      counts.liveObjects -= one;
      one = 0;
    });
  };
  after(device, 'createBuffer', live);
  after(device, 'createTexture', live);
  after(device, 'createQuerySet', live);
  after(device, 'createCommandEncoder', (encoder) => {
    after(encoder, 'beginComputePass', (pass) => {
      for (const method of passMethods) before(pass, method, () => count(method));
    });
  });
  return { device, counts };
}

type Method = (...args: unknown[]) => unknown;

/** Gives `target` a method of its own that calls `note`, then the method it had. */
function before<Target extends object>(
  target: Target,
  method: keyof Target & string,
  note: () => void,
): void {
  replace(target, method, (original) => (...args) => {
    note();
    return original(...args);
  });
}

/** Gives `target` a method of its own that shows `note` what the method it had returns. */
function after<Target extends object, Name extends keyof Target & string>(
  target: Target,
  method: Name,
  note: (result: Target[Name] extends (...args: never[]) => infer Result ? Result : never) => void,
): void {
  replace(target, method, (original) => (...args) => {
    const result = original(...args);
    note(result as Parameters<typeof note>[0]);
    return result;
  });
}

function replace(target: object, method: string, wrap: (original: Method) => Method): void {
  const original = (Reflect.get(target, method) as Method).bind(target);
  Object.defineProperty(target, method, {
    value: wrap(original),
    configurable: true,
    writable: true,
  });
}
