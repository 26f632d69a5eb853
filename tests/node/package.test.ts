// Packages: compiled from models, replayed without WebAssembly, equal to the normal path to the bit.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileModel, type CompileOptions } from '../../runtime/src/compile/compile.js';
import { load, type Model, type Tensor } from '../../runtime/src/node.js';
import { loadPackage } from '../../runtime/src/package/node.js';
import { feedsOf } from '../browser/run-model.js';
import { stepInputs, type ReferenceCase } from '../models/reference-file.js';
import { modelReferences, zooReferences } from '../models/references.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { repoRoot } from '../support/paths.js';

let root: string;
let device: GPUDevice;
let references: Map<string, ReferenceCase>;
let zoo: Map<string, ReferenceCase>;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quern-package-'));
  device = await defaultLimitsDevice(); // what packages are compiled for
  zoo = new Map(zooReferences().map((one) => [one.name, one]));
  references = new Map((await modelReferences()).map((one) => [one.name, one]));
});
afterAll(() => {
  device.destroy();
  rmSync(root, { recursive: true });
});

const none = { shapes: [], dims: [], maxima: [], values: [] };
const options = (out: string, shapes: Partial<CompileOptions['shapes']>): CompileOptions => ({
  out,
  shapes: { ...none, ...shapes },
  target: { features: [], limits: [] },
  precision: 'f32',
  passes: true,
  wasmBase: undefined,
  shardBytes: 1 << 20,
});

const bitsOf = (tensors: Record<string, Tensor>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { dims, data }]) => [
      name,
      { dims, bits: Buffer.from((data as Float32Array).buffer).toString('base64') },
    ]),
  );

/** What is compiled of a model, and the feeds of its runs. */
interface Case {
  path: string;
  shapes: Partial<CompileOptions['shapes']>;
  runs: Parameters<Model['run']>[0][];
}

const ofReference = (reference: ReferenceCase, steps: number[]): Pick<Case, 'path' | 'runs'> => ({
  path: join(repoRoot, reference.model),
  runs: steps.map((step) => feedsOf(stepInputs(reference, step, undefined))),
});

const cases: Record<string, () => Case> = {
  // A list of batches and lengths, and a load program.
  'hf-bert': () => ({
    ...ofReference(references.get('hf-bert')!, [0, 1]),
    shapes: { shapes: ['input_ids=1x12', 'input_ids=2x7'] },
  }),
  'zoo-timm_resnet': () => ({ ...ofReference(zoo.get('zoo-timm_resnet')!, [0]), shapes: {} }),
};

describe('packages are equal to what they were made of', () => {
  test.each(Object.keys(cases))('%s', async (name) => {
    const { path, shapes, runs } = cases[name]!();
    const out = join(root, name);
    await compileModel(path, options(out, shapes));
    const packed = await loadPackage(out, { device });
    const normal = await load(path, { device, warm: false });
    try {
      for (const feeds of runs) {
        const got = bitsOf(await packed.run(feeds));
        expect(Object.keys(got)).not.toEqual([]);
        expect(got).toEqual(bitsOf(await normal.run(feeds)));
      }
      expect(packed.report()).toMatchObject({
        device: 'webgpu',
        core: 'none',
        memory: { core: 0 },
      });
    } finally {
      packed.dispose();
      normal.dispose();
    }
  });
});
