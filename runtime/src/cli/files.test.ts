import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodePng as referencePng } from '../../../tests/support/png.js';
import type { ValueInfo } from '../backend.js';
import { Tensor } from '../tensor.js';
import { readNpy, writeNpy } from './npy.js';
import { decodePng, pictureFeed } from './png.js';

describe('npy', () => {
  test('tensors come back as they were', () => {
    const tensors = [
      new Tensor('f32', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
      new Tensor('i64', [3], BigInt64Array.of(-1n, 0n, 2n ** 60n)),
      new Tensor('bool', [2], Uint8Array.of(1, 0)),
      new Tensor('f64', [], Float64Array.of(0.1)),
      new Tensor('u8', [0, 4], new Uint8Array()),
      new Tensor('c64', [1], Float32Array.of(1, -1)),
    ];
    for (const tensor of tensors) {
      const file = new Uint8Array(writeNpy(tensor));
      expect(file.length).toBe(
        Math.ceil((file.length - tensor.byteLength) / 64) * 64 + tensor.byteLength,
      );
      const { dtype, dims, data } = readNpy(file);
      expect({ dtype, dims, data }).toEqual({
        dtype: tensor.dtype,
        dims: tensor.dims,
        data: tensor.data,
      });
    }
  });

  test('reads what NumPy writes', () => {
    const header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }";
    const file = Buffer.concat([
      Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
      Buffer.from(Uint16Array.of(118).buffer),
      Buffer.from(header.padEnd(117) + '\n', 'latin1'),
      Buffer.from(Int16Array.of(-5, 7).buffer),
    ]);
    expect(readNpy(new Uint8Array(file)).data).toEqual(Int16Array.of(-5, 7));
    const cut = new Uint8Array(file.subarray(0, file.length - 1));
    expect(() => readNpy(cut)).toThrow('npy: it ends early');
    const change = (from: string, to: string): Uint8Array<ArrayBuffer> =>
      new Uint8Array(Buffer.from(file.toString('latin1').replace(from, to), 'latin1'));
    expect(() => readNpy(change('<i2', '>i2'))).toThrow('npy: big-endian elements');
    expect(() => readNpy(change('<i2', '|O8'))).toThrow('npy: elements of type O8');
    expect(() => readNpy(change('False', 'True '))).toThrow('npy: columns first');
    expect(() => readNpy(change('NUMPY', 'numpy'))).toThrow('npy: wrong signature');
  });
});

describe('png', () => {
  const file = readFileSync(
    new URL('../../../tests/models/fixtures/text-upright.png', import.meta.url),
  );

  test('decodes like the tests’ own decoder', async () => {
    const { width, height, rgb } = await referencePng(file);
    const picture = decodePng(file);
    expect(picture).toMatchObject({ width, height });
    expect(picture.rgba.filter((_, i) => i % 4 !== 3)).toEqual(rgb);
  });

  test('fits the input: order, channels, range', async () => {
    const { width, height, rgb } = await referencePng(file);
    const feed = (dtype: 'f32' | 'u8', dims: ValueInfo['dims']) =>
      pictureFeed({ name: 'x', dtype, dims }, file) as { data: number[]; dims: number[] };
    const first = feed('f32', ['n', 3, 'h', 'w']);
    expect(first.dims).toEqual([1, 3, height, width]);
    expect(first.data[width * height + 5]).toBe(rgb[5 * 3 + 1]! / 255);
    const last = feed('u8', [1, 'h', 'w', 3]);
    expect(last.dims).toEqual([1, height, width, 3]);
    expect(last.data.slice(0, 30)).toEqual([...rgb.subarray(0, 30)]);
    expect(feed('f32', [1, 1, 'h', 'w']).dims).toEqual([1, 1, height, width]);
    expect(() => feed('f32', [1, 3, 7, 'w'])).toThrow(
      /^png: the picture is \d+ x \d+, input 'x' takes w x 7$/,
    );
    expect(() => decodePng(file.subarray(0, 100))).toThrow();
  });
});
