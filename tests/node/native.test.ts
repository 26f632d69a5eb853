// The driving models on the native CPU build, as test folders.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { stepInputs, type ReferenceCase } from '../models/reference-file.js';
import { modelReferences } from '../models/references.js';
import { readSignature } from '../support/onnx.js';
import { repoRoot, testDataRoot } from '../support/paths.js';
import { writeValue, type Tensors } from '../support/pb.js';

const binary = join(repoRoot, 'build/debug/quern_native');

let references: ReferenceCase[];
beforeAll(async () => {
  references = await modelReferences();
});

/** Writes a case as the ONNX suite has them; gives its folder. */
function writeFolder(reference: ReferenceCase): string {
  const folder = join(testDataRoot, 'native', reference.name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const model = join(folder, 'model.onnx');
  copyFileSync(join(repoRoot, reference.model), model);
  const signature = readSignature(readFileSync(model));
  let previous: Tensors | undefined;
  reference.steps.forEach(({ outputs }, step) => {
    const set = join(folder, `test_data_set_${step}`);
    mkdirSync(set);
    const write = (kind: string, names: string[], tensors: Tensors): void => {
      names.forEach((name, i) => {
        const value = tensors[name];
        if (value) writeFileSync(join(set, `${kind}_${i}.pb`), writeValue(value));
      });
    };
    write(
      'input',
      signature.inputs.map(({ name }) => name),
      stepInputs(reference, step, previous),
    );
    write(
      'output',
      signature.outputs.map(({ name }) => name),
      outputs,
    );
    previous = outputs;
  });
  return folder;
}

describe.each([[[]], [['--no-passes']]])('quern_native check %j', (options: string[]) => {
  // Of a stream each chunk is compared alone here, and the first are near silence: elsewhere the
  // whole signal is (runCase).
  test.each([
    ['models', '1e-5', false],
    ['streams', '3e-5', true],
  ])('%s', (_, l2, streams) => {
    const cases = references.filter(({ carry }) => Object.keys(carry).length > 0 === streams);
    const tolerance = ['--l2', l2, '--rtol', '1e-3', '--atol', '1e-3'];
    const folders = cases.map(writeFolder);
    const run = spawnSync(binary, ['check', ...folders, ...tolerance, ...options], {
      encoding: 'utf8',
    });
    console.log(run.stdout + run.stderr);
    expect(run.stdout).toContain(`${cases.length} passed, 0 failed, 0 unsupported`);
    expect(run.status).toBe(0);
  });
});
