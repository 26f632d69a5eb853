// Makes tests/data/contrib.tar.xz anew: operators of the domain com.microsoft (and ONNX's quantised
// ones), with what ONNX Runtime computes for them. With a folder the cases are left there, and
// other seeds make other ones, to compare with at length.
//   node tests/conformance/make-contrib.mjs [FOLDER [SEED [PATTERN]]]
// Wants the package onnxruntime-node ($ORT: a folder that has it in node_modules).

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { cases } from './contrib/cases.mjs';
import { modelProto, tensorProto } from './contrib/onnx-file.mjs';
import { seed } from './contrib/random.mjs';

const [given, start = '1', pattern] = process.argv.slice(2);
const folder = given ?? mkdtempSync(join(tmpdir(), 'contrib-'));
const ort = createRequire(join(resolve(process.env.ORT ?? '.'), 'package.json'))(
  'onnxruntime-node',
);

const ortType = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  u8: 'uint8',
  i8: 'int8',
  u16: 'uint16',
  i16: 'int16',
  i32: 'int32',
  i64: 'int64',
  bool: 'bool',
};
const typeOfOrt = Object.fromEntries(
  Object.entries(ortType).map(([ours, theirs]) => [theirs, ours]),
);

let made = 0;
for (const { name, make } of cases) {
  if (pattern && !new RegExp(pattern).test(name)) continue;
  // Each case has its own seed: adding one leaves the others as they are.
  seed([...name].reduce((hash, c) => Math.imul(hash, 31) + c.charCodeAt(0), Number(start) * 7919));
  const one = make();
  const model = modelProto(one);
  // Where ONNX Runtime's CPU has no such operator: others that mean the same.
  const reference = one.reference ? modelProto({ ...one, nodes: one.reference }) : model;
  const target = join(folder, `test_${name}`);
  let outputs;
  try {
    const session = await ort.InferenceSession.create(reference, {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 3,
    });
    const feeds = {};
    for (const [key, { dtype, dims, data }] of Object.entries(one.inputs)) {
      feeds[key] = new ort.Tensor(ortType[dtype], data, dims);
    }
    outputs = await session.run(feeds);
  } catch (error) {
    console.log(`${name}: ${error.message.slice(0, 300)}`);
    process.exitCode = 1;
    continue;
  }
  rmSync(target, { recursive: true, force: true });
  const set = join(target, 'test_data_set_0');
  mkdirSync(set, { recursive: true });
  writeFileSync(join(target, 'model.onnx'), model);
  Object.entries(one.inputs).forEach(([key, tensor], i) => {
    writeFileSync(join(set, `input_${i}.pb`), tensorProto(key, tensor));
  });
  Object.keys(one.outputs).forEach((key, i) => {
    const { type, dims, data } = outputs[key];
    writeFileSync(
      join(set, `output_${i}.pb`),
      tensorProto(key, { dtype: typeOfOrt[type], dims, data }),
    );
  });
  ++made;
}
console.log(`${made} cases in ${folder}`);
if (!given) {
  const archive = fileURLToPath(new URL('../data/contrib.tar.xz', import.meta.url));
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  const options = { env: { ...process.env, XZ_OPT: '-9e' } };
  execFileSync('tar', [...same, '-cJf', archive, '-C', folder, '.'], options);
  rmSync(folder, { recursive: true });
}
