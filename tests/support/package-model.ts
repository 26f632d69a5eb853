// A small model that has all that packages have to carry: an open dim, a weight too large to fold
// and a load program over it, a state.

import type { CompileOptions } from '../../runtime/src/compile/compile.js';
import { node, tensor, value, writeModel } from './onnx.js';

const rows = 128;
const columns = 160;

/** y = x w' + s; t = the sum of y's rows. x: [n, 128], s and t: [160]. */
export function packageModel(): Uint8Array<ArrayBuffer> {
  const weights = Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
  return writeModel({
    graph: {
      nodes: [
        node('Transpose', ['w'], ['wt'], { perm: { ints: [1, 0] } }),
        node('MatMul', ['x', 'wt'], ['xw']),
        node('Add', ['xw', 's'], ['y']),
        node('ReduceSum', ['y', 'axes'], ['t'], { keepdims: { int: 0 } }),
      ],
      initializers: [tensor('w', 'f32', [columns, rows], weights), tensor('axes', 'i64', [1], [0])],
      inputs: [value('x', 'f32', ['n', rows]), value('s', 'f32', [columns])],
      outputs: [value('y', 'f32', ['n', columns]), value('t', 'f32', [columns])],
    },
  });
}

export function ramp(count: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => (((i * 29) % 64) / 64 - 0.5) * scale);
}

export const packageInput = (n: number): { data: Float32Array<ArrayBuffer>; dims: number[] } => ({
  data: ramp(n * rows),
  dims: [n, rows],
});
export const packageState = ramp(columns, 2);

const none = { shapes: [], dims: [], maxima: [], values: [] };

/** `quern compile`'s options, for devices with default limits. */
export function compileOptions(
  out: string,
  shapes: Partial<CompileOptions['shapes']>,
  more: Partial<CompileOptions> = {},
): CompileOptions {
  return {
    out,
    shapes: { ...none, ...shapes },
    target: { features: [], limits: [] },
    precision: 'f32',
    passes: true,
    wasmBase: undefined,
    shardBytes: 1 << 20,
    ...more,
  };
}
