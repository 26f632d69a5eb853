// onnxruntime-node as the reference for whole models. Node only.

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { bytesOf, dataFromBytes, type DType, type NumericData } from './dtype.js';
import type { Tensors, TensorValue } from './pb.js';

/** Our types by onnxruntime's names; the others it does not take across its JavaScript API. */
const dtypeByOrtName: Partial<Record<Tensor.Type, DType>> = {
  float32: 'f32',
  uint8: 'u8',
  int8: 'i8',
  uint16: 'u16',
  int16: 'i16',
  int32: 'i32',
  int64: 'i64',
  string: 'string',
  bool: 'bool',
  float16: 'f16',
  float64: 'f64',
  uint32: 'u32',
  uint64: 'u64',
};

const ortNameByDtype = new Map(
  Object.entries(dtypeByOrtName).map(([ortName, dtype]) => [dtype, ortName as Tensor.Type]),
);

/** A model loaded into the reference engine, for several runs. */
export class Reference {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /** Loads a model from a file or its bytes; one thread, so that results repeat exactly. */
  static async load(model: string | Uint8Array): Promise<Reference> {
    const options: InferenceSession.SessionOptions = {
      graphOptimizationLevel: 'basic',
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
    };
    return new Reference(
      typeof model === 'string'
        ? await InferenceSession.create(model, options)
        : await InferenceSession.create(model, options),
    );
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }
  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  async run(inputs: Tensors): Promise<Tensors> {
    const feeds = Object.entries(inputs).map(([name, value]) => [name, toOrt(value)]);
    const results = await this.#session.run(Object.fromEntries(feeds) as Record<string, Tensor>);
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [name, fromOrt(name, tensor)]),
    );
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Loads the model, runs it once, and gives its outputs by name. */
export async function runReference(model: string | Uint8Array, inputs: Tensors): Promise<Tensors> {
  const reference = await Reference.load(model);
  try {
    return await reference.run(inputs);
  } finally {
    await reference.release();
  }
}

function toOrt(value: TensorValue): Tensor {
  const type = ortNameByDtype.get(value.dtype);
  if (!type) throw new Error(`${value.name}: onnxruntime-node takes no ${value.dtype}`);
  return new Tensor(type as 'float32', value.data as Float32Array, value.dims);
}

function fromOrt(name: string, tensor: Tensor): TensorValue {
  const dtype = dtypeByOrtName[tensor.type];
  if (!dtype) throw new Error(`${name}: onnxruntime-node gives ${tensor.type}`);
  const dims = [...tensor.dims];
  if (dtype === 'string') return { name, dtype, dims, data: tensor.data };
  return { name, dtype, dims, data: dataFromBytes(dtype, bytesOf(tensor.data as NumericData)) };
}
