// Damaged and hostile packages: every one ends in a typed error, or does no harm.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileModel } from '../../runtime/src/compile/compile.js';
import { encodePlan } from '../../runtime/src/compile/plan-writer.js';
import { encodeInputs } from '../../runtime/src/messages.js';
import { PackagedCore } from '../../runtime/src/package/core.js';
import { sha256Of } from '../../runtime/src/package/files.js';
import { parseManifest, type Manifest, type Section } from '../../runtime/src/package/format.js';
import { loadPackage, QuernError } from '../../runtime/src/package/node.js';
import { decodePlan, planVersion, type PlanMessage } from '../../runtime/src/plan.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import {
  compileOptions,
  packageInput,
  packageModel,
  packageState,
} from '../support/package-model.js';

type Files = Record<string, Uint8Array<ArrayBuffer>>;

let root: string;
let device: GPUDevice;
let files: Files;
let manifest: Manifest;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quern-package-'));
  device = await defaultLimitsDevice();
  const model = join(root, 'model.onnx');
  writeFileSync(model, packageModel());
  const folder = join(root, 'package');
  await compileModel(model, compileOptions(folder, { dims: ['n=1,3'] }));
  const read = (name: string) => [name, new Uint8Array(readFileSync(join(folder, name)))] as const;
  files = Object.fromEntries(readdirSync(folder).map(read));
  manifest = JSON.parse(textOf(files['manifest.json']!)) as Manifest;
});
afterAll(() => {
  device.destroy();
  rmSync(root, { recursive: true });
});

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const withManifest = (text: string, others: Files = files): Files => ({
  ...others,
  'manifest.json': new TextEncoder().encode(text),
});

/** The package with another plan file, whose sections, sizes and hash are right again. */
async function repacked(
  change: (manifest: Manifest, section: Uint8Array[]) => void,
): Promise<Files> {
  const copy = structuredClone(manifest);
  const sections = sectionsOf(copy);
  const raw = sections.map((section) => unpacked(section));
  change(copy, raw);
  const parts = raw.map((bytes) => deflateSync(bytes, { level: 1 }));
  let offset = 0;
  sections.forEach((section, i) => {
    Object.assign(section, { offset, bytes: parts[i]!.length, rawBytes: raw[i]!.length });
    offset += parts[i]!.length;
  });
  const plans = new Uint8Array(Buffer.concat(parts));
  copy.files[0] = { name: 'plans.bin', bytes: plans.length, sha256: await sha256Of(plans) };
  return withManifest(JSON.stringify(copy), { ...files, 'plans.bin': plans });
}

const sectionsOf = ({ description, common, bindings }: Manifest): Section[] => [
  description,
  common,
  ...bindings.map(({ plan }) => plan),
];
function unpacked({ offset, bytes }: Section): Uint8Array {
  return new Uint8Array(inflateSync(files['plans.bin']!.subarray(offset, offset + bytes)));
}

/** Loads and runs; undefined where both went well. */
async function failure(damaged: Files): Promise<QuernError | undefined> {
  try {
    const packed = await loadPackage(damaged, { device });
    try {
      for (const n of [1, 3]) await packed.run({ x: packageInput(n), s: packageState });
    } finally {
      packed.dispose();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(QuernError);
    return error as QuernError;
  }
  return undefined;
}

test('the control: as it was, and packed again', async () => {
  expect(await failure(files)).toBeUndefined();
  expect(await failure(await repacked(() => {}))).toBeUndefined();
});

describe('files', () => {
  test('a flipped bit, a missing end, bytes too many, no file', async () => {
    for (const name of Object.keys(files).filter((one) => one !== 'manifest.json')) {
      const flipped = files[name]!.slice();
      flipped[flipped.length >> 1]! ^= 1;
      expect((await failure({ ...files, [name]: flipped }))!.message).toBe(
        `package: ${name} is damaged: its SHA-256 is not that of the manifest`,
      );
      const short = files[name]!.slice(0, -1);
      expect((await failure({ ...files, [name]: short }))!.message).toMatch(/ends early/);
      const long = new Uint8Array(files[name]!.length + 1);
      expect((await failure({ ...files, [name]: long }))!.message).toMatch(/is longer than/);
      const rest = Object.fromEntries(Object.entries(files).filter(([one]) => one !== name));
      expect((await failure(rest))!.message).toBe(`package: there is no ${name}`);
    }
  });

  test('another manifest than that of integrity', async () => {
    const integrity = `sha256-${'0'.repeat(64)}`;
    await expect(loadPackage(files, { device, integrity })).rejects.toMatchObject({
      code: 'invalid-model',
      message: `package: manifest.json is not that of integrity ${integrity}`,
    });
  });

  test('a section that inflates to more than it says stops there', async () => {
    const bomb = await repacked((_, raw) => (raw[0] = new Uint8Array(64 << 20)));
    const lying = JSON.parse(textOf(bomb['manifest.json']!)) as Manifest;
    lying.description.rawBytes = 1000;
    const { message } = (await failure(withManifest(JSON.stringify(lying), bomb)))!;
    expect(message).toBe('package: a section is longer than it says');
  });

  test('another version says what to do', async () => {
    const next = withManifest(JSON.stringify({ ...manifest, version: 2 }));
    expect(await failure(next)).toMatchObject({
      code: 'unsupported',
      message: `package: it has version 2.${planVersion}, this quern reads 1.${planVersion}: compile the model again`,
    });
  });
});

test('the manifest: any field of any wrong kind', () => {
  const wrong = [null, -1, 0.5, 2 ** 53, 'x', '', [], {}, [[-1]], true, 4_000_000_000];
  let tried = 0;
  let refused = 0;
  const visit = (node: Record<string, unknown>): void => {
    for (const key of Object.keys(node)) {
      const right = node[key];
      for (const other of wrong) {
        node[key] = other;
        tried++;
        try {
          parseManifest(JSON.stringify(copy));
        } catch (error) {
          expect(error).toBeInstanceOf(QuernError);
          expect((error as Error).message).toMatch(/^package: /);
          refused++;
        }
      }
      delete node[key];
      try {
        parseManifest(JSON.stringify(copy));
      } catch (error) {
        expect(error).toBeInstanceOf(QuernError);
      }
      node[key] = right;
      if (typeof right === 'object' && right !== null) visit(right as Record<string, unknown>);
    }
  };
  const copy = structuredClone(manifest);
  visit(copy as unknown as Record<string, unknown>);
  expect(tried).toBeGreaterThan(500);
  expect(refused / tried).toBeGreaterThan(0.75);
  for (const text of ['', '{', '[]', '7', '{"format":"other"}']) {
    expect(() => parseManifest(text)).toThrow(QuernError);
  }
});

describe('plans', () => {
  /** What the core says to a run of three rows, without a device. */
  async function planned(damaged: Files): Promise<PlanMessage | QuernError> {
    try {
      const parsed = parseManifest(textOf(damaged['manifest.json']!));
      const core = await PackagedCore.open(damaged['plans.bin']!, parsed);
      const given = [
        { dtype: 'f32' as const, dims: [3, 128] },
        { dtype: 'f32' as const, dims: [160] },
      ];
      return (
        (await core.call(
          'start',
          encodeInputs(given, () => false),
        )) as { message: PlanMessage }
      ).message;
    } catch (error) {
      expect(error).toBeInstanceOf(QuernError);
      return error as QuernError;
    }
  }

  test('any word of any section: refused, or inside the memory there is', async () => {
    let refused = 0;
    let tried = 0;
    const seed = [1, 2, 3];
    for (const section of seed) {
      const words = unpacked(sectionsOf(manifest)[section]!).length / 4;
      const isCommon = section === 1;
      // Most of the common message is shader text.
      for (let word = 0; word < words; word += isCommon ? 41 : 3) {
        for (const other of [0xffffffff, 0x7fffff00, 5]) {
          const damaged = await repacked((_, raw) => {
            const { buffer } = raw[section]!;
            new DataView(buffer).setUint32(word * 4, other, true);
          });
          tried++;
          const result = await planned(damaged);
          if (result instanceof QuernError) {
            expect(['invalid-model', 'invalid-argument', 'unsupported']).toContain(result.code);
            refused++;
          }
        }
      }
    }
    expect(tried).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(60); // shader text and parameters may be anything
  });

  const changes: Record<string, [change: (plan: PlanMessage) => void, message: RegExp]> = {
    'a program that is not there': [
      ({ segment }) => Object.assign(segment.steps[0]!, { program: 99 }),
      /there is no program 99/,
    ],
    'a slice past the end': [
      ({ segment }) =>
        dispatchOf(segment.steps).slices.forEach((slice) => (slice.offset += 1 << 20)),
      /bytes \d+ to \d+ of/,
    ],
    'a weight that is freed': [
      ({ segment }) => Object.assign(dispatchOf(segment.steps).slices[0]!, { kind: 1, index: 0 }),
      /of 1:0, which has -1/,
    ],
    'another arena': [
      ({ segment }) => Object.assign(dispatchOf(segment.steps).slices[0]!, { kind: 0, index: 1 }),
      /there is no memory 0:1/,
    ],
    'a binding too few': [
      ({ segment }) => dispatchOf(segment.steps).slices.pop(),
      /gets \d of \d bindings/,
    ],
    'parameters past their end': [
      ({ segment }) => (dispatchOf(segment.steps).paramsOffset = 256 * 1000),
      /parameters at 256000/,
    ],
    'workgroups without end': [
      ({ segment }) => (dispatchOf(segment.steps).workgroups = [70_000, 1, 1]),
      /70000x1x1 workgroups/,
    ],
    'an arena without end': [
      ({ segment }) => (segment.arenaBytes = 2 ** 40),
      /takes \d+ bytes of memory/,
    ],
    'buffers without end': [
      ({ buffers }) => {
        for (let i = 0; i < 100; i++) {
          const contents = new Uint8Array();
          buffers.push({ kind: 3, index: 1000 + i, bytes: 2 ** 30, planOwned: true, contents });
        }
      },
      /takes \d+ bytes of memory/,
    ],
    'a segment that asks': [({ segment }) => (segment.done = false), /asks for values/],
    'an input that is none': [({ segment }) => (segment.uploads[0]!.index = 7), /port 7 of 2/],
    'an input of another size': [
      ({ segment }) => (segment.uploads[0]!.dims = [2, 2]),
      /port \d has \d+ bytes/,
    ],
    'an output of another size': [
      ({ segment }) => Object.assign(segment.outputs[0]!, { dims: [1 << 30, 1 << 30] }),
      /dims 1073741824x1073741824/,
    ],
  };
  const dispatchOf = (steps: PlanMessage['segment']['steps']) => {
    const found = steps.find((step) => step.kind === 'dispatch' && step.paramsBytes > 0);
    if (found?.kind !== 'dispatch') throw new Error('no dispatch');
    return found;
  };

  test.each(Object.keys(changes))('%s', async (name) => {
    const [change, message] = changes[name]!;
    const damaged = await repacked((_, raw) => {
      for (const section of [2, 3]) {
        const plan = decodePlan(raw[section]!);
        change(plan);
        raw[section] = encodePlan(plan);
      }
    });
    const error = (await failure(damaged))!;
    expect(error.code).toBe('invalid-model');
    expect(error.message).toMatch(/^package: the plan for 'x' \[\d, 128\], 's' \[160\]: /);
    expect(error.message).toMatch(message);
  });

  test('a shader that does not compile', async () => {
    const damaged = await repacked((_, raw) => {
      const common = decodePlan(raw[1]!);
      for (const program of common.programs) program.wgsl = `fn main( ${program.number}`;
      raw[1] = encodePlan(common);
    });
    expect(await failure(damaged)).toMatchObject({
      code: 'invalid-model',
      message: expect.stringMatching(/^package: webgpu: program \d+ .*does not compile/) as string,
    });
  });
});
