// The example reads three pictures on every device as it does with onnxruntime-node.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Network } from '../../app/ocr/network.js';
import { readText, stages, type Reading, type Stage } from '../../app/ocr/read-text.js';
import { load, type Model } from '../../runtime/src/node.js';
import { dawnGpu } from '../support/dawn.js';
import {
  ocrAlphabet,
  ocrModels,
  ocrPictures,
  openOcrPicture,
  picturePath,
  referenceReading,
  type OcrPicture,
} from '../support/ocr.js';
import { repoRoot } from '../support/paths.js';

const names = Object.keys(ocrPictures) as OcrPicture[];
/** Compiling all programs on a software GPU takes minutes where other tests run beside. */
const patience = 600_000;
const references = new Map<OcrPicture, Reading>();

beforeAll(async () => {
  await dawnGpu(); // chooses the Vulkan driver
  for (const name of names) references.set(name, await referenceReading(name));
});

describe.each(['webgpu', 'wasm'] as const)('%s', (device) => {
  const models = {} as Record<Stage, Model>;
  const networks = {} as Record<Stage, Network>;

  beforeAll(async () => {
    for (const stage of stages) {
      const model = (models[stage] = await load(ocrModels[stage], { device }));
      networks[stage] = async (x) => {
        const [output] = Object.values(await model.run({ x }));
        return { data: output!.data as Float32Array, dims: output!.dims };
      };
    }
  }, patience);
  afterAll(() => stages.forEach((stage) => models[stage]?.dispose()));

  test.for(names)('%s', { timeout: patience }, async (name, { skip }) => {
    // A GPU emulated by the CPU takes half a minute for the others.
    const software = models.detection.report().adapter?.software;
    if (software && name !== 'sign') skip('the adapter is software');
    const { lines } = await readText(openOcrPicture(name), networks, ocrAlphabet);
    const reference = references.get(name)!.lines;
    expect(lines.map(({ text }) => text)).toEqual(reference.map(({ text }) => text));
    expect(lines.map(({ text }) => text)).toContain(ocrPictures[name]);
    expect(lines.map(({ upsideDown }) => upsideDown)).toEqual(
      reference.map(({ upsideDown }) => upsideDown),
    );
    lines.forEach(({ confidence, quad }, line) => {
      expect(Math.abs(confidence - reference[line]!.confidence)).toBeLessThan(0.01);
      quad.forEach(({ x, y }, corner) => {
        const expected = reference[line]!.quad[corner]!;
        expect(Math.hypot(x - expected.x, y - expected.y)).toBeLessThan(1);
      });
    });
  });
});

test('only the answer of the riddle stands upside down', () => {
  const turned = names.flatMap((name) =>
    references.get(name)!.lines.filter(({ upsideDown }) => upsideDown),
  );
  expect(turned.map(({ text }) => text)).toEqual([ocrPictures.page]);
});

describe('./dev demo', () => {
  const demo = (...args: string[]) =>
    spawnSync(process.execPath, [join(repoRoot, 'app/dist/cli/demo.js'), ...args], {
      encoding: 'utf8',
    });

  test('prints the lines, the times, and what ran where', () => {
    const { stdout, stderr, status } = demo(picturePath('sign'), '--device', 'wasm', '--runs', '2');
    expect([stderr, status]).toEqual(['', 0]);
    for (const { text } of references.get('sign')!.lines) expect(stdout).toContain(text);
    expect(stdout).toMatch(/ +load +first +later\n/);
    for (const row of [...stages, 'all'])
      expect(stdout).toMatch(new RegExp(`${row}( +[\\d.]+ m?s){3}`));
    expect(stdout).toMatch(/WebAssembly, \d+ threads?: asked for/);
    expect(stdout).toMatch(/detection +\d+ nodes on the device/);
  });

  test('says in words what is wrong', () => {
    const readme = join(repoRoot, 'README.md');
    expect(demo(readme)).toMatchObject({
      status: 1,
      stderr: `demo: ${readme}: png: wrong signature\n`,
    });
    expect(demo('none.png').stderr).toMatch(/^demo: none\.png: ENOENT/);
    expect(demo('--device', 'abacus').stderr).toMatch(/^demo: device: it is none of/);
  });
});
