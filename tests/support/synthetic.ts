// Models of any size with no memory: the bytes are made as they are read.

import { graphHead, graphTail, modelHeader, node, streamedField, value } from './onnx.js';
import { rawDataField, tensorHeader } from './pb.js';
import { MessageWriter } from './protobuf.js';

/** The largest chunk of a synthetic model's stream, in bytes. */
export const chunkLimit = 1 << 20;

export interface SyntheticModel {
  /** The length of the whole file in bytes. */
  byteLength: number;
  /** The bytes of the file, or of [start, end) of it, in chunks of at most 1 MiB. */
  chunks(start?: number, end?: number): AsyncGenerator<Uint8Array<ArrayBuffer>>;
  /** What the model gives for a row of `width` values, computed layer by layer. */
  expected(row: Float32Array): Float32Array;
}

/** A run of the file: bytes held ready, or the weights of one layer. */
type Segment = { length: number; bytes: Uint8Array } | { length: number; layer: number };

/**
 * A chain of `layers` MatMuls, x [batch, width] -> y [batch, width], each with its own f32 weight
 * [width, width]: some `layers * width * width * 4` bytes. Nodes come first, then the initializers,
 * then input and output, as exporters write them.
 */
export function syntheticModel({
  layers,
  width,
}: {
  layers: number;
  width: number;
}): SyntheticModel {
  const segments = layOut(layers, width);
  const byteLength = segments.reduce((sum, segment) => sum + segment.length, 0);

  async function* chunks(start = 0, end = byteLength): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let base = 0;
    for (const segment of segments) {
      const last = Math.min(end - base, segment.length);
      for (let at = Math.max(start - base, 0); at < last; at += chunkLimit) {
        yield piece(segment, width, at, Math.min(at + chunkLimit, last));
      }
      base += segment.length;
    }
  }

  function expected(row: Float32Array): Float32Array {
    let current = Float64Array.from(row);
    for (let layer = 0; layer < layers; layer++) {
      const next = new Float64Array(width);
      current.forEach((x, r) => {
        for (let c = 0; c < width; c++)
          next[c]! += x * syntheticWeight(layer, r * width + c, width);
      });
      current = next;
    }
    return Float32Array.from(current);
  }

  return { byteLength, chunks, expected };
}

/**
 * Element `index` of the weight of `layer`: a hash of the position, uniform and scaled so that a
 * chain neither grows nor dies out.
 */
export function syntheticWeight(layer: number, index: number, width: number): number {
  let bits = Math.imul(index + Math.imul(layer + 1, 0x9e3779b1), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 15), 0xc2b2ae35);
  bits ^= bits >>> 13;
  return Math.fround((bits * Math.sqrt(3 / width)) / 2 ** 31);
}

function layOut(layers: number, width: number): Segment[] {
  const name = (layer: number): string =>
    layer === 0 ? 'x' : layer === layers ? 'y' : `h${layer}`;
  const nodes = Array.from({ length: layers }, (_, layer) =>
    node('MatMul', [name(layer), `w${layer}`], [name(layer + 1)]),
  );
  const weightBytes = width * width * 4;

  const held = (writer: MessageWriter): Segment => {
    const bytes = writer.finish();
    return { bytes, length: bytes.length };
  };
  const graph: Segment[] = [held(graphHead({ nodes }))];
  for (let layer = 0; layer < layers; layer++) {
    const tensor = tensorHeader({ name: `w${layer}`, dtype: 'f32', dims: [width, width] })
      .header(rawDataField, weightBytes)
      .finish();
    const initializer = new MessageWriter().header(
      streamedField.initializer,
      tensor.length + weightBytes,
    );
    graph.push(held(initializer), { bytes: tensor, length: tensor.length });
    graph.push({ layer, length: weightBytes });
  }
  graph.push(
    held(
      graphTail({
        inputs: [value('x', 'f32', ['batch', width])],
        outputs: [value('y', 'f32', ['batch', width])],
      }),
    ),
  );
  const graphLength = graph.reduce((sum, segment) => sum + segment.length, 0);
  return [held(modelHeader({}).header(streamedField.graph, graphLength)), ...graph];
}

/** Bytes [start, end) of a segment, in a fresh array. */
function piece(
  segment: Segment,
  width: number,
  start: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  if ('bytes' in segment) return segment.bytes.slice(start, end);
  const first = Math.floor(start / 4);
  const weights = new Float32Array(Math.ceil(end / 4) - first);
  for (let i = 0; i < weights.length; i++) {
    weights[i] = syntheticWeight(segment.layer, first + i, width);
  }
  return new Uint8Array(weights.buffer, start - first * 4, end - start);
}
