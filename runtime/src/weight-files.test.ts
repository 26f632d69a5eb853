import { describe, expect, test } from 'vitest';
import type { WeightInfo } from './backend.js';
import { openModel } from './model-files.js';
import type { Source } from './sources.js';
import { externalPieces, readPieces, type Piece } from './weight-files.js';

const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7) >> 3);

const info = (more: Partial<WeightInfo>): WeightInfo => ({
  ...{ name: 'w', dtype: 'u8', dims: [], bytes: 0, file: '', offset: 0, used: true },
  ...more,
});

/** Reads pieces of one file; gives the ranges that were asked for, and each weight's bytes. */
async function read(pieces: Piece[], infos: WeightInfo[], bytes = content) {
  const asked: [number, number][] = [];
  const wrap = (source: Source): Source => ({
    ...source,
    range(offset, length) {
      asked.push([offset, length]);
      return source.range!(offset, length);
    },
  });
  const model = await openModel({ model: bytes, externalData: { f: bytes, g: bytes } }, wrap);
  const order: number[] = [];
  const got = infos.map(() => [] as number[]);
  let progress: [number, number] = [0, 0];
  await readPieces(
    model,
    infos,
    pieces,
    async ({ weight }, offset, part) => {
      expect(offset).toBe(got[weight]!.length);
      if (offset === 0) order.push(weight);
      for (const byte of part) got[weight]!.push(byte);
    },
    { onBytes: (loaded, total) => (progress = [loaded, total]) },
  );
  return { asked, got, order, progress };
}

const piece = (weight: number, at: number, length: number, file = ''): Piece => ({
  ...{ weight, at, length, file, offset: 0 },
});

describe('pieces of weights', () => {
  test('that lie together are read in one go, over small gaps, in the order they lie', async () => {
    const pieces = [piece(2, 2_000_000, 10), piece(0, 100, 1_500_000), piece(1, 1_500_200, 30_000)];
    const infos = pieces.map(() => info({}));
    const { asked, got, order, progress } = await read(pieces, infos);
    expect(asked).toEqual([
      [100, 1_530_100],
      [2_000_000, 10],
    ]);
    expect(order).toEqual([0, 1, 2]);
    for (const { weight, at, length } of pieces) {
      expect(Buffer.compare(Uint8Array.from(got[weight]!), content.subarray(at, at + length))).toBe(
        0,
      );
    }
    expect(progress).toEqual([1_530_010, 1_530_010]);
  });

  test('that share bytes each get them; those of no bytes ask for nothing', async () => {
    const pieces = [piece(0, 10, 100), piece(1, 10, 100), piece(2, 50, 20), piece(3, 70, 0)];
    const { got } = await read(
      pieces,
      pieces.map(() => info({})),
    );
    expect(got.map((bytes) => bytes.length)).toEqual([100, 100, 20, 0]);
    expect(got[2]).toEqual([...content.subarray(50, 70)]);
  });

  test('of the load program come first, and files one after the other', async () => {
    const infos = [
      info({ file: 'g', offset: 4, bytes: 8 }),
      info({ file: 'f', offset: 4, bytes: 8 }),
      info({ file: 'g', offset: 20, bytes: 8, loadOnly: true }),
      info({ file: 'f', offset: 40, bytes: 8, used: false }),
    ];
    const { order, asked } = await read(externalPieces(infos), infos);
    expect(order).toEqual([2, 1, 0]);
    expect(asked).toEqual([
      [20, 8],
      [4, 8],
      [4, 8],
    ]);
  });

  test('behind the end of a file are named', async () => {
    const infos = [info({ name: 'a' }), info({ name: 'b', file: 'f' })];
    const pieces = [piece(0, 10, 5, 'f'), piece(1, 20, 100, 'f')];
    await expect(read(pieces, infos, content.subarray(0, 50))).rejects.toThrow(
      "weight 'b': f ends early, 100 bytes at 20 were expected",
    );
    for (const at of [-4, NaN, 2 ** 60]) {
      await expect(read([piece(0, at, 5, 'f')], infos), String(at)).rejects.toThrow(/f|bytes/);
    }
  });
});
