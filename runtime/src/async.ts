// Waiting in order, a few at a time, and without freezing a page.

/** Lets one in after the other, first come, first served. */
export class Lock {
  #tail: Promise<void> = Promise.resolve();

  /** Waits for its turn; the caller has to call what it gets. */
  async acquire(): Promise<() => void> {
    let release!: () => void;
    const before = this.#tail;
    this.#tail = new Promise((resolve) => (release = resolve));
    await before;
    return release;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    const release = await this.acquire();
    try {
      return await task();
    } finally {
      release();
    }
  }
}

/** Lets a number of tasks go on at once; the others queue. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // A waiting task takes over the place.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** How long a stretch of work may keep the thread, in milliseconds. */
const stretch = 10;
let lastBreath = 0;

/**
 * For loops of small pieces of work: lets the page have the thread where it was kept for a while.
 * Gives undefined, not to be waited for, where there is no need.
 */
export function breathe(): Promise<void> | undefined {
  const now = performance.now();
  if (now - lastBreath < stretch) return undefined;
  const { scheduler } = globalThis as { scheduler?: { yield?(): Promise<void> } };
  const pause = scheduler?.yield?.() ?? new Promise<void>((resolve) => setTimeout(resolve));
  return pause.then(() => {
    lastBreath = performance.now();
  });
}

/** The promise's outcome, or the signal's reason where that comes first. */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  let abort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as fetch does
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    promise.catch(() => {}); // it may still fail, unheard
  }
}
