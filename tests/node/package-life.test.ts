// What a package does beyond one run, and what is refused.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHardware } from '../../runtime/src/cli/devices.js';
import { compileModel } from '../../runtime/src/compile/compile.js';
import { load, type Model } from '../../runtime/src/node.js';
import { loadPackage } from '../../runtime/src/package/node.js';
import { dataCases } from '../support/data.js';
import { repoRoot } from '../support/paths.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel, type NodeSpec } from '../support/onnx.js';
import {
  compileOptions,
  packageInput,
  packageModel,
  packageState,
} from '../support/package-model.js';

let root: string;
let device: GPUDevice;
let model: string;
let folder: string;
let sha256: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quern-package-'));
  device = asHardware(await defaultLimitsDevice());
  model = join(root, 'model.onnx');
  writeFileSync(model, packageModel());
  folder = join(root, 'package');
  const options = compileOptions(folder, { dims: ['n=1,3'] }, { shardBytes: 50_000 });
  ({ sha256 } = await compileModel(model, options));
});
afterAll(() => {
  device.destroy();
  rmSync(root, { recursive: true });
});

async function using<T>(opening: Promise<Model>, act: (model: Model) => Promise<T>): Promise<T> {
  const opened = await opening;
  try {
    return await act(opened);
  } finally {
    opened.dispose();
  }
}

const feeds = (n: number) => ({ x: packageInput(n), s: packageState });

describe('a package', () => {
  test('has its files, weights in parts, and needs no model', () => {
    expect(readdirSync(folder).sort()).toEqual([
      ...['manifest.json', 'plans.bin'],
      ...['weights-0.bin', 'weights-1.bin'],
    ]);
  });

  test('takes less than 25 kB of JavaScript', () => {
    const script = join(repoRoot, 'tools/size.mjs');
    const sizes = execFileSync(process.execPath, [script, '--json', 'packageBrotli']);
    const { packageBrotli } = JSON.parse(sizes.toString()) as { packageBrotli: number };
    expect(packageBrotli).toBeGreaterThan(10_000);
    expect(packageBrotli).toBeLessThanOrEqual(25_000);
  });

  test('gives what the model gives, for every list entry, many runs at once', async () => {
    const sizes = [1, 3, 3, 1];
    const run = (one: Model) => Promise.all(sizes.map((n) => one.run(feeds(n))));
    const expected = await using(load(model, { device, warm: false }), run);
    const got = await using(loadPackage(folder, { device }), run);
    got.forEach(({ y, t }, i) => {
      expect(y!.dims).toEqual([sizes[i], 160]);
      expect(y!.data).toEqual(expected[i]!.y!.data);
      expect(t!.data).toEqual(expected[i]!.t!.data);
    });
  });

  test('keeps state and outputs on the device', async () => {
    const steps = async (one: Model) => {
      const sums: unknown[] = [];
      for (let step = 0; step < 3; step++) {
        const { t } = await one.run(
          { x: packageInput(3) },
          { state: { t: 's' }, outputs: { t: 'gpu' } },
        );
        expect(t!.location).toBe('gpu');
        sums.push((await t!.read()).data);
        t!.dispose();
      }
      return sums;
    };
    const expected = await using(load(model, { device, warm: false }), steps);
    await using(loadPackage(folder, { device }), async (packed) => {
      expect(await steps(packed)).toEqual(expected);
      packed.resetState();
      expect(await steps(packed)).toEqual(expected);
      const { memory, objects, nodes } = packed.report();
      // What only the load program reads is freed after it.
      expect(memory.weights).toBe(0);
      expect(memory.persistent).toBeGreaterThan(0);
      expect(objects.lastRun).toMatchObject({ buffers: 0, bindGroups: 0, pipelines: 0 });
      expect(nodes.flatMap(({ kernels }) => kernels)).not.toEqual([]);
    });
  });

  test('comes from a path, a URL, files by name; on a device of its own', async () => {
    const byName = Object.fromEntries(
      readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]),
    );
    const seen: string[] = [];
    const onProgress = ({ phase }: { phase: string }): void => void seen.push(phase);
    const integrity = `sha256-${sha256}`;
    const own = { integrity, onProgress };
    for (const [source, options] of [
      [`${folder}/`, own],
      [pathToFileURL(join(folder, 'manifest.json')), { ...own, device }],
      [byName, { ...own, device }],
    ] as const) {
      await using(loadPackage(source, options), async (packed) => {
        expect((await packed.run(feeds(1))).y!.dims).toEqual([1, 160]);
        expect(packed.report()).toMatchObject({ device: 'webgpu', core: 'none' });
      });
    }
    expect(new Set(seen)).toEqual(new Set(['download', 'compile']));
  });

  test('says what it was compiled for', async () => {
    await using(loadPackage(folder, { device }), async (packed) => {
      expect(packed.inputs[0]).toMatchObject({ name: 'x', dims: ['n', 128] });
      await expect(packed.run(feeds(2))).rejects.toThrow(
        "package: it was not compiled for 'x' f32[2, 128], 's' f32[160]; " +
          "it was for 'x' [1, 128], 's' [160]; 'x' [3, 128], 's' [160]",
      );
      await expect(packed.run({ s: packageState })).rejects.toThrow("input 'x': it is missing");
    });
  });

  test('a maximum is all sizes up to it', async () => {
    const out = join(root, 'maximum');
    await compileModel(model, compileOptions(out, { maxima: ['n=6'] }));
    const run = async (one: Model) => {
      const results = [];
      for (const n of [6, 1, 4]) results.push((await one.run(feeds(n))).y!.data);
      return results;
    };
    const expected = await using(load(model, { device, warm: false }), run);
    expect(await using(loadPackage(out, { device }), run)).toEqual(expected);
  });

  test('f16 in memory is carried over', async () => {
    const out = join(root, 'f16');
    await compileModel(model, compileOptions(out, { dims: ['n=3'] }, { precision: 'f16' }));
    const run = async (one: Model) => {
      const { y } = await one.run(feeds(3));
      return [y!.data, one.report().precision];
    };
    const options = { device, warm: false, precision: 'f16' } as const;
    const expected = await using(load(model, options), run);
    expect(expected[1]).toMatchObject({ used: 'f16' });
    expect(await using(loadPackage(out, { device }), run)).toEqual(expected);
  });

  test('is refused by a device that lacks what it was compiled for', async () => {
    const out = join(root, 'more');
    const target = { features: ['shader-f16'], limits: ['maxStorageBuffersPerShaderStage=9'] };
    await compileModel(model, compileOptions(out, { dims: ['n=1'] }, { target }));
    await expect(loadPackage(out, { device })).rejects.toThrow(
      /needs the device features shader-f16/,
    );
    const limited = { features: [], limits: ['maxStorageBuffersPerShaderStage=9'] };
    await compileModel(model, compileOptions(out, { dims: ['n=1'] }, { target: limited }));
    await expect(loadPackage(out, { device })).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringMatching(
        /needs maxStorageBuffersPerShaderStage of 9, the device has 8/,
      ) as string,
    });
  });

  test('stops when it is told to', async () => {
    const stop = new AbortController();
    const loading = loadPackage(folder, { device, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(loading).rejects.toThrow('enough');
  });
});

describe('refused with node and reason', () => {
  async function refusal(path: string, shapes = {}): Promise<string> {
    try {
      await compileModel(path, compileOptions(join(root, 'refused'), shapes));
    } catch (error) {
      expect(error).toMatchObject({ code: 'unsupported' });
      return (error as Error).message;
    }
    throw new Error('it was compiled');
  }
  function modelOf(nodes: NodeSpec[], dims = [2, 50]): string {
    const path = join(root, 'refused.onnx');
    const graph = {
      nodes,
      initializers: [tensor('zero', 'f32', [], [0])],
      inputs: [value('x', 'f32', dims)],
      outputs: [value('y', 'f32')],
    };
    writeFileSync(path, writeModel({ graph }));
    return path;
  }

  test('dims that follow from data', async () => {
    const path = modelOf([
      node('NonZero', ['x'], ['where']),
      { ...node('Cast', ['where'], ['y'], { to: { int: 1 } }), name: 'to_float' },
    ]);
    expect(await refusal(path)).toMatch(
      /^package: node \d+ \(Slice\), on the way to node 'to_float' \(Cast\): the host has to know what comes of node \d+ \(\S+\), which the device computes, so that a run cannot be planned ahead \(for 'x' \[2, 50\]\)$/,
    );
  });

  test('a condition that the device computes', async () => {
    const branch = (op: string) => ({
      graph: { nodes: [node(op, ['x'], ['r'])], outputs: [value('r', 'f32', [2, 50])] },
    });
    const path = modelOf([
      node('ReduceSum', ['x'], ['sum'], { keepdims: { int: 0 } }),
      node('Greater', ['sum', 'zero'], ['positive']),
      {
        ...node('If', ['positive'], ['y'], {
          then_branch: branch('Neg'),
          else_branch: branch('Abs'),
        }),
        name: 'choice',
      },
    ]);
    expect(await refusal(path)).toMatch(
      /^package: node 'choice' \(If\): the host has to know 'positive', which the device computes/,
    );
  });

  test('a small input, from which the host computes what decides', async () => {
    const branch = (op: string) => ({
      graph: { nodes: [node(op, ['x'], ['r'])], outputs: [value('r', 'f32', [])] },
    });
    const choice = node('If', ['positive'], ['y'], {
      then_branch: branch('Neg'),
      else_branch: branch('Abs'),
    });
    const nodes = [node('Greater', ['x', 'zero'], ['positive']), { ...choice, name: 'choice' }];
    expect(await refusal(modelOf(nodes, []))).toBe(
      "package: the plan depends on what is in input 'x': node 'choice' (If) needs it on the host; " +
        'give the value that it is to have, --value x=N',
    );
  });

  test('inputs whose contents decide, until they are given', async () => {
    const control = dataCases('zoo').find(({ name }) => name === 'control')!;
    expect(await refusal(control.modelPath)).toMatch(
      /^package: the plan depends on what is in input 'n': node '\/Loop' \(Loop\) needs it on the host; give .*--value n=N$/,
    );
  });

  test('options that do not fit the model', async () => {
    const compiling = (shapes: object) => compileModel(model, compileOptions(root, shapes));
    await expect(compiling({})).rejects.toThrow(
      "input 'x' is f32[n, 128]: how large is 'n'? give --dim n=N[,N...], --max n=N, or --shape x=Nx128",
    );
    await expect(compiling({ dims: ['m=1'] })).rejects.toThrow("the model's open dims are n");
    await expect(compiling({ shapes: ['x=2x3'] })).rejects.toThrow(
      "--shape x=2x3: the model has 'x' as [n, 128]",
    );
    await expect(compiling({ shapes: ['z=2'] })).rejects.toThrow("no such input, only 'x', 's'");
    await expect(compiling({ dims: ['n=1,two'] })).rejects.toThrow("'two' is no whole number");
    await expect(compiling({ maxima: ['n=100000'] })).rejects.toThrow('from 1 to 4096');
    await expect(compiling({ dims: ['n=1'], values: ['s=1'] })).rejects.toThrow(
      "no plan depends on what is in 's'",
    );
  });
});

describe('a value that plans are made by', () => {
  test('is part of the package', async () => {
    const path = join(root, 'reshape.onnx');
    const graph = {
      nodes: [node('Reshape', ['x', 'shape'], ['r']), node('Neg', ['r'], ['y'])],
      inputs: [value('x', 'f32', [12]), value('shape', 'i64', [2])],
      outputs: [value('y', 'f32', ['a', 'b'])],
    };
    writeFileSync(path, writeModel({ graph }));
    const out = join(root, 'reshape');
    await compileModel(path, compileOptions(out, { values: ['shape=[3,4],[2,6]'] }));
    await using(loadPackage(out, { device }), async (packed) => {
      const x = Float32Array.from({ length: 12 }, (_, i) => i);
      const run = async (...shape: number[]) => (await packed.run({ x, shape })).y!;
      expect((await run(2, 6)).dims).toEqual([2, 6]);
      expect((await run(3, 4)).dims).toEqual([3, 4]);
      expect((await run(3, 4)).data).toEqual(x.map((one) => -one));
      await expect(run(4, 3)).rejects.toThrow(
        /it was not compiled for .* \(bytes 0300000000000000/,
      );
    });
  });
});
