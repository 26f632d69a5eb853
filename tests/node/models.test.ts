// Real models through the whole of Quern in Node: core, runtime, WebGPU by Dawn, WebAssembly.

import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions } from '../../runtime/src/node.js';
import { runCase } from '../browser/run-model.js';
import type { ReferenceCase } from '../models/reference-file.js';
import { modelReferences } from '../models/references.js';
import { dawnGpu } from '../support/dawn.js';
import { repoRoot } from '../support/paths.js';

const names = ['ppocr-direction', 'silero-vad', 'silero-vad-512', 'silero-vad-8khz', 'hf-bert'];
const others = [
  'ppocr-detection',
  'ppocr-recognition',
  'silero-vad-v6',
  'silero-vad-legacy',
  'wakeword-mel',
  'wakeword-embedding',
  'wakeword-jarvis',
  'wakeword-alexa',
];
const none = { buffers: 0, bindGroups: 0, pipelines: 0, shaderModules: 0 };

const targets: Record<string, LoadOptions> = {
  webgpu: { device: 'webgpu' },
  'webgpu without passes': { device: 'webgpu', passes: false },
  wasm: { device: 'wasm', threads: 1 },
  'wasm with threads': { device: 'wasm', threads: 3 },
};

let references: Map<string, ReferenceCase>;
beforeAll(async () => {
  await dawnGpu(); // chooses the Vulkan driver
  references = new Map((await modelReferences()).map((reference) => [reference.name, reference]));
});

const pathOf = ({ model }: ReferenceCase): string => join(repoRoot, model);

describe.each(Object.entries(targets))('%s', (target, options) => {
  // Without passes a software GPU compiles many more programs; all models run so with QUERN_LONG.
  const few = target === 'webgpu without passes' && !process.env.QUERN_LONG;
  test.each(few ? names : [...names, ...others])('%s', async (name) => {
    const reference = references.get(name)!;
    // Programs for other dims than these are made for the driving models only: they take time.
    const { differences, report } = await runCase(load, pathOf(reference), reference, {
      warm: names.includes(name),
      ...options,
    });
    expect(differences).toEqual([]);
    expect(report).toMatchObject({ device: options.device, reason: 'asked for' });
    if (options.device === 'wasm') expect(report.threads).toBe(options.threads);
    expect(report.nodes.filter(({ place }) => place === 'device')).not.toEqual([]);
  });

  test('state stays on the device', async () => {
    const reference = references.get('silero-vad')!;
    const { differences } = await runCase(load, pathOf(reference), reference, options, true);
    expect(differences).toEqual([]);
  });
});

describe('replay', () => {
  test('the second run with the same dims makes no GPU object', async () => {
    for (const name of ['ppocr-direction', 'hf-bert', 'silero-vad']) {
      const reference = references.get(name)!;
      const { inputs, outputs } = reference.steps[0]!;
      const twice = { ...reference, steps: [0, 1, 2].map(() => ({ inputs, outputs })), carry: {} };
      const { objects, differences, report } = await runCase(load, pathOf(reference), twice, {
        device: 'webgpu',
      });
      expect(differences).toEqual([]);
      expect(objects.slice(1), name).toEqual([none, none]);
      expect(report.plansCached).toBe(1);
    }
  });

  test('new dims make no pipeline', async () => {
    for (const name of ['ppocr-direction', 'hf-bert']) {
      const reference = references.get(name)!;
      const { objects } = await runCase(load, pathOf(reference), reference, { device: 'webgpu' });
      for (const [step, { pipelines, shaderModules }] of objects.entries()) {
        if (step > 0) expect([pipelines, shaderModules], `${name}, step ${step}`).toEqual([0, 0]);
      }
    }
  });
});

describe('sources', () => {
  const first = (reference: ReferenceCase): ReferenceCase => ({
    ...reference,
    steps: reference.steps.slice(0, 1),
  });

  test.each(['webgpu', 'wasm'] as const)('%s: bytes, Blob, stream, file: URL', async (device) => {
    const reference = first(references.get('hf-bert')!);
    const path = pathOf(reference);
    const bytes = readFileSync(path);
    const stream = Readable.toWeb(createReadStream(path, { highWaterMark: 10_007 }));
    const sources = [
      bytes,
      new Uint8Array(bytes).buffer,
      new Blob([bytes]),
      stream as unknown as ReadableStream<Uint8Array>,
      new URL(`file://${path}`),
      new Response(bytes),
    ];
    for (const source of sources) {
      const { differences } = await runCase(load, source, reference, { device, threads: 1 });
      expect(differences).toEqual([]);
    }
  });
});
