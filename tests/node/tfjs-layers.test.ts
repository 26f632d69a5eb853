// Layers models against tfjs-layers: each layer, and how models are made of them.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { load, type LoadOptions, type ModelSource } from '../../runtime/src/node.js';
import type { Tensor } from '../../runtime/src/tensor.js';
import { dawnGpu } from '../support/dawn.js';
import { packageFile } from '../support/paths.js';
import { onHost } from '../support/places.js';
import { layers as tfl, randomData, tf } from '../support/tfjs.js';

const wasm: LoadOptions = { device: 'wasm', threads: 1 };
const webgpu: LoadOptions = { device: 'webgpu' };
const { layers } = tfl;
type Symbolic = tfl.SymbolicTensor;
type Layer = { apply(x: Symbolic | Symbolic[]): unknown };

interface Files {
  source: ModelSource;
}

/** The model as its files; its weights are drawn first, positive so that all may be variances. */
async function saved(model: tfl.LayersModel): Promise<Files> {
  const drawn = model.getWeights().map((weight, index) => {
    return tf.tensor(randomData(weight.size, 0.05, 0.6, index + 1), weight.shape);
  });
  model.setWeights(drawn);
  let files: Files | undefined;
  await model.save({
    save: (artifacts) => {
      const { modelTopology, weightSpecs, weightData } = artifacts;
      const json = {
        format: 'layers-model',
        modelTopology,
        weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
      };
      const bytes = new Uint8Array(weightData as ArrayBuffer);
      const model = new TextEncoder().encode(JSON.stringify(json));
      files = { source: { model, externalData: { 'weights.bin': bytes } } };
      return Promise.resolve({
        modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' },
      });
    },
  });
  return files!;
}

async function differences(
  model: tfl.LayersModel,
  dims: number[][],
  source?: ModelSource,
  device = wasm,
): Promise<string[]> {
  await tf.setBackend('cpu');
  const files = source ? { source } : await saved(model);
  const data = dims.map((one, index) =>
    randomData(
      one.reduce((a, b) => a * b, 1),
      -1,
      1,
      index + 9,
    ),
  );
  const feeds = dims.map((one, index) => tf.tensor(data[index]!, one));
  const predicted = model.predict(feeds.length === 1 ? feeds[0]! : feeds);
  const want = Array.isArray(predicted) ? predicted : [predicted];
  if (device.device === 'webgpu') await dawnGpu();
  const own = await load(files.source, device);
  try {
    const inputs = own.inputs.map(({ name }, i) => [
      name,
      { dtype: 'float32', dims: dims[i]!, data: data[i]! },
    ]);
    const outputs = await own.run(Object.fromEntries(inputs) as never);
    expect(own.outputs).toHaveLength(want.length);
    const wrong = onHost(own);
    for (const [index, { name }] of own.outputs.entries()) {
      const got = outputs[name] as Tensor;
      const expected = await want[index]!.data();
      if (String(got.dims) !== String(want[index]!.shape)) {
        wrong.push(`${name}: [${String(got.dims)}], expected [${String(want[index]!.shape)}]`);
        continue;
      }
      let [error, norm] = [0, 0];
      for (const [i, value] of expected.entries()) {
        error += (Number((got.data as ArrayLike<number>)[i]) - value) ** 2;
        norm += value ** 2;
      }
      const relative = Math.sqrt(error / Math.max(norm, 1e-12));
      if (process.env['QUERN_LONG']) console.log(`${name}: ${relative.toExponential(2)}`);
      if (!(relative <= 1e-4)) wrong.push(`${name}: relative error ${String(relative)}`);
    }
    return wrong;
  } finally {
    own.dispose();
    tf.dispose([feeds, want]);
  }
}

/** One model with an output for each layer. */
function fan(
  shape: (number | null)[],
  list: Record<string, Layer | ((x: Symbolic) => Symbolic)>,
): tfl.LayersModel {
  const input = tfl.input({ shape: shape });
  const outputs = Object.values(list).map((layer) => {
    return (typeof layer === 'function' ? layer(input) : layer.apply(input)) as Symbolic;
  });
  return tfl.model({ inputs: input, outputs });
}

const activations = [
  'relu',
  'relu6',
  'elu',
  'selu',
  'sigmoid',
  'hardSigmoid',
  'softmax',
  'softplus',
  'softsign',
  'tanh',
  'swish',
  'mish',
  'linear',
  'gelu',
  'gelu_new',
] as const;

describe('layers', () => {
  test('of vectors', async () => {
    const model = fan([6], {
      ...Object.fromEntries(
        activations.map((activation) => [
          activation,
          layers.dense({ units: 4, activation: activation }),
        ]),
      ),
      plain: layers.dense({ units: 3, useBias: false }),
      relu: layers.reLU({ maxValue: 0.5 }),
      leaky: layers.leakyReLU({ alpha: 0.2 }),
      prelu: layers.prelu({}),
      elu: layers.elu({}),
      thresholded: layers.thresholdedReLU({ theta: 0.3 }),
      softmax: layers.softmax({}),
      norm: layers.batchNormalization({}),
      bare: layers.batchNormalization({ scale: false, center: false }),
      layerNorm: layers.layerNormalization({}),
      dropout: layers.dropout({ rate: 0.5 }),
      noise: layers.gaussianNoise({ stddev: 1 }),
      repeat: layers.repeatVector({ n: 3 }),
      reshape: layers.reshape({ targetShape: [2, -1] }),
    });
    expect(await differences(model, [[2, 6]])).toEqual([]);
  });

  test('of images', async () => {
    const model = fan([8, 9, 3], {
      conv: layers.conv2d({
        filters: 4,
        kernelSize: [3, 2],
        strides: 2,
        padding: 'same',
        activation: 'relu',
      }),
      valid: layers.conv2d({ filters: 4, kernelSize: 3, useBias: false }),
      dilated: layers.conv2d({ filters: 2, kernelSize: 3, dilationRate: 2, padding: 'same' }),
      depthwise: layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' }),
      separable: layers.separableConv2d({ filters: 5, kernelSize: 3, depthMultiplier: 2 }),
      transposed: layers.conv2dTranspose({
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
      }),
      transposedValid: layers.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2 }),
      max: layers.maxPooling2d({ poolSize: [3, 2], strides: [2, 2], padding: 'same' }),
      average: layers.averagePooling2d({ poolSize: [2, 2] }),
      globalMax: layers.globalMaxPooling2d({}),
      globalAverage: layers.globalAveragePooling2d({}),
      pad: layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 1],
        ],
      }),
      crop: layers.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
      up: layers.upSampling2d({ size: [2, 3] }),
      upBilinear: layers.upSampling2d({ size: [2, 2], interpolation: 'bilinear' }),
      norm: layers.batchNormalization({}),
      layerNorm: layers.layerNormalization({ axis: [-1] }),
      flatten: layers.flatten(),
      permute: layers.permute({ dims: [3, 1, 2] }),
      rescale: layers.rescaling({ scale: 0.5, offset: 0.1 }),
      prelu: layers.prelu({ sharedAxes: [1, 2] }),
      softmax: layers.softmax({ axis: -1 }),
    });
    expect(await differences(model, [[2, 8, 9, 3]])).toEqual([]);
  });

  test('of sequences', async () => {
    const lstm = { units: 3, returnSequences: true };
    const model = fan([5, 4], {
      conv: layers.conv1d({ filters: 4, kernelSize: 3, padding: 'valid' }),
      same: layers.conv1d({ filters: 4, kernelSize: 3, padding: 'same', strides: 2 }),
      max: layers.maxPooling1d({ poolSize: 2 }),
      average: layers.averagePooling1d({ poolSize: 2 }),
      globalMax: layers.globalMaxPooling1d({}),
      globalAverage: layers.globalAveragePooling1d({}),
      lstm: layers.lstm(lstm),
      last: layers.lstm({ units: 3, recurrentActivation: 'sigmoid', useBias: false }),
      backwards: layers.lstm({ ...lstm, goBackwards: true }),
      gru: layers.gru(lstm),
      simple: layers.simpleRNN(lstm),
      both: layers.bidirectional({ layer: layers.lstm(lstm), mergeMode: 'concat' }),
      sum: layers.bidirectional({ layer: layers.gru({ units: 3 }), mergeMode: 'sum' }),
      each: layers.timeDistributed({ layer: layers.dense({ units: 2, activation: 'tanh' }) }),
    });
    expect(await differences(model, [[2, 5, 4]])).toEqual([]);
  });

  test('of volumes', async () => {
    const model = fan([4, 5, 6, 2], {
      conv: layers.conv3d({ filters: 3, kernelSize: 2, padding: 'same' }),
      max: layers.maxPooling3d({ poolSize: 2 }),
      average: layers.averagePooling3d({ poolSize: 2 }),
    });
    expect(await differences(model, [[1, 4, 5, 6, 2]])).toEqual([]);
  });

  test('that join', async () => {
    const [a, b] = [tfl.input({ shape: [3, 4] }), tfl.input({ shape: [3, 4] })];
    const outputs = [
      layers.add(),
      layers.multiply(),
      layers.average(),
      layers.maximum(),
      layers.minimum(),
      layers.concatenate(),
      layers.concatenate({ axis: 1 }),
      layers.dot({ axes: 2 }),
      layers.dot({ axes: [1, 1] }),
    ].map((layer) => (layer as Layer).apply([a, b]) as Symbolic);
    const model = tfl.model({ inputs: [a, b], outputs });
    expect(
      await differences(model, [
        [2, 3, 4],
        [2, 3, 4],
      ]),
    ).toEqual([]);
  });

  test('of tokens', async () => {
    await tf.setBackend('cpu');
    const model = tfl.sequential({
      layers: [layers.embedding({ inputDim: 10, outputDim: 4, inputLength: 5 }), layers.flatten()],
    });
    const { source } = await saved(model);
    const own = await load(source, wasm);
    const ids = Float32Array.of(0, 9, 3, 3, 1);
    const want = await (model.predict(tf.tensor(ids, [1, 5])) as tf.Tensor).data();
    const [input] = own.inputs;
    const got = await own.run({
      [input!.name]: { dtype: 'float32', dims: [1, 5], data: ids },
    } as never);
    expect(Array.from((got[own.outputs[0]!.name] as Tensor).data as Float32Array)).toEqual(
      Array.from(want),
    );
    own.dispose();
  });
});

describe('models', () => {
  test('in models, and layers that are used twice', async () => {
    const inner = tfl.sequential({
      layers: [
        layers.dense({ units: 4, inputShape: [3], activation: 'relu' }),
        layers.dense({ units: 2 }),
      ],
    });
    const [a, b] = [tfl.input({ shape: [3] }), tfl.input({ shape: [3] })];
    const shared = layers.dense({ units: 3 });
    const first = inner.apply(shared.apply(a)) as Symbolic;
    const second = inner.apply(shared.apply(b)) as Symbolic;
    const joined = layers.concatenate().apply([first, second]) as Symbolic;
    const model = tfl.model({
      inputs: [a, b],
      outputs: [layers.dense({ units: 1 }).apply(joined) as Symbolic, second],
    });
    expect(
      await differences(model, [
        [2, 3],
        [2, 3],
      ]),
    ).toEqual([]);
  });

  test('of layers in a row, one of them a model', async () => {
    const inner = tfl.sequential({
      layers: [
        layers.conv2d({ filters: 2, kernelSize: 3, inputShape: [6, 6, 1] }),
        layers.maxPooling2d({}),
      ],
    });
    const model = tfl.sequential({
      layers: [inner, layers.flatten(), layers.dense({ units: 3, activation: 'softmax' })],
    });
    expect(await differences(model, [[2, 6, 6, 1]])).toEqual([]);
  });

  test.each([wasm, webgpu])(
    'from elsewhere: an upscaler for images of any size, on $device',
    async (device) => {
      const path = packageFile('@upscalerjs/esrgan-slim', 'models/x2/model.json');
      const json = JSON.parse(readFileSync(path, 'utf8')) as {
        weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
      };
      const data = readFileSync(
        packageFile('@upscalerjs/esrgan-slim', `models/x2/${json.weightsManifest[0]!.paths[0]!}`),
      );
      const artifacts = {
        ...json,
        weightSpecs: json.weightsManifest[0]!.weights,
        weightData: new Uint8Array(data).buffer,
      };
      await tf.setBackend('cpu');
      const model = await tfl.loadLayersModel({ load: () => Promise.resolve(artifacts as never) });
      expect(await differences(model, [[1, 12, 17, 3]], path, device)).toEqual([]);
    },
  );

  test('with unknown layers are refused with all of them', async () => {
    const layer = (kind: string, name: string): object => ({
      class_name: kind,
      config: { name },
      name,
    });
    const json = {
      modelTopology: {
        class_name: 'Sequential',
        config: { name: 's', layers: [layer('Lambda', 'a'), layer('Odd', 'b'), layer('Odd', 'c')] },
      },
      weightsManifest: [],
    };
    const bytes = new TextEncoder().encode(JSON.stringify(json));
    await expect(load(bytes, wasm)).rejects.toThrow(
      "unsupported layers: Lambda at layer 'a'; Odd at layer 'b' and 1 more",
    );
  });
});
