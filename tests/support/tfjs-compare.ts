// Graphs of TensorFlow.js in whatever form, against what TensorFlow.js computes.

import { expect } from 'vitest';

import { absoluteNoise } from '../../runtime/src/cli/compare.js';
import { load, type LoadOptions, type ModelSource } from '../../runtime/src/node.js';
import type { Tensor } from '../../runtime/src/tensor.js';
import { dawnGpu } from './dawn.js';
import { onHost } from './places.js';
import type { Sample, TfGraph } from './tfjs.js';

const isLong = Boolean(process.env['QUERN_LONG']);

export interface Allowance {
  /** Of these outputs elements from one and up to another are not compared. */
  skipped?: Record<string, [from: number, to: number]> | undefined;
  /** Of these outputs the relative L2 error may be larger than 1e-4. */
  bounds?: Record<string, number>;
}

/** Outputs that differ from the reference, with how far, and nodes that the GPU should run. */
export async function differences(
  source: ModelSource,
  graph: TfGraph,
  device: LoadOptions,
  want: Sample[],
  format: string,
  { skipped = {}, bounds = {} }: Allowance = {},
): Promise<string[]> {
  if (device.device === 'webgpu') await dawnGpu();
  const model = await load(source, device);
  try {
    expect(model.report().format).toBe(format);
    const given = model.inputs.map(({ name }) => [name, graph.inputs[name]!]);
    const outputs = await model.run(Object.fromEntries(given) as never);
    const wrong = onHost(model);
    for (const [index, name] of graph.outputs.entries()) {
      const got = outputs[name] as Tensor;
      const { data, dims } = want[index]!;
      if (String(got.dims) !== String(dims)) {
        wrong.push(`${name}: [${String(got.dims)}], expected [${String(dims)}]`);
        continue;
      }
      let [error, norm] = [0, 0];
      const elements = got.data as ArrayLike<number>;
      const [from, to] = skipped[name] ?? [0, 0];
      for (let i = 0; i < data.length; i++) {
        if (i >= from && i < to) continue;
        const expected = Number(data[i]);
        error += (Number(elements[i]) - expected) ** 2;
        norm += expected ** 2;
      }
      // Near zero no engine is more exact than a unit in the last place at 1: see compare.ts.
      const noise = data.length * absoluteNoise ** 2;
      const relative = Math.sqrt(Math.max(0, error - noise) / Math.max(norm, 1e-12));
      if (isLong)
        console.log(`${format} ${model.report().device} ${name}: ${relative.toExponential(2)}`);
      if (!(relative <= (bounds[name] ?? 1e-4)))
        wrong.push(`${name}: relative error ${String(relative)}`);
    }
    return wrong;
  } finally {
    model.dispose();
  }
}
