// Decodes PNG pictures, in Node and in a browser alike.

import { concatBytes } from './protobuf.js';

export interface Picture {
  width: number;
  height: number;
  /** Red, green, blue per pixel, row by row. */
  rgb: Uint8Array;
}

/** Samples per pixel by PNG colour type; palettes are not read. */
const samplesByColourType: Record<number, number> = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** A decoded PNG of 8 bits a sample, not interlaced; alpha is dropped. */
export async function decodePng(bytes: Uint8Array): Promise<Picture> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0x89504e47) throw new Error('png: wrong signature');

  let width = 0;
  let height = 0;
  let samples = 0;
  const compressed: Uint8Array[] = [];
  for (let offset = 8; offset < bytes.length;) {
    const length = view.getUint32(offset);
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    const start = offset + 8;
    if (type === 'IHDR') {
      width = view.getUint32(start);
      height = view.getUint32(start + 4);
      const [depth = 0, colourType = 0, , , interlace = 0] = bytes.subarray(start + 8, start + 13);
      samples = samplesByColourType[colourType] ?? 0;
      if (depth !== 8 || samples === 0 || interlace !== 0) {
        throw new Error(`png: depth ${depth}, colour type ${colourType}, interlace ${interlace}`);
      }
    } else if (type === 'IDAT') {
      compressed.push(bytes.subarray(start, start + length));
    }
    offset = start + length + 4; // a checksum follows
  }

  const rows = unfilter(await inflate(concatBytes(compressed)), width * samples, height, samples);
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      rgb[pixel * 3 + channel] = rows[pixel * samples + (samples < 3 ? 0 : channel)]!;
    }
  }
  return { width, height, rgb };
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undoes the filter of each row, which the byte before the row names. */
function unfilter(raw: Uint8Array, stride: number, height: number, samples: number): Uint8Array {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    const source = y * (stride + 1) + 1;
    const row = y * stride;
    for (let x = 0; x < stride; x++) {
      const left = x < samples ? 0 : out[row + x - samples]!;
      const up = y === 0 ? 0 : out[row + x - stride]!;
      const corner = x < samples || y === 0 ? 0 : out[row + x - stride - samples]!;
      out[row + x] = raw[source + x]! + prediction(filter, left, up, corner);
    }
  }
  return out;
}

function prediction(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const estimate = left + up - corner;
      const [toLeft, toUp, toCorner] = [left, up, corner].map((near) => Math.abs(estimate - near));
      if (toLeft! <= toUp! && toLeft! <= toCorner!) return left;
      return toUp! <= toCorner! ? up : corner;
    }
    default:
      throw new Error(`png: filter ${filter}`);
  }
}
