// TensorFlow.js models of packages that the tests do not install, against TensorFlow.js, on
// WebAssembly and WebGPU. $QUERN_PEERS names a folder node_modules with nsfwjs 4.3.0 and
// @spotify/basic-pitch 1.0.1; without it there is nothing to test here.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LoadOptions } from '../../runtime/src/node.js';
import { differences } from '../support/tfjs-compare.js';
import { layers, randomData, runGraphModel, tf, TfGraph, type Sample } from '../support/tfjs.js';

const folder = resolve(process.env['QUERN_PEERS'] ?? '');

const devices: Record<string, LoadOptions> = {
  wasm: { device: 'wasm', threads: 1 },
  webgpu: { device: 'webgpu' },
};

type Signature = Record<'inputs' | 'outputs', object>;
interface ModelJson {
  format?: string;
  signature?: Signature;
  userDefinedMetadata?: { signature: Signature };
  weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
}

/** model.json and its shards; nsfwjs has both as scripts, shards as base64. */
function read(path: string): { json: ModelJson; shards: Record<string, Uint8Array> } {
  const isScript = path.startsWith('nsfwjs');
  const file = (name: string): string => join(folder, path, isScript ? `${name}.min.js` : name);
  const given = (name: string): unknown => createRequire(import.meta.url)(file(name));
  const json = given(isScript ? 'model' : 'model.json') as ModelJson;
  const names = json.weightsManifest.flatMap(({ paths }) => paths);
  const bytes = (name: string): Uint8Array =>
    isScript ? Buffer.from(given(name) as string, 'base64') : readFileSync(file(name));
  return { json, shards: Object.fromEntries(names.map((name) => [name, bytes(name)])) };
}

const models: [path: string, dims: number[]][] = [
  ['nsfwjs/dist/models/mobilenet_v2', [1, 224, 224, 3]],
  ['nsfwjs/dist/models/mobilenet_v2_mid', [1, 224, 224, 3]],
  ['nsfwjs/dist/models/inception_v3', [1, 299, 299, 3]],
  ['@spotify/basic-pitch/model', [1, 43844, 1]],
];

/**
 * basic-pitch measures all loudness from the quietest bin of its spectrum, whose power is what is
 * left where sums cancel out: TensorFlow.js itself gives outputs that are up to 2.3e-4 away where
 * the sound changes by 1e-7. The logarithm in front of that is compared as all else is.
 */
const logarithm = 'StatefulPartitionedCall/model_1/normalized_log_1/Log';
const bounds = { contour: 1e-3, Identity_1: 1e-3, Identity_2: 1e-3 };

describe.runIf(process.env['QUERN_PEERS'])('models of packages', () => {
  test.each(models)('%s', { timeout: 900_000 }, async (path, dims) => {
    const { json, shards } = read(path);
    const artifacts = {
      ...json,
      weightSpecs: json.weightsManifest.flatMap(({ weights }) => weights),
      weightData: new Uint8Array(Buffer.concat(Object.values(shards))).buffer,
    } as unknown as tf.io.ModelArtifacts;
    const loader = { load: () => Promise.resolve(artifacts) };
    const count = dims.reduce((a, b) => a * b, 1);
    const input: Sample = { dtype: 'float32', dims, data: randomData(count, 0, 1) };
    const graph = new TfGraph();
    const before: string[] = [];
    let want: Sample[];
    if (json.format === 'graph-model') {
      const { inputs, outputs } = json.signature ?? json.userDefinedMetadata!.signature;
      const names = Object.keys(outputs);
      if (path.includes('pitch')) before.push(logarithm);
      graph.inputs[Object.keys(inputs)[0]!.replace(/:0$/, '')] = input;
      graph.outputs.push(...names.map((name) => name.replace(/:0$/, '')), ...before);
      want = await runGraphModel(loader, graph.inputs, [...names, ...before]);
    } else {
      await tf.setBackend('cpu');
      const model = await layers.loadLayersModel(loader);
      graph.inputs[model.inputNames[0]!] = input;
      graph.outputs.push(...model.outputNames);
      const result = model.predict(tf.tensor(input.data, dims)) as tf.Tensor;
      want = [{ dtype: 'float32', dims: result.shape, data: await result.data<'float32'>() }];
    }
    const source = {
      model: new TextEncoder().encode(JSON.stringify(json)),
      externalData: shards,
    };
    for (const [name, device] of Object.entries(devices)) {
      const options = { ...device, moreOutputs: before };
      const wrong = await differences(source, graph, options, want, 'TensorFlow.js', { bounds });
      expect(wrong, name).toEqual([]);
    }
  });
});
