// What happens to a device, told to the models that use it. A promise such as GPUDevice.lost keeps
// all that ever waited for it; a model must be able to leave.

export interface DeviceEvents {
  onLost(why: string): void;
  /** An error that no error scope caught. */
  onError(message: string): void;
}

interface Watch {
  lost: string | undefined;
  readonly watchers: Set<DeviceEvents>;
}

const watches = new WeakMap<GPUDevice, Watch>();

/** Begins to tell of a device's events; what it gives ends that. */
export function watchDevice(device: GPUDevice, events: DeviceEvents): () => void {
  let watch = watches.get(device);
  if (!watch) {
    watch = begin(device);
    watches.set(device, watch);
  }
  if (watch.lost !== undefined) events.onLost(watch.lost);
  const { watchers } = watch;
  watchers.add(events);
  return () => void watchers.delete(events);
}

function begin(device: GPUDevice): Watch {
  const watch: Watch = { lost: undefined, watchers: new Set() };
  void device.lost.then(({ message, reason }) => {
    watch.lost = message || reason;
    for (const watcher of watch.watchers) watcher.onLost(watch.lost);
  });
  device.addEventListener?.('uncapturederror', ({ error }) => {
    for (const watcher of watch.watchers) watcher.onError(error.message);
  });
  return watch;
}
