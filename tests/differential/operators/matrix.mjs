// Products and normalisations: src/ops/matrix, src/ops/norm, src/ops/loss.

import { isFloat } from '../tensors.mjs';

const whole = (type) => (isFloat(type) ? {} : { low: 0, high: 1 });

export const matrices = {
  MatMul: (d) => {
    const type = d.type();
    const [m, k, n] = [d.size(), d.size(), d.size()];
    const batch = d.dims({ most: 3, elements: 12 });
    let [a, b] = [
      [...batch, m, k],
      [...d.narrower(batch), k, n],
    ];
    if (d.chance(3))
      [a, b] = [
        [...d.narrower(batch), m, k],
        [...batch, k, n],
      ];
    if (d.chance(8)) a = [k];
    if (d.chance(8)) b = [k];
    d.input(d.tensor(type, a, whole(type)));
    d.input(d.tensor(type, b, whole(type)));
    d.output(type);
  },
  Gemm: (d) => {
    const type = d.type();
    const [m, k, n] = [d.size(), d.size(), d.size()];
    const [ta, tb] = [
      d.maybeInt('transA', 0, () => d.pick(0, 1)),
      d.maybeInt('transB', 0, () => d.pick(0, 1)),
    ];
    d.input(d.tensor(type, ta ? [k, m] : [m, k], whole(type)));
    d.input(d.tensor(type, tb ? [n, k] : [k, n], whole(type)));
    if (d.version < 11 || d.chance()) d.input(d.tensor(type, d.narrower([m, n]), whole(type)));
    if (isFloat(type)) {
      d.maybeFloat('alpha', -2, 2);
      d.maybeFloat('beta', -2, 2);
    }
    d.output(type);
  },
  Einsum: (d) => {
    const type = d.type();
    const sizes = Object.fromEntries([...'ijkl'].map((letter) => [letter, d.size({ most: 6 })]));
    const terms = Array.from({ length: d.pick(2, 1, 3) }, () =>
      d.shuffled([...'ijkl']).slice(0, d.integer(1, 3)),
    );
    const dots = d.chance(4);
    const used = [...new Set(terms.flat())];
    const batch = dots ? d.dims({ most: 2, elements: 6 }) : [];
    for (const term of terms) {
      const own = term.map((letter) => sizes[letter]);
      d.input(d.tensor(type, [...(dots ? d.narrower(batch) : []), ...own], whole(type)));
    }
    let equation = terms.map((term) => (dots ? '...' : '') + term.join('')).join(d.pick(',', ', '));
    if (dots || d.chance(4) === false) {
      equation += `->${dots ? '...' : ''}${d.shuffled(d.some(used)).join('')}`;
    }
    d.string('equation', equation);
    d.output(type);
  },
  Det: (d) => {
    const type = d.type();
    const n = d.integer(1, 6);
    d.input(d.tensor(type, [...d.dims({ most: 3, elements: 20 }), n, n]));
    d.output(type);
  },

  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  Hardmax: alongAxis,
  LpNormalization: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 1, zero: false });
    d.input(d.tensor(type, dims, { gap: 0.1 }));
    d.maybeInt('axis', -1, () => d.axis(dims.length));
    d.maybeInt('p', 2, () => d.pick(1, 2));
    d.output(type);
  },
  LayerNormalization: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1, zero: false });
    const axis = d.maybeInt('axis', -1, () => d.axis(dims.length));
    const own = dims.slice(axis < 0 ? axis + dims.length : axis);
    const broadcast = () => (d.chance(4) ? d.narrower(dims) : own);
    d.input(d.tensor(type, dims));
    d.input(d.tensor(type, broadcast()));
    if (d.chance()) d.input(d.tensor(type, broadcast()));
    d.maybeFloat('epsilon', 0.001, 0.1);
    if (!('epsilon' in d.attributes)) d.float('epsilon', 1e-3);
    d.output(type);
    if (d.chance(3)) {
      d.output('f32');
      if (d.chance()) d.output('f32');
    }
  },
  RMSNormalization: (d) => {
    const type = d.type('T');
    const dims = d.dims({ least: 1, zero: false });
    const axis = d.maybeInt('axis', -1, () => d.axis(dims.length));
    const own = dims.slice(axis < 0 ? axis + dims.length : axis);
    d.input(d.tensor(type, dims));
    const scaled = d.chance(4) ? d.type('V') : type;
    d.input(d.tensor(scaled, d.chance(4) ? d.narrower(dims) : own));
    d.maybeFloat('epsilon', 0.001, 0.1);
    d.output(scaled);
  },
  InstanceNormalization: (d) => {
    const type = d.type();
    const dims = d.dims({ least: 3, most: 5, zero: false });
    d.input(d.tensor(type, dims));
    d.input(d.tensor(type, [dims[1]]));
    d.input(d.tensor(type, [dims[1]]));
    d.float('epsilon', d.integer(1, 100) / 1000);
    d.output(type);
  },
  GroupNormalization: (d) => {
    const type = d.version >= 21 ? d.type() : 'f32';
    const groups = d.integer(1, 3);
    const dims = [
      d.integer(1, 3),
      groups * d.integer(1, 4),
      ...d.dims({ least: 1, most: 3, zero: false, elements: 60 }),
    ];
    const own = d.version >= 21 ? dims[1] : groups;
    d.input(d.tensor(type, dims));
    d.input(d.tensor(type, [own]));
    d.input(d.tensor(type, [own]));
    d.int('num_groups', groups);
    d.float('epsilon', d.integer(1, 100) / 1000);
    d.output(type);
  },
  MeanVarianceNormalization: (d) => {
    const type = d.type();
    // One element has no variance.
    const dims = d.dims({ least: 4, most: 4, zero: false }).map((dim) => Math.max(2, dim));
    d.input(d.tensor(type, dims));
    const axes = d.some([0, 1, 2, 3]);
    if (axes.length > 0) d.ints('axes', axes);
    d.looseness = 10;
    d.output(type);
  },
  LRN: (d) => {
    const type = d.type();
    d.input(d.tensor(type, d.dims({ least: 3, most: 5, zero: false })));
    d.int('size', d.pick(1, 3, 5, 2, 4));
    d.maybeFloat('alpha', 0.0001, 0.5);
    d.maybeFloat('beta', 0.25, 1);
    d.maybeFloat('bias', 0.5, 2);
    d.output(type);
  },
  NegativeLogLikelihoodLoss: (d) => loss(d, false),
  SoftmaxCrossEntropyLoss: (d) => loss(d, true),
};

function alongAxis(d) {
  const type = d.type();
  const dims = d.dims({ least: 1, zero: false });
  d.input(d.tensor(type, dims, { low: -5, high: 5 }));
  const fallback = d.version >= 13 ? -1 : Math.min(1, dims.length - 1);
  const forced = d.version < 13 && dims.length === 1;
  const drawn = () => (d.version < 11 ? d.integer(0, dims.length - 1) : d.axis(dims.length));
  if (forced) d.int('axis', 0);
  else d.maybeInt('axis', fallback, drawn);
  d.output(type);
}

function loss(d, softmax) {
  const type = d.type('T');
  const classes = d.integer(1, 5);
  const rest = d.dims({ most: 3, zero: false, elements: 60 });
  const n = d.integer(1, 4);
  d.input(d.tensor(type, [n, classes, ...rest]));
  const size = rest.reduce((a, b) => a * b, n);
  const ignored = d.chance(3) ? d.int('ignore_index', d.pick(0, -1, 255)) : undefined;
  const labels = Array.from({ length: size }, () => d.integer(0, classes - 1));
  if (ignored !== undefined && ignored !== 0) {
    for (let i = 1; i < size; i += 3) labels[i] = ignored;
  }
  if (ignored === 0 && classes > 1) labels[0] = 1;
  d.input(d.values(d.type('Tind'), [n, ...rest], labels));
  const weights = d.chance();
  if (weights) d.input(d.tensor(type, [classes], { low: 0.2, high: 1 }));
  if (ignored === 0 && classes === 1) delete d.attributes.ignore_index;
  if (d.chance()) d.string('reduction', d.pick('mean', 'sum', 'none'));
  d.output(type);
  if (softmax && d.chance()) d.output(type);
}
