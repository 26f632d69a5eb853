// What the design promises of the GPU path, on the three driving models.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../runtime/src/node.js';
import { runCase } from '../browser/run-model.js';
import type { ReferenceCase } from '../models/reference-file.js';
import { modelReferences } from '../models/references.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';

const names = ['ppocr-direction', 'silero-vad', 'hf-bert'];

let references: Map<string, ReferenceCase>;
beforeAll(async () => {
  await dawnGpu();
  references = new Map((await modelReferences()).map((reference) => [reference.name, reference]));
});

const pathOf = ({ model }: ReferenceCase): string => join(repoRoot, model);
const shortened = (reference: ReferenceCase): ReferenceCase => ({
  ...reference,
  steps: reference.steps.slice(0, 4),
});

describe('a device with the default limits and no features', () => {
  test.each(names)('%s', async (name) => {
    const reference = shortened(references.get(name)!);
    const device = await defaultLimitsDevice();
    const { differences, report } = await runCase(load, pathOf(reference), reference, { device });
    expect(differences).toEqual([]);
    expect(report.device).toBe('webgpu');
    device.destroy();
  });
});

describe('the core that traps on numeric work on the host', () => {
  test.each(names)('%s', async (name) => {
    const reference = shortened(references.get(name)!);
    const { differences } = await runCase(load, pathOf(reference), reference, {
      device: 'webgpu',
      wasmBase: pathToFileURL(join(repoRoot, 'build/wasm-core/trap/')),
    });
    expect(differences).toEqual([]);
  });
});

describe('a plan', () => {
  test.each(names)(
    '%s: shape arithmetic alone on the host, an arena of its live set',
    async (name) => {
      const reference = shortened(references.get(name)!);
      const { differences, report } = await runCase(load, pathOf(reference), reference, {
        device: 'webgpu',
      });
      expect(differences).toEqual([]);
      const host = report.nodes.filter(({ hostElements }) => hostElements > 0);
      console.log(
        `${name}: on the host: ${host.map((n) => `${n.op} (${n.hostElements})`).join(', ') || 'nothing'}`,
      );
      // A few numbers each; the module has no CPU kernels that could do more.
      for (const { op, hostElements } of host) expect(hostElements, op).toBeLessThanOrEqual(4096);
      const { arenaPeak, arenaLive } = report.memory;
      console.log(`${name}: arena ${arenaPeak} bytes, largest live set ${arenaLive}`);
      expect(arenaPeak).toBeLessThanOrEqual(arenaLive * 1.15 + 256);
    },
  );
});

describe('errors', () => {
  test('all unknown operators are named at once', async () => {
    const model = writeModel({
      graph: {
        name: 'g',
        inputs: [value('x', 'f32', [2])],
        outputs: [value('z', 'f32', [2])],
        nodes: [node('Wobble', ['x'], ['y']), node('Flutter', ['y'], ['z'])],
        initializers: [],
      },
    });
    const failure = load(model, { device: 'webgpu' });
    await expect(failure).rejects.toThrow(/Wobble/);
    await expect(load(model, { device: 'webgpu' })).rejects.toThrow(/Flutter/);
  });

  test('int64 is exact past 2^32 on the GPU', async () => {
    const big = [2n ** 40n + 3n, -(2n ** 62n), 2n ** 33n + 1n, -5n];
    const model = writeModel({
      graph: {
        name: 'g',
        inputs: [value('x', 'i64', [4])],
        outputs: [value('y', 'i64', [4])],
        nodes: [node('Mul', ['x', 'three'], ['m']), node('Sub', ['m', 'x'], ['y'])],
        initializers: [tensor('three', 'i64', [1], [3n])],
      },
    });
    const loaded = await load(model, { device: 'webgpu' });
    const { y } = await loaded.run({ x: BigInt64Array.from(big) });
    expect([...(y!.data as BigInt64Array)]).toEqual(big.map((v) => BigInt.asIntN(64, v * 2n)));
    expect(loaded.report().nodes.every(({ place }) => place === 'device')).toBe(true);
    loaded.dispose();
  });
});
