// The runtime's half of a run, with plans by hand in place of the core.

import { describe, expect, test } from 'vitest';
import { DeviceLostError, InternalError, LimitError } from '../../runtime/src/errors.js';
import { Access, BufferKind, type Port } from '../../runtime/src/plan.js';
import { Tensor } from '../../runtime/src/tensor.js';
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

/** A plan for y[n] = x[n] * 2 + w[n]; the program comes with the first message only. */
function scalePlan([dims]: number[][], first: boolean): Message {
  const count = dims![0]!;
  const bytes = Math.ceil(count / 4) * 16;
  const y = Math.ceil(bytes / 256) * 256;
  return {
    programs: first ? [{ number: 0, ...scaleAndAdd }] : [],
    segment: {
      arenaBytes: y + bytes,
      liveBytes: y + bytes,
      params: params(count, 2),
      uploads: [port(0, [count], arena(0, count * 4))],
      steps: [
        {
          kind: 'dispatch',
          node: 5,
          program: 0,
          workgroups: [Math.ceil(count / 64), 1, 1],
          paramsOffset: 0,
          paramsBytes: 8,
          slices: [arena(0, bytes), slice(BufferKind.weight, 0, 0, bytes), arena(y, bytes)],
        },
      ],
      outputs: [port(0, [count], arena(y, count * 4))],
    },
  };
}

async function scaleRig(): Promise<Rig> {
  programsSent = 0;
  return rig(new ScriptedCore((dims) => scalePlan(dims, programsSent++ === 0)), {
    inputs: [value('x', ['n'])],
    outputs: [value('y', ['n'])],
    weights: [Float32Array.from({ length: 64 }, (_, i) => i * 100)],
  });
}

describe('a plan of one segment', () => {
  test('runs, and makes no object the second time', async () => {
    const { session, counts, core } = await scaleRig();
    expect(floats(await session.run(request([vector(1, 2, 3)])))).toEqual([2, 104, 206]);
    counts.reset();
    expect(floats(await session.run(request([vector(5, 6, 7)])))).toEqual([10, 112, 214]);
    expect(counts.objects).toBe(0);
    expect(counts.calls).toMatchObject({ submit: 1, writeBuffer: 1, dispatchWorkgroups: 1 });
    expect(core.calls.filter((name) => name === 'start')).toHaveLength(1);
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('new dims make no pipeline, known dims no plan', async () => {
    const { session, counts, core } = await scaleRig();
    await session.run(request([vector(1, 2, 3)]));
    counts.reset();
    const five = request([vector(1, 2, 3, 4, 5)]);
    expect(floats(await session.run(five))).toEqual([2, 104, 206, 308, 410]);
    expect(counts.calls).toMatchObject({ createComputePipelineAsync: 0, createShaderModule: 0 });
    counts.reset();
    await session.run(request([vector(1, 2, 3)]));
    await session.run(five);
    expect(counts.objects).toBe(0);
    expect(core.calls.filter((name) => name === 'start')).toHaveLength(2);
    expect(session.report()).toMatchObject({ programs: 1, plansCached: 2 });
    session.dispose();
  });

  test('many dims keep memory bounded', async () => {
    const { session, counts } = await scaleRig();
    for (let n = 1; n <= 40; n++) {
      await session.run(request([vector(...Array.from({ length: n }, (_, i) => i))]));
    }
    expect(session.report().plansCached).toBe(16);
    const { liveBytes } = counts;
    for (let n = 1; n <= 40; n++) {
      const x = Array.from({ length: n }, (_, i) => i);
      const expected = x.map((i) => i * 2 + i * 100);
      expect(floats(await session.run(request([vector(...x)])))).toEqual(expected);
    }
    expect(counts.liveBytes).toBeLessThanOrEqual(liveBytes);
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('concurrent runs don’t mix', async () => {
    const { session } = await scaleRig();
    const runs = Array.from({ length: 20 }, (_, i) => session.run(request([vector(i, -i)])));
    const outputs = (await Promise.all(runs)).map((output) => floats(output));
    expect(outputs).toEqual(outputs.map((_, i) => [2 * i, 100 - 2 * i]));
    session.dispose();
  });

  test('outputs on the GPU outlive later runs and feed them', async () => {
    const { session, counts } = await scaleRig();
    const onGpu = { wanted: new Map([[0, 'gpu' as const]]) };
    const y = (await session.run(request([vector(1, 2)], onGpu))).get(0)!;
    expect(y.location).toBe('gpu');
    expect(() => y.data).toThrow(/await read\(\)/);
    await session.run(request([vector(7, 7)]));
    expect([...((await y.read()).data as Float32Array)]).toEqual([2, 104]);
    expect(floats(await session.run(request([y])))).toEqual([4, 308]);
    y.dispose();
    counts.reset();
    const again = (await session.run(request([vector(3, 4)], onGpu))).get(0)!;
    expect(counts.objects).toBe(0); // the pool has the buffer of the one disposed
    expect([...((await again.read()).data as Float32Array)]).toEqual([6, 108]);
    session.dispose();
  });

  test('state goes from run to run on the device', async () => {
    const { session, counts } = await scaleRig();
    const carry = { state: new Map([[0, 0]]), wanted: new Map<number, 'cpu'>() };
    await expect(session.run(request([undefined], carry))).rejects.toThrow(
      /input 'x': it has no state yet and no fixed dims/,
    );
    await session.run(request([vector(1, 1)], carry)); // 2, 102
    await session.run(request([undefined], carry)); // 4, 304
    counts.reset();
    await session.run(request([undefined], carry)); // 8, 708
    expect(counts.objects).toBe(0);
    expect(counts.calls).toMatchObject({ writeBuffer: 0, mapAsync: 0 });
    const last = { ...carry, wanted: new Map([[0, 'cpu' as const]]) };
    expect(floats(await session.run(request([undefined], last)))).toEqual([16, 1516]);
    // Runs made at once, in order.
    await Promise.all([1, 2, 3].map(() => session.run(request([undefined], carry))));
    expect(floats(await session.run(request([undefined], last)))).toEqual([256, 1516 * 16 + 1500]);
    session.resetState();
    await expect(session.run(request([undefined], carry))).rejects.toThrow(/no state yet/);
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('an aborted run leaves the session in order', async () => {
    const { session } = await scaleRig();
    const controller = new AbortController();
    const run = session.run(request([vector(1)], { signal: controller.signal }));
    controller.abort();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(floats(await session.run(request([vector(2)])))).toEqual([4]);
    session.dispose();
  });

  test('a lost device fails the runs', async () => {
    const { session, gpu } = await scaleRig();
    await session.run(request([vector(1)]));
    const run = session.run(request([vector(2, 3)]));
    gpu.device.destroy();
    await expect(run).rejects.toBeInstanceOf(DeviceLostError);
    await expect(session.run(request([vector(1)]))).rejects.toBeInstanceOf(DeviceLostError);
  });
});

describe('other forms of plans', () => {
  test('several segments, with values that the host asks for', async () => {
    const seen: number[][] = [];
    const core = new ScriptedCore(
      (dims) => {
        const first = scalePlan(dims, programsSent++ === 0);
        const { outputs, ...segment } = first.segment!;
        const read = { ...(outputs![0] as Port), index: 0 };
        return { ...first, segment: { ...segment, reads: [read], outputs: [], done: false } };
      },
      ([read]) => {
        seen.push([...read!]);
        // The second segment reads the arena of the first: z = y * 10 + w.
        return {
          segment: {
            arenaBytes: 16,
            params: params(2, 10),
            steps: [
              {
                kind: 'dispatch',
                node: 6,
                program: 0,
                workgroups: [1, 1, 1],
                paramsOffset: 0,
                paramsBytes: 8,
                slices: [arena(256, 16), slice(BufferKind.weight, 0, 0, 16), arena(0, 16, 1)],
              },
            ],
            outputs: [
              port(0, [2], arena(0, 8, 1)),
              {
                index: 1,
                dtype: 'i64',
                dims: [1],
                host: { bytes: new Uint8Array(BigInt64Array.of(-7n).buffer), strings: [] },
              },
            ],
          },
        };
      },
    );
    programsSent = 0;
    const { session, counts } = await rig(core, {
      inputs: [value('x', ['n'])],
      outputs: [value('z', ['n']), { name: 'k', dtype: 'i64', dims: [1] }],
      weights: [Float32Array.of(0, 100, 0, 0)],
    });
    const both = { wanted: new Map([0, 1].map((output) => [output, 'cpu' as const])) };
    const runs = await Promise.all(
      [1, 2, 3].map((x) => session.run(request([vector(x, x)], both))),
    );
    expect(seen.sort()).toEqual([
      [2, 102],
      [4, 104],
      [6, 106],
    ]);
    expect(runs.map((outputs) => floats(outputs))).toEqual([
      [20, 1120],
      [40, 1140],
      [60, 1160],
    ]);
    expect(runs[0]!.get(1)!.data).toEqual(BigInt64Array.of(-7n));
    expect(core.calls.filter((name) => name === 'endRun')).toHaveLength(3);
    counts.reset();
    await session.run(request([vector(1, 1)], both));
    expect(counts.calls).toMatchObject({ createComputePipelineAsync: 0, createShaderModule: 0 });
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('load programs run once, their temporaries are freed', async () => {
    let messages = 0;
    const bytes = 256;
    const core = new ScriptedCore(() => ({
      programs:
        messages++ > 0
          ? []
          : [
              { number: 0, ...scaleAndAdd },
              {
                ...scaleAndAdd,
                number: 1,
                label: 'prepare',
                wgsl: scaleAndAdd.wgsl.replace('read_write> x', 'read> x'),
                access: [Access.read, Access.read, Access.readWrite, Access.uniform],
              },
            ],
      buffers:
        messages > 1
          ? []
          : [
              ...[BufferKind.persistent, BufferKind.once].map((kind) => ({
                ...{ kind, index: 3, bytes, planOwned: false, contents: new Uint8Array() },
              })),
              {
                kind: BufferKind.constants,
                index: 0,
                bytes,
                planOwned: true,
                contents: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer),
              },
            ],
      segment: {
        arenaBytes: 512,
        params: new Uint8Array([...params(4, 2), ...new Uint8Array(240), ...params(4, 3)]),
        uploads: [port(0, [4], arena(0, 16))],
        once:
          messages > 1
            ? []
            : [
                {
                  kind: 'copy',
                  node: 1,
                  from: slice(BufferKind.weight, 0, 0, 16),
                  to: slice(BufferKind.once, 3, 0, 16),
                },
                {
                  kind: 'dispatch',
                  node: 1,
                  program: 1,
                  workgroups: [1, 1, 1],
                  paramsOffset: 0,
                  paramsBytes: 8,
                  slices: [
                    slice(BufferKind.weight, 0, 0, 16),
                    slice(BufferKind.constants, 0, 0, 16),
                    slice(BufferKind.persistent, 3, 0, 16),
                  ],
                },
              ],
        steps: [
          {
            kind: 'dispatch',
            node: 2,
            program: 0,
            workgroups: [1, 1, 1],
            paramsOffset: 256,
            paramsBytes: 8,
            slices: [arena(0, 16), slice(BufferKind.persistent, 3, 0, 16), arena(256, 16)],
          },
        ],
        outputs: [port(0, [4], arena(256, 16))],
      },
    }));
    const { session, counts } = await rig(core, {
      inputs: [value('x', [4])],
      outputs: [value('y', [4])],
      weights: [Float32Array.of(10, 20, 30, 40)],
    });
    await session.warm(() => {});
    expect(session.report()).toMatchObject({
      plansCached: 1,
      memory: { persistent: bytes, constants: bytes, weights: 16 },
    });
    counts.reset();
    expect(floats(await session.run(request([vector(1, 2, 3, 4)])))).toEqual([24, 48, 72, 96]);
    // All was ready, but for the buffer to read through.
    expect(counts.calls).toMatchObject({ createBuffer: 1, createBindGroup: 0 });
    session.dispose();
    expect(counts.liveBytes).toBe(0);
  });

  test('copies inside one buffer', async () => {
    const core = new ScriptedCore(() => ({
      segment: {
        arenaBytes: 1024,
        uploads: [port(0, [4], arena(0, 16))],
        steps: [
          { kind: 'copy', node: 1, from: arena(4, 8), to: arena(256, 8) },
          { kind: 'copy', node: 1, from: arena(0, 4), to: arena(264, 4) },
        ],
        outputs: [port(0, [3], arena(256, 12))],
      },
    }));
    const { session } = await rig(core, { inputs: [value('x', [4])], outputs: [value('y', [3])] });
    expect(floats(await session.run(request([vector(1, 2, 3, 4)])))).toEqual([2, 3, 1]);
    session.dispose();
  });

  test('tensors without elements, odd byte counts, unused outputs', async () => {
    const core = new ScriptedCore(() => ({
      segment: {
        arenaBytes: 512,
        uploads: [
          { ...port(0, [0], arena(0, 0)), index: 0 },
          { index: 1, dtype: 'u8', dims: [5], slice: arena(256, 5) },
        ],
        outputs: [
          port(0, [0, 7], arena(0, 0)),
          { index: 1, dtype: 'u8', dims: [5], slice: arena(256, 5) },
        ],
      },
    }));
    const { session } = await rig(core, {
      inputs: [value('x', ['n']), { name: 'b', dtype: 'u8', dims: [5] }],
      outputs: [value('y', ['n', 7]), { name: 'c', dtype: 'u8', dims: [5] }],
    });
    const feeds = [
      new Tensor('f32', [0], new Float32Array()),
      new Tensor('u8', [5], Uint8Array.of(1, 2, 3, 4, 5)),
    ];
    const all = { wanted: new Map([0, 1].map((output) => [output, 'cpu' as const])) };
    const outputs = await session.run(request(feeds, all));
    expect(outputs.get(0)!.dims).toEqual([0, 7]);
    expect(outputs.get(0)!.data).toEqual(new Float32Array());
    expect(outputs.get(1)!.data).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
    const one = await session.run(request(feeds, { wanted: new Map([[0, 'gpu']]) }));
    expect([...one.keys()]).toEqual([0]);
    expect((await one.get(0)!.read()).data).toEqual(new Float32Array());
    session.dispose();
  });
});

describe('failures', () => {
  test('a shader that does not compile is named, with the line', async () => {
    const core = new ScriptedCore((dims) => {
      const plan = scalePlan(dims, true);
      plan.programs![0]!.wgsl = scaleAndAdd.wgsl.replace('params.factor', 'params.faktor');
      return plan;
    });
    const { session } = await rig(core, {
      inputs: [value('x', ['n'])],
      outputs: [value('y', ['n'])],
      weights: [new Float32Array(4)],
    });
    const run = session.run(request([vector(1)]));
    await expect(run).rejects.toBeInstanceOf(InternalError);
    await expect(run).rejects.toThrow(/program 0 \(scale and add\) does not compile[^]*faktor/);
    session.dispose();
  });

  test('what the device objects to is the run’s error, not an uncaptured one', async () => {
    const core = new ScriptedCore((dims) => {
      const plan = scalePlan(dims, true);
      const [step] = plan.segment!.steps!;
      if (step?.kind === 'dispatch') step.workgroups = [70000, 1, 1];
      return plan;
    });
    const { session, gpu } = await rig(core, {
      inputs: [value('x', ['n'])],
      outputs: [value('y', ['n'])],
      weights: [new Float32Array(4)],
    });
    const uncaptured: string[] = [];
    gpu.device.onuncapturederror = ({ error }) => uncaptured.push(error.message);
    await expect(session.run(request([vector(1)]))).rejects.toThrow(/webgpu: run: /);
    expect(uncaptured).toEqual([]);
    session.dispose();
  });

  test('memory past the device’s limits is a LimitError', async () => {
    const core = new ScriptedCore((dims) => {
      const plan = scalePlan(dims, true);
      plan.segment!.arenaBytes = 2 ** 35;
      return plan;
    });
    const { session } = await rig(core, {
      inputs: [value('x', ['n'])],
      outputs: [value('y', ['n'])],
      weights: [new Float32Array(4)],
    });
    await expect(session.run(request([vector(1)]))).rejects.toBeInstanceOf(LimitError);
    session.dispose();
  });
});
