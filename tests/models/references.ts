// Computes what the model cases must give, with onnxruntime-node. Node only.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { cpuTolerance, webgpuTolerance } from '../support/compare.js';
import { dataCases } from '../support/data.js';
import { readSignature, type ValueSpec } from '../support/onnx.js';
import { packageFile, repoRoot, testDataRoot } from '../support/paths.js';
import { readTensor, type Tensors } from '../support/pb.js';
import { Reference } from '../support/reference.js';
import { modelCases, type ModelCase } from './cases.js';
import {
  decodeReference,
  encodeReference,
  stepInputs,
  type ReferenceCase,
} from './reference-file.js';

const folder = join(testDataRoot, 'references');

/**
 * Every model case with its reference outputs. Computed where build/test-data/references lacks
 * them or has them for another model, input or engine.
 */
export async function modelReferences(): Promise<ReferenceCase[]> {
  const references: ReferenceCase[] = [];
  for (const modelCase of await modelCases()) {
    references.push(await modelReference(modelCase));
  }
  return references;
}

async function modelReference(modelCase: ModelCase): Promise<ReferenceCase> {
  const file = (extension: string): string => join(folder, `${modelCase.name}.${extension}`);
  const key = keyOf(modelCase);
  if (existsSync(file('key')) && readFileSync(file('key'), 'utf8') === key) {
    return decodeReference(readFileSync(file('json'), 'utf8'), readFileSync(file('bin')));
  }
  const reference = await compute(modelCase);
  write(reference, key);
  return reference;
}

/** Puts a reference where pages fetch it. `key`: what it was made of. */
function write(reference: ReferenceCase, key: string): void {
  const file = (extension: string): string => join(folder, `${reference.name}.${extension}`);
  const { json, bin } = encodeReference(reference);
  mkdirSync(folder, { recursive: true });
  // Several processes may write the same content: each file changes in one step, the key last.
  for (const [extension, content] of Object.entries({ json, bin, key })) {
    const draft = `${file(extension)}.${process.pid}`;
    writeFileSync(draft, content);
    renameSync(draft, file(extension));
  }
}

/** The zoo with the references that it comes with, a step a data set. */
export function zooReferences(): ReferenceCase[] {
  return dataCases('zoo').map(({ name, modelPath, dataSets }) => {
    const { inputs, outputs } = readSignature(readFileSync(modelPath));
    const read = (files: readonly string[], signature: readonly ValueSpec[]): Tensors =>
      Object.fromEntries(
        files.map((file) => {
          const number = Number(/_(\d+)\.pb$/.exec(file)![1]);
          const tensor = { ...readTensor(readFileSync(file)), name: signature[number]!.name };
          return [tensor.name, tensor];
        }),
      );
    const reference: ReferenceCase = {
      name: `zoo-${name}`,
      model: relative(repoRoot, modelPath).split(sep).join('/'),
      steps: dataSets.map((set) => ({
        inputs: read(set.inputs, inputs),
        outputs: read(set.outputs, outputs),
      })),
      carry: {},
      tolerance: { webgpu: webgpuTolerance, cpu: cpuTolerance },
    };
    write(reference, '');
    return reference;
  });
}

async function compute({ name, modelPath, steps, carry = {}, tolerance }: ModelCase) {
  const model = await Reference.load(modelPath);
  const reference: ReferenceCase = {
    name,
    model: relative(repoRoot, modelPath).split(sep).join('/'),
    steps: [],
    carry,
    tolerance,
  };
  let previous: Tensors | undefined;
  for (let step = 0; step < steps.length; step++) {
    previous = await model.run(stepInputs({ steps, carry }, step, previous));
    reference.steps.push({ inputs: steps[step]!.inputs, outputs: previous });
  }
  await model.release();
  return reference;
}

/** Changes with anything that the outputs or the format of the files depend on. */
function keyOf({ name, modelPath, steps, carry = {}, tolerance }: ModelCase): string {
  const inputs = steps.map((step) => ({ inputs: step.inputs, outputs: {} }));
  const { json, bin } = encodeReference({ name, model: '', steps: inputs, carry, tolerance });
  return createHash('sha256')
    .update(readFileSync(packageFile('onnxruntime-node', 'package.json')))
    .update(readFileSync(modelPath))
    .update(json)
    .update(bin)
    .digest('hex');
}
