// Runs a model case through Quern and compares, in Node and in a page alike.

import type { load, LoadOptions, Model, ModelReport, Tensor } from '../../runtime/src/index.js';
import type { SourceInput } from '../../runtime/src/index.js';
import { mapValues, stepInputs, type ReferenceCase } from '../models/reference-file.js';
import { compare } from '../support/compare.js';
import type { NumericData } from '../support/dtype.js';
import type { Tensors } from '../support/pb.js';

type Feeds = Parameters<Model['run']>[0];

export interface CaseResult {
  /** What differs, empty where all is well. */
  differences: string[];
  /** GPU objects made by each step. */
  objects: ModelReport['objects']['lastRun'][];
  report: ModelReport;
  /** When it was loading, and when each run was under way: of performance.now(). */
  spans: [start: number, end: number][];
}

/** What to feed, by name. */
export function feedsOf(inputs: Tensors): Feeds {
  return mapValues(inputs, ({ data, dims }) => ({ data: data as NumericData, dims }));
}

/** A result with the types of the comparison. */
export function valuesOf(outputs: Record<string, Tensor>): Tensors {
  return mapValues(outputs, ({ dtype, dims, data }, name) => ({
    name,
    dtype,
    dims: [...dims],
    data: data as NumericData,
  }));
}

/** Goes on in a task of its own. */
function turn(): Promise<void> {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(undefined);
  });
}

/**
 * Runs all steps. `state`: what the steps carry along stays on the device; else it is read back
 * and fed again.
 */
export async function runCase(
  loadModel: typeof load,
  source: SourceInput,
  reference: ReferenceCase,
  options: LoadOptions,
  state = false,
): Promise<CaseResult> {
  const spans: CaseResult['spans'] = [];
  const timed = async <T>(promise: () => Promise<T>): Promise<T> => {
    await turn(); // what was compared before is none of this task's
    const start = performance.now();
    const result = await promise();
    const end = performance.now();
    spans.push([start, end]);
    performance.measure('span', { start, end });
    await turn();
    return result;
  };
  const model = await timed(() => loadModel(source, options));
  try {
    const tolerance = reference.tolerance[model.device === 'wasm' ? 'cpu' : 'webgpu'];
    // Of a stream, the relative error is that of the whole signal: one step's output may be a
    // single number near zero. Elements are compared in every step.
    const isStream = Object.keys(reference.carry ?? {}).length > 0;
    const stepTolerance = isStream ? { ...tolerance, relL2: Infinity } : tolerance;
    const signals = new Map<string, [expected: number[], got: number[]]>();
    const result: CaseResult = { differences: [], objects: [], report: model.report(), spans };
    let previous: Tensors | undefined;
    for (const [step, { outputs: expected }] of reference.steps.entries()) {
      const inputs = stepInputs(reference, step, state ? undefined : previous);
      const runOptions = state ? { state: reference.carry, outputs: Object.keys(expected) } : {};
      const feeds = feedsOf(inputs);
      const outputs = valuesOf(await timed(() => model.run(feeds, runOptions)));
      for (const [name, value] of Object.entries(expected)) {
        const got = outputs[name];
        const message = got
          ? compare(value, got, stepTolerance).message
          : `${name}: no such output`;
        if (message) result.differences.push(`step ${step}: ${message}`);
        if (!isStream || !got) continue;
        const signal = signals.get(name) ?? [[], []];
        signals.set(name, signal);
        signal[0].push(...Array.from(value.data as Float32Array));
        signal[1].push(...Array.from(got.data as Float32Array));
      }
      previous = outputs;
      result.objects.push(model.report().objects.lastRun);
    }
    for (const [name, pair] of signals) {
      const [expected, got] = pair.map((numbers) => ({
        name,
        dtype: 'f32' as const,
        dims: [numbers.length],
        data: new Float32Array(numbers),
      }));
      const { message } = compare(expected!, got!, tolerance);
      if (message) result.differences.push(`all steps: ${message}`);
    }
    result.report = model.report();
    return result;
  } finally {
    model.dispose();
  }
}
