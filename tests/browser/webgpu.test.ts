import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBrowser } from '../support/browser.js';
import { syntheticModel } from '../support/synthetic.js';

describe('Chromium with WebGPU (control)', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
  });
  afterAll(() => browser?.close());

  test('runs a compute shader', async () => {
    const page = await browser.open();
    const result = await page.evaluateModule<{ values: number[]; architecture: string }>(
      `import { doubleAndAddOne } from '/tests/support/gpu-smoke.js';
      export default async (values) => {
        const adapter = await navigator.gpu.requestAdapter();
        const device = await adapter.requestDevice();
        const result = await doubleAndAddOne(device, Float32Array.from(values));
        return { values: [...result], architecture: adapter.info.architecture };
      }`,
      [0, 1, 2.5],
    );
    expect(result).toEqual({ values: [1, 3, 6], architecture: 'swiftshader' });
    expect(page.errors).toEqual([]);
    await page.close();
  });

  test('counts the calls on a device', async () => {
    const page = await browser.open();
    const counts = await page.evaluateModule<{ dispatches: number; objects: number; maps: number }>(
      `import { countingDevice } from '/tests/support/counting-device.js';
      import { doubleAndAddOne } from '/tests/support/gpu-smoke.js';
      export default async () => {
        const adapter = await navigator.gpu.requestAdapter();
        const { device, counts } = countingDevice(await adapter.requestDevice());
        await doubleAndAddOne(device, new Float32Array(8));
        const { dispatches, objects, calls } = counts;
        return { dispatches, objects, maps: calls.mapAsync };
      }`,
    );
    expect(counts).toEqual({ dispatches: 1, objects: 5, maps: 1 });
    await page.close();
  });

  test('the helpers for models and references work in a page', async () => {
    const page = await browser.open();
    const worst = await page.evaluateModule(
      `import { tensor } from '/tests/support/onnx.js';
      import { compare, webgpuTolerance } from '/tests/support/compare.js';
      import { readTensor, writeTensor } from '/tests/support/pb.js';
      export default () => {
        const reference = readTensor(writeTensor(tensor('y', 'f32', [2], [1, 2])));
        return compare(reference, tensor('y', 'f32', [2], [1, 3]), webgpuTolerance).worstIndex;
      }`,
    );
    expect(worst).toBe(1);
    await page.close();
  });

  test('collects console errors, and what tasks take of the processor', async () => {
    const page = await browser.open();
    const { result, times } = await page.processorTimes(() =>
      page.evaluateModule<number>(
        `const work = (count) => {
          let sum = 0;
          for (let i = 0; i < count; i++) sum = (sum * 5 + i) | 0;
          return sum;
        };
        const task = (count) => new Promise((done) => setTimeout(() => done(work(count))));
        export default async () => {
          console.error('as planned');
          await task(1e8); // not in the span
          await task(0);
          const start = performance.now();
          await task(1e8);
          performance.measure('span', { start, end: performance.now() });
          return task(1e8);
        }`,
      ),
    );
    expect(result).not.toBe(0);
    expect(page.errors).toEqual(['as planned']);
    expect(times.filter((time) => time > 50)).toHaveLength(1);
    await page.close();
  });
});

describe('the test server', () => {
  async function inPage<Result>(
    options: Parameters<typeof TestBrowser.start>[0],
    source: string,
  ): Promise<{ result: Result; errors: string[] }> {
    const browser = await TestBrowser.start({ webgpu: false, ...options });
    try {
      const page = await browser.open();
      return { result: await page.evaluateModule<Result>(source), errors: page.errors };
    } finally {
      await browser.close();
    }
  }

  test('isolates a page where asked', async () => {
    const source = 'export default () => [crossOriginIsolated, typeof SharedArrayBuffer]';
    expect((await inPage({ isolated: true }, source)).result).toEqual([true, 'function']);
    expect((await inPage({}, source)).result).toEqual([false, 'undefined']);
  });

  test('sends a strict policy where asked', async () => {
    const { result, errors } = await inPage<boolean[]>(
      { csp: true },
      `const allowed = async (action) => {
        try { await action(); return true; } catch { return false; }
      };
      const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
      const blobUrl = URL.createObjectURL(new Blob([''], { type: 'text/javascript' }));
      export default async () => [
        await allowed(() => (0, eval)('1')),
        await allowed(() => import(blobUrl)),
        await allowed(() => WebAssembly.compile(empty)),
      ]`,
    );
    expect(result).toEqual([false, false, true]);
    expect(errors.join()).toContain('Content Security Policy');
  });

  test('serves ranges and generated bodies with their types', async () => {
    const model = syntheticModel({ layers: 2, width: 600 });
    const { result } = await inPage<Record<string, unknown>>(
      {
        routes: {
          '/large.onnx': () => ({ body: model }),
          '/module.wasm': () => ({ type: 'application/wasm', body: Uint8Array.of(1, 2, 3) }),
        },
      },
      `const get = async (path, range) => {
        const response = await fetch(path, range ? { headers: { range } } : {});
        const { byteLength } = await response.arrayBuffer();
        const type = response.headers.get('content-type');
        return [response.status, byteLength, type, response.headers.get('content-range')];
      };
      export default async () => ({
        whole: await get('/large.onnx'),
        part: await get('/large.onnx', 'bytes=1000000-1000009'),
        end: await get('/module.wasm', 'bytes=-2'),
        beyond: (await get('/module.wasm', 'bytes=3-'))[0],
        json: (await get('/package.json'))[2],
        missing: (await get('/none'))[0],
        outside: (await get('/..%2f..%2f..%2f..%2fetc/hostname'))[0],
      })`,
    );
    const binary = 'application/octet-stream';
    expect(result).toEqual({
      whole: [200, model.byteLength, binary, null],
      part: [206, 10, binary, `bytes 1000000-1000009/${model.byteLength}`],
      end: [206, 2, 'application/wasm', 'bytes 1-2/3'],
      beyond: 416,
      json: 'application/json',
      missing: 404,
      outside: 404,
    });
  });
});
