// Random small graphs: 3 to 12 nodes whose types and shapes fit, with the chains that exporters
// write (Shape, Gather, Concat, Reshape), splits, branches and loops.

import { count, newestCompared, Random } from './draw.mjs';
import { randomTensor } from './tensors.mjs';
import { kinds } from './nodes.mjs';

/** A graph in the making. Values are { name, dtype, dims, bound }: no element is larger. */
export class Graph extends Random {
  nodes = [];
  tensors = [];
  values = [];
  #names = 0;

  constructor(choices) {
    super(choices);
    // Axes of Squeeze and others are inputs from 13 on; Split and reductions changed in 18.
    this.opset = this.integer(13, newestCompared);
    this.float = this.pick('f32', 'f32', 'f32', 'f32', 'f32', 'f16', 'f64');
  }

  name(stem = 'v') {
    return `${stem}${this.#names++}`;
  }

  /** A new tensor: fed or an initializer. */
  feed(dtype, dims, options = {}, initializer = this.chance()) {
    const name = this.name(initializer ? 'w' : 'x');
    const tensor = randomTensor(this, dtype, dims, options);
    const shown = dims.map((dim, i) => (!initializer && this.chance(6) ? `${name}_${i}` : dim));
    this.tensors.push({ name, tensor, initializer, shown });
    const bound = Math.max(Math.abs(options.low ?? 2), Math.abs(options.high ?? 2));
    return { name, dtype, dims, bound };
  }
  constant(dtype, dims, values) {
    const name = this.name('c');
    this.tensors.push({ name, tensor: { dtype, dims, values }, initializer: true, shown: dims });
    return { name, dtype, dims, bound: Math.max(1, ...values.map(Math.abs)) };
  }
  axes(...values) {
    return this.constant('i64', [values.length], values);
  }

  /** A value that fits, most often a late one; a new one where there is none. */
  take({ rank, least = 0, most = 6, bound = 1e4 } = {}) {
    const fits = this.values.filter(
      ({ dtype, dims, bound: own }) =>
        dtype === this.float &&
        own <= bound &&
        (rank === undefined ? dims.length >= least && dims.length <= most : dims.length === rank),
    );
    if (fits.length > 0 && !this.chance(5)) {
      return fits[fits.length - 1 - Math.min(this.choices.next(4), fits.length - 1)];
    }
    const dims = this.dims({
      least: rank ?? least,
      most: rank ?? Math.min(most, 4),
      elements: 400,
      zero: this.chance(20),
    });
    return this.remember(this.feed(this.float, dims, {}, false));
  }

  remember(value) {
    this.values.push(value);
    return value;
  }

  /** Adds a node with one output of these dims. */
  add(
    op,
    inputs,
    dims,
    { attributes = {}, dtype = inputs[0]?.dtype, bound = inputs[0]?.bound, keep = true } = {},
  ) {
    const value = { name: this.name(), dtype, dims, bound };
    this.node(op, inputs, [value], attributes);
    return keep ? this.remember(value) : value;
  }
  node(op, inputs, outputs, attributes = {}) {
    this.nodes.push({
      op,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: outputs.map(({ name }) => name),
      attributes,
    });
  }
}

export function drawGraph(choices) {
  const graph = new Graph(choices);
  const wanted = graph.integer(3, 12);
  for (let tries = 0; graph.nodes.length < wanted && tries < 40; ++tries) {
    graph.pick(...kinds)(graph);
  }
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const outputs = graph.values.filter(
    ({ name }) => made.has(name) && (!used.has(name) || graph.chance(6)),
  );
  const { nodes, tensors, opset } = graph;
  const needed = new Set(nodes.flatMap(namesIn));
  return {
    title: 'graph',
    nodes,
    opset,
    tensors: tensors.filter(({ name }) => needed.has(name)),
    outputs: outputs.map(({ name, dtype }) => ({ name, dtype })),
    slack: 0,
    valuesDiffer: false,
    looseness: 4,
    intermediates: graph.values.filter(({ name }) => made.has(name)),
  };
}

/** Names that a node reads, those of its branches included. */
export function namesIn({ inputs, attributes = {} }) {
  const inner = Object.values(attributes).flatMap(({ graph }) =>
    graph ? [...graph.nodes.flatMap(namesIn), ...graph.outputs.map(({ name }) => name)] : [],
  );
  return [...inputs, ...inner];
}

export { count };
