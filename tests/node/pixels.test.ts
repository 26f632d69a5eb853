// Pictures as inputs, in Node: pixels in memory, textures and buffers, against a plain reference.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  InvalidArgumentError,
  load,
  UnsupportedError,
  type LoadOptions,
  type Model,
  type PixelFeed,
  type PixelOptions,
} from '../../runtime/src/node.js';
import { countingDevice } from '../support/counting-device.js';
import { defaultLimitsDevice } from '../support/dawn.js';
import { node, value, writeModel } from '../support/onnx.js';
import { expectedElements, farthest, testPicture, type Picture } from '../support/pixels.js';

type Kind = 'f32' | 'f16' | 'u8';

/** Gives its input back. */
function identity(dims: (number | string)[], dtype: Kind = 'f32'): Uint8Array<ArrayBuffer> {
  return writeModel({
    graph: {
      nodes: [node('Identity', ['x'], ['y'])],
      inputs: [value('x', dtype, dims)],
      outputs: [value('y', dtype, dims)],
    },
  });
}

let device: GPUDevice;
beforeAll(async () => {
  device = await defaultLimitsDevice();
});
afterAll(() => device.destroy());

/** Half a step of 8 bits, in units of the elements. */
function tolerance({ scale, std = 1 }: PixelOptions, dtype: Kind): number {
  const least = Math.min(...[std].flat().map(Math.abs));
  const step = ((scale ?? (dtype === 'u8' ? 1 : 1 / 255)) / least) * (dtype === 'u8' ? 1 : 0.5);
  return step + 1e-6;
}

async function elementsOf(
  model: Model,
  feed: PixelFeed,
): Promise<{ dims: number[]; data: number[] }> {
  const { y } = await model.run({ x: feed });
  const data = Array.from({ length: y!.size }, (_, i) => {
    const at: number[] = [];
    let rest = i;
    for (const dim of [...y!.dims].reverse()) {
      at.unshift(rest % dim);
      rest = Math.floor(rest / dim);
    }
    return Number(y!.get(...at));
  });
  return { dims: [...y!.dims], data };
}

interface Case {
  name: string;
  size: [width: number, height: number];
  picture: Picture;
  options: PixelOptions;
  dtype?: Kind;
  dims?: (number | string)[];
}

const large = testPicture(53, 37);
const small = testPicture(9, 7, 5);
const filters = ['nearest', 'bilinear', 'bicubic', 'lanczos', 'box', 'area'] as const;

const filterCases: Case[] = filters.flatMap((filter) =>
  [true, false].flatMap((antialias): Case[] => [
    {
      name: `${filter}${antialias ? '' : ', no antialias'}: reduced`,
      size: [16, 12],
      picture: large,
      options: { filter, antialias },
    },
    {
      name: `${filter}${antialias ? '' : ', no antialias'}: enlarged`,
      size: [31, 20],
      picture: small,
      options: { filter, antialias },
    },
  ]),
);

const crop = { x: 5, y: 3, width: 30, height: 21 };
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const otherCases: Case[] = [
  { name: 'mean and std', size: [16, 12], picture: large, options: imageNet },
  { name: 'crop', size: [16, 12], picture: large, options: { crop } },
  { name: 'crop, bicubic', size: [40, 44], picture: large, options: { crop, filter: 'bicubic' } },
  { name: 'cover', size: [12, 24], picture: large, options: { fit: 'cover' } },
  {
    name: 'cover, center crop',
    size: [14, 14],
    picture: large,
    options: { fit: 'cover', centerCrop: 0.875, filter: 'bicubic' },
  },
  {
    name: 'letterbox',
    size: [20, 24],
    picture: large,
    options: { fit: 'letterbox', padColor: 114 },
  },
  {
    name: 'letterbox from the start, crop, normalised',
    size: [33, 20],
    picture: large,
    options: { fit: 'letterbox', align: 'start', padColor: [10, 20, 30], crop, ...imageNet },
  },
  {
    name: 'scale and mean of Caffe, bgr',
    size: [11, 13],
    picture: large,
    options: { channels: 'bgr', scale: 1, mean: [103.9, 116.8, 123.7] },
  },
];

const typeCases: Case[] = (['f32', 'f16', 'u8'] as const).flatMap((dtype) =>
  (['rgb', 'bgr', 'rgba', 'bgra', 'gray'] as const).flatMap((channels) =>
    (['NCHW', 'NHWC'] as const).map((layout): Case => {
      const count = channels === 'gray' ? 1 : channels.length;
      return {
        name: `${dtype} ${channels} ${layout}`,
        size: [7, 5], // words straddle planes
        picture: testPicture(13, 11, 3, false),
        options: { channels, layout },
        dtype,
        dims: layout === 'NCHW' ? [1, count, 5, 7] : [1, 5, 7, count],
      };
    }),
  ),
);

const targets: [string, () => LoadOptions][] = [
  ['webgpu', () => ({ device })],
  ['wasm', () => ({ device: 'wasm', threads: 1 })],
];

describe.each(targets)('pixels on %s', (_, target) => {
  test.each([...filterCases, ...otherCases, ...typeCases])('$name', async (entry) => {
    const { size, picture, options, dtype = 'f32' } = entry;
    const [width, height] = size;
    const dims = entry.dims ?? [1, 3, height, width];
    const model = await load(identity(dims, dtype), { ...target(), preprocess: { x: options } });
    const { data } = await elementsOf(model, picture);
    const expected = expectedElements(picture, width, height, options, dtype);
    const { difference, text } = farthest(expected, data);
    expect(difference, text).toBeLessThan(tolerance(options, dtype) + (dtype === 'f16' ? 1e-3 : 0));
    model.dispose();
  });

  test('symbolic sizes come from the options, or from the picture', async () => {
    const model = await load(identity(['n', 3, 'h', 'w']), target());
    const cases: [PixelOptions, number, number][] = [
      [{}, 53, 37],
      [{ width: 20 }, 20, 14],
      [{ height: 20 }, 29, 20],
      [{ width: 8, height: 9 }, 8, 9],
      [{ multipleOf: 16 }, 48, 32],
      [{ crop }, 30, 21],
    ];
    for (const [options, width, height] of cases) {
      const { dims, data } = await elementsOf(model, { pixels: large, ...options });
      expect(dims).toEqual([1, 3, height, width]);
      const expected = expectedElements(large, width, height, options);
      const { difference, text } = farthest(expected, data);
      expect(difference, text).toBeLessThan(0.5 / 255);
    }
    model.dispose();
  });

  test('a batch of pictures of different sizes, of 1, 3 and 4 bytes a pixel', async () => {
    const model = await load(identity(['n', 'h', 'w', 3]), target());
    const gray = { ...small, data: small.data.filter((_, i) => i % 4 === 0) };
    const rgb = { ...small, data: small.data.filter((_, i) => i % 4 !== 3) };
    const wide = { ...small, data: small.data.map((_, i) => small.data[i - (i % 4)]!) };
    const options = { width: 12, height: 8, layout: 'NHWC' } as const;
    const { dims, data } = await elementsOf(model, { pixels: [large, gray, rgb], ...options });
    expect(dims).toEqual([3, 8, 12, 3]);
    const expected = [large, { ...wide, data: wide.data.fill(255, 0, 0) }, small].flatMap(
      (picture) => [...expectedElements(picture, 12, 8, options)],
    );
    const { difference, text } = farthest(expected, data);
    expect(difference, text).toBeLessThan(0.5 / 255);
    model.dispose();
  });

  test.each([
    ['2 dims', [5, 7], [5, 7]],
    ['3 dims, channels first', [3, 5, 7], [3, 5, 7]],
    ['3 dims, channels last', ['h', 'w', 3], [37, 53, 3]],
    ['a batch of one size', ['n', 1, 5, 7], [1, 1, 5, 7]],
  ])('dims of models: %s', async (_, dims, expected) => {
    const model = await load(identity(dims), target());
    expect((await elementsOf(model, large)).dims).toEqual(expected);
    model.dispose();
  });

  const bad: [string, unknown, RegExp][] = [
    ['no size', { ...large, width: 0 }, /input 'x': a picture of 0x37 pixels has none/],
    ['bytes missing', { ...large, width: 54 }, /bytes are not 1, 3 or 4 for each of 54x37/],
    ['an unknown filter', { pixels: large, filter: 'cubic' }, /filter 'cubic' is none of nearest/],
    ['an unknown option', { pixels: large, resize: 1 }, /no option 'resize', only width/],
    ['another size', { pixels: large, width: 8 }, /width 8 is not that of the model/],
    [
      'another layout',
      { pixels: large, layout: 'NHWC' },
      /rgb do not fit in \[1, 3, 5, 7\] as NHWC/,
    ],
    ['another order', { pixels: large, channels: 'gray', layout: 'NCHW' }, /gray do not fit/],
    ['means missing', { pixels: large, mean: [1, 2] }, /mean \[1, 2\] are not 3 numbers/],
    ['std of 0', { pixels: large, std: 0 }, /std is 0/],
    ['too many pictures', [large, large], /2 pictures do not fill \[1, 3, 5, 7\]/],
    ['no picture', { pixels: null }, /this is no picture/],
    ['a list with none', { pixels: [] }, /0 pictures do not fill/],
    [
      'a crop outside',
      { pixels: large, crop: { x: 50, y: 0, width: 4, height: 4 } },
      /crop of 4x4 at 50, 0 is not within 53x37 pixels/,
    ],
  ];
  test.each(bad)('refused: %s', async (_, feed, message) => {
    const model = await load(identity([1, 3, 5, 7]), target());
    const run = model.run({ x: feed as PixelFeed });
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toBeInstanceOf(InvalidArgumentError);
    expect((await elementsOf(model, large)).data).toHaveLength(105);
    model.dispose();
  });

  test('declared options are checked at load', async () => {
    const of = (preprocess: Record<string, unknown>) =>
      load(identity([1, 3, 5, 7]), {
        ...target(),
        preprocess: preprocess as LoadOptions['preprocess'],
      });
    await expect(of({ z: {} })).rejects.toThrow(/preprocess: the model has no input 'z'/);
    await expect(of({ x: { filter: 'cubic' } })).rejects.toThrow(/input 'x': filter 'cubic'/);
    const strings = writeModel({
      graph: {
        nodes: [node('Identity', ['x'], ['y'])],
        inputs: [value('x', 'i64', [4, 4])],
        outputs: [value('y', 'i64', [4, 4])],
      },
    });
    const model = load(strings, { ...target(), preprocess: { x: {} } });
    await expect(model).rejects.toBeInstanceOf(UnsupportedError);
  });
});

// GPUTextureUsage: COPY_SRC, COPY_DST, TEXTURE_BINDING, RENDER_ATTACHMENT
const copies = 0x1 | 0x2;
const bound = 0x4;
const drawn = 0x10;

/** The picture in a texture of a format with 4 bytes a pixel. */
function textureOf(
  picture: Picture,
  format: 'rgba8unorm' | 'bgra8unorm',
  usage = bound,
): GPUTexture {
  const { width, height, data } = picture;
  const texture = device.createTexture({ size: [width, height], format, usage: usage | copies });
  const swapped = data.map(
    (_, i) => data[format === 'bgra8unorm' && i % 4 < 3 ? i - (i % 4) + 2 - (i % 4) : i]!,
  );
  device.queue.writeTexture({ texture }, swapped, { bytesPerRow: width * 4 }, [width, height]);
  return texture;
}

/** r, g, b, a of a drawn texture. */
async function readTexture(texture: GPUTexture): Promise<Uint8Array> {
  const { width, height } = texture;
  const bytesPerRow = Math.ceil((width * 4) / 256) * 256;
  const buffer = device.createBuffer({ size: bytesPerRow * height, usage: 0x1 | 0x8 });
  const encoder = device.createCommandEncoder();
  encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
  device.queue.submit([encoder.finish()]);
  await buffer.mapAsync(1);
  const rows = new Uint8Array(buffer.getMappedRange());
  const result = Uint8Array.from({ length: width * height * 4 }, (_, i) => {
    return rows[Math.floor(i / (width * 4)) * bytesPerRow + (i % (width * 4))]!;
  });
  buffer.destroy();
  return result;
}

describe('pictures on the GPU', () => {
  const options: PixelOptions = { filter: 'bicubic', ...imageNet };
  const expected = expectedElements(large, 16, 12, options);
  let model: Model;
  beforeAll(async () => {
    model = await load(identity([1, 3, 12, 16]), { device, preprocess: { x: options } });
  });
  afterAll(() => model.dispose());

  async function check(feed: PixelFeed): Promise<void> {
    const { difference, text } = farthest(expected, (await elementsOf(model, feed)).data);
    expect(difference, text).toBeLessThan(tolerance(options, 'f32'));
  }

  test('textures', async () => {
    await check(textureOf(large, 'rgba8unorm'));
    await check(textureOf(large, 'bgra8unorm'));
  });

  test('a buffer of pixels', async () => {
    const size = large.data.byteLength;
    const data = device.createBuffer({ size, usage: 0x80 | 0x8 });
    device.queue.writeBuffer(data, 0, large.data);
    await check({ data, width: large.width, height: large.height });
    data.destroy();
  });

  test('a buffer of elements', async () => {
    const data = device.createBuffer({ size: expected.length * 4, usage: 0x4 | 0x8 });
    device.queue.writeBuffer(data, 0, new Float32Array(expected));
    const { y } = await model.run({ x: data });
    expect(farthest(expected, y!.data as Float32Array).difference).toBeLessThan(1e-6);
    const open = await load(identity(['n', 3, 12, 16]), { device });
    await expect(open.run({ x: data })).rejects.toThrow(/a GPUBuffer does not say which dims/);
    open.dispose();
    data.destroy();
  });

  test('what is no picture is refused', async () => {
    const cases: [PixelFeed, RegExp][] = [
      [textureOf(large, 'rgba8unorm', 0), /lacks the usage TEXTURE_BINDING/],
      [
        device.createTexture({ size: [4, 4], format: 'r32uint', usage: bound }),
        /format r32uint has no colours/,
      ],
      [
        device.createTexture({
          size: [4, 4],
          format: 'rgba8unorm',
          usage: bound | drawn,
          sampleCount: 4,
        }),
        /4 samples is no picture/,
      ],
      [
        { data: device.createBuffer({ size: 16, usage: 0x80 }), width: 4, height: 4 },
        /take 64 bytes, the GPUBuffer has 16/,
      ],
    ];
    for (const [feed, message] of cases) {
      await expect(model.run({ x: feed })).rejects.toThrow(message);
    }
    await check(large);
  });

  test('the second run makes no GPU object, and dispose gives all back', async () => {
    const counting = countingDevice(await defaultLimitsDevice());
    const own = await load(identity([1, 3, 12, 16]), {
      device: counting.device,
      preprocess: { x: options },
    });
    await own.run({ x: large });
    const { objects } = counting.counts;
    const { total } = own.report().memory;
    for (let i = 0; i < 5; i++) await own.run({ x: testPicture(53, 37, i + 2) });
    expect(counting.counts.objects).toBe(objects);
    expect(own.report().memory.total).toBe(total);
    await own.run({ x: testPicture(60, 37) }); // another size
    own.dispose();
    expect(counting.counts.liveBytes).toBe(0);
    counting.device.destroy();
  });

  test('runs of pictures and of tensors at once get what is theirs', async () => {
    const fresh = await load(identity([1, 3, 12, 16]), { device, preprocess: { x: options } });
    const zeros = new Float32Array(576);
    const feeds = [large, zeros, large, zeros, zeros, large];
    await Promise.all(
      feeds.map(async (x) => {
        const { y } = await fresh.run({ x });
        const wanted = x === zeros ? zeros : expected;
        expect(farthest(wanted, y!.data as Float32Array).difference).toBeLessThan(0.02);
      }),
    );
    fresh.dispose();
  });
});

describe('drawing to a texture', () => {
  let model: Model;
  beforeAll(async () => {
    model = await load(identity(['h', 'w']), { device });
  });
  afterAll(() => model.dispose());

  const mask = Float32Array.from({ length: 12 }, (_, i) => i / 11); // 3 rows of 4

  async function draw(
    options: Parameters<Model['draw']>[2],
    [width, height]: [number, number] = [4, 3],
    format: GPUTextureFormat = 'rgba8unorm',
  ): Promise<Uint8Array> {
    const target = device.createTexture({ size: [width, height], format, usage: drawn | copies });
    const outputs = await model.run({ x: { data: mask, dims: [3, 4] } }, { outputs: 'gpu' });
    await model.draw(outputs.y!, target, options);
    const onGpu = await readTexture(target);
    // From host memory too.
    await model.draw(await outputs.y!.read(), target, options);
    expect(await readTexture(target)).toEqual(onGpu);
    outputs.y!.dispose();
    target.destroy();
    return onGpu;
  }

  function expectNear(got: Uint8Array, expected: readonly number[]): void {
    const { difference, text } = farthest(expected, got);
    expect(difference, text).toBeLessThanOrEqual(1);
  }
  const perPixel = (of: (value: number, i: number) => number[]): number[] =>
    [...mask].flatMap((v, i) => of(v, i).map((c) => c * 255));

  test('as image, in a range', async () => {
    expectNear(
      await draw({}),
      perPixel((v) => [v, v, v, 1]),
    );
    const ranged = perPixel((v) => {
      const shown = Math.min(Math.max((v - 0.25) / 0.5, 0), 1);
      return [shown, shown, shown, 1];
    });
    expectNear(await draw({ range: [0.25, 0.75] }), ranged);
  });

  test('as mask: see-through, over a colour, over a picture', async () => {
    const color = [0, 128, 255];
    expectNear(
      await draw({ as: 'mask', color, opacity: 0.5 }),
      perPixel((v) => [0, (v * 0.5 * 128) / 255, v * 0.5, v * 0.5]),
    );
    expectNear(
      await draw({ as: 'mask', color, over: [255, 0, 0] }),
      perPixel((v) => [1 - v, (v * 128) / 255, v, 1]),
    );
    const picture = testPicture(4, 3, 9);
    const at = (i: number, c: number): number => picture.data[i * 4 + c]! / 255;
    expectNear(
      await draw({ as: 'mask', color, over: picture, threshold: 0.5 }),
      perPixel((v, i) => (v >= 0.5 ? [0, 128 / 255, 1, 1] : [at(i, 0), at(i, 1), at(i, 2), 1])),
    );
  });

  test('as blend of two pictures', async () => {
    const [front, back] = [testPicture(4, 3, 9), testPicture(4, 3, 10)];
    const of = ({ data }: Picture, i: number, c: number): number => data[i * 4 + c]! / 255;
    const texture = textureOf(back, 'rgba8unorm');
    expectNear(
      await draw({ as: 'blend', foreground: front, background: texture }),
      perPixel((v, i) => [
        ...[0, 1, 2].map((c) => of(front, i, c) * v + of(back, i, c) * (1 - v)),
        1,
      ]),
    );
  });

  test('as heat map', async () => {
    expectNear(
      await draw({ as: 'heatmap', colormap: 'gray' }),
      perPixel((v) => [v, v, v, 1]),
    );
    const turbo = await draw({ as: 'heatmap' });
    // The map's published ends and middle: dark blue, green, dark red.
    expect([...turbo.subarray(0, 3)].map((c) => Math.round(c / 8))).toEqual([4, 3, 3]);
    const last = [...turbo.subarray(44, 47)];
    expect(last[0]).toBeGreaterThan(110);
    expect(Math.max(last[1]!, last[2]!)).toBeLessThan(20);
    const viridis = await draw({ as: 'heatmap', colormap: 'viridis' });
    expectNear(viridis.subarray(0, 3), [68, 1, 84]);
    expectNear(viridis.subarray(44, 47), [253, 231, 37]);
  });

  test('larger than the tensor: bilinear, nearest, and letterboxed', async () => {
    const value = (x: number, y: number): number =>
      mask[Math.min(Math.max(y, 0), 2) * 4 + Math.min(Math.max(x, 0), 3)]!;
    const smooth = Array.from({ length: 48 }, (_, i) => {
      const [x, y] = [((i % 8) + 0.5) / 2 - 0.5, (Math.floor(i / 8) + 0.5) / 2 - 0.5];
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const line = (row: number): number =>
        value(left, row) * (1 - (x - left)) + value(left + 1, row) * (x - left);
      const v = 255 * (line(top) * (1 - (y - top)) + line(top + 1) * (y - top));
      return [v, v, v, 255];
    }).flat();
    expectNear(await draw({}, [8, 6]), smooth);
    const blocks = Array.from({ length: 48 }, (_, i) => {
      const v = 255 * value((i % 8) >> 1, Math.floor(i / 8) >> 1);
      return [v, v, v, 255];
    }).flat();
    expectNear(await draw({ filter: 'nearest' }, [8, 6]), blocks);
    // A target of 8x2: the picture had the tensor's middle row.
    const row = Array.from({ length: 16 }, (_, i) => {
      const v = 255 * value((i % 8) >> 1, 1);
      return [v, v, v, 255];
    }).flat();
    expectNear(await draw({ filter: 'nearest', fit: 'letterbox' }, [8, 2]), row);
  });

  test('what it cannot draw is refused', async () => {
    const target = device.createTexture({ size: [4, 3], format: 'rgba8unorm', usage: drawn });
    const { y } = await model.run({ x: { data: mask, dims: [3, 4] } }, { outputs: 'gpu' });
    const refused = async (
      options: object,
      message: RegExp,
      to: GPUTexture = target,
    ): Promise<void> => {
      const drawing = model.draw(y!, to, options);
      await expect(drawing).rejects.toThrow(message);
      await expect(drawing).rejects.toBeInstanceOf(InvalidArgumentError);
    };
    await refused({ as: 'maks' }, /draw: as 'maks' is none of image, mask/);
    await refused({ colour: [1] }, /draw: no option 'colour'/);
    await refused({ range: [1, 1] }, /range \[1, 1\] is no range/);
    await refused({ index: 1 }, /index 1 is not within 1/);
    await refused({ as: 'mask', color: [256, 0, 0] }, /color \[256, 0, 0\] is not 3 numbers/);
    await refused({ as: 'blend', foreground: {} }, /draw, foreground: this is no picture/);
    const plain = device.createTexture({ size: [4, 3], format: 'rgba8unorm', usage: bound });
    await refused({}, /lacks the usage RENDER_ATTACHMENT/, plain);
    const ints = device.createTexture({ size: [4, 3], format: 'r32uint', usage: drawn });
    await refused({}, /is of format r32uint/, ints);
    y!.dispose();
  });
});
