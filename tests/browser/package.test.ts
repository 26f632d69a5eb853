// A package in Chromium: without WebAssembly, which the pages' policy forbids, in a page and a worker.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileModel } from '../../runtime/src/compile/compile.js';
import '../../runtime/src/node.js'; // paths as sources
import { zooReferences } from '../models/references.js';
import { TestBrowser } from '../support/browser.js';
import { compileOptions } from '../support/package-model.js';
import { repoRoot } from '../support/paths.js';
import type { Route } from '../support/server.js';

const name = 'zoo-superres';

let folder: string;
let browser: TestBrowser;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quern-package-'));
  const reference = zooReferences().find((one) => one.name === name)!;
  const dims = ['s25=20', 's63=24'];
  await compileModel(join(repoRoot, reference.model), compileOptions(folder, { dims }));
  const files = readdirSync(folder).map((file): [string, Route] => [
    `/package/${file}`,
    () => ({ body: readFileSync(join(folder, file)) }),
  ]);
  browser = await TestBrowser.start({
    csp: "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'",
    routes: Object.fromEntries(files),
  });
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

const source = `
  import { loadPackage } from '/runtime/dist/package.js';
  import { fetchReference, stepInputs } from '/tests/models/reference-file.js';
  import { feedsOf, valuesOf } from '/tests/browser/run-model.js';
  import { compare } from '/tests/support/compare.js';
  export default async (name) => {
    const reference = await fetchReference(name);
    const model = await loadPackage('/package');
    const outputs = valuesOf(await model.run(feedsOf(stepInputs(reference, 0))));
    const { core, device } = model.report();
    model.dispose();
    const differences = Object.entries(reference.steps[0].outputs)
      .map(([key, value]) => compare(value, outputs[key], reference.tolerance.webgpu).message);
    let wasm = 'allowed';
    try { new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])); } catch { wasm = 'forbidden'; }
    return { core, device, differences, wasm, outputs: Object.keys(outputs).length };
  };`;
const inWorker = `${source.replace('export default', 'const run =')}
  self.onmessage = async ({ data }) => {
    try { self.postMessage(await run(data)); } catch (error) { self.postMessage(String(error)); }
  };`;

const right = {
  ...{ core: 'none', device: 'webgpu', differences: [''], wasm: 'forbidden', outputs: 1 },
};

test('a page fetches the runtime and the package, and no WebAssembly', async () => {
  const page = await browser.open();
  const before = browser.server.requests.length;
  expect(await page.evaluateModule(source, name)).toEqual(right);
  const seen = browser.server.requests.slice(before).map(({ path }) => path);
  expect(seen.filter((path) => path.startsWith('/package/')).sort()).toEqual([
    '/package/manifest.json',
    '/package/plans.bin',
  ]);
  expect(seen.filter((path) => /wasm|worker|quern-core/.test(path))).toEqual([]);
  const dist = seen.filter((path) => path.startsWith('/runtime/dist/'));
  expect(dist.length).toBeGreaterThan(0);
  expect(dist.length).toBeLessThanOrEqual(5);
  await page.close();
});

test('a worker does the same', async () => {
  const page = await browser.open();
  browser.server.routes.set('/package-worker.js', () => ({
    type: 'text/javascript',
    body: inWorker,
  }));
  const result = await page.evaluateModule(
    `export default (name) => new Promise((resolve, reject) => {
      const worker = new Worker('/package-worker.js', { type: 'module' });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(name);
    });`,
    name,
  );
  expect(result).toEqual(right);
  expect(page.errors).toEqual([]);
  await page.close();
});
