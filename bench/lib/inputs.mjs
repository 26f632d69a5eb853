// Inputs of models from short texts, the same numbers in every run.

import { floats, halves } from './values.mjs';

const arrays = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
};

/**
 * A tensor of a declared input. `text`: dims such as 1x3x224x224; then *N: numbers in [-N, N), of
 * integers 0 to N - 1; or dims (none: a scalar) and then =N: all are N.
 */
function makeInput({ name, dtype }, text) {
  const match = /^(\d+(?:x\d+)*)?(?:([*=])(-?[\d.]+))?$/.exec(text);
  if (!match || !arrays[dtype]) throw new Error(`input ${name}: '${text}' for ${dtype}`);
  const dims = match[1] ? match[1].split('x').map(Number) : [];
  const count = dims.reduce((a, b) => a * b, 1);
  const number = match[3] === undefined ? undefined : Number(match[3]);
  const Kind = arrays[dtype];
  if (match[2] === '=') {
    const filled = dtype === 'i64' ? BigInt(number) : number;
    return { dtype, dims, data: new Kind(count).fill(filled) };
  }
  if (dtype === 'f32') return { dtype, dims, data: floats(count, number ?? 1) };
  if (dtype === 'f16') return { dtype, dims, data: halves(count, number ?? 1) };
  const most = number ?? (dtype === 'bool' ? 2 : 100);
  const whole = floats(count).map((x) => Math.min(most - 1, Math.floor(((x + 1) / 2) * most)));
  return { dtype, dims, data: Kind.from(whole, dtype === 'i64' ? BigInt : undefined) };
}

/**
 * The tensors of all inputs that a model declares, as describeOnnx gives them. `texts`: of each
 * input, as makeInput takes; unknown dims are 1 without. `given`: tensors that go before them.
 */
export function makeInputs(model, declared, texts = {}, given = {}) {
  for (const text of Object.keys(texts)) {
    if (!declared.some(({ name }) => name === text)) {
      const names = declared.map(({ name }) => name).join(', ');
      throw new Error(`${model}: no input '${text}', only ${names}`);
    }
  }
  return Object.fromEntries(
    declared.map((info) => {
      const fixed = info.dims.map((dim) => (typeof dim === 'number' ? dim : 1)).join('x');
      return [info.name, given[info.name] ?? makeInput(info, texts[info.name] ?? fixed)];
    }),
  );
}

/** What the inputs make of symbolic dims: { batch: 1 }; without those that they disagree on. */
export function freeDimsOf(declared, inputs) {
  const found = {};
  for (const { name, dims } of declared) {
    dims.forEach((dim, i) => {
      if (typeof dim !== 'string' || dim === '') return;
      const number = inputs[name].dims[i];
      found[dim] = found[dim] === undefined || found[dim] === number ? number : null;
    });
  }
  return Object.fromEntries(Object.entries(found).filter(([, number]) => number > 0));
}
