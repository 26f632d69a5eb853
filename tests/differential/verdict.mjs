// Is every engine's answer right? The reference is ONNX Runtime's, where it has one and deny.txt
// does not say that it is wrong there; else that of the native build without passes.

import { readFileSync } from 'node:fs';

import { loadSupport } from './support.mjs';
import { isInteger } from './tensors.mjs';

const { compare, decodeElements, elementCount } = await loadSupport();

const bars = {
  f32: [1e-4, 1e-3, 1e-5],
  f64: [1e-4, 1e-3, 1e-5],
  f16: [2e-3, 5e-3, 2e-3],
  bf16: [1.6e-2, 4e-2, 1.6e-2],
  f8e4m3fn: [0.1, 0.13, 0.02],
  f8e4m3fnuz: [0.1, 0.13, 0.02],
  f8e5m2: [0.2, 0.26, 0.02],
  f8e5m2fnuz: [0.2, 0.26, 0.02],
  f4e2m1: [0.3, 0.51, 0.5],
  f8e8m0: [1, 1, 0],
};

/** The difference between two outputs in words, or undefined. */
function difference(reference, got, { slack, valuesDiffer, looseness }) {
  if (reference.dtype === 'string' || isInteger(reference.dtype) || reference.dtype === 'bool') {
    if (slack > 0 && isInteger(reference.dtype) && got.dtype === reference.dtype) {
      const widened = [reference, got].map(asDoubles);
      return said(compare(...widened, { relL2: Infinity, rtol: 0, atol: slack }, reference.name));
    }
    const strict = compare(reference, got, { relL2: 0, rtol: 0, atol: 0 }, reference.name);
    if (valuesDiffer && !/type|shape/.test(strict.message)) return undefined;
    return said(strict);
  }
  const [relL2, rtol, atol] = bars[reference.dtype].map((bar) => bar * looseness);
  let most = 1;
  for (const x of decodeElements(reference.dtype, reference.data, elementCount(reference.dims))) {
    if (Number.isFinite(x)) most = Math.max(most, Math.abs(x));
  }
  return said(compare(reference, got, { relL2, rtol, atol: atol * most }, reference.name));
}

const said = ({ ok, message }) => (ok ? undefined : message);

function asDoubles({ name, dtype, dims, data }) {
  const numbers = decodeElements(dtype, data, elementCount(dims));
  return { name, dtype: 'f64', dims, data: Float64Array.from(numbers, Number) };
}

const denied = readFileSync(new URL('deny.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [what, ...reason] = line.split(': ');
    const [op, ...conditions] = what.split(' ');
    return { op, conditions, reason: reason.join(': ') };
  });

/** Whether a node of the case is one that ONNX Runtime is known to get wrong. */
export function deniedReason(one) {
  for (const node of one.nodes) {
    const entry = denied.find(
      ({ op, conditions }) => op === node.op && conditions.every((c) => holds(c, node, one)),
    );
    if (entry) return entry.reason;
  }
  return undefined;
}

function holds(condition, { attributes = {}, inputs }, { opset, tensors }) {
  const [, name, sign, wanted] = /^(\w+)(?:(<|>=|=)(.*))?$/.exec(condition);
  const own = tensors.filter((tensor) => inputs.includes(tensor.name)).map(({ tensor }) => tensor);
  if (name === 'opset') return sign === '<' ? opset < Number(wanted) : opset >= Number(wanted);
  if (name === 'type') return own[0]?.dtype === wanted;
  if (name === 'rank') return String(own[0]?.dims.length) === wanted;
  if (name === 'empty') return own.some(({ dims }) => dims.includes(0));
  if (name === 'special') {
    return own.some(({ values }) =>
      values?.some((x) => typeof x === 'number' && !Number.isFinite(x)),
    );
  }
  if (name === 'second') return String(own[1]?.values?.length) === wanted;
  if (name === 'last') return String(own[0]?.dims.at(-1)) === wanted;
  if (name === 'notext') return own.some(({ values }) => values?.includes(''));
  const attribute = attributes[name];
  if (wanted === undefined) return attribute !== undefined;
  return attribute !== undefined && String(Object.values(attribute)[0]) === wanted;
}

/**
 * `answers` by engine. Gives a status: `same`, `failed` (with what differs), `invalid` (everybody
 * refuses, as ONNX Runtime does) or `alone` (there is nothing to compare with); and which
 * engine's answer was the reference.
 */
export function judge(one, answers) {
  const { ort, ...own } = answers;
  const entries = Object.entries(own);
  const denial = deniedReason(one);
  const usable = ort?.outputs && !denial;
  const reference = usable ? 'ort' : entries.find(([, answer]) => answer.outputs)?.[0];
  if (reference === undefined) {
    const reasons = entries.map(([engine, { error }]) => `${engine}: ${error}`);
    if (ort && ort.error !== undefined && !ort.lacks)
      return { status: 'invalid', failures: [], reasons };
    return {
      status: 'failed',
      reference: 'none',
      failures: entries.map(([engine, { error }]) => ({ engine, message: `refuses: ${error}` })),
    };
  }
  const failures = [];
  const wanted = answers[reference].outputs;
  for (const [engine, answer] of entries) {
    if (engine === reference) continue;
    let message;
    if (answer.error !== undefined) message = `refuses: ${answer.error}`;
    for (const { name } of answer.outputs ? one.outputs : []) {
      message ??= difference(wanted[name], answer.outputs[name], one);
    }
    if (message !== undefined) failures.push({ engine, message });
  }
  if (failures.length > 0) return { status: 'failed', reference, failures };
  return { status: entries.length > 1 || usable ? 'same' : 'alone', reference, failures };
}
