// Files of other formats than ONNX through the runtime: told by content, from every kind of source.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, type LoadOptions, type ModelSource } from '../../runtime/src/node.js';
import { readValueProto } from '../../runtime/src/cli/value-proto.js';
import { compareValues } from '../../runtime/src/cli/compare.js';
import { unpack } from '../support/data.js';
import { repoRoot } from '../support/paths.js';

const wasm: LoadOptions = { device: 'wasm', threads: 1 };
const folder = join(unpack('zoo'), 'hf_bert_dynamo');
const bytes = new Uint8Array(readFileSync(join(folder, 'model.pt2')));

let server: Server;
let requests: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.headers.range ?? ''}`);
    response.end(bytes); // knows no ranges
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterAll(() => new Promise((done) => server.close(done)));

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/a/model.onnx`;

/** In chunks of odd sizes, the first of one byte. */
function stream(content: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const end = at === 0 ? 1 : at + 10_007;
      controller.enqueue(content.slice(at, end));
      at = end;
      if (at >= content.length) controller.close();
    },
  });
}

async function differences(source: ModelSource, options = wasm): Promise<(string | undefined)[]> {
  const model = await load(source, options);
  try {
    const read = (kind: string, index: number, info: (typeof model.inputs)[number]) => {
      const path = join(folder, 'data_set_1', `${kind}_${index}.pb`);
      return readValueProto(new Uint8Array(readFileSync(path)), path, info);
    };
    const inputs = model.inputs.map((info, index) => [info.name, read('input', index, info)]);
    const outputs = await model.run(Object.fromEntries(inputs) as never);
    expect(model.report().format).toBe('torch.export');
    return model.outputs.map((info, index) => {
      const want = read('output', index, info);
      return compareValues(outputs[info.name]!, want, { rtol: 1e-3, atol: 1e-4, l2: 1e-4 })
        .difference;
    });
  } finally {
    model.dispose();
  }
}

describe('a torch.export archive', () => {
  const sources: Record<string, () => ModelSource> = {
    path: () => join(folder, 'model.pt2'),
    bytes: () => bytes,
    Blob: () => new Blob([bytes]),
    stream: () => stream(bytes),
    Response: () => new Response(bytes),
  };
  test.each(Object.entries(sources))('from a %s', async (_, source) => {
    expect(await differences(source())).toEqual([undefined, undefined]);
  });

  test('from a URL, fetched once', async () => {
    requests = [];
    expect(await differences(url())).toEqual([undefined, undefined]);
    expect(requests).toEqual(['GET ']);
  });

  test('in a worker, by the built package', async () => {
    const built = (await import(join(repoRoot, 'runtime/dist/node.js'))) as { load: typeof load };
    const model = await built.load(bytes, { ...wasm, worker: true });
    expect(model.report().format).toBe('torch.export');
    model.dispose();
  });

  test('checks dims against the range of the export', async () => {
    const model = await load(bytes, wasm);
    const long = { dtype: 'int64', dims: [1, 65], data: new BigInt64Array(65) } as const;
    const [ids, mask] = model.inputs;
    await expect(model.run({ [ids!.name]: long, [mask!.name]: long })).rejects.toThrow(
      /is 65, expected 0 to 64/,
    );
    model.dispose();
  });

  test('is refused where it is damaged', async () => {
    const cut = bytes.slice(0, -100);
    await expect(load(cut, wasm)).rejects.toMatchObject({
      code: 'invalid-model',
      message: 'broken zip archive: it has no end record, so it is not complete',
    });
  });
});

describe('what is no model of a known format', () => {
  test.each([
    ['a pickle', Uint8Array.of(0x80, 2, 0x8a, 10), 'unsupported', /torch\.export\.save/],
    ['TFLite', new TextEncoder().encode('\x1c\0\0\0TFL3'), 'invalid-model', /broken TFLite file/],
    ['a picture', new TextEncoder().encode('GIF89a'), 'invalid-model', /no known format/],
    ['nothing', new Uint8Array(0), 'invalid-model', /./],
  ])('%s', async (_, content, code, message) => {
    const error = await load(content, wasm).then(
      () => undefined,
      (thrown: unknown) => thrown as { code: string; message: string },
    );
    expect(error).toMatchObject({ code });
    expect(error!.message).toMatch(message);
  });
});

test('ONNX whose fields come in another order is ONNX', async () => {
  const onnx = readFileSync(join(folder, 'model.onnx'));
  expect(onnx[0]).toBe(8);
  // ir_version, field 1, moved to the end.
  const turned = new Uint8Array([...onnx.subarray(2), ...onnx.subarray(0, 2)]);
  const model = await load(stream(turned), wasm);
  expect(model.report().format).toBe('onnx');
  model.dispose();
});
