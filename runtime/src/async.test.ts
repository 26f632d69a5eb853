import { describe, expect, test } from 'vitest';
import { abortable, breathe, Lock, Semaphore } from './async.js';

const ticks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await Promise.resolve();
};

describe('Lock', () => {
  test('lets tasks in by their order, one at a time', async () => {
    const lock = new Lock();
    const log: string[] = [];
    const task = (name: string, length: number) =>
      lock.run(async () => {
        log.push(`${name} in`);
        await ticks(length);
        log.push(`${name} out`);
      });
    await Promise.all([task('a', 9), task('b', 1), task('c', 5)]);
    expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  });

  test('goes on after a failure', async () => {
    const lock = new Lock();
    const failing = lock.run(async () => Promise.reject(new Error('no')));
    const next = lock.run(async () => 5);
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe(5);
  });
});

test('Semaphore lets in so many at once', async () => {
  const semaphore = new Semaphore(2);
  let inside = 0;
  let most = 0;
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 7 }, (_, i) =>
      semaphore.run(async () => {
        order.push(i);
        most = Math.max(most, ++inside);
        await ticks(7 - i);
        inside--;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test('abortable follows the promise or the signal, whichever is first', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  expect(await abortable(Promise.resolve(1), signal)).toBe(1);
  expect(await abortable(Promise.resolve(1))).toBe(1);
  await expect(abortable(Promise.reject(new Error('own')), signal)).rejects.toThrow('own');
  const waiting = abortable(new Promise(() => {}), signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(abortable(Promise.reject(new Error('late')), signal)).rejects.toThrow('enough');
});

test('breathe waits only now and then', async () => {
  await breathe();
  let waits = 0;
  const start = performance.now();
  while (performance.now() < start + 60) {
    const pause = breathe();
    if (pause) waits++;
    await pause;
  }
  expect(waits).toBeGreaterThan(0);
  expect(waits).toBeLessThanOrEqual((performance.now() - start) / 10);
});
