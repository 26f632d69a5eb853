// The kinds of nodes that random graphs are made of. Each adds nodes to a Graph, or does nothing
// where no value fits.

import { count } from './draw.mjs';

const int = (value) => ({ int: value });
const ints = (values) => ({ ints: values });
const float = (value) => ({ float: value });

const bounded = { Tanh: 1, Sigmoid: 1, Erf: 1, Softsign: 1, HardSigmoid: 1, Sin: 1, Cos: 1 };
const growing = [
  'Relu',
  'Neg',
  'Abs',
  'LeakyRelu',
  'Elu',
  'Softplus',
  'HardSwish',
  'Identity',
  'Selu',
  'Celu',
];

function unary(g) {
  const x = g.take({ bound: 1e3 });
  const names = [...Object.keys(bounded), ...growing];
  if (g.opset >= 18) names.push('Mish');
  if (g.opset >= 20) names.push('Gelu');
  const op = g.pick(...names.filter((name) => g.opset >= 14 || name !== 'HardSwish'));
  // Celu is f32's alone; Sin of large numbers magnifies errors.
  if ((op === 'Celu' && x.dtype !== 'f32') || (x.bound > 20 && /^(Sin|Cos)$/.test(op))) return;
  g.add(op, [x], x.dims, { bound: bounded[op] ?? 2 * x.bound + 1 });
}

function steep(g) {
  const x = g.take({ bound: 3 });
  const op = g.pick('Exp', 'Sinh', 'Cosh');
  g.add(op, [x], x.dims, { bound: 21 });
}

function other(g, x) {
  const same = g.values.filter((v) => v.dtype === x.dtype && String(v.dims) === String(x.dims));
  if (same.length > 0 && g.chance()) return g.pick(...same);
  return g.feed(x.dtype, g.narrower(x.dims), { gap: 0.2 });
}

function binary(g) {
  const x = g.take();
  const y = other(g, x);
  const op = g.pick('Add', 'Mul', 'Sub', 'Max', 'Min');
  const bound = op === 'Mul' ? x.bound * y.bound : x.bound + y.bound;
  if (bound > 2e3) return;
  g.add(op, g.chance(3) ? [y, x] : [x, y], x.dims, { bound });
}

function divide(g) {
  const x = g.take({ bound: 500 });
  const y = g.feed(x.dtype, g.narrower(x.dims), { gap: 0.3 });
  g.add('Div', [x, y], x.dims, { bound: 4 * x.bound });
}

function affine(g) {
  // A layer's bias and scale after each other, as passes look for them.
  const x = g.take({ bound: 100 });
  let y = g.add('Mul', [x, g.feed(x.dtype, g.narrower(x.dims), {}, true)], x.dims, {
    bound: 2 * x.bound,
  });
  y = g.add('Add', [y, g.feed(x.dtype, g.narrower(x.dims), {}, true)], x.dims, {
    bound: y.bound + 2,
  });
  if (g.chance()) g.add('Relu', [y], x.dims, { bound: y.bound });
}

function where(g) {
  const x = g.take();
  const y = other(g, x);
  const condition = g.feed('bool', g.narrower(x.dims));
  g.add('Where', g.chance() ? [condition, x, y] : [condition, y, x], x.dims, {
    dtype: x.dtype,
    bound: Math.max(x.bound, y.bound),
  });
}

function clip(g) {
  const x = g.take();
  const low = g.chance() ? g.constant(x.dtype, [], [-1]) : undefined;
  const high = g.constant(x.dtype, [], [1.5]);
  g.add('Clip', [x, low, high], x.dims, { bound: Math.max(1.5, low ? 1 : x.bound) });
}

function casts(g) {
  const x = g.take({ bound: 100 });
  const wide = g.add('Cast', [x], x.dims, {
    dtype: 'f32',
    attributes: { to: int(1) },
    keep: false,
  });
  const back = { f32: 1, f16: 10, f64: 11 }[x.dtype];
  g.add('Cast', [wide], x.dims, { dtype: x.dtype, bound: x.bound, attributes: { to: int(back) } });
}

function transpose(g) {
  const x = g.take({ least: 2 });
  const perm = g.shuffled(x.dims.map((_, i) => i));
  g.add(
    'Transpose',
    [x],
    perm.map((axis) => x.dims[axis]),
    { attributes: { perm: ints(perm) } },
  );
}

/** Two dims joined or one split. */
function otherShape(g, dims) {
  const shape = [...dims];
  const at = g.integer(0, Math.max(0, dims.length - 2));
  if (dims.length >= 2 && !g.chance(3)) shape.splice(at, 2, dims[at] * dims[at + 1]);
  else if (dims.length >= 1 && dims[at] % 2 === 0) shape.splice(at, 1, 2, dims[at] / 2);
  else shape.splice(at, 0, 1);
  return shape;
}

function reshape(g) {
  const x = g.take();
  const shape = otherShape(g, x.dims);
  const written = [...shape];
  if (count(shape) > 0 && shape.length > 0 && g.chance())
    written[g.integer(0, shape.length - 1)] = -1;
  if (written.includes(0)) return;
  g.add('Reshape', [x, g.axes(...written)], shape);
}

/** Reshape to dims that come from Shape, as exporters of dynamic models write it. */
function reshapeByShape(g) {
  const x = g.take({ least: 2 });
  if (count(x.dims) === 0) return;
  const all = g.add('Shape', [x], [x.dims.length], { dtype: 'i64', keep: false });
  const axis = g.integer(0, x.dims.length - 1);
  const one = { dtype: 'i64', keep: false };
  let first = g.add('Gather', [all, g.constant('i64', [1], [axis])], [1], {
    ...one,
    attributes: { axis: int(0) },
  });
  if (g.chance()) {
    first = g.add('Mul', [first, g.axes(2)], [1], one);
    first = g.add('Div', [first, g.axes(2)], [1], one);
  }
  const shape = g.add('Concat', [first, g.axes(-1)], [2], { ...one, attributes: { axis: int(0) } });
  g.add('Reshape', [x, shape], [x.dims[axis], count(x.dims) / x.dims[axis]]);
}

function expandByShape(g) {
  const x = g.take({ least: 1 });
  const shape = g.add('Shape', [x], [x.dims.length], { dtype: 'i64', keep: false });
  const small = g.feed(x.dtype, g.narrower(x.dims));
  const wide = g.add('Expand', [small, shape], x.dims, { bound: small.bound });
  g.add('Add', [x, wide], x.dims, { bound: x.bound + 2 });
}

function positions(g) {
  // The numbers 0, 1, ... along the last axis, added.
  const x = g.take({ least: 1, bound: 100 });
  const i64 = { dtype: 'i64', keep: false };
  const shape = g.add('Shape', [x], [x.dims.length], i64);
  const last = g.add('Gather', [shape, g.constant('i64', [], [-1])], [], i64);
  const range = g.add(
    'Range',
    [g.constant('i64', [], [0]), last, g.constant('i64', [], [1])],
    [x.dims.at(-1)],
    i64,
  );
  const to = int({ f32: 1, f16: 10, f64: 11 }[x.dtype]);
  const numbers = g.add('Cast', [range], [x.dims.at(-1)], {
    dtype: x.dtype,
    attributes: { to },
    keep: false,
  });
  g.add('Add', [x, numbers], x.dims, { bound: x.bound + x.dims.at(-1) });
}

function squeezes(g) {
  const x = g.take({ most: 4 });
  const axis = g.integer(0, x.dims.length);
  const dims = [...x.dims.slice(0, axis), 1, ...x.dims.slice(axis)];
  const y = g.add('Unsqueeze', [x, g.axes(axis)], dims);
  if (g.chance()) g.add('Squeeze', [y, g.axes(axis)], x.dims);
}

function slice(g) {
  const x = g.take({ least: 1 });
  const axis = g.integer(0, x.dims.length - 1);
  const dim = x.dims[axis];
  if (dim < 2) return;
  const step = g.pick(1, 1, 2, -1);
  const from = g.integer(0, dim - 2);
  const to = g.integer(from + 1, dim);
  const [start, end] = step > 0 ? [from, to] : [to - 1, from - 1 - dim];
  const dims = [...x.dims];
  dims[axis] = Math.ceil((to - from) / Math.abs(step));
  if (step < 0) dims[axis] = to - from;
  const inputs = [
    x,
    g.axes(start),
    g.axes(step < 0 && from > 0 ? from - 1 : end),
    g.axes(axis),
    g.axes(step),
  ];
  g.add('Slice', inputs, dims);
}

function concat(g) {
  const x = g.take({ least: 1 });
  const axis = g.integer(0, x.dims.length - 1);
  const y = g.chance() ? x : other(g, x);
  if (String(y.dims) !== String(x.dims) || count(x.dims) > 2000) return;
  const dims = [...x.dims];
  dims[axis] *= 2;
  g.add('Concat', [x, y], dims, {
    attributes: { axis: int(axis) },
    bound: Math.max(x.bound, y.bound),
  });
}

function split(g) {
  const x = g.take({ least: 1 });
  const axis = g.integer(0, x.dims.length - 1);
  if (x.dims[axis] < 2) return;
  const first = g.integer(1, x.dims[axis] - 1);
  const parts = [first, x.dims[axis] - first].map((part) => {
    const dims = [...x.dims];
    dims[axis] = part;
    return { ...x, name: g.name(), dims };
  });
  g.node('Split', [x, g.axes(first, x.dims[axis] - first)], parts, { axis: int(axis) });
  parts.forEach((part) => g.remember(part));
  if (g.chance()) {
    g.add('Concat', [...parts].reverse(), x.dims, { attributes: { axis: int(axis) } });
  } else if (parts[0].dims[axis] === parts[1].dims[axis]) {
    const gate = g.add('Sigmoid', [parts[1]], parts[1].dims, { bound: 1 });
    g.add('Mul', [parts[0], gate], parts[0].dims);
  }
}

function gather(g) {
  const x = g.take({ least: 1 });
  const axis = g.integer(0, x.dims.length - 1);
  if (x.dims[axis] === 0) return;
  const own = g.pick([], [2], [1], [2, 2]);
  const values = Array.from({ length: count(own) }, () =>
    g.integer(-x.dims[axis], x.dims[axis] - 1),
  );
  const indices = g.chance() ? g.constant('i64', own, values) : undefined;
  const fed = indices ?? { name: g.name('x'), dtype: 'i64', dims: own };
  if (!indices) {
    g.tensors.push({
      name: fed.name,
      tensor: { dtype: 'i64', dims: own, values },
      initializer: false,
      shown: own,
    });
  }
  g.add('Gather', [x, fed], [...x.dims.slice(0, axis), ...own, ...x.dims.slice(axis + 1)], {
    attributes: { axis: int(axis) },
  });
}

function pad(g) {
  const x = g.take({ least: 1, most: 4 });
  const pads = Array.from({ length: 2 * x.dims.length }, () => g.integer(0, 1));
  const dims = x.dims.map((dim, i) => dim + pads[i] + pads[i + x.dims.length]);
  if (count(dims) > 4000) return;
  g.add('Pad', [x, g.axes(...pads)], dims);
}

function softmax(g) {
  const x = g.take({ least: 1, bound: 100 });
  if (count(x.dims) === 0) return;
  g.add(g.pick('Softmax', 'LogSoftmax'), [x], x.dims, {
    attributes: { axis: int(g.integer(-x.dims.length, x.dims.length - 1)) },
    bound: 2 * x.bound + 10,
  });
}

function reduce(g) {
  const x = g.take({ least: 1, bound: 100 });
  if (count(x.dims) === 0) return;
  const axis = g.integer(-x.dims.length, x.dims.length - 1);
  const op = g.pick('ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceL2');
  const kept = g.chance();
  const dims = [...x.dims];
  dims.splice(axis, 1, ...(kept ? [1] : []));
  const asInput = g.opset >= 18 || op === 'ReduceSum';
  const attributes = { keepdims: int(kept ? 1 : 0), ...(asInput ? {} : { axes: ints([axis]) }) };
  const y = g.add(op, asInput ? [x, g.axes(axis)] : [x], dims, {
    attributes,
    bound: x.bound * x.dims.at(axis),
  });
  if (kept && g.chance()) g.add('Sub', [x, y], x.dims, { bound: x.bound + y.bound });
}

function normalise(g) {
  const x = g.take({ least: 1, bound: 100 });
  if (g.opset < 17 || count(x.dims) === 0 || x.dims.at(-1) < 2) return;
  const scale = g.feed(x.dtype, [x.dims.at(-1)], {}, true);
  g.add('LayerNormalization', [x, scale], x.dims, {
    attributes: { axis: int(-1), epsilon: float(0.01) },
    bound: 2 * Math.sqrt(x.dims.at(-1)),
  });
}

function matmul(g) {
  const x = g.take({ least: 2, bound: 50 });
  const k = x.dims.at(-1);
  const n = g.size({ zero: false });
  const w = g.feed(x.dtype, [k, n], { low: -1, high: 1 });
  const dims = [...x.dims.slice(0, -1), n];
  if (count(dims) > 4000) return;
  const bound = Math.max(1, k) * x.bound;
  if (x.dims.length === 2 && g.chance()) {
    const bias = g.chance() ? g.feed(x.dtype, g.narrower([x.dims[0], n])) : undefined;
    g.add('Gemm', [x, w, bias], dims, { attributes: { alpha: float(0.5) }, bound: bound + 2 });
    return;
  }
  const y = g.add('MatMul', [x, w], dims, { bound });
  if (g.chance()) g.add('Add', [y, g.feed(x.dtype, [n], {}, true)], dims, { bound: bound + 2 });
  if (g.chance(3)) g.add('Tanh', [g.values.at(-1)], dims, { bound: 1 });
}

function selfProduct(g) {
  const x = g.take({ least: 2, bound: 10 });
  const perm = x.dims.map((_, i) => i);
  [perm[perm.length - 1], perm[perm.length - 2]] = [perm.at(-2), perm.at(-1)];
  const turned = g.add(
    'Transpose',
    [x],
    perm.map((axis) => x.dims[axis]),
    { attributes: { perm: ints(perm) } },
  );
  g.add('MatMul', [x, turned], [...x.dims.slice(0, -1), x.dims.at(-2)], {
    bound: Math.max(1, x.dims.at(-1)) * x.bound ** 2,
  });
}

function convolve(g) {
  const x = g.take({ rank: 4, bound: 50 });
  const [n, c, h, w] = x.dims;
  if (count(x.dims) === 0) return;
  const [kh, kw] = [g.integer(1, Math.min(3, h)), g.integer(1, Math.min(3, w))];
  const depthwise = g.chance(3);
  const filters = depthwise ? c : g.integer(1, 5);
  const weights = g.feed(
    x.dtype,
    [filters, depthwise ? 1 : c, kh, kw],
    { low: -1, high: 1 },
    !g.chance(4),
  );
  const bias = g.chance() ? g.feed(x.dtype, [filters], {}, true) : undefined;
  const attributes = { kernel_shape: ints([kh, kw]), ...(depthwise ? { group: int(c) } : {}) };
  let dims = [n, filters, h - kh + 1, w - kw + 1];
  let bound = count(weights.dims.slice(1)) * x.bound + 2;
  let y = g.add('Conv', [x, weights, bias], dims, { attributes, bound });
  if (g.chance(3)) {
    const of = (options) => g.feed(x.dtype, [filters], options, true);
    const inputs = [y, of({}), of({}), of({}), of({ low: 0.5, high: 2 })];
    bound = 4 * bound;
    y = g.add('BatchNormalization', inputs, dims, { bound });
  }
  if (g.chance()) g.add('Relu', [y], dims, { bound });
}

function pool(g) {
  const x = g.take({ rank: 4 });
  const [n, c, h, w] = x.dims;
  if (count(x.dims) === 0) return;
  const op = g.pick('MaxPool', 'AveragePool', 'GlobalAveragePool');
  if (op.startsWith('Global')) {
    g.add(op, [x], [n, c, 1, 1]);
    return;
  }
  const kernel = [g.integer(1, Math.min(3, h)), g.integer(1, Math.min(3, w))];
  g.add(op, [x], [n, c, h - kernel[0] + 1, w - kernel[1] + 1], {
    attributes: { kernel_shape: ints(kernel) },
  });
}

function bodyOf(g, x, dims) {
  const steps = g.integer(1, 3);
  const nodes = [];
  let last = x.name;
  for (let i = 0; i < steps; ++i) {
    const name = g.name('b');
    const op = g.pick('Tanh', 'Relu', 'Neg', 'Add');
    nodes.push({
      op,
      inputs: op === 'Add' ? [last, x.name] : [last],
      outputs: [name],
      attributes: {},
    });
    last = name;
  }
  return { nodes, outputs: [{ name: last, type: { kind: 'tensor', dtype: x.dtype, dims } }] };
}

function branch(g) {
  const x = g.take({ bound: 100 });
  const condition = g.feed('bool', []);
  const attributes = {
    then_branch: { graph: bodyOf(g, x, x.dims) },
    else_branch: { graph: bodyOf(g, x, x.dims) },
  };
  g.add('If', [condition], x.dims, { dtype: x.dtype, attributes, bound: 4 * x.bound });
}

function loop(g) {
  const x = g.take({ bound: 100 });
  const trips = g.integer(0, 3);
  const fixed = g.chance();
  const trip = fixed
    ? g.constant('i64', [], [trips])
    : { name: g.name('x'), dtype: 'i64', dims: [] };
  if (!fixed) {
    g.tensors.push({
      name: trip.name,
      tensor: { dtype: 'i64', dims: [], values: [trips] },
      initializer: false,
      shown: [],
    });
  }
  const [i, going, state, next, same] = ['i', 'g', 's', 'n', 'k'].map((stem) => g.name(stem));
  const type = (dtype, dims) => ({ kind: 'tensor', dtype, dims });
  const body = {
    nodes: [
      { op: 'Tanh', inputs: [state], outputs: [`${next}_t`], attributes: {} },
      { op: 'Add', inputs: [`${next}_t`, x.name], outputs: [next], attributes: {} },
      { op: 'Identity', inputs: [going], outputs: [same], attributes: {} },
    ],
    inputs: [
      { name: i, type: type('i64', []) },
      { name: going, type: type('bool', []) },
      { name: state, type: type(x.dtype, x.dims) },
    ],
    outputs: [
      { name: same, type: type('bool', []) },
      { name: next, type: type(x.dtype, x.dims) },
    ],
  };
  g.add('Loop', [trip, undefined, x], x.dims, {
    dtype: x.dtype,
    attributes: { body: { graph: body } },
    bound: x.bound + 1,
  });
}

/** Parts in a sequence, one taken out or all put together again. */
function sequence(g) {
  const x = g.take({ least: 1 });
  const axis = g.integer(0, x.dims.length - 1);
  if (x.dims[axis] < 2) return;
  const list = { name: g.name() };
  const [first, rest] = [1, x.dims[axis] - 1];
  const attributes = { axis: int(axis) };
  g.node('SplitToSequence', [x, g.axes(first, rest)], [list], attributes);
  if (g.chance()) {
    g.add('ConcatFromSequence', [list], x.dims, { dtype: x.dtype, bound: x.bound, attributes });
    return;
  }
  const at = g.integer(-2, 1);
  const dims = [...x.dims];
  dims[axis] = at === 0 || at === -2 ? first : rest;
  const place = g.constant('i64', [], [at]);
  g.add('SequenceAt', [list, place], dims, { dtype: x.dtype, bound: x.bound });
}

/** A running sum along the first axis, with its last state. */
function scan(g) {
  const x = g.take({ least: 1, most: 4, bound: 10 });
  const rest = x.dims.slice(1);
  if (x.dims[0] === 0) return;
  const start = g.feed(x.dtype, rest);
  const [state, item, next, copy] = ['s', 'i', 'n', 'o'].map((stem) => g.name(stem));
  const type = { kind: 'tensor', dtype: x.dtype, dims: rest };
  const body = {
    nodes: [
      { op: 'Add', inputs: [state, item], outputs: [next], attributes: {} },
      { op: 'Tanh', inputs: [next], outputs: [copy], attributes: {} },
    ],
    inputs: [
      { name: state, type },
      { name: item, type },
    ],
    outputs: [
      { name: next, type },
      { name: copy, type },
    ],
  };
  const last = { ...x, name: g.name(), dims: rest, bound: x.bound * x.dims[0] + 2 };
  const all = { ...x, name: g.name(), bound: 1 };
  const attributes = { body: { graph: body }, num_scan_inputs: int(1) };
  if (g.chance()) attributes.scan_input_directions = ints([1]);
  if (g.chance()) attributes.scan_output_directions = ints([1]);
  g.node('Scan', [start, x], [last, all], attributes);
  g.remember(last);
  g.remember(all);
}

export const kinds = [
  ...[unary, unary, binary, binary, affine, where, clip, divide, steep, casts],
  ...[transpose, reshape, reshapeByShape, expandByShape, positions, squeezes, slice, concat, split],
  ...[gather, pad, softmax, reduce, reduce, normalise, matmul, matmul, selfProduct, convolve],
  ...[convolve, pool, branch, loop, sequence, scan],
];
