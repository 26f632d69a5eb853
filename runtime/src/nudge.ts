// Hearing sooner from a GPU process that work is done.
//
// Chromium's looks every 2 ms whether work that was under way is done, and each time that commands
// come. Most runs of small models are done within one: while somebody waits for a result, an empty
// submission now and then saves up to 2 ms (docs/performance.md).

/** Longer work is not hurried: 2 ms are little beside it, and the page's thread is the page's. */
const mostTime = 20;
/** Between submissions, in milliseconds. */
const pause = 0.15;

/** For a Nudger's steps, where the device is in another process that needs them: Chromium's. */
export function channelToGpuProcess(): MessageChannel | undefined {
  const { navigator, process } = globalThis as {
    navigator?: { userAgent?: string };
    process?: { versions?: { node?: string } };
  };
  const isChromium = navigator?.userAgent?.includes('Chrome/') && !process?.versions?.node;
  return isChromium ? new MessageChannel() : undefined;
}

/** Submits nothing, again and again, while promises are waited for. */
export class Nudger {
  readonly #device: GPUDevice;
  readonly #channel: MessageChannel | undefined;
  #waiting = 0;
  #running = false;
  #until = 0;
  #last = 0;

  /** `channel`: undefined where the device is in this process and answers by itself. */
  constructor(device: GPUDevice, channel: MessageChannel | undefined) {
    this.#device = device;
    this.#channel = channel;
    if (channel) channel.port1.onmessage = () => this.#step();
  }

  /** The same promise; hurries it. */
  hurry<T>(promise: Promise<T>): Promise<T> {
    if (!this.#channel) return promise;
    this.#waiting++;
    this.#last = performance.now();
    this.#until = this.#last + mostTime;
    if (!this.#running) {
      this.#running = true;
      this.#channel.port2.postMessage(null);
    }
    const done = (): void => void this.#waiting--;
    promise.then(done, done);
    return promise;
  }

  #step(): void {
    const now = performance.now();
    if (this.#waiting === 0 || now > this.#until) {
      this.#running = false;
      return;
    }
    if (now - this.#last >= pause) {
      this.#last = now;
      this.#device.queue.submit([]);
    }
    this.#channel!.port2.postMessage(null);
  }

  close(): void {
    this.#channel?.port1.close();
  }
}
