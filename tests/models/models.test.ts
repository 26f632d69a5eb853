import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compare, cpuTolerance } from '../support/compare.js';
import { repoRoot } from '../support/paths.js';
import { runReference } from '../support/reference.js';
import { modelReferences } from './references.js';
import { mapValues, type ReferenceCase } from './reference-file.js';

/** Of a classifier's output [batch, classes], the likeliest class of each row. */
function likeliest(data: ArrayLike<number>, classes: number): number[] {
  return Array.from({ length: data.length / classes }, (_, row) => {
    const scores = Array.from({ length: classes }, (_, i) => data[row * classes + i]!);
    return scores.indexOf(Math.max(...scores));
  });
}

describe('the model cases make sense to the reference engine', () => {
  let cases: Map<string, ReferenceCase>;
  beforeAll(async () => {
    cases = new Map((await modelReferences()).map((reference) => [reference.name, reference]));
  }, 60_000);

  function outputs(name: string, output: string): ArrayLike<number>[] {
    return cases.get(name)!.steps.map((step) => step.outputs[output]!.data as Float32Array);
  }

  test('text lines are upright or upside down as drawn', () => {
    const rows = outputs('ppocr-direction', 'softmax_0.tmp_0').map((data) => likeliest(data, 2));
    expect(rows).toEqual([[0], [1], [0, 1], [1, 0], [0]]);
  });

  test('speech is found after the silence', () => {
    const speech = outputs('silero-vad', 'output').map((data) => data[0]! > 0.5);
    expect(speech).toHaveLength(50);
    expect(speech.slice(0, 7)).not.toContain(true);
    expect(speech.slice(8, 37)).not.toContain(false);
  });

  test('padding changes nothing in the tokens before it', async () => {
    const { steps, model } = cases.get('hf-bert')!;
    const shapes = steps.map(({ inputs }) => inputs.input_ids!.dims);
    expect(shapes).toEqual([
      [1, 12],
      [2, 7],
      [3, 33],
      [4, 64],
    ]);

    // The second row of the second step has four tokens: alone, it gives the same.
    const [length, hidden] = [4, 64];
    const row = mapValues(steps[1]!.inputs, ({ name, dtype, data }) => {
      return { name, dtype, dims: [1, length], data: data.slice(7, 7 + length) as BigInt64Array };
    });
    const alone = (await runReference(join(repoRoot, model), row)).out0!;
    const padded = steps[1]!.outputs.out0!.data.slice(7 * hidden, (7 + length) * hidden);
    const inBatch = { ...alone, data: padded as Float32Array };
    expect(compare(inBatch, alone, cpuTolerance).message).toBe('');
  });

  test('references read back from their files', async () => {
    const again = await modelReferences();
    for (const reference of again) {
      expect(readFileSync(join(repoRoot, reference.model)).length).toBeGreaterThan(0);
      reference.steps.forEach(({ outputs }, step) => {
        for (const [name, value] of Object.entries(
          cases.get(reference.name)!.steps[step]!.outputs,
        )) {
          const { message } = compare(value, outputs[name]!, { relL2: 0, rtol: 0, atol: 0 });
          expect(message).toBe('');
        }
      });
    }
  });
});
