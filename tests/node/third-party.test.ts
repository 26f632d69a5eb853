// Packages made for onnxruntime, unmodified: their own programs once as they are and once with
// quern/ort in the engine's place give the same.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unpack } from '../support/data.js';

const pathOf = (name: string): string =>
  fileURLToPath(new URL(`../third-party/${name}.mjs`, import.meta.url));

interface Outcome<T> {
  engine: string;
  result: T;
}

async function runProgram<T>(program: string, engine: 'quern' | 'onnxruntime', ...args: unknown[]) {
  const alias = engine === 'quern' ? ['--import', pathOf('alias')] : [];
  const texts = args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg)));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...alias, pathOf(program), ...texts],
    { maxBuffer: 64 << 20 },
  );
  const outcome = JSON.parse(stdout.trim().split('\n').at(-1)!) as Outcome<T>;
  expect(outcome.engine).toBe(engine);
  return outcome.result;
}

const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

test('@ricky0123/vad-web finds the same speech', async () => {
  type Found = { samples: number; start: number; end: number }[];
  const expected = await runProgram<Found>('vad', 'onnxruntime');
  expect(expected.length).toBeGreaterThan(0);
  expect(await runProgram<Found>('vad', 'quern')).toEqual(expected);
});

test('@gutenye/ocr-node reads the same text', async () => {
  type Lines = { text: string; mean: number; box: number[][] }[];
  const expected = await runProgram<Lines>('ocr', 'onnxruntime');
  const lines = await runProgram<Lines>('ocr', 'quern');
  expect(expected.map(({ text }) => text)).toContain('石磨博物馆');
  expect(lines.map(({ text, box }) => ({ text, box }))).toEqual(
    expected.map(({ text, box }) => ({ text, box })),
  );
  const means = (all: Lines): number[] => all.map(({ mean }) => mean);
  expect(furthest(means(lines), means(expected))).toBeLessThan(1e-4);
});

describe('@huggingface/transformers', () => {
  interface Found {
    dims: number[];
    embeddings: number[];
    texts: string[];
  }
  let folder: string;
  let expected: Found;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'quern-transformers-'));
    expected = await runProgram<Found>('transformers', 'onnxruntime', {}, unpack('zoo'), folder);
    expect(expected.dims).toEqual([2, 64]);
    expect(expected.texts[0]).toMatch(/^w3 w1 w4 w1 w5( w\d+){12}$/);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // On webgpu, transformers keeps the growing cache in GPUBuffers.
  test.each(['cpu', 'webgpu'])('the same embeddings and text on %s', async (device) => {
    const zoo = unpack('zoo');
    const found = await runProgram<Found>('transformers', 'quern', { device }, zoo, folder);
    expect(found.dims).toEqual(expected.dims);
    expect(furthest(found.embeddings, expected.embeddings)).toBeLessThan(1e-4);
    expect(found.texts).toEqual(expected.texts);
  });
});
