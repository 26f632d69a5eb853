// What bundlers bundle, and what a page without one imports: a model by Quern, on what the address
// asks for, and the same by quern/ort.

import { load } from 'quern';
import * as ort from 'quern/ort';

export async function result() {
  const device = new URLSearchParams(location.search).get('device') ?? 'wasm';
  const model = await load('/model.onnx', { device, threads: 2 });
  const { y } = await model.run({ x: [1, 2, 3] });
  const { core, threads, ...report } = model.report();
  model.dispose();

  const session = await ort.InferenceSession.create('/model.onnx', {
    executionProviders: ['wasm'],
  });
  const x = new ort.Tensor('float32', [1, 2, 3], [3]);
  const again = await session.run({ x });
  await session.release();
  return { device: report.device, core, threads, y: [...y.data], again: [...again.y.data] };
}

globalThis.result = result;
