import { describe, expect, test } from 'vitest';
import { Tensor } from './api.js';
import { resize, tensorToPixels } from './image.js';

/** 2 x 2 pixels: red, green, blue, and one of many values. */
const pixels = {
  width: 2,
  height: 2,
  data: Uint8ClampedArray.of(
    ...[255, 0, 0, 255, 0, 255, 0, 255],
    ...[0, 0, 255, 255, 10, 20, 30, 40],
  ),
} as unknown as ImageData;

describe('fromImage', () => {
  test('by default: RGB in planes, from 0 to 1', async () => {
    const tensor = await Tensor.fromImage(pixels);
    expect(tensor).toMatchObject({ type: 'float32', dims: [1, 3, 2, 2] });
    const expected = [255, 0, 0, 10, 0, 255, 0, 20, 0, 0, 255, 30].map((v) => Math.fround(v / 255));
    expect([...tensor.data]).toEqual(expected);
  });

  test.each([
    ['BGR', [30, 20, 10]],
    ['RBG', [10, 30, 20]],
    ['RGBA', [10, 20, 30, 40]],
  ] as const)('%s, interleaved, as bytes', async (tensorFormat, last) => {
    const options = { tensorFormat, tensorLayout: 'NHWC', dataType: 'uint8' } as const;
    const tensor = await Tensor.fromImage(pixels, options);
    expect(tensor.dims).toEqual([1, 2, 2, last.length]);
    expect([...tensor.data].slice(-last.length)).toEqual(last);
  });

  test('norm is (v + bias) / mean, by channel of the image', async () => {
    const norm = { mean: [1, 2, 4], bias: [5, -20, 2] } as const;
    const tensor = await Tensor.fromImage(pixels, {
      norm: { mean: [...norm.mean], bias: [...norm.bias] },
      tensorFormat: 'BGR',
      tensorLayout: 'NHWC',
    });
    expect([...tensor.data].slice(-3)).toEqual([8, 0, 15]);
    const scaled = await Tensor.fromImage(pixels, { norm: { mean: 10 } });
    expect(scaled.data[3]).toBe(1);
  });

  test('another size is resized to, bilinear', async () => {
    const tensor = await Tensor.fromImage(pixels, { resizedWidth: 4, resizedHeight: 1 });
    expect(tensor.dims).toEqual([1, 3, 1, 4]);
    // Red: rows average to 127.5 and 5; columns at 0, 0.25, 0.75 and 1 of the way.
    const red = [127.5, 96.875, 35.625, 5].map((v) => v / 255);
    red.forEach((value, i) => expect(tensor.data[i]).toBeCloseTo(value, 6));
    expect([...(resize(pixels, 2, 2).data as Float32Array)]).toEqual([...pixels.data]);
  });

  test('what is no image', async () => {
    await expect(Tensor.fromImage({} as ImageData)).rejects.toThrow('image: it is no ImageData');
    await expect(Tensor.fromImage(pixels, { resizedWidth: 0 })).rejects.toThrow('a size of 0 x 2');
    const format = 'CMYK' as never;
    await expect(Tensor.fromImage(pixels, { tensorFormat: format })).rejects.toThrow("'CMYK'");
  });
});

describe('back to pixels', () => {
  test.each(['RGB', 'BGR', 'RBG', 'RGBA'] as const)('%s comes back as it was', async (format) => {
    for (const tensorLayout of ['NCHW', 'NHWC'] as const) {
      const tensor = await Tensor.fromImage(pixels, { tensorFormat: format, tensorLayout });
      const { dims, data } = tensor;
      const back = tensorToPixels({ dims, data }, { format, tensorLayout });
      const opaque = [...pixels.data].map((v, i) => (i % 4 === 3 && format !== 'RGBA' ? 255 : v));
      expect([...back.data]).toEqual(opaque);
    }
  });

  test('norm is undone: (v - bias) * mean', () => {
    const tensor = { dims: [1, 3, 1, 1], data: [1, 2, 3] };
    const { data } = tensorToPixels(tensor, { norm: { mean: [10, 20, 30], bias: 1 } });
    expect([...data]).toEqual([0, 20, 60, 255]);
  });

  test('dims that are no image', () => {
    const tensor = { dims: [1, 2, 1, 1], data: [1, 2] };
    expect(() => tensorToPixels(tensor)).toThrow('[1, 2, 1, 1] is no RGB image in NCHW');
    expect(() => new Tensor('float32', [1, 2, 3], [1, 3, 1, 1]).toImageData()).toThrow('ImageData');
  });
});
