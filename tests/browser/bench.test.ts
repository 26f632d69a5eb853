// The bench in a page, from its command line: every engine's outputs agree, and the floor issues
// Quern's commands.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { repoRoot } from '../support/paths.js';

interface Row {
  key: string;
  error?: number;
  dispatches?: number;
  run: { median: number };
}

interface Results {
  results: { environment: { adapter: string; isolated: boolean }; rows: Row[] }[];
}

test('Quern, its floor and onnxruntime-web on one model', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quern-bench-'));
  try {
    const json = join(folder, 'page.json');
    const choice = ['--models', 'silero', '--engines', 'quern,quern-wasm,ort-wasm'];
    const short = ['--runs', '2', '--budget', '1', '--again', '1', '--threads', '1'];
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['bench/page.mjs', 'runtime', '--software', ...choice, ...short, '--json', json],
      { cwd: repoRoot },
    );
    expect(stdout).toMatch(/swiftshader.*Chromium \d+/i);
    const { results } = JSON.parse(readFileSync(json, 'utf8')) as Results;
    expect(results).toHaveLength(1);
    const [{ environment, rows }] = results as [Results['results'][0]];
    expect(environment.isolated).toBe(true);
    expect(rows.map(({ key }) => key)).toEqual(['quern', 'quern-wasm', 'ort-wasm', 'floor']);
    const [ours, wasm, reference, floor] = rows as [Row, Row, Row, Row];
    expect(reference.error).toBe(0);
    for (const { error } of [ours, wasm]) expect(error).toBeLessThan(1e-4);
    expect(floor.dispatches).toBe(ours.dispatches);
    expect(ours.dispatches).toBeGreaterThan(5);
    for (const { run } of rows) expect(run.median).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
