// quern check: runs test folders as ONNX's own suite has them, and compares.
//   FOLDER/model.onnx, FOLDER/test_data_set_0/input_0.pb, .../output_0.pb (or data_set_0)

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { InvalidArgumentError, InvalidModelError, textOf, UnsupportedError } from '../errors.js';
import { load, type LoadOptions } from '../node.js';
import type { Model } from '../model.js';
import type { Value } from '../value.js';
import { platform } from '../platform.js';
import { chooseDevice } from '../device.js';
import { compareValues, type Tolerance } from './compare.js';
import { asHardware, believedLimits } from './devices.js';
import { milliseconds } from './format.js';
import { readValueProto } from './value-proto.js';

export interface CheckRequest extends Tolerance {
  folders: readonly string[];
  /** The model's file in each folder. */
  model: string;
  options: LoadOptions;
  /** On a device with WebGPU's default limits and no optional features. */
  defaultLimits: boolean;
  /** With the kernels that hardware has, where the device is a CPU that emulates a GPU. */
  asHardware: boolean;
  /** Bytes that the device is taken to bind at most, for tests of large tensors. */
  bindingLimit?: number;
  /** Called after each case. */
  onCase?(one: CheckedCase, done: number): void;
}

export interface CheckedCase {
  name: string;
  /** fail: a wrong result. error: none at all. unsupported: refused with that reason. */
  status: 'pass' | 'fail' | 'error' | 'unsupported';
  message: string;
  /** The largest |got - want| of all outputs. */
  maxError: number;
  /** Nodes whose operators run on the host on every device: strings, sequences, optionals, images. */
  hostNodes: string[];
  /** Nodes that compute shapes and the like on the host, from dims, constants and small inputs. */
  shapeNodes: string[];
  /** GPU dispatches of the last run. */
  dispatches: number;
  /** Of the runs, without load. */
  ms: number;
}

export interface CheckResult {
  device: string;
  passed: number;
  failed: number;
  unsupported: number;
  cases: CheckedCase[];
}

/** One after the other, in order. Never throws for what a case does. */
export async function checkFolders(request: CheckRequest): Promise<CheckResult> {
  const cases: CheckedCase[] = [];
  const options: LoadOptions = { warm: false, ...request.options };
  if (request.defaultLimits) options.device = await defaultDevice();
  if (request.bindingLimit !== undefined) {
    options.device = believedLimits(await defaultDevice(), {
      maxStorageBufferBindingSize: request.bindingLimit,
    });
  }
  // Held, so that all cases share it.
  const chosen = await chooseDevice(options.device ?? 'auto');
  if (request.asHardware && chosen.kind === 'webgpu' && chosen.open.info.software) {
    options.device = asHardware(chosen.open.device);
  }
  for (const folder of request.folders) {
    const one: CheckedCase = {
      name: basename(folder),
      status: 'error',
      message: '',
      maxError: 0,
      hostNodes: [],
      shapeNodes: [],
      dispatches: 0,
      ms: 0,
    };
    try {
      const path = join(folder, request.model);
      if (!existsSync(path)) throw new InvalidArgumentError(`${path} is not there`);
      const model = await load(path, options);
      try {
        await checkModel(model, folder, request, one);
      } finally {
        model.dispose();
      }
    } catch (error) {
      one.status = error instanceof UnsupportedError ? 'unsupported' : 'error';
      one.message = textOf(error);
    }
    cases.push(one);
    request.onCase?.(one, cases.length);
  }
  if (chosen.kind === 'webgpu') chosen.open.release();
  const count = (...statuses: string[]): number =>
    cases.filter(({ status }) => statuses.includes(status)).length;
  return {
    device: chosen.kind,
    passed: count('pass'),
    failed: count('fail', 'error'),
    unsupported: count('unsupported'),
    cases,
  };
}

async function defaultDevice(): Promise<GPUDevice> {
  const adapter = await (await platform.gpu()).requestAdapter();
  if (!adapter) throw new UnsupportedError('webgpu: the system offers no GPU adapter');
  return adapter.requestDevice();
}

async function checkModel(
  model: Model,
  folder: string,
  tolerance: CheckRequest,
  one: CheckedCase,
): Promise<void> {
  const sets = readdirSync(folder)
    .filter((name) => /^(test_)?data_set_\d+$/.test(name))
    .sort((a, b) => numberIn(a) - numberIn(b));
  if (sets.length === 0) throw new InvalidArgumentError(`${folder} has no data_set_0`);
  one.status = 'pass';
  for (const set of sets) {
    const inputs = readValues(join(folder, set), 'input', model.inputs);
    const wanted = readValues(join(folder, set), 'output', model.outputs);
    const outputs = await model.run<Value>(Object.fromEntries(inputs));
    const report = model.report();
    one.ms += report.timings.lastRun!;
    one.dispatches = 0;
    for (const node of report.nodes) {
      for (const kernel of node.kernels) one.dispatches += kernel.dispatches;
    }
    one.hostNodes = report.nodes.filter(({ place }) => place === 'host').map(title);
    one.shapeNodes = report.nodes
      .filter(({ place, hostElements }) => place !== 'host' && hostElements > 0)
      .map(title);
    for (const [name, want] of wanted) {
      const { difference, maxError } = compareValues(outputs[name]!, want, tolerance);
      one.maxError = Math.max(one.maxError, maxError);
      if (difference === undefined || one.status === 'fail') continue;
      one.status = 'fail';
      one.message = `${set}: output '${name}': ${difference}`;
    }
  }
}

function title({ op, name }: { op: string; name: string }): string {
  return name ? `${op} '${name}'` : op;
}

function numberIn(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0);
}

/** By file number, which is the model's order; optional inputs may be absent. */
function readValues(
  folder: string,
  kind: 'input' | 'output',
  infos: Model['inputs'],
): [string, Value][] {
  const values: [string, Value][] = [];
  const files = readdirSync(folder).filter((name) => new RegExp(`^${kind}_\\d+\\.pb$`).test(name));
  for (const file of files.sort((a, b) => numberIn(a) - numberIn(b))) {
    const info = infos[numberIn(file)];
    if (!info) throw new InvalidModelError(`${file}: the model has ${infos.length} ${kind}s`);
    const path = join(folder, file);
    values.push([info.name, readValueProto(new Uint8Array(readFileSync(path)), path, info)]);
  }
  return values;
}

/** A line for a case. */
export function caseText({ name, status, message, maxError, ms, hostNodes }: CheckedCase): string {
  const notes = [message];
  if (status === 'pass') notes.push(`max error ${maxError.toPrecision(2)}, ${milliseconds(ms)}`);
  if (hostNodes.length > 0) notes.push(`on the host: ${hostNodes.join(', ')}`);
  return `${status.padEnd(11)} ${name}  ${notes.filter(Boolean).join('; ')}\n`;
}

export function checkText({ device, passed, failed, unsupported }: CheckResult): string {
  return `${device}: ${passed} passed, ${failed} failed, ${unsupported} unsupported\n`;
}
