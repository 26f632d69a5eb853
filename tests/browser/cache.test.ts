// The cache in Chromium: visits without a network, downloads that break off, damaged copies, quotas,
// two pages at once.

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CachedFileInfo, CacheOptions, CacheReport } from '../../runtime/src/index.js';
import { TestBrowser, type TestPage } from '../support/browser.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import type { Reply, SeenRequest } from '../support/server.js';

/** 9 MB of weights, in a file of their own: three pieces. */
const width = 1500;
const weights = Float32Array.from({ length: width * width }, (_, i) => ((i * 7) % 13) / 16);
const weightBytes = new Uint8Array(weights.buffer);
const external = { location: 'w.bin', offset: 0, length: weightBytes.length };
const model = writeModel({
  graph: {
    nodes: [node('MatMul', ['x', 'w'], ['m']), node('Add', ['m', 'b'], ['y'])],
    initializers: [
      tensor('b', 'f32', [1], [1]),
      { name: 'w', dtype: 'f32', dims: [width, width], external },
    ],
    inputs: [value('x', 'f32', [1, width])],
    outputs: [value('y', 'f32', [1, width])],
  },
});
const expected = Array.from({ length: width }, (_, column) => {
  let sum = 1;
  for (let row = 0; row < width; row++) sum += weights[row * width + column]!;
  return sum;
});

interface Visit {
  y: number[];
  cache: CacheReport;
}

/** A page that loads the model, and a service worker that keeps the page, but no model. */
const pageScript = `
  import { cache, load } from '/runtime/dist/index.js';
  globalThis.cache = cache;
  globalThis.visit = async (cache) => {
    const model = await load('/models/m.onnx', { device: 'wasm', cache });
    const { y } = await model.run({ x: new Float32Array(${width}).fill(1) });
    const report = model.report().cache;
    model.dispose();
    return { y: [...y.data], cache: report };
  };
  await navigator.serviceWorker.register('/service-worker.js');
  await navigator.serviceWorker.ready;
  globalThis.ready = true;`;
const serviceWorker = `
  addEventListener('activate', (event) => event.waitUntil(clients.claim()));
  addEventListener('fetch', (event) => {
    if (event.request.url.includes('/models/')) return;
    event.respondWith((async () => {
      const page = await caches.open('page');
      const kept = await page.match(event.request);
      if (kept) return kept;
      const response = await fetch(event.request);
      await page.put(event.request, response.clone());
      return response;
    })());
  });`;

let browser: TestBrowser;
/** After so many bytes of the weights the connection ends. */
let cut: number | undefined;

function weightReply(): Reply {
  const stop = cut ?? weightBytes.length;
  return {
    headers: { etag: '"weights-1"' },
    body: {
      byteLength: weightBytes.length,
      async *chunks(start, end) {
        yield weightBytes.subarray(start, Math.min(end, stop));
        if (end <= stop) return;
        await new Promise((resolve) => setTimeout(resolve, 50)); // what was sent arrives
        throw new Error('cut');
      },
    },
  };
}

beforeAll(async () => {
  const script = (body: string) => (): Reply => ({ type: 'text/javascript', body });
  browser = await TestBrowser.start({
    webgpu: false,
    routes: {
      '/visit.html': () => ({
        type: 'text/html',
        body: '<!doctype html><title>visit</title><script type="module" src="/visit.js"></script>',
      }),
      '/visit.js': script(pageScript),
      '/service-worker.js': script(serviceWorker),
      '/models/m.onnx': () => ({ headers: { etag: '"model-1"' }, body: model }),
      '/models/w.bin': weightReply,
    },
  });
});
afterAll(() => browser?.close());
beforeEach(() => {
  cut = undefined;
});

async function open(): Promise<TestPage> {
  const opened = await browser.open('/visit.html');
  await opened.page.waitForFunction('globalThis.ready');
  browser.server.requests.length = 0;
  return opened;
}

async function visit(page: Page, cache: CacheOptions): Promise<Visit> {
  const call = `globalThis.visit(${JSON.stringify(cache)})`;
  const result = await page.evaluate<Visit>(call);
  const furthest = result.y.reduce((most, y, i) => Math.max(most, Math.abs(y - expected[i]!)), 0);
  expect(result.y.length).toBe(width);
  expect(furthest).toBeLessThan(0.1);
  return result;
}

function asked(): SeenRequest[] {
  const all = browser.server.requests.splice(0);
  return all.filter(({ path }) => path.startsWith('/models/'));
}

const list = (page: Page): Promise<CachedFileInfo[]> =>
  page.evaluate<CachedFileInfo[]>('cache.list()');
const bytes = { model: model.length, weights: weightBytes.length };
const allKept = [
  { fromCache: bytes.model, fetched: 0, kept: true },
  { fromCache: bytes.weights, fetched: 0, kept: true },
];

describe.each(['opfs', 'cache-storage'] as const)('in %s', (store) => {
  test('a second visit loads with the network off', async () => {
    const opened = await open();
    const { page } = opened;
    const first = await visit(page, { store });
    expect(first.cache).toMatchObject({
      store,
      files: [
        { fromCache: 0, fetched: bytes.model, kept: true },
        { fromCache: 0, fetched: bytes.weights, kept: expect.any(Boolean) as boolean },
      ],
    });
    await expect.poll(async () => (await list(page)).every(({ complete }) => complete)).toBe(true);
    await page.reload();
    await page.waitForFunction('globalThis.ready');
    await visit(page, { store }); // with the network: the page is complete too
    asked();

    await page.context().setOffline(true);
    await page.reload();
    await page.waitForFunction('globalThis.ready');
    const offline = await visit(page, { store });
    expect(offline.cache.files).toMatchObject(allKept);
    expect(offline.cache.notes.join()).toMatch(/m\.onnx: not checked for a newer version: offline/);
    expect(asked()).toEqual([]);
    await page.context().setOffline(false);
    const online = await visit(page, { store });
    expect(online.cache.files).toMatchObject(allKept);
    expect(asked().map(({ headers }) => headers['if-none-match'])).toEqual([
      '"model-1"',
      '"weights-1"',
    ]);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test('a quota that is exceeded is survived', async () => {
    const opened = await open();
    const session = await opened.page.context().newCDPSession(opened.page);
    await session.send('Storage.overrideQuotaForOrigin', {
      origin: browser.server.url,
      quotaSize: 6_000_000,
    });
    const { cache } = await visit(opened.page, { store, maxBytes: 1e9 });
    expect(cache.files[1]).toMatchObject({ kept: false });
    expect(cache.notes.join()).toMatch(/w\.bin: it is not kept: /);
    expect((await list(opened.page)).every(({ complete }) => complete)).toBe(true);
    await opened.close();
  });
});

describe('downloads', () => {
  const store = 'opfs';

  test('a download that breaks off goes on where it was', async () => {
    const opened = await open();
    cut = 6_000_000;
    const failing = `globalThis.visit({ store: '${store}' }).then(() => 'loaded', String)`;
    expect(await opened.page.evaluate(failing)).toMatch(/w\.bin broke off after \d+ of \d+ bytes/);
    const [, partial] = (await list(opened.page)).sort((a, b) => a.url.localeCompare(b.url));
    expect(partial).toMatchObject({ complete: false, bytes: 6_000_000 });
    cut = undefined;
    asked();
    await visit(opened.page, { store });
    const requests = asked().filter(({ path }) => path === '/models/w.bin');
    expect(requests.map(({ headers }) => [headers.range, headers['if-range']])).toEqual([
      ['bytes=6000000-', '"weights-1"'],
    ]);
    await opened.close();
  });

  test('two pages at once leave a good copy', async () => {
    const opened = await open();
    const other = await opened.page.context().newPage();
    await other.goto(`${browser.server.url}/visit.html`);
    await other.waitForFunction('globalThis.ready');
    await Promise.all([visit(opened.page, { store }), visit(other, { store })]);
    await expect
      .poll(async () => (await list(other)).map(({ complete }) => complete))
      .toEqual([true, true]);
    expect((await visit(other, { store })).cache.files).toMatchObject(allKept);
    await opened.close();
  });
});

test('a flipped byte is detected and fetched again', async () => {
  const opened = await open();
  const { page } = opened;
  await visit(page, { store: 'opfs' });
  await expect.poll(async () => (await list(page)).every(({ complete }) => complete)).toBe(true);
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle('quern');
    for await (const folder of (top as unknown as { values(): AsyncIterable<unknown> }).values()) {
      const files = folder as { values(): AsyncIterable<FileSystemFileHandle> };
      for await (const file of files.values()) {
        if (!file.name.endsWith('.1')) continue; // the weights alone have two
        const { size } = await file.getFile();
        const at = size >> 1;
        const byte = new Uint8Array(await (await file.getFile()).arrayBuffer())[at]!;
        const writable = await file.createWritable({ keepExistingData: true });
        await writable.write({ type: 'write', position: at, data: Uint8Array.of(byte ^ 1) });
        await writable.close();
      }
    }
  });
  asked();
  const piece = 4 << 20;
  const mended = await visit(page, { store: 'opfs', validate: false });
  expect(asked().map(({ headers }) => headers.range)).toEqual([`bytes=${piece}-${2 * piece - 1}`]);
  expect(mended.cache.files[1]).toMatchObject({ fetched: piece, kept: true });
  expect(mended.cache.notes.join()).toMatch(
    /a damaged piece, 4194304 bytes at 4194304, was fetched/,
  );
  const again = await visit(page, { store: 'opfs', validate: false });
  expect(again.cache.files).toMatchObject(allKept);
  expect(asked()).toEqual([]);
  await opened.close();
});

test('files are listed and removed', async () => {
  const opened = await open();
  const { page } = opened;
  await visit(page, {});
  await expect.poll(async () => (await list(page)).every(({ complete }) => complete)).toBe(true);
  const [weightInfo, modelInfo] = (await list(page)).sort((a, b) => b.bytes - a.bytes);
  expect(weightInfo).toMatchObject({ store: 'opfs', bytes: bytes.weights, etag: '"weights-1"' });
  expect(modelInfo).toMatchObject({ url: `${browser.server.url}/models/m.onnx` });
  expect(await page.evaluate(`cache.delete('/models/w.bin')`)).toBe(true);
  expect(await page.evaluate(`cache.delete('/models/w.bin')`)).toBe(false);
  expect((await list(page)).length).toBe(1);
  await page.evaluate('cache.clear()');
  expect(await list(page)).toEqual([]);
  const left = await page.evaluate<string[]>(
    `navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('quern'))
      .then((folder) => Array.fromAsync(folder.keys()))`,
  );
  expect(left).toEqual([]);
  await opened.close();
});
