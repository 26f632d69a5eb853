// Who may read or write a group: Web Locks, which all tabs and workers of an origin share; where
// there are none, those of this thread.

export type LockMode = 'shared' | 'exclusive';

interface Held {
  mode: LockMode;
  count: number;
}

const local = new Map<string, Held>();
/** Milliseconds between two tries where there are no Web Locks. */
const pollTime = 20;

/** Holds a lock, for which it waits so many milliseconds at most. Gives what ends it, or undefined. */
export async function hold(
  name: string,
  mode: LockMode,
  patience: number,
): Promise<(() => void) | undefined> {
  const { locks } = (globalThis.navigator ?? {}) as { locks?: LockManager };
  if (!locks) return holdLocal(name, mode, patience);
  return new Promise((resolve) => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), patience);
    const options: LockOptions =
      patience > 0 ? { mode, signal: controller.signal } : { mode, ifAvailable: true };
    locks
      .request(`quern-cache:${name}`, options, (lock) => {
        clearTimeout(timer);
        if (!lock) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(() => resolve(undefined)) // not in time, or not allowed here
      .finally(() => clearTimeout(timer));
  });
}

async function holdLocal(
  name: string,
  mode: LockMode,
  patience: number,
): Promise<(() => void) | undefined> {
  const end = performance.now() + patience;
  for (;;) {
    const held = local.get(name);
    if (!held || (held.mode === 'shared' && mode === 'shared')) {
      const mine = held ?? { mode, count: 0 };
      mine.count++;
      local.set(name, mine);
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        if (--mine.count === 0) local.delete(name);
      };
    }
    if (performance.now() >= end) return undefined;
    await new Promise((resolve) => setTimeout(resolve, pollTime));
  }
}
