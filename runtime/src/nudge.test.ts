import { afterEach, describe, expect, it, vi } from 'vitest';

import { Nudger } from './nudge.js';

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a nudger', () => {
  const nudgers: Nudger[] = [];
  const make = (channel: MessageChannel | undefined) => {
    const submit = vi.fn();
    const nudger = new Nudger({ queue: { submit } } as unknown as GPUDevice, channel);
    nudgers.push(nudger);
    return { nudger, submit };
  };
  afterEach(() => nudgers.splice(0).forEach((nudger) => nudger.close()));

  it('submits nothing, now and then, while a promise is waited for', async () => {
    const { nudger, submit } = make(new MessageChannel());
    const started = performance.now();
    await nudger.hurry(later(8));
    const took = performance.now() - started;
    const during = submit.mock.calls.length;
    expect(during).toBeGreaterThan(0);
    expect(during).toBeLessThanOrEqual(took / 0.15);
    for (const [list] of submit.mock.calls) expect(list).toEqual([]);
    await later(5);
    expect(submit.mock.calls.length).toBeLessThanOrEqual(during + 1);
  });

  it('gives up on long work, and begins again with the next', async () => {
    const { nudger, submit } = make(new MessageChannel());
    const slow = nudger.hurry(later(60));
    await later(40);
    const after = submit.mock.calls.length;
    await slow;
    expect(submit.mock.calls.length).toBe(after);
    await nudger.hurry(later(5));
    expect(submit.mock.calls.length).toBeGreaterThan(after);
  });

  it('leaves failures to those who wait', async () => {
    const { nudger } = make(new MessageChannel());
    await expect(nudger.hurry(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('does nothing where the device is in this process', async () => {
    const { nudger, submit } = make(undefined);
    await nudger.hurry(later(3));
    expect(submit).not.toHaveBeenCalled();
  });
});
