// A drawn case as a model file and its inputs.

import { rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadSupport } from './support.mjs';
import { bitsOf, isFloat, isInteger } from './tensors.mjs';

const { encodeSmallFloat, value, writeModel, writeTensor, zeroData } = await loadSupport();

/** A tensor with its elements as the type lays them out. */
export function encode(name, { dtype, dims, values, data }) {
  if (data) return { name, dtype, dims, data };
  if (dtype === 'string') return { name, dtype, dims, data: values };
  const array = zeroData(dtype, values.length);
  const width = dtype === 'f4e2m1' ? 4 : dtype === 'bool' ? 8 : bitsOf(dtype);
  const small = isFloat(dtype) && dtype !== 'f32' && dtype !== 'f64';
  values.forEach((number, i) => {
    let code = number;
    if (small) code = encodeSmallFloat(dtype, number);
    else if (isInteger(dtype)) code = Math.trunc(number);
    if (width < 8) {
      const mask = (1 << width) - 1;
      array[Math.floor((i * width) / 8)] |= (code & mask) << ((i * width) % 8);
    } else if (width === 64 && isInteger(dtype)) {
      array[i] = dtype === 'u64' ? BigInt.asUintN(64, BigInt(code)) : BigInt(code);
    } else {
      array[i] = code;
    }
  });
  return { name, dtype, dims, data: array };
}

const encodedAttributes = (attributes = {}) =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => [
      name,
      attribute.tensor ? { tensor: encode('', attribute.tensor) } : attribute,
    ]),
  );

/** The model's bytes and the tensors to feed, by name. */
export function build({ nodes, opset, tensors, outputs }) {
  const encoded = tensors.map((entry) => ({ ...entry, tensor: encode(entry.name, entry.tensor) }));
  const fed = encoded.filter(({ initializer }) => !initializer);
  const model = writeModel({
    irVersion: opset >= 23 ? 11 : opset >= 21 ? 10 : 8,
    opsets: { '': opset, 'ai.onnx.ml': 3 },
    graph: {
      nodes: nodes.map((node) => ({ ...node, attributes: encodedAttributes(node.attributes) })),
      initializers: encoded.filter(({ initializer }) => initializer).map(({ tensor }) => tensor),
      inputs: fed.map(({ name, tensor, shown }) => value(name, tensor.dtype, shown)),
      outputs: outputs.map(({ name, dtype }) => value(name, dtype)),
    },
  });
  return { model, inputs: Object.fromEntries(fed.map(({ name, tensor }) => [name, tensor])) };
}

/** Writes a test folder as ONNX's suite has them; `wanted` are its outputs, where known. */
export function writeFolder(folder, { model, inputs }, wanted = []) {
  rmSync(folder, { recursive: true, force: true });
  const set = join(folder, 'test_data_set_0');
  mkdirSync(set, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), model);
  Object.values(inputs).forEach((tensor, i) => {
    writeFileSync(join(set, `input_${i}.pb`), writeTensor(tensor));
  });
  wanted.forEach((tensor, i) => {
    writeFileSync(join(set, `output_${i}.pb`), writeTensor(tensor));
  });
  return set;
}
