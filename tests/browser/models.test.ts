// Real models through the whole of Quern in Chromium, under a strict content security policy.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadOptions } from '../../runtime/src/index.js';
import { modelReferences, zooReferences } from '../models/references.js';
import { TestBrowser, type TestPage } from '../support/browser.js';
import type { CaseResult } from './run-model.js';

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

const imports = `
  import { load } from '/runtime/dist/index.js';
  import { runCase } from '/tests/browser/run-model.js';
  import { fetchReference } from '/tests/models/reference-file.js';`;

const runInPage = `${imports}
  export default async ({ name, options, state }) => {
    const reference = await fetchReference(name);
    return runCase(load, '/' + reference.model, reference, options, state);
  };`;

// The pages fetch the references.
const zoo = zooReferences().map(({ name }) => name);
beforeAll(async () => {
  await modelReferences();
});

/**
 * Loads and runs a case in a page of its own; nothing may complain meanwhile. Of models that pages
 * have, where the core is in a worker, no task keeps the page's thread for 50 ms.
 */
async function inPage(
  browser: TestBrowser,
  argument: { name: string; options: LoadOptions; state?: boolean },
): Promise<CaseResult> {
  const page = await browser.open();
  try {
    const run = (): Promise<CaseResult> => page.evaluateModule(runInPage, argument);
    let result: CaseResult;
    if (argument.options.worker === false || zoo.includes(argument.name)) {
      result = await run();
    } else {
      const { result: traced, times } = await page.processorTimes(run);
      result = traced;
      expect(times.length).toBeGreaterThan(result.report.runs);
      expect(Math.max(...times)).toBeLessThan(50);
    }
    expect(page.errors).toEqual([]);
    expect(result.differences).toEqual([]);
    return result;
  } finally {
    await page.close();
  }
}

describe('a page with WebGPU', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ csp: true });
  });
  afterAll(() => browser?.close());

  test.each(names)('webgpu: %s', async (name) => {
    const { report } = await inPage(browser, { name, options: { device: 'webgpu' } });
    expect(report).toMatchObject({ device: 'webgpu', core: 'worker', reason: 'asked for' });
    expect(report.adapter).toMatchObject({ software: true });
  });

  test.each([...others, ...zoo])('webgpu: %s', async (name) => {
    await inPage(browser, { name, options: { device: 'webgpu', warm: false } });
  });

  test('webgpu: state stays on the device', async () => {
    await inPage(browser, { name: 'silero-vad', options: { device: 'webgpu' }, state: true });
  });

  test('webgpu: new dims make no pipeline', async () => {
    const { objects } = await inPage(browser, { name: 'hf-bert', options: { device: 'webgpu' } });
    expect(objects.slice(1).map(({ pipelines }) => pipelines)).toEqual([0, 0, 0]);
  });

  test('webgpu: the second run makes no GPU object', async () => {
    const page = await browser.open();
    const objects = await page.evaluateModule(
      `${imports}
      export default async () => {
        const reference = await fetchReference('ppocr-direction');
        reference.steps = [reference.steps[0], reference.steps[0]];
        const path = '/' + reference.model;
        return (await runCase(load, path, reference, { device: 'webgpu' })).objects[1];
      };`,
    );
    expect(objects).toEqual(none);
    await page.close();
  });

  test('auto takes no software adapter', async () => {
    const { report } = await inPage(browser, { name: 'hf-bert', options: {} });
    expect(report.device).toBe('wasm');
    expect(report.reason).toMatch(/^the only GPU adapter is software: /);
    expect(report.threads).toBe(1);
    expect(report.notes.join()).toMatch(/not cross-origin isolated/);
  });

  test('in a worker of the page, and with the core on the page’s thread', async () => {
    browser.server.routes.set('/own-worker.js', () => ({
      type: 'text/javascript',
      body: `${imports}
        const reference = await fetchReference('hf-bert');
        reference.steps.length = 1;
        const results = [];
        for (const worker of [undefined, true]) {
          results.push(await runCase(load, '/' + reference.model, reference, {
            device: 'webgpu',
            worker,
          }));
        }
        postMessage(results);`,
    }));
    const page = await browser.open();
    const results = await page.evaluateModule<CaseResult[]>(
      `export default () => new Promise((resolve, reject) => {
        const worker = new Worker('/own-worker.js', { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      });`,
    );
    expect(results.map(({ report }) => report.core)).toEqual(['inline', 'worker']);
    expect(results.flatMap(({ differences }) => differences)).toEqual([]);
    expect(page.errors).toEqual([]);
    await page.close();
    const options: LoadOptions = { device: 'webgpu', worker: false };
    expect((await inPage(browser, { name: 'hf-bert', options })).report.core).toBe('inline');
  });
});

describe('a page without WebGPU', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ csp: true, webgpu: false });
  });
  afterAll(() => browser?.close());

  test.each([...names, ...others, ...zoo])('wasm: %s', async (name) => {
    const { report } = await inPage(browser, { name, options: {} });
    expect(report).toMatchObject({ device: 'wasm', core: 'worker', threads: 1 });
    expect(report.reason).toMatch(/^webgpu: /);
  });

  test('webgpu, where it is asked for, is refused', async () => {
    const page = await browser.open();
    const error = await failure(page, `load('/none.onnx', { device: 'webgpu' })`);
    expect(error.name).toBe('UnsupportedError');
    expect(error.message).toMatch(/^webgpu: /);
    await page.close();
  });

  test('failures are typed and say what is wrong', async () => {
    const page = await browser.open();
    expect(await failure(page, `load('/none.onnx', { device: 'wasm' })`)).toMatchObject({
      name: 'InvalidArgumentError',
      message: expect.stringMatching(/none\.onnx gives status 404$/) as string,
    });
    const bytes = 'new Uint8Array(5).fill(255)';
    const broken = await failure(page, `load(${bytes}, { device: 'wasm' })`);
    expect(broken.name).toBe('InvalidModelError');
    const aborted = await failure(page, `load(${bytes}, { signal: AbortSignal.abort() })`);
    expect(aborted.name).toBe('AbortError');
    await page.close();
  });
});

describe('a cross-origin isolated page', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ csp: true, webgpu: false, isolated: true });
  });
  afterAll(() => browser?.close());

  test.each(names)('wasm with threads: %s', async (name) => {
    const { report } = await inPage(browser, { name, options: { threads: 3 } });
    expect(report).toMatchObject({ device: 'wasm', core: 'worker', threads: 3, notes: [] });
  });

  test('wasm with threads: state is kept', async () => {
    await inPage(browser, { name: 'silero-vad', options: { threads: 2 }, state: true });
  });
});

function failure(page: TestPage, expression: string): Promise<{ name: string; message: string }> {
  return page.evaluateModule(
    `${imports}
    export default async () => {
      try {
        await ${expression};
        return { name: 'none', message: '' };
      } catch ({ name, message }) {
        return { name, message };
      }
    };`,
  );
}
