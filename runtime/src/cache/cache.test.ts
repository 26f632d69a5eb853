import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from '../../../tests/support/memory-store.js';
import { startServer, type Reply, type TestServer } from '../../../tests/support/server.js';
import { InvalidModelError } from '../errors.js';
import { rereadable } from '../model-files.js';
import { openSource, type Chunk, type Source } from '../sources.js';
import { cacheIn } from './cache.js';
import { openFolder } from './folder.js';
import { hold } from './locks.js';
import { groupOf, readManifest } from './manifest.js';
import type { RecordStore } from './records.js';
import type { CacheOptions, CacheReport } from './types.js';

const pieceBytes = 64 << 10;
/** Two pieces and a half. */
const size = 2.5 * pieceBytes;
const bytesOf = (seed: number, length = size): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * i * seed) >> 9);
const first = bytesOf(3);
const second = bytesOf(5);

let server: TestServer;
let store: MemoryStore;
/** What the server has: the file, its version, and where it cuts the connection. */
let file: Uint8Array;
let headers: Record<string, string>;
let cut: number | undefined;
let down: boolean;
let url: string;

beforeEach(async () => {
  store = new MemoryStore();
  file = first;
  headers = { etag: '"1"' };
  cut = undefined;
  down = false;
  server = await startServer();
  server.routes.set('/m.onnx', reply);
  url = `${server.url}/m.onnx`;
});
afterEach(() => server.close());

function reply(): Reply {
  if (down) return { status: 503 };
  const sent = file;
  return {
    headers,
    body: {
      byteLength: sent.length,
      async *chunks(start, end) {
        const stop = Math.min(end, cut ?? end);
        for (let at = start; at < stop; at += 2_000) {
          yield sent.subarray(at, Math.min(at + 2_000, stop));
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (stop === end) return;
        await new Promise((resolve) => setTimeout(resolve, 20)); // what was sent arrives
        throw new Error('cut');
      },
    },
  };
}

interface Cached {
  source: Source;
  report(): CacheReport;
  forget(): Promise<void>;
}

async function open(
  options: CacheOptions & { maxBytes?: number } = {},
  address: string | Request = url,
  into: RecordStore = store,
): Promise<Cached> {
  const cache = cacheIn(into, { maxBytes: Infinity, ...options }, { pieceBytes, firstPause: 5 });
  return { ...cache, source: cache.wrap(await openSource(address)) };
}

async function collect(chunks: AsyncIterable<Chunk>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

async function expectRead(cached: Cached, expected: Uint8Array): Promise<void> {
  expect(Buffer.compare(await collect(cached.source.read()), expected)).toBe(0);
}

/** Status of what was asked for, by its conditions. */
function asked(): string[] {
  return server.requests.splice(0).map(({ headers: sent }) => {
    const told = ['range', 'if-range', 'if-none-match', 'if-modified-since'];
    return told
      .flatMap((name) => (sent[name] ? [`${name}: ${String(sent[name])}`] : []))
      .join(', ');
  });
}

const file0 = (report: CacheReport) => report.files[0]!;

describe('a file', () => {
  test('is fetched once, and asked after', async () => {
    const one = await open();
    await expectRead(one, first);
    expect(file0(one.report())).toEqual({ url, fromCache: 0, fetched: size, kept: true });
    expect(store.shortNames()).toEqual(['.0', '.1', '.2', 'manifest', 'used']);
    expect(asked()).toEqual(['']);

    const two = await open();
    await expectRead(two, first);
    expect(file0(two.report())).toEqual({ url, fromCache: size, fetched: 0, kept: true });
    expect(two.report().notes).toEqual([]);
    expect(two.source.size()).toBe(size);
    expect(asked()).toEqual(['if-none-match: "1"']);

    const three = await open({ validate: false });
    await expectRead(three, first);
    expect(asked()).toEqual([]);
  });

  test('is read without a server, and where it answers with an error of its own', async () => {
    await expectRead(await open(), first);
    down = true;
    const busy = await open();
    await expectRead(busy, first);
    expect(busy.report().notes).toEqual([`${url}: not checked for a newer version: status 503`]);
    await server.close();
    const offline = await open();
    await expectRead(offline, first);
    expect(offline.report().notes.join()).toMatch(/not checked for a newer version: /);
    expect(file0(offline.report()).fetched).toBe(0);
    const unknown = await open({}, `${server.url}/other.onnx`);
    await expect(collect(unknown.source.read())).rejects.toThrow(/other\.onnx can't be fetched/);
  });

  test('that is gone from the server is not served from a copy', async () => {
    await expectRead(await open(), first);
    server.routes.delete('/m.onnx');
    await expect(collect((await open()).source.read())).rejects.toThrow(/gives status 404$/);
  });

  test('gives way to a newer version, when that is complete', async () => {
    await expectRead(await open(), first);
    file = second;
    headers = { etag: '"2"' };
    cut = 24_000;
    const broken = collect((await open()).source.read());
    await expect(broken).rejects.toThrow(`broke off after 24000 of ${size} bytes`);
    const old = await open({ validate: false });
    await expectRead(old, first);
    cut = undefined;
    asked();
    const fresh = await open();
    await expectRead(fresh, second);
    expect(asked()).toEqual(['if-none-match: "1"', 'range: bytes=24000-, if-range: "2"']);
    expect(file0(fresh.report())).toMatchObject({ fromCache: 24_000, kept: true });
    expect(store.shortNames().filter((name) => name.startsWith('.')).length).toBe(4);
    await expectRead(await open({ validate: false }), second);
  });

  test('is known by Last-Modified where there is no ETag', async () => {
    headers = { 'last-modified': 'Wed, 01 Jan 2020 00:00:00 GMT' };
    await expectRead(await open(), first);
    await expectRead(await open(), first);
    expect(asked()).toEqual(['', 'if-modified-since: Wed, 01 Jan 2020 00:00:00 GMT']);
  });

  test('without a validator is fetched again, and there without a network', async () => {
    headers = {};
    await expectRead(await open(), first);
    file = second;
    await expectRead(await open(), second);
    await server.close();
    await expectRead(await open(), second);
  });

  test('of another key, of a Request, of another method', async () => {
    const key = (address: string): string => address.replace(/\?.*/, '');
    await expectRead(await open({ key }, `${url}?signature=1`), first);
    const other = await open({ key, validate: false }, `${url}?signature=2#x`);
    await expectRead(other, first);
    expect(file0(other.report()).fromCache).toBe(size);
    const request = new Request(url, { headers: { 'x-token': 'a' } });
    const asking = await open({}, request);
    await expectRead(asking, first);
    expect(file0(asking.report()).fromCache).toBe(size);
    expect(server.requests.at(-1)!.headers).toMatchObject({
      'x-token': 'a',
      'if-none-match': '"1"',
    });
    const posted = await open({}, new Request(url, { method: 'POST' }));
    expect(posted.report().files).toEqual([]);
  });
});

describe('a download that breaks off', () => {
  test('goes on at once', async () => {
    cut = 80_000;
    server.routes.set('/m.onnx', ({ headers: sent }) => {
      if (sent.range) cut = undefined;
      return reply();
    });
    const cached = await open();
    await expectRead(cached, first);
    expect(asked()).toEqual(['', 'range: bytes=80000-, if-range: "1"']);
    expect(file0(cached.report())).toEqual({ url, fromCache: 0, fetched: size, kept: true });
  });

  test('goes on at the next load', async () => {
    cut = 80_000;
    const broken = await open();
    await expect(collect(broken.source.read())).rejects.toThrow(
      /m\.onnx broke off after 80000 of /,
    );
    expect(file0(broken.report())).toMatchObject({ fetched: 80_000, kept: false });
    expect(store.shortNames()).toEqual(['.0', '.1', 'partial', 'used']);
    cut = undefined;
    asked();
    const cached = await open();
    await expectRead(cached, first);
    expect(asked()).toEqual(['range: bytes=80000-, if-range: "1"']);
    const fetched = size - 80_000;
    expect(file0(cached.report())).toEqual({ url, fromCache: 80_000, fetched, kept: true });
    await expectRead(await open({ validate: false }), first);
  });

  test('begins anew where the file has changed, or the server knows no ranges', async () => {
    cut = 80_000;
    await expect(collect((await open()).source.read())).rejects.toThrow();
    cut = undefined;
    file = second;
    headers = { etag: '"2"' };
    await expectRead(await open(), second);
    expect(store.shortNames()).toEqual(['.0', '.1', '.2', 'manifest', 'used']);
  });

  test('is not resumed by a weak validator', async () => {
    headers = { etag: 'W/"1"' };
    cut = 80_000;
    await expect(collect((await open()).source.read())).rejects.toThrow(
      /broke off after 80000 of /,
    );
    expect(asked()).toEqual(['']);
    expect(store.shortNames()).toEqual([]);
  });

  test('by an abort is kept', async () => {
    const controller = new AbortController();
    const { source } = await open();
    let position = 0;
    const reading = async (): Promise<void> => {
      for await (const chunk of source.read(controller.signal)) {
        position += chunk.length;
        if (position > 80_000) controller.abort();
      }
    };
    await expect(reading()).rejects.toMatchObject({ name: 'AbortError' });
    await expect.poll(() => store.shortNames()).toEqual(['.0', '.1', 'partial', 'used']);
    asked();
    const again = await open();
    await expectRead(again, first);
    expect(file0(again.report()).fromCache).toBeGreaterThan(80_000);
  });

  test('is kept by pieces where the page is closed', async () => {
    const { source } = await open();
    const chunks = source.read()[Symbol.asyncIterator]();
    for (let at = 0; at < 140_000;) at += ((await chunks.next()).value as Chunk).length;
    const group = await groupOf(url);
    const pieces = async () => (await readManifest(store, group, 'partial'))?.pieces.length;
    await expect.poll(pieces).toBe(2);
    const copied = new MemoryStore();
    for (const [group, records] of store.records) copied.records.set(group, new Map(records));
    await chunks.return!();
    const next = await open({}, url, copied);
    await expectRead(next, first);
    expect(file0(next.report()).fromCache).toBe(2 * pieceBytes);
  });
});

describe('a damaged copy', () => {
  const records = async () => store.records.get(await groupOf(url))!;
  const piece = async (index: number): Promise<[string, Uint8Array]> =>
    [...(await records())].find(([name]) => name.endsWith(`.${index}`))!;

  test('a flipped byte is found and fetched again', async () => {
    await expectRead(await open(), first);
    const [, bytes] = await piece(1);
    bytes[1234]! ^= 1;
    asked();
    const mended = await open({ validate: false });
    await expectRead(mended, first);
    expect(asked()).toEqual([`range: bytes=${pieceBytes}-${2 * pieceBytes - 1}`]);
    expect(mended.report()).toMatchObject({
      files: [{ fromCache: size - pieceBytes, fetched: pieceBytes, kept: true }],
      notes: [`${url}: a damaged piece, ${pieceBytes} bytes at ${pieceBytes}, was fetched again`],
    });
    await expectRead(await open({ validate: false }), first);
    expect(asked()).toEqual([]);
  });

  test('so is a piece that is missing or short', async () => {
    await expectRead(await open(), first);
    const all = await records();
    all.delete((await piece(0))[0]);
    const [name, bytes] = await piece(2);
    all.set(name, bytes.slice(7));
    const mended = await open();
    await expectRead(mended, first);
    expect(file0(mended.report()).fetched).toBe(1.5 * pieceBytes);
  });

  test('a damaged manifest is none', async () => {
    await expectRead(await open(), first);
    const manifest = (await records()).get('manifest')!;
    manifest[100]! ^= 1;
    const again = await open();
    await expectRead(again, first);
    expect(file0(again.report())).toMatchObject({ fromCache: 0, kept: true });
    expect(store.shortNames()).toEqual(['.0', '.1', '.2', 'manifest', 'used']);
  });

  test('of a file that has changed is deleted, and never given out', async () => {
    await expectRead(await open(), first);
    (await piece(1))[1][9]! ^= 1;
    file = second;
    headers = { etag: '"2"' };
    const late = await open({ validate: false });
    await expect(collect(late.source.read())).rejects.toThrow(InvalidModelError);
    expect(store.shortNames()).toEqual([]);
    await expectRead(await open({ validate: false }), second);
  });

  test('is replaced as a whole where nothing was given out', async () => {
    await expectRead(await open(), first);
    (await piece(0))[1][9]! ^= 1;
    file = second;
    headers = { etag: '"2"' };
    await expectRead(await open({ validate: false }), second);
  });

  test('of a part of a download', async () => {
    cut = 140_000;
    await expect(collect((await open()).source.read())).rejects.toThrow();
    (await piece(0))[1][9]! ^= 1;
    (await piece(1))[1][9]! ^= 1;
    cut = undefined;
    const mended = await open();
    await expectRead(mended, first);
    expect(file0(mended.report()).fetched).toBe(size - 140_000 + 2 * pieceBytes);
  });

  test('is forgotten where its model is no good', async () => {
    const cached = await open();
    await expectRead(cached, first);
    await cached.forget();
    expect(store.shortNames()).toEqual([]);
  });
});

describe('room', () => {
  async function keep(name: string, length: number, options = {}): Promise<CacheReport> {
    const body = bytesOf(7, length);
    server.routes.set(`/${name}`, () => ({ headers: { etag: '"1"' }, body }));
    const cached = await open(options, `${server.url}/${name}`);
    await expectRead(cached, body);
    return cached.report();
  }
  const kept = async (): Promise<string[]> => {
    const names = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name) =>
        store.records.has(await groupOf(`${server.url}/${name}`)) ? name : '',
      ),
    );
    return names.filter((name) => name !== '');
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

  test('is made by those that were not used for longest', async () => {
    const options = { maxBytes: 45_000 };
    for (const name of ['a', 'b', 'c']) {
      await keep(name, 15_000, options);
      await pause();
    }
    await keep('a', 15_000, options); // used again
    await pause();
    expect(await kept()).toEqual(['a', 'b', 'c']);
    await keep('d', 15_000, options);
    expect(await kept()).toEqual(['a', 'c', 'd']);
  });

  test('is not made for what is too large, and not by what is read', async () => {
    const options = { maxBytes: 45_000 };
    await keep('a', 15_000, options);
    const report = await keep('b', 45_001, options);
    expect(file0(report)).toMatchObject({ kept: false, fetched: 45_001 });
    expect(report.notes.join()).toMatch(/it is not kept: 45001 bytes are more than fits$/);
    expect(await kept()).toEqual(['a']);
    const release = await hold(await groupOf(`${server.url}/a`), 'shared', 0);
    expect(file0(await keep('c', 40_000, options)).kept).toBe(false);
    release!();
    expect(file0(await keep('c', 40_000, options)).kept).toBe(true);
    expect(await kept()).toEqual(['c']);
  });

  test('a quota that is exceeded is survived', async () => {
    store.quota = 45_000;
    expect(file0(await keep('a', 24_000)).kept).toBe(true);
    await pause();
    expect(file0(await keep('b', 40_000)).kept).toBe(true);
    expect(await kept()).toEqual(['b']);
    const report = await keep('c', 80_000);
    expect(file0(report)).toMatchObject({ kept: false, fetched: 80_000 });
    expect(report.notes.join()).toMatch(/it is not kept: the quota is exceeded$/);
    expect(store.bytes).toBe(0);
  });

  test('a store that fails is survived', async () => {
    await keep('a', 15_000);
    store.onPut = (_, name) => {
      if (name.endsWith('.0')) throw new Error('the disk is gone');
    };
    expect((await keep('b', 15_000)).notes.join()).toMatch(/not kept: the disk is gone$/);
    expect(await kept()).toEqual(['a']);
  });
});

describe('ranges of a file', () => {
  const ranges = [
    [100, 1000],
    [pieceBytes - 10, 20],
    [size - 5, 5],
    [pieceBytes + 1, 90_000],
    [0, size],
  ] as const;

  async function expectRanges({ source }: Cached): Promise<void> {
    for (const [offset, length] of ranges) {
      const got = await collect(source.range!(offset, length));
      expect(Buffer.compare(got, first.subarray(offset, offset + length))).toBe(0);
    }
  }

  test('come from one download of the whole', async () => {
    const one = await open();
    expect(await rereadable(one.source)).toBe(one.source);
    await expectRanges(one);
    expect(asked()).toEqual(['']);
    await expect.poll(() => file0(one.report()).kept).toBe(true); // committed after the last range
    expect(file0(one.report())).toEqual({ url, fromCache: 0, fetched: size, kept: true });
    const two = await open();
    await expectRanges(two);
    expect(asked()).toEqual(['if-none-match: "1"']);
    expect(file0(two.report())).toEqual({ url, fromCache: size, fetched: 0, kept: true });
  });

  test('are given out as they arrive', async () => {
    let open_!: () => void;
    const gate = new Promise<void>((resolve) => (open_ = resolve));
    server.routes.set('/m.onnx', () => ({
      headers,
      body: {
        byteLength: size,
        async *chunks(start, end) {
          yield first.subarray(start, 2 * pieceBytes);
          await gate;
          yield first.subarray(2 * pieceBytes, end);
        },
      },
    }));
    const { source } = await open();
    expect((await collect(source.range!(10, pieceBytes))).length).toBe(pieceBytes);
    const rest = collect(source.range!(2 * pieceBytes, 100));
    open_();
    expect((await rest).length).toBe(100);
  });

  test('are fetched one by one where nothing can be stored', async () => {
    store.quota = 1000;
    const cached = await open();
    await expectRanges(cached);
    expect(file0(cached.report()).kept).toBe(false);
    await expectRead(cached, first);
  });

  test('of no bytes, or none that can be counted', async () => {
    const { source } = await open();
    await expectRead(await open(), first);
    expect((await collect(source.range!(size, 0))).length).toBe(0);
    for (const [offset, length] of [
      [0, 1.5],
      [0.5, 1],
      [0, -1],
      [0, NaN],
      [-1, 2],
    ] as const) {
      const reading = collect(source.range!(offset, length));
      await expect(reading).rejects.toThrow(`has no ${length} bytes at ${offset}`);
    }
  });

  test('survive a download that breaks off, and name what is missing', async () => {
    cut = 80_000;
    server.routes.set('/m.onnx', ({ headers: sent }) => {
      if (sent.range) cut = undefined;
      return reply();
    });
    const whole = await open();
    await expectRanges(whole);
    await expect.poll(() => file0(whole.report()).kept).toBe(true); // nothing is written any more
    await store.remove(await groupOf(url));
    server.routes.set('/m.onnx', reply);
    cut = 80_000;
    const { source } = await open();
    const reading = collect(source.range!(0, size));
    await expect(reading).rejects.toThrow(/m\.onnx broke off after 80000 of /);
    cut = undefined;
    expect((await collect(source.range!(0, size))).length).toBe(size);
    const missing = await open({}, `${server.url}/none`);
    await expect(collect(missing.source.range!(0, 5))).rejects.toThrow(/none gives status 404$/);
  });

  test('mend what is damaged', async () => {
    await expectRead(await open(), first);
    const records = store.records.get(await groupOf(url))!;
    for (const [name, bytes] of records) if (name.endsWith('.1')) bytes[5]! ^= 8;
    const cached = await open();
    await expectRanges(cached);
    expect(file0(cached.report())).toMatchObject({ fetched: pieceBytes, kept: true });
  });
});

describe('at once', () => {
  test('two loads of a file leave one good copy', async () => {
    const both = [await open(), await open()];
    await Promise.all(both.map((cached) => expectRead(cached, first)));
    const third = await open({ validate: false });
    await expectRead(third, first);
    expect(file0(third.report()).fromCache).toBe(size);
    expect(store.shortNames()).toEqual(['.0', '.1', '.2', 'manifest', 'used']);
  });

  test('a load waits for another a little, then goes on without', async () => {
    const release = await hold(await groupOf(url), 'exclusive', 0);
    const cached = await open();
    await expectRead(cached, first);
    expect(cached.report().notes).toEqual([`${url}: another page is about to store it`]);
    expect(store.shortNames()).toEqual([]);
    release!();
  });
});

test('a folder of Node holds the same', async () => {
  const path = mkdtempSync(join(tmpdir(), 'quern-cache-'));
  try {
    const folder = openFolder(join(path, 'models'));
    expect(await folder.groups()).toEqual([]);
    cut = 80_000;
    await expect(collect((await open({}, url, folder)).source.read())).rejects.toThrow();
    cut = undefined;
    const cached = await open({}, url, folder);
    await expectRead(cached, first);
    expect(file0(cached.report())).toMatchObject({ fromCache: 80_000, kept: true });
    const group = await groupOf(url);
    expect(readdirSync(join(path, 'models', group)).length).toBe(6);
    await server.close();
    await expectRead(await open({}, url, folder), first);
    await folder.remove(group);
    expect(await folder.groups()).toEqual([]);
  } finally {
    rmSync(path, { recursive: true });
  }
});
