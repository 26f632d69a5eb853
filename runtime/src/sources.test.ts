import { describe, expect, test } from 'vitest';
import { startServer } from '../../tests/support/server.js';
import { InvalidArgumentError } from './errors.js';
import { openModel, rereadable } from './model-files.js';
import { chunkLimit, openSource, type Chunk, type SourceInput } from './sources.js';

const content = Uint8Array.from({ length: 3_000_001 }, (_, i) => (i * i) >> 7);

async function collect(chunks: AsyncIterable<Chunk>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(chunk.length).toBeLessThanOrEqual(chunkLimit);
    parts.push(chunk.slice());
  }
  return Buffer.concat(parts);
}

async function expectContent(input: SourceInput): Promise<void> {
  const source = await openSource(input);
  expect(Buffer.compare(await collect(source.read()), content)).toBe(0);
  const again = await rereadable(await openSource(input instanceof Response ? input.url : input));
  for (const [offset, length] of [
    [0, 10],
    [1_500_000, 1_400_000],
    [2_999_990, 11],
  ] as const) {
    const part = await collect(again.range!(offset, length));
    expect(Buffer.compare(part, content.subarray(offset, offset + length))).toBe(0);
  }
}

describe('openSource', () => {
  test('bytes and Blobs', async () => {
    await expectContent(content);
    await expectContent(content.buffer);
    await expectContent(new DataView(content.buffer));
    await expectContent(new Blob([content]));
  });

  test('a stream, once', async () => {
    const stream = () => new Blob([content]).stream();
    const source = await openSource(stream());
    expect('range' in source).toBe(false);
    expect(Buffer.compare(await collect(source.read()), content)).toBe(0);
    const again = await rereadable(await openSource(stream()));
    expect(again.size()).toBe(content.length);
    expect((await collect(again.range!(5, 5))).length).toBe(5);
  });

  test.each([true, false])('a server with ranges: %s', async (ranges) => {
    const server = await startServer({ ranges, routes: { '/m.onnx': () => ({ body: content }) } });
    try {
      const url = `${server.url}/m.onnx`;
      await expectContent(url);
      await expectContent(new URL(url));
      await expectContent(new Request(url));
      await expectContent(await fetch(url));
      const source = await openSource(url);
      await collect(source.read());
      expect(source.size()).toBe(content.length);
      const missing = await openSource(`${server.url}/none`);
      await expect(collect(missing.read())).rejects.toThrow(/none gives status 404$/);
    } finally {
      await server.close();
    }
  });

  test('an abort ends a read that waits', async () => {
    const controller = new AbortController();
    const source = await openSource(new ReadableStream<Uint8Array>());
    const reading = collect(source.read(controller.signal));
    controller.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('refuses ranges that are none', async () => {
    const server = await startServer({ routes: { '/m.onnx': () => ({ body: content }) } });
    try {
      for (const input of [content, new Blob([content]), `${server.url}/m.onnx`]) {
        const source = await openSource(input);
        for (const [offset, length] of [
          [0, -1],
          [-1, 5],
          [0.5, 1],
          [0, 1.5],
          [NaN, 1],
          [0, NaN],
          [0, Infinity],
          [2 ** 53 - 1, 1],
        ] as const) {
          const reading = collect(source.range!(offset, length));
          await expect(reading, `${offset}, ${length}`).rejects.toThrow(
            `has no ${length} bytes at ${offset}`,
          );
        }
        expect((await collect(source.range!(5, 0))).length).toBe(0);
      }
      expect(server.requests).toEqual([]);
    } finally {
      await server.close();
    }
  });

  test('refuses what is no source', async () => {
    await expect(openSource(5 as never)).rejects.toThrow(/no URL, bytes, Blob, stream or path/);
    await expect(openSource('http://[')).rejects.toThrow("model: 'http://[' is no URL");
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue('text');
      },
    });
    const source = await openSource(stream as ReadableStream<Uint8Array>);
    await expect(collect(source.read())).rejects.toThrow(/gives no bytes/);
  });
});

describe('a body that breaks off', () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield content.subarray(0, 1000);
    await new Promise((resolve) => setTimeout(resolve, 50)); // what was sent arrives
    throw new Error('cut');
  }

  /** The error that reading ends in, with what it says of the number of bytes. */
  async function failure(chunks: AsyncIterable<Chunk>): Promise<string> {
    const error: unknown = await collect(chunks).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).cause).toBeInstanceOf(Error);
    return (error as Error).message;
  }

  test('of a server: its address, and bytes received of those expected', async () => {
    const sized = { byteLength: content.length, chunks: broken };
    const server = await startServer({
      routes: { '/sized': () => ({ body: sized }), '/endless': () => ({ body: broken() }) },
    });
    try {
      const source = await openSource(`${server.url}/sized`);
      const { length } = content;
      const text = `model: ${server.url}/sized broke off after 1000 of ${length} bytes: `;
      expect(await failure(source.read())).toContain(text);
      expect(await failure(source.range!(10, 5000))).toContain(
        '/sized broke off after 1000 of 5000 ',
      );
      const given = await openSource(await fetch(`${server.url}/sized`));
      expect(await failure(given.read())).toContain('/sized broke off after 1000 ');
      const endless = await openSource(`${server.url}/endless`);
      expect(await failure(endless.read())).toContain('/endless broke off after 1000 bytes: ');
    } finally {
      await server.close();
    }
  });

  test('a stream of the caller: its own error is the cause', async () => {
    const stream = (error: Error): ReadableStream<Uint8Array> =>
      new ReadableStream({
        pull(controller) {
          if (controller.desiredSize === 1) controller.enqueue(content.subarray(0, 9));
          controller.error(error);
        },
      });
    const source = await openSource(stream(new Error('tape tears')));
    expect(await failure(source.read())).toMatch(
      /^model: stream broke off after \d bytes: tape tears$/,
    );
    const called = await openSource(stream(new DOMException('enough', 'AbortError')));
    await expect(collect(called.read())).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('external data', () => {
  test('is what the caller gives, or lies beside the model', async () => {
    const seen: string[] = [];
    const server = await startServer({
      routes: {
        '/a/m.onnx': () => ({ body: content }),
        '/a/sub/w 1.bin': ({ path }) => {
          seen.push(path);
          return { body: content };
        },
      },
    });
    try {
      const model = await openModel(`${server.url}/a/m.onnx?x=1`);
      const beside = await model.external('sub/w 1.bin');
      expect((await collect(beside.range!(1, 2))).length).toBe(2);
      expect(seen).toEqual(['/a/sub/w 1.bin']);
      for (const name of ['../m', '/etc/passwd', 'http://other/x', 'a/../../b', '..', 'C:\\x']) {
        await expect(model.external(name), name).rejects.toThrow(/give it as externalData/);
      }
    } finally {
      await server.close();
    }
    const given = await openModel({ model: content, externalData: { w: Uint8Array.of(7, 8) } });
    expect([...(await collect((await given.external('w')).range!(1, 1)))]).toEqual([8]);
    await expect(given.external('v')).rejects.toThrow("externalData: {'v': ...}");
  });
});
