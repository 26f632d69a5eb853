// What the published types say, for `tsc` under each way of resolving modules.

import { load, type Model, type Tensor } from 'quern';
import { InferenceSession, Tensor as OrtTensor } from 'quern/ort';

export async function sum(): Promise<number> {
  const model: Model = await load('model.onnx', { device: 'wasm' });
  const { y } = await model.run({ x: Float32Array.of(1) });
  const data: Tensor['data'] = y!.data;
  const session = await InferenceSession.create('model.onnx', { executionProviders: ['webgpu'] });
  const x: OrtTensor = new OrtTensor('float32', [1], [1]);
  const type: OrtTensor.Type = (await session.run({ x })).y!.type;
  return data.length + type.length;
}
