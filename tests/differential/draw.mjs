// Random cases from recorded choices.
//
// Everything random in a case comes from Choices.next(), and 0 is always the simplest answer: no
// attribute, the smallest size, f32. A case is a function of its list of choices, so any shorter or
// smaller list is a simpler case of the same operator: that is what shrinking goes through.

import { endsIn, typesOf, versionsOf } from './schema.mjs';
import { randomTensor } from './tensors.mjs';

/** The newest operator set, and the newest that ONNX Runtime has. */
export const newestOpset = 28;
export const newestCompared = 26;

/** Integers from a seed, or those of an earlier list, then zeros. */
export class Choices {
  made = [];
  #state;
  #replayed;

  constructor({ seed, index, replayed }) {
    this.#replayed = replayed;
    this.#state = (Math.imul(seed ?? 0, 0x9e3779b1) ^ Math.imul((index ?? 0) + 1, 0x85ebca6b)) | 0;
  }

  /** An integer in [0, limit). */
  next(limit) {
    const at = this.made.length;
    let value;
    if (this.#replayed) {
      value = Math.min(this.#replayed[at] ?? 0, limit - 1);
    } else {
      // mulberry32
      this.#state = (this.#state + 0x6d2b79f5) | 0;
      let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      value = Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
    }
    this.made.push(value);
    return value;
  }
}

export const count = (dims) => dims.reduce((a, b) => a * b, 1);

/** Strides and so on of drawing shared by single operators and graphs. */
export class Random {
  constructor(choices) {
    this.choices = choices;
  }
  integer(low, high) {
    return low + this.choices.next(high - low + 1);
  }
  /** One of the list; the first is the simplest. */
  pick(...list) {
    return list[this.choices.next(list.length)];
  }
  /** True once in so many times. */
  chance(oneIn = 2) {
    return this.choices.next(oneIn) === oneIn - 1;
  }
  shuffled(list) {
    const out = [...list];
    for (let i = 0; i < out.length - 1; ++i) {
      const j = this.integer(i, out.length - 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
  /** Some of the list, in its order; perhaps none. */
  some(list) {
    return list.filter(() => this.chance());
  }
  /** A dim: small, and not always a multiple of anything. */
  size({ zero = true, most = 70 } = {}) {
    const kind = this.choices.next(16);
    if (kind < 12) return this.integer(1, Math.min(7, most));
    if (kind === 12 && zero) return this.pick(1, 0);
    // Long rows and big matrices have kernels of their own.
    if (kind === 15 && most >= 70 && this.chance(3)) return this.integer(71, 900);
    return this.integer(1, most);
  }
  /** Dims of a tensor of at most `elements` elements. */
  dims({ least = 0, most = 6, zero = true, elements = 3000 } = {}) {
    let rank = this.integer(least, Math.min(most, Math.max(least, 4)));
    if (most > 4 && this.chance(8)) rank = this.integer(least, most);
    const dims = [];
    const limit = elements >= 3000 && this.chance(10) ? 8 * elements : elements;
    for (let left = limit; dims.length < rank;) {
      const size = Math.min(this.size({ zero }), Math.max(1, left));
      left = Math.floor(left / Math.max(1, size));
      dims.push(size);
    }
    return dims;
  }
  /** Dims that broadcast against `dims`, no larger. */
  narrower(dims) {
    const from = this.chance(3) ? this.integer(0, dims.length) : 0;
    return dims.slice(from).map((dim) => (this.chance(4) ? 1 : dim));
  }
  /** An axis of `rank`, at times negative. */
  axis(rank, extra = 0) {
    const axis = this.integer(0, rank - 1 + extra);
    return this.chance(3) ? axis - rank - extra : axis;
  }
}

/** One node in the making. */
export class Draw extends Random {
  tensors = [];
  inputs = [];
  outputs = [];
  attributes = {};
  /** Integer outputs may be off by so much. */
  slack = 0;
  /** Values are not compared, only types and shapes. */
  valuesDiffer = false;
  looseness = 1;

  constructor(choices, op, domain = '') {
    super(choices);
    this.op = op;
    this.domain = domain;
    if (domain) {
      this.opset = 17;
      return;
    }
    const all = versionsOf(op).filter((version) => version <= newestOpset);
    const newest = all.at(-1) > newestCompared ? newestOpset : newestCompared;
    const versions = all.filter((version) => !endsIn(op, version));
    const which = versions.length - 1 - this.integer(0, versions.length - 1);
    this.version = versions[which];
    const from = Math.max(7, this.version);
    const to = (all[which + 1] ?? newest + 1) - 1;
    this.opset = this.integer(from, Math.max(from, to));
  }

  /** A type that the specification allows for the variable, out of `among`. */
  type(variable = 'T', among = undefined) {
    const allowed = typesOf(this.op, this.version, variable).filter(
      (type) => (!among || among.includes(type)) && !/^c\d/.test(type),
    );
    if (allowed.length === 0) throw new Error(`${this.op} has no type ${variable}`);
    if (!this.chance(2)) {
      for (const usual of ['f32', 'i64', 'bool']) if (allowed.includes(usual)) return usual;
    }
    return this.pick(...allowed);
  }

  /** A tensor with random elements: see tensors.mjs. */
  tensor(dtype, dims, options = {}) {
    return randomTensor(this, dtype, dims, options);
  }
  /** A tensor of given values. */
  values(dtype, dims, values) {
    return { dtype, dims, values };
  }
  i64(values, dims = [values.length]) {
    return this.values('i64', dims, values);
  }

  /** Adds an input: fed, with known or symbolic dims, or an initializer. */
  input(tensor, { constant } = {}) {
    const name = `x${this.tensors.length}`;
    const initializer = constant ?? this.chance(4);
    const shown = tensor.dims.map((dim, i) =>
      !initializer && this.chance(8) ? `${name}_${i}` : dim,
    );
    this.tensors.push({ name, tensor, initializer, shown });
    this.inputs.push(name);
    return tensor;
  }
  /** An input that decides shapes: most often constant, as exporters have it. */
  shapeInput(tensor) {
    return this.input(tensor, { constant: !this.chance(3) });
  }
  again(position) {
    this.inputs.push(this.inputs[position]);
  }
  skip() {
    this.inputs.push('');
  }

  int(name, value) {
    this.attributes[name] = { int: value };
    return value;
  }
  ints(name, values) {
    this.attributes[name] = { ints: values };
    return values;
  }
  float(name, value) {
    this.attributes[name] = { float: Math.fround(value) };
    return value;
  }
  string(name, value) {
    this.attributes[name] = { string: value };
    return value;
  }
  /** Perhaps an attribute; else what stands for it. */
  maybeInt(name, fallback, draw) {
    return this.chance() ? this.int(name, draw()) : fallback;
  }
  maybeFloat(name, low, high) {
    if (this.chance()) this.float(name, low + ((high - low) * this.integer(0, 64)) / 64);
  }

  output(dtype) {
    const name = `y${this.outputs.length}`;
    this.outputs.push({ name, dtype });
  }
  noOutput() {
    this.outputs.push({ name: '' });
  }

  finish() {
    while (this.inputs.at(-1) === '') this.inputs.pop();
    const { op, domain, opset, tensors, slack, valuesDiffer, looseness } = this;
    const node = {
      op,
      domain,
      inputs: this.inputs,
      outputs: this.outputs.map(({ name }) => name),
      attributes: this.attributes,
    };
    const outputs = this.outputs.filter(({ name }) => name !== '');
    return { title: op, nodes: [node], opset, tensors, outputs, slack, valuesDiffer, looseness };
  }
}
