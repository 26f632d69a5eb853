// Long plans in several submissions, with plans by hand in place of the core.

import { describe, expect, test } from 'vitest';
import { InternalError } from '../../runtime/src/errors.js';
import type { Gpu } from '../../runtime/src/gpu.js';
import { BufferKind } from '../../runtime/src/plan.js';
import {
  arena,
  floats,
  params,
  port,
  request,
  rig,
  scaleAndAdd,
  ScriptedCore,
  slice,
  value,
  vector,
  type Message,
  type Rig,
} from './session-rig.js';

let programsSent = 0;

/** x + w + w + ..., `count` dispatches, an odd number, from place to place in the arena. */
function longPlan(count: number): Message {
  const places = [arena(0, 16), arena(256, 16)];
  const weight = slice(BufferKind.weight, 0, 0, 16);
  return {
    programs: programsSent++ === 0 ? [{ number: 0, ...scaleAndAdd }] : [],
    segment: {
      arenaBytes: 272,
      liveBytes: 272,
      params: params(2, 1),
      uploads: [port(0, [2], arena(0, 8))],
      steps: Array.from({ length: count }, (_, i) => ({
        ...({ kind: 'dispatch', node: i, program: 0, workgroups: [1, 1, 1] } as const),
        ...{ paramsOffset: 0, paramsBytes: 8 },
        slices: [places[i % 2]!, weight, places[(i + 1) % 2]!],
      })),
      outputs: [port(0, [2], arena(256, 8))],
    },
  };
}

async function longRig(count: number, sliceTime: number): Promise<Rig> {
  programsSent = 0;
  return rig(new ScriptedCore(() => longPlan(count)), {
    inputs: [value('x', [2])],
    outputs: [value('y', [2])],
    weights: [Float32Array.of(1, 10, 0, 0)],
    sliceTime,
  });
}

/** Acts once, right after the second submission from now on. */
function onSecondSlice({ queue }: Gpu, act: () => void): void {
  const submit = queue.submit.bind(queue);
  let slices = 0;
  queue.submit = (commands) => {
    submit(commands);
    if (++slices === 2) queueMicrotask(act);
  };
}

describe('a long plan in slices', () => {
  const sum = (x: number, count = 9): number[] => [x + count, x + 10 * count];

  test('short ones are joined: then all goes in one submission', async () => {
    const { session, gpu, counts } = await longRig(201, 1e6);
    const submits: number[] = [];
    // Nobody waits for outputs on the device: no slice goes in parts.
    const wanted = new Map([[0, 'gpu' as const]]);
    for (let x = 0; x < 5; x++) {
      counts.reset();
      const outputs = await session.run(request([vector(x, x)], { wanted }));
      submits.push(counts.calls.submit);
      const y = outputs.get(0)!;
      expect([...((await y.read()).data as Float32Array)]).toEqual(sum(x, 201));
      y.dispose();
      await gpu.queue.onSubmittedWorkDone();
    }
    expect(submits).toEqual([4, 1, 1, 1, 1]);
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('long ones are cut; runs under way at once don’t mix, and make no object', async () => {
    const { session, counts } = await longRig(9, 1e-6);
    for (let x = 0; x < 3; x++) {
      expect(floats(await session.run(request([vector(x, x)])))).toEqual(sum(x));
    }
    await Promise.all([1, 2, 3, 4].map((x) => session.run(request([vector(x, x)]))));
    counts.reset();
    const runs = [5, 6, 7, 8].map((x) => session.run(request([vector(x, x)])));
    expect((await Promise.all(runs)).map((output) => floats(output))).toEqual(
      [5, 6, 7, 8].map((x) => sum(x)),
    );
    expect(counts.calls.submit).toBe(4 * 9);
    expect(counts.objects).toBe(0);
    session.dispose();
  });

  test('an aborted run is carried out to its end, before others', async () => {
    const { session, counts, gpu } = await longRig(9, 1e-6);
    await session.run(request([vector(0, 0)]));
    const controller = new AbortController();
    counts.reset();
    onSecondSlice(gpu, () => controller.abort());
    const aborted = session.run(request([vector(1, 1)], { signal: controller.signal }));
    const next = session.run(request([vector(2, 2)]));
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(floats(await next)).toEqual(sum(2));
    expect(counts.calls.dispatchWorkgroups).toBe(2 * 9);
    session.dispose();
  });

  test('one whose model is disposed meanwhile fails, and asks nothing of the device', async () => {
    const { session, gpu } = await longRig(9, 1e-6);
    await session.run(request([vector(0, 0)]));
    await session.run(request([vector(0, 0)]));
    gpu.device.pushErrorScope('validation');
    onSecondSlice(gpu, () => session.dispose());
    const run = session.run(request([vector(1, 1)]));
    await expect(run).rejects.toBeInstanceOf(InternalError);
    expect(await gpu.device.popErrorScope()).toBeNull();
  });
});
