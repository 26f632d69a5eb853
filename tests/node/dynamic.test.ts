// Models whose sizes differ from run to run: a detector with NonMaxSuppression inside, a tail that
// keeps what passes a threshold, language models that grow their caches. onnxruntime says what they
// give. What the host reads back is counted with outputs left on the device.

import { beforeAll, describe, expect, test } from 'vitest';
import { load, type Model } from '../../runtime/src/node.js';
import { feedsOf, valuesOf } from '../browser/run-model.js';
import { compare } from '../support/compare.js';
import { countingDevice } from '../support/counting-device.js';
import { dataCases } from '../support/data.js';
import { dawnGpu, defaultLimitsDevice } from '../support/dawn.js';
import { node, tensor, value, writeModel, type NodeSpec } from '../support/onnx.js';
import type { Tensors, TensorValue } from '../support/pb.js';
import { Reference } from '../support/reference.js';

const tolerance = { relL2: 1e-4, rtol: 1e-3, atol: 1e-3 };

beforeAll(async () => void (await dawnGpu()));

/** Numbers in [-1, 1), the same for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function randomTensor(name: string, dims: number[], next: () => number, scale = 1): TensorValue {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return tensor(
    name,
    'f32',
    dims,
    Array.from({ length: count }, () => next() * scale),
  );
}

function expectEqual(wanted: Tensors, got: Tensors): void {
  for (const [name, reference] of Object.entries(wanted)) {
    expect(compare(reference, got[name]!, tolerance).message).toBe('');
  }
}

/** The pipelines of each run, and values that the host read to go on. */
interface Seen {
  pipelines: number[];
  readbacks: number[];
}

/** Runs the model on all feeds twice, with outputs read and left, against onnxruntime. */
async function runAll(model: Uint8Array<ArrayBuffer>, runs: Tensors[]): Promise<Seen> {
  const reference = await Reference.load(model);
  const { device, counts } = countingDevice(await defaultLimitsDevice());
  const loaded = await load(model, { device });
  const seen: Seen = { pipelines: [], readbacks: [] };
  for (const inputs of runs) {
    expectEqual(await reference.run(inputs), valuesOf(await loaded.run(feedsOf(inputs))));
    seen.pipelines.push(loaded.report().objects.lastRun.pipelines);
    counts.reset();
    const kept = await loaded.run(feedsOf(inputs), { outputs: 'gpu' });
    seen.readbacks.push(counts.calls.mapAsync);
    for (const output of Object.values(kept)) output.dispose();
  }
  // The host does shape arithmetic only.
  for (const { op, hostElements } of loaded.report().nodes) {
    expect(hostElements, op).toBeLessThanOrEqual(64);
  }
  loaded.dispose();
  await reference.release();
  device.destroy();
  return seen;
}

const ints = (name: string, ...list: number[]): TensorValue =>
  tensor(name, 'i64', [list.length], list);
const axis = (number: number) => ({ axis: { int: number } });

/** Boxes of 3 classes from a picture of any size: a backbone of stride 8 and an anchor-free head. */
function detector(): Uint8Array<ArrayBuffer> {
  const next = random(5);
  const conv = (x: string, y: string, stride: number): NodeSpec =>
    node('Conv', [x, `${y}_w`, `${y}_b`], [y], {
      strides: { ints: [stride, stride] },
      ...(stride === 2 ? { pads: { ints: [1, 1, 1, 1] } } : {}),
    });
  const weights = (name: string, out: number, inside: number, size: number): TensorValue[] => [
    randomTensor(`${name}_w`, [out, inside, size, size], next, 2 / Math.sqrt(inside * size * size)),
    randomTensor(`${name}_b`, [out], next, 0.1),
  ];
  // Cell centres along an axis of the feature map, as [1, h * w, 1].
  const centres = (name: string, index: number, shape: string): NodeSpec[] => [
    node('Range', ['zero', `${name}_n`, 'one'], [`${name}_i`]),
    node('Cast', [`${name}_i`], [`${name}_f`], { to: { int: 1 } }),
    node('Add', [`${name}_f`, 'half'], [`${name}_c`]),
    node('Reshape', [`${name}_c`, shape], [`${name}_line`]),
    node('Expand', [`${name}_line`, 'hw'], [`${name}_grid`]),
    node('Reshape', [`${name}_grid`, 'column'], [`${name}_all`]),
    node('Slice', ['raw', `at${index}`, `at${index + 1}`, 'last'], [`${name}_d`]),
    node('Add', [`${name}_all`, `${name}_d`], [`${name}_centre`]),
  ];
  const sides = (name: string, index: number): NodeSpec[] => [
    node('Slice', ['raw', `at${index}`, `at${index + 1}`, 'last'], [`${name}_s`]),
    node('Exp', [`${name}_s`], [`${name}_size`]),
    node('Sub', [`${name}_centre`, `${name}_size`], [`${name}_low`]),
    node('Add', [`${name}_centre`, `${name}_size`], [`${name}_high`]),
  ];
  const nodes = [
    conv('image', 'c1', 2),
    node('Relu', ['c1'], ['r1']),
    conv('r1', 'c2', 2),
    node('Relu', ['c2'], ['r2']),
    conv('r2', 'c3', 2),
    node('Relu', ['c3'], ['r3']),
    conv('r3', 'boxhead', 1),
    conv('r3', 'scorehead', 1),
    node('Shape', ['r3'], ['shape']),
    node('Slice', ['shape', 'at2', 'at4'], ['hw']),
    node('Gather', ['shape', 'index2'], ['y_n']),
    node('Gather', ['shape', 'index3'], ['x_n']),
    node('Transpose', ['boxhead'], ['boxes_last'], { perm: { ints: [0, 2, 3, 1] } }),
    node('Reshape', ['boxes_last', 'rows4'], ['raw']),
    ...centres('y', 0, 'tall'),
    ...centres('x', 1, 'wide'),
    ...sides('y', 2),
    ...sides('x', 3),
    node('Concat', ['y_low', 'x_low', 'y_high', 'x_high'], ['boxes'], axis(2)),
    node('Sigmoid', ['scorehead'], ['probabilities']),
    node('Reshape', ['probabilities', 'classes'], ['scores']),
    node('NonMaxSuppression', ['boxes', 'scores', 'most', 'iou', 'threshold'], ['selected']),
    // The best of what was selected.
    node('GatherND', ['scores', 'selected'], ['selected_scores']),
    node('Shape', ['selected_scores'], ['found']),
    node('Min', ['found', 'ten'], ['k']),
    node('TopK', ['selected_scores', 'k'], ['best_scores', 'order']),
    node('Gather', ['selected', 'order'], ['best']),
    node('Slice', ['best', 'at1', 'at2', 'last'], ['class_column']),
    node('Slice', ['best', 'at2', 'at3', 'last'], ['box_column']),
    node('Squeeze', ['class_column', 'last'], ['best_classes']),
    node('Squeeze', ['box_column', 'last'], ['box_at']),
    node('Squeeze', ['boxes', 'first'], ['flat_boxes']),
    node('Gather', ['flat_boxes', 'box_at'], ['best_boxes']),
  ];
  return writeModel({
    graph: {
      nodes,
      initializers: [
        ...weights('c1', 8, 3, 3),
        ...weights('c2', 12, 8, 3),
        ...weights('c3', 16, 12, 3),
        ...weights('boxhead', 4, 16, 1),
        ...weights('scorehead', 3, 16, 1),
        ...[0, 1, 2, 3, 4].map((at) => ints(`at${at}`, at)),
        tensor('index2', 'i64', [], [2]),
        tensor('index3', 'i64', [], [3]),
        tensor('zero', 'i64', [], [0]),
        tensor('one', 'i64', [], [1]),
        tensor('half', 'f32', [], [0.5]),
        ints('tall', -1, 1),
        ints('wide', 1, -1),
        ints('column', 1, -1, 1),
        ints('last', -1),
        ints('first', 0),
        ints('rows4', 1, -1, 4),
        ints('classes', 1, 3, -1),
        ints('most', 8),
        ints('ten', 10),
        tensor('iou', 'f32', [1], [0.4]),
        tensor('threshold', 'f32', [1], [0.55]),
      ],
      inputs: [value('image', 'f32', [1, 3, 'h', 'w'])],
      outputs: [
        value('best_boxes', 'f32', ['k', 4]),
        value('best_scores', 'f32', ['k']),
        value('best_classes', 'i64', ['k']),
        value('selected', 'i64', ['n', 3]),
      ],
    },
  });
}

describe('a detector with NonMaxSuppression inside', () => {
  test('any size of picture, one number read back, no new programs', async () => {
    const next = random(9);
    const runs = [
      [64, 64],
      [96, 80],
      [64, 112],
      [200, 72],
      [96, 80],
    ].map(([h, w]) => ({ image: randomTensor('image', [1, 3, h!, w!], next, 2) }));
    const { pipelines, readbacks } = await runAll(detector(), runs);
    console.log(`detector: readbacks ${readbacks.join()}, pipelines ${pipelines.join()}`);
    // How many boxes there are decides the sizes after.
    expect(Math.max(...readbacks)).toBeLessThanOrEqual(1);
    expect(pipelines.slice(1)).toEqual([0, 0, 0, 0]);
  });

  test('a picture in which nothing is found', async () => {
    const dark = tensor('image', 'f32', [1, 3, 32, 32], Array<number>(3 * 32 * 32).fill(0));
    const reference = await Reference.load(detector());
    const model = await load(detector(), { device: 'webgpu' });
    const wanted = await reference.run({ image: dark });
    const got = valuesOf(await model.run(feedsOf({ image: dark })));
    expectEqual(wanted, got);
    await reference.release();
    model.dispose();
  });
});

test('NonZero, Compress and Unique of any size read a count each', async () => {
  const model = writeModel({
    graph: {
      nodes: [
        node('Greater', ['x', 'zero'], ['mask']),
        node('NonZero', ['mask'], ['where']),
        node('Transpose', ['where'], ['rows']),
        node('GatherND', ['x', 'rows'], ['kept']),
        node('ReduceMax', ['x'], ['row_best'], { axes: { ints: [1] }, keepdims: { int: 0 } }),
        node('Greater', ['row_best', 'high'], ['row_mask']),
        node('Compress', ['x', 'row_mask'], ['rows_kept'], axis(0)),
        node('Mul', ['x', 'four'], ['scaled']),
        node('Floor', ['scaled'], ['steps']),
        node('Unique', ['steps'], ['values', '', '', 'counts']),
      ],
      initializers: [
        tensor('zero', 'f32', [], [0]),
        tensor('high', 'f32', [], [0.9]),
        tensor('four', 'f32', [], [4]),
      ],
      inputs: [value('x', 'f32', ['n', 'm'])],
      outputs: [
        value('kept', 'f32', ['a']),
        value('rows_kept', 'f32', ['b', 'm']),
        value('values', 'f32', ['c']),
        value('counts', 'i64', ['c']),
      ],
    },
  });
  const next = random(3);
  const runs = [
    [5, 7],
    [40, 9],
    [300, 30],
    [1, 1],
    [64, 65],
  ].map(([n, m]) => ({ x: randomTensor('x', [n!, m!], next) }));
  const { pipelines, readbacks } = await runAll(model, runs);
  console.log(`counts: readbacks ${readbacks.join()}, pipelines ${pipelines.join()}`);
  expect(Math.max(...readbacks)).toBeLessThanOrEqual(3);
  expect(pipelines.slice(3)).toEqual([0, 0]);
});

const i64 = (name: string, dims: number[], list: number[]): TensorValue =>
  tensor(name, 'i64', dims, list);

describe('a language model that grows its cache', () => {
  test.each(['hf_gpt2_step', 'hf_llama_step'])('%s', async (name) => {
    const { modelPath } = dataCases('zoo').find((one) => one.name === name)!;
    const reference = await Reference.load(modelPath);
    const model: Model = await load(modelPath, { device: 'webgpu' });
    const caches = ['past_0_key', 'past_0_value', 'past_1_key', 'past_1_value'];
    const state = Object.fromEntries(caches.map((cache, i) => [`out${i + 1}`, cache]));
    const heads = model.inputs.find((input) => input.name === 'past_0_key')!.dims![1] as number;

    // A prompt with an empty cache, then token by token; each token is the last one's best.
    let tokens = [11, 42, 7, 130, 255];
    let length = 0;
    let past: Tensors = Object.fromEntries(
      caches.map((cache) => [cache, tensor(cache, 'f32', [1, heads, 0, 16], [])]),
    );
    const pipelines: number[] = [];
    for (let step = 0; step < 8; step++) {
      length += tokens.length;
      const inputs = {
        input_ids: i64('input_ids', [1, tokens.length], tokens),
        attention_mask: i64('attention_mask', [1, length], Array<number>(length).fill(1)),
      };
      const wanted = await reference.run({ ...inputs, ...past });
      const feeds = step === 0 ? { ...inputs, ...past } : inputs;
      const got = valuesOf(await model.run(feedsOf(feeds), { state, outputs: ['out0'] }));
      expectEqual({ out0: wanted.out0! }, got);
      pipelines.push(model.report().objects.lastRun.pipelines);
      past = Object.fromEntries(
        caches.map((cache, i) => [cache, { ...wanted[`out${i + 1}`]!, name: cache }]),
      );
      const logits = (got.out0!.data as Float32Array).slice(-300);
      tokens = [logits.indexOf(Math.max(...logits))];
    }
    console.log(`${name}: pipelines ${pipelines.join()}`);
    // The prompt's shape and a token's: after them nothing is new.
    expect(pipelines.slice(2)).toEqual([0, 0, 0, 0, 0, 0]);
    await reference.release();
    model.dispose();
  });
});
