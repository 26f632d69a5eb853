// Packages: compiled from models, replayed without WebAssembly, equal to the normal path to the bit.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHardware } from '../../runtime/src/cli/devices.js';
import { compileModel, type CompileOptions } from '../../runtime/src/compile/compile.js';
import { load, type Model, type Tensor } from '../../runtime/src/node.js';
import { loadPackage } from '../../runtime/src/package/node.js';
import { feedsOf } from '../browser/run-model.js';
import { stepInputs, type ReferenceCase } from '../models/reference-file.js';
import { modelReferences, zooReferences } from '../models/references.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { compileOptions } from '../support/package-model.js';
import { repoRoot } from '../support/paths.js';

let root: string;
let device: GPUDevice;
let references: Map<string, ReferenceCase>;
let zoo: Map<string, ReferenceCase>;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quern-package-'));
  device = asHardware(await defaultLimitsDevice()); // what packages are compiled for
  zoo = new Map(zooReferences().map((one) => [one.name, one]));
  references = new Map((await modelReferences()).map((one) => [one.name, one]));
});
afterAll(() => {
  device.destroy();
  rmSync(root, { recursive: true });
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

function caseOf(
  references: Map<string, ReferenceCase>,
  name: string,
  steps: number[],
  shapes: Case['shapes'] = {},
): Case {
  const reference = references.get(name)!;
  return {
    path: join(repoRoot, reference.model),
    shapes,
    runs: steps.map((step) => feedsOf(stepInputs(reference, step, undefined))),
  };
}

const cases: Record<string, () => Case> = {
  'zoo-superres': () => caseOf(zoo, 'zoo-superres', [0], { dims: ['s25=20,24', 's63=24'] }),
  'hf-bert': () =>
    caseOf(references, 'hf-bert', [0, 1], { shapes: ['input_ids=1x12', 'input_ids=2x7'] }),
};
// Software GPUs take seconds to compile these.
const longCases: Record<string, () => Case> = {
  'ppocr-direction': () =>
    caseOf(references, 'ppocr-direction', [0, 3], { shapes: ['x=1x3x48x192', 'x=2x3x48x96'] }),
  'wakeword-embedding': () =>
    caseOf(references, 'wakeword-embedding', [0], { dims: ['unk__314=1'] }),
  'silero-vad': () =>
    caseOf(references, 'silero-vad', [0], {
      shapes: ['input=1x576', 'state=2x1x128'],
      values: ['sr=16000'],
    }),
  'zoo-flow_warp': () => caseOf(zoo, 'zoo-flow_warp', [0]),
  'zoo-timm_resnet': () => caseOf(zoo, 'zoo-timm_resnet', [0]),
};

describe('packages are equal to what they were made of', () => {
  const all = process.env.QUERN_LONG ? { ...cases, ...longCases } : cases;
  test.each(Object.keys(all))('%s', { timeout: 600_000 }, async (name) => {
    const { path, shapes, runs } = all[name]!();
    const out = join(root, name);
    await compileModel(path, compileOptions(out, shapes));
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
