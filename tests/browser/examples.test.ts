// The examples, as Vite builds them: with a camera, a microphone and pictures of the test's own.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestBrowser, type TestPage } from '../support/browser.js';
import { picturePath, referenceReading } from '../support/ocr.js';
import { node, tensor, value, writeModel } from '../support/onnx.js';
import { repoRoot } from '../support/paths.js';

const root = join(repoRoot, 'examples', 'dist');
const made = join(repoRoot, 'build', 'examples-media');
const camera = { width: 320, height: 240, square: 8 };

/** A camera that shows a chessboard. */
function chessboard(): Uint8Array {
  const { width, height, square } = camera;
  const luma = Uint8Array.from({ length: width * height }, (_, i) => {
    const [column, row] = [i % width, Math.floor(i / width)].map((n) => Math.floor(n / square));
    return (column! + row!) % 2 ? 235 : 16;
  });
  const chroma = new Uint8Array((width * height) / 2).fill(128);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, chroma]);
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`);
  return Buffer.concat([head, ...new Array<Buffer>(10).fill(frame)]);
}

/** In place of IS-Net, for which CI has no time: what is left of the middle is a person. */
function leftHalf(): Uint8Array {
  const side = 64;
  const mask = Array.from({ length: side * side }, (_, i) => (i % side < side / 2 ? 1 : 0));
  return writeModel({
    graph: {
      nodes: [
        node('ReduceMean', ['input'], ['mean'], { axes: { ints: [1] } }),
        node('Mul', ['mean', 'little'], ['some']),
        node('Add', ['some', 'mask'], ['sum']),
        node('Clip', ['sum', 'zero', 'one'], ['output']),
      ],
      initializers: [
        tensor('little', 'f32', [], [1e-3]),
        tensor('mask', 'f32', [1, 1, side, side], mask),
        tensor('zero', 'f32', [], [0]),
        tensor('one', 'f32', [], [1]),
      ],
      inputs: [value('input', 'f32', [1, 3, side, side])],
      outputs: [value('output', 'f32', [1, 1, side, side])],
    },
    opsets: { '': 13 },
  });
}

/**
 * IS-Net itself: $QUERN_ISNET names the folder dist of npm's @imgly/background-removal-data 1.4.5,
 * which has it under an older name.
 */
const isnet = process.env['QUERN_ISNET'];

/** The model in chunks by name, as IMG.LY serves it. */
function modelChunks(): Map<string, Uint8Array> {
  if (isnet) {
    const resources = JSON.parse(readFileSync(join(isnet, 'resources.json'), 'utf8')) as {
      '/models/medium': { chunks: { hash: string }[] };
    };
    const names = resources['/models/medium'].chunks.map(({ hash }) => hash);
    return new Map(names.map((name) => [name, readFileSync(join(isnet, name))]));
  }
  const model = leftHalf();
  const half = model.length >> 1;
  return new Map([
    ['chunk0', model.subarray(0, half)],
    ['chunk1', model.subarray(half)],
  ]);
}

let browser: TestBrowser;
beforeAll(async () => {
  await build({ configFile: join(repoRoot, 'examples', 'vite.config.js'), logLevel: 'error' });
  mkdirSync(made, { recursive: true });
  writeFileSync(join(made, 'camera.y4m'), chessboard());
  const chunks = modelChunks();
  const resources = {
    '/models/isnet_fp16': { chunks: Array.from(chunks.keys(), (name) => ({ name })) },
  };
  browser = await TestBrowser.start({
    root,
    webgpu: false,
    csp: "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
    routes: {
      '/isnet/resources.json': () => ({
        type: 'application/json',
        body: JSON.stringify(resources),
      }),
      ...Object.fromEntries(
        Array.from(chunks, ([name, body]) => [`/isnet/${name}`, () => ({ body })]),
      ),
    },
    flags: [
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${join(made, 'camera.y4m')}`,
      `--use-file-for-fake-audio-capture=${join(repoRoot, 'tests/models/fixtures/speech-16khz.wav')}`,
    ],
  });
});
afterAll(() => browser?.close());

async function open(path: string): Promise<TestPage> {
  const opened = await browser.open(path);
  await opened.page.context().grantPermissions(['camera', 'microphone']);
  return opened;
}

/** Ends a test; with $QUERN_SHOTS, a folder, after pictures of what the page looks like. */
async function finish(opened: TestPage, name: string): Promise<void> {
  const { page } = opened;
  const folder = process.env['QUERN_SHOTS'];
  for (const colorScheme of folder ? (['light', 'dark'] as const) : []) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1100, 380]) {
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({ path: join(folder!, `${name}-${colorScheme}-${width}.png`) });
    }
  }
  expect(opened.errors).toEqual([]);
  await opened.close();
}

test('background blur: sharp where the model says so', async () => {
  const opened = await open(`/background-blur/index.html?model=${browser.server.url}/isnet/`);
  const { page } = opened;
  await page.getByRole('button').click();
  const patience = isnet ? { timeout: 240_000 } : {};
  await page.locator('canvas[data-frames]').waitFor(patience);
  await expect
    .poll(() => page.locator('canvas').getAttribute('data-frames').then(Number), patience)
    .toBeGreaterThan(isnet ? 1 : 3);
  const speed = await page.locator('output').textContent();
  expect(speed).toMatch(
    isnet ? /^[\d.]+ (pictures\/s|s a picture) on wasm$/ : /^[\d.]+ pictures\/s on wasm$/,
  );
  if (isnet) console.log(speed);
  if (isnet) return finish(opened, 'background-blur-isnet'); // of a chessboard it says anything
  // The mean step from pixel to pixel, left and right.
  const steps = await page.evaluate(() => {
    const canvas = document.querySelector('canvas')!;
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext('2d')!;
    context.drawImage(canvas, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const mean = (from: number, to: number): number => {
      let sum = 0;
      for (let y = 0; y < height; y++) {
        for (let x = from; x < to; x++) {
          const at = (y * width + x) * 4;
          sum += Math.abs(data[at]! - data[at + 4]!);
        }
      }
      return sum / height / (to - from);
    };
    return { width, left: mean(10, width * 0.4), right: mean(width * 0.6, width - 10) };
  });
  expect(steps.left).toBeGreaterThan(10);
  expect(steps.right).toBeLessThan(steps.left / 4);
  await finish(opened, 'background-blur');
});

test('text in a picture: the lines that the reference reads', async () => {
  const opened = await open('/ocr/index.html');
  const { page } = opened;
  await page.locator('input[type=file]').setInputFiles(picturePath('sign'));
  await page.getByText(/^\d+ lines on wasm$/).waitFor({ timeout: 120_000 });
  const lines = await page.locator('#lines li').allTextContents();
  // Neighbouring boxes are cut a little otherwise than in the reference: spaces may differ.
  const plain = (text: string): string => text.replace(/\s/g, '');
  const expected = (await referenceReading('sign')).lines.map(({ text }) => plain(text));
  expect(lines.map(plain).sort()).toEqual(expected.sort());
  await finish(opened, 'ocr');
});

test('voice activity: hears speech in a microphone that has some', async () => {
  const opened = await open('/voice/index.html');
  const { page } = opened;
  // It changes with every frame of 32 ms: what it said is collected, not looked for now and then.
  await page.evaluate(() => {
    const status = document.getElementById('status')!;
    const said = new Set<string>();
    new MutationObserver(() => {
      said.add(status.textContent.split(';')[0]!);
      status.dataset.said = [...said].join();
    }).observe(status, { childList: true, characterData: true, subtree: true });
  });
  await page.getByRole('button').click();
  await page
    .getByText(/; (0\.[3-9]|[1-9]\d*\.\d) s of speech so far$/)
    .waitFor({ timeout: 60_000 });
  await page
    .locator('#status[data-said*="Somebody speaks"][data-said*="Silence"]')
    .waitFor({ timeout: 60_000 });
  await finish(opened, 'voice');
});

test.each(['search', 'search-react'])('%s: what is alike comes first', async (name) => {
  const opened = await open(`/${name}/index.html`);
  const { page } = opened;
  await page.getByText('10 sentences on wasm').waitFor();
  await page.getByRole('searchbox').fill('tickets for the night train');
  await page.locator('li small').first().waitFor();
  const results = await page.locator('li').allTextContents();
  expect(results.length).toBe(10);
  expect(results[0]).toMatch(/^Tickets for the night train are sold on board\. ?0\.\d{3}$/);
  await finish(opened, name);
});
