// quern convert: a model of another format as ONNX, its weights included.

import { writeFileSync } from 'node:fs';

import { asConverter } from '../converter.js';
import { inlineCore } from '../core.js';
import { InvalidArgumentError } from '../errors.js';
import { filesOf, headOf, onnxOf } from '../formats.js';
import { openModel } from '../model-files.js';
import { bytes } from './format.js';

/** ONNX files are protobuf messages, which end at 2 GiB. */
const memoryLimit = 2 ** 31;

/** The model as ONNX, its weights included; nothing where the file is ONNX already. */
export async function convertedModel(
  input: string,
  wasmBase: string | undefined,
): Promise<Uint8Array | undefined> {
  const model = await openModel(input);
  const core = await inlineCore({ name: 'quern-formats', threads: 1, base: wasmBase });
  try {
    const converter = asConverter(core);
    const head = await headOf(model.main, undefined);
    const format = await converter.call('formatOf', head.slice());
    if (format === 'ONNX') return undefined;
    const all = Number.MAX_SAFE_INTEGER;
    const files = filesOf(model, undefined);
    return await onnxOf(converter, files, head, 'weights', all, undefined, memoryLimit);
  } finally {
    core.close();
  }
}

/** Gives what it wrote, in words. */
export async function convertModel(
  input: string,
  output: string,
  wasmBase: string | undefined,
): Promise<string> {
  const onnx = await convertedModel(input, wasmBase);
  if (!onnx) throw new InvalidArgumentError(`convert: ${input} is ONNX already`);
  writeFileSync(output, onnx);
  return `${output}: ${bytes(onnx.length)}\n`;
}
