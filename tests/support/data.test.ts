import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compare } from './compare.js';
import { dataCases, type DataSet } from './data.js';
import { readSignature, type ValueSpec } from './onnx.js';
import { isTensor, readValue, writeValue, type OnnxValue, type Tensors } from './pb.js';
import { runReference } from './reference.js';

const exact = { relL2: 0, rtol: 0, atol: 0 };

function readAll(paths: readonly string[], specs: readonly ValueSpec[]): OnnxValue[] {
  return paths.map((path, i) => readValue(readFileSync(path), specs[i]!.type));
}

describe('the conformance data', { timeout: 60_000 }, () => {
  test.each([
    ['onnx-node', 1405],
    ['zoo', 23],
  ] as const)('%s has its cases, every value reads and writes back', (suite, count) => {
    const cases = dataCases(suite);
    expect(cases).toHaveLength(count);
    for (const { name, modelPath, dataSets } of cases) {
      const { inputs, outputs } = readSignature(readFileSync(modelPath));
      expect(dataSets, name).not.toHaveLength(0);
      for (const set of dataSets) {
        expect([set.inputs.length, set.outputs.length], name).toEqual([
          inputs.length,
          outputs.length,
        ]);
        for (const [paths, specs] of [
          [set.inputs, inputs],
          [set.outputs, outputs],
        ] as const) {
          readAll(paths, specs).forEach((value, i) => {
            const again = readValue(writeValue(value), specs[i]!.type);
            expect(compare(value, again, exact), name).toMatchObject({ ok: true });
          });
        }
      }
    }
  });

  test('the reference engine agrees with the zoo', async () => {
    for (const { name, modelPath, dataSets } of dataCases('zoo')) {
      const signature = readSignature(readFileSync(modelPath));
      for (const set of dataSets) {
        const outputs = await runReference(modelPath, namedInputs(set, signature.inputs));
        readAll(set.outputs, signature.outputs).forEach((expected, i) => {
          const got = outputs[signature.outputs[i]!.name]!;
          const { message } = compare(expected, got, { relL2: 1e-5, rtol: 1e-3, atol: 1e-4 });
          expect(message, name).toBe('');
        });
      }
    }
  });
});

function namedInputs(set: DataSet, specs: readonly ValueSpec[]): Tensors {
  const inputs: Tensors = {};
  readAll(set.inputs, specs).forEach((value, i) => {
    if (isTensor(value)) inputs[specs[i]!.name] = value;
  });
  return inputs;
}
